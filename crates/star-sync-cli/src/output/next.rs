//! The last line of a result: the command to run next, if there is one.

use star_sync::compare::verdict::{Verdict, VerdictCode};
use star_sync::runs::explain::Explanation;
use star_sync::runs::validate::Validation;

use super::human::advice;

/// A command and what it does.
pub type Next = (&'static str, &'static str);

const FULL_LOAD: Next = ("full-load", "loads the star");
/// After the source has changed.
pub const INCREMENTAL: Next = ("incremental", "applies what changed since the last run");
const APPLY: Next = ("incremental", "applies the pending changes");
const REPAIR: Next = ("repair", "writes the rows that differ");
const RESOLVE: Next = ("repair", "compares all rows, and writes those that differ");
const DEEP: Next = ("validate --all --deep", "shows the rows that differ");
const ALL: Next = ("validate --all", "compares all days");
const QUARANTINE: Next = ("status", "lists quarantined rows with their reasons");
/// After a schema was filled.
pub const INIT: Next = ("init", "creates the star's tables");

/// After init has only checked a target of an older version.
pub(crate) const MIGRATE: Next = ("init", "migrates the target");

/// The line; empty if there is nothing to do.
pub fn line(program: &str, next: Option<Next>) -> String {
    next.map_or_else(String::new, |(command, does)| {
        format!("{} {program} {command}  # {does}\n", advice("next:"))
    })
}

/// After init, depending on whether a full load has finished.
pub(crate) fn after_init(is_loaded: bool) -> Next {
    if is_loaded { INCREMENTAL } else { FULL_LOAD }
}

/// After a load, an incremental run or a repair.
pub(crate) fn after_load(command: &str, verdict: &Verdict) -> Option<Next> {
    match verdict.code {
        // The rows may match by now, but `validate` does not resolve a recorded mismatch.
        VerdictCode::Mismatch if verdict.unresolved_run.is_some() => Some(RESOLVE),
        VerdictCode::Mismatch => Some(DEEP),
        VerdictCode::WouldChange if command == "repair" => Some(REPAIR),
        VerdictCode::WouldChange => Some(INCREMENTAL),
        _ if verdict.tally.quarantined_rows > 0 => Some(QUARANTINE),
        _ if command == "full-load" => Some(INCREMENTAL),
        _ => None,
    }
}

pub(crate) fn after_validation(validation: &Validation) -> Option<Next> {
    match validation.verdict.code {
        VerdictCode::Mismatch if validation.deep.is_none() => Some(DEEP),
        VerdictCode::Mismatch if validation.is_loading => Some(FULL_LOAD),
        VerdictCode::Mismatch => Some(REPAIR),
        VerdictCode::NothingCompared if validation.from.is_some() => Some(ALL),
        _ if validation.verdict.tally.pending_rows > 0 && validation.is_loading => Some(FULL_LOAD),
        _ if validation.verdict.tally.pending_rows > 0 => Some(APPLY),
        _ => None,
    }
}

pub(crate) fn after_explanation(explanation: &Explanation) -> Option<Next> {
    match explanation.verdict.code {
        VerdictCode::RowPending | VerdictCode::RowUntracked | VerdictCode::RowMismatch if explanation.is_loading => {
            Some(FULL_LOAD)
        }
        VerdictCode::RowPending => Some(APPLY),
        VerdictCode::RowUntracked => Some(("incremental", "verifies tables that changed")),
        VerdictCode::RowMismatch => Some(REPAIR),
        _ => None,
    }
}

/// After status, depending on whether a full load has finished and a mismatch is unresolved.
pub(crate) fn after_status(is_loaded: bool, is_mismatch: bool) -> Option<Next> {
    match (is_loaded, is_mismatch) {
        (false, _) => Some(FULL_LOAD),
        (true, true) => Some(REPAIR),
        (true, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use star_sync::compare::verdict::Tally;

    use super::*;

    fn after(command: &str, tally: Tally, dry_run: bool) -> Option<&'static str> {
        after_load(command, &Verdict::of_load(tally, dry_run)).map(|(command, _)| command)
    }

    #[test]
    fn what_follows_a_run_depends_on_its_verdict() {
        let matching = Tally {
            checks: 1,
            matching: 1,
            changed_rows: 1,
            ..Tally::default()
        };
        let mismatch = Tally {
            mismatches: 1,
            ..matching
        };
        let quarantined = Tally {
            quarantined_rows: 1,
            ..matching
        };
        assert_eq!(after("full-load", matching, false), Some("incremental"));
        assert_eq!(after("incremental", matching, false), None);
        assert_eq!(after("incremental", matching, true), Some("incremental"));
        assert_eq!(after("repair", matching, true), Some("repair"));
        assert_eq!(after("incremental", mismatch, false), Some("validate --all --deep"));
        assert_eq!(after("incremental", quarantined, false), Some("status"));
    }

    #[test]
    fn the_line_is_a_command_that_can_be_typed() {
        let text = anstream::adapter::strip_str(&line("star-sync", Some(after_init(false)))).to_string();
        assert_eq!(text, "next: star-sync full-load  # loads the star\n");
        assert_eq!(line("star-sync", None), "");
    }
}
