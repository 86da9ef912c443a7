//! Formats a verdict as one line: a sentence, and its code for scripts.

use star_sync::compare::verdict::{Tally, Verdict, VerdictCode};
use star_sync::runs::validate::{Newest, Validation};
use std::fmt::Write;

use super::human::{bad, counted, good, grouped};

/// The line of a load, an incremental run or a repair.
pub(crate) fn load(verdict: &Verdict, dry_run: bool) -> String {
    let Tally {
        checks,
        matching,
        changed_rows,
        rows_verified_row_by_row,
        ..
    } = verdict.tally;
    let verified = match rows_verified_row_by_row {
        0 => "nothing was compared".to_owned(),
        rows => format!("no counts or totals were compared; {} verified", rows_of(rows)),
    };
    let sentence = match verdict.code {
        VerdictCode::Unchanged => format!("nothing changed; {verified}"),
        VerdictCode::Unverified => format!("no change found yet; {verified}"),
        VerdictCode::NothingCompared => format!("{} changed; {verified}", rows_of(changed_rows)),
        VerdictCode::WouldChange => format!("dry run: {} would change; nothing was written", rows_of(changed_rows)),
        VerdictCode::WouldNotChange => "dry run: no row would change; nothing was written".to_owned(),
        VerdictCode::Mismatch if dry_run => format!(
            "dry run: {} would change, and then MISMATCH: {} of {}; nothing was written",
            rows_of(changed_rows),
            grouped(verdict.tally.mismatches),
            checks_of(checks)
        ),
        VerdictCode::Mismatch => match verdict.unresolved_run {
            Some(run) => unresolved(run, matching, checks),
            None => mismatch(&verdict.tally),
        },
        _ => format!("OK: {}", matching_of(matching, checks)),
    };
    line(
        verdict.code,
        &(sentence + &backlog(&verdict.tally) + &quarantined(&verdict.tally)),
    )
}

/// The line of a validation.
pub(crate) fn validation(validation: &Validation) -> String {
    let Validation {
        verdict,
        newest_dates,
        tolerance,
        ..
    } = validation;
    let Tally {
        checks,
        matching,
        pending_rows,
        ..
    } = verdict.tally;
    let matching = matching_of(matching, checks);
    let pending = format!(
        "{} changed since the last sync (run incremental)",
        rows_of(pending_rows)
    );
    let mut sentence = match verdict.code {
        VerdictCode::OkPending => format!("OK, but {pending}; otherwise {matching}"),
        VerdictCode::NothingCompared => {
            let pending = if pending_rows > 0 {
                format!("; {pending}")
            } else {
                String::new()
            };
            format!(
                "nothing compared: {}; whole tables: {matching}{pending}",
                without_rows(newest_dates)
            )
        }
        VerdictCode::Mismatch if pending_rows > 0 => format!("{}; {pending}", mismatch(&verdict.tally)),
        VerdictCode::Mismatch => mismatch(&verdict.tally),
        _ => format!("OK: {matching}"),
    };
    if *tolerance > 0 {
        let word = if verdict.is_mismatch() { "beyond" } else { "within" };
        let _ = write!(sentence, ", {word} a tolerance of {}", grouped(*tolerance));
    }
    line(verdict.code, &(sentence + &quarantined(&verdict.tally)))
}

/// A sentence, coloured by its verdict, followed by the code.
pub(crate) fn line(code: VerdictCode, sentence: &str) -> String {
    let sentence = match code {
        VerdictCode::Ok | VerdictCode::RowOk => good(sentence),
        code if code.is_mismatch() => bad(sentence),
        _ => sentence.to_owned(),
    };
    format!("{sentence} [{}]", code.name())
}

/// The sentence of a run that found no mismatch but has not resolved an earlier one.
fn unresolved(run: i64, matching: u64, checks: u64) -> String {
    let now = match checks {
        0 => "nothing was compared in this one".to_owned(),
        _ => format!("in this one {}", matching_of(matching, checks)),
    };
    format!("MISMATCH: found by run {run} and not resolved since; {now}")
}

fn mismatch(tally: &Tally) -> String {
    format!("MISMATCH: {} of {}", grouped(tally.mismatches), checks_of(tally.checks))
}

fn without_rows(newest: &[Newest]) -> String {
    let facts: Vec<String> = newest
        .iter()
        .map(|fact| {
            let newest = match fact.date {
                Some(date) => format!("newest is {date}"),
                None => "the source has none".to_owned(),
            };
            format!("{} ({newest})", fact.table)
        })
        .collect();
    format!("the period has no rows of {}", facts.join(" and "))
}

/// The verification backlog.
fn backlog(tally: &Tally) -> String {
    match tally.backlog_ranges {
        0 => String::new(),
        ranges => format!("; {} still to be verified", counted(ranges, "key range", "key ranges")),
    }
}

fn quarantined(tally: &Tally) -> String {
    match tally.quarantined_rows {
        0 => String::new(),
        1 => "; 1 row is quarantined (sync_reject)".to_owned(),
        rows => format!("; {} rows are quarantined (sync_reject)", grouped(rows)),
    }
}

fn matching_of(matching: u64, checks: u64) -> String {
    let verb = if checks == 1 { "matches" } else { "match" };
    format!("{} of {} {verb}", grouped(matching), checks_of(checks))
}

fn rows_of(rows: u64) -> String {
    counted(rows, "row", "rows")
}

fn checks_of(checks: u64) -> String {
    counted(checks, "check", "checks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_checked_and_ends_with_the_code() {
        let tally = Tally {
            checks: 15,
            matching: 15,
            ..Tally::default()
        };
        let plain = |verdict: &Verdict, dry_run| anstream::adapter::strip_str(&load(verdict, dry_run)).to_string();
        assert_eq!(
            plain(&Verdict::of_load(tally, false), false),
            "OK: 15 of 15 checks match [OK]"
        );
        let quarantined = Tally {
            matching: 14,
            mismatches: 1,
            quarantined_rows: 1_234,
            ..tally
        };
        assert_eq!(
            plain(&Verdict::of_load(quarantined, false), false),
            "MISMATCH: 1 of 15 checks; 1,234 rows are quarantined (sync_reject) [MISMATCH]"
        );
        let unresolved = Verdict {
            code: VerdictCode::Mismatch,
            unresolved_run: Some(7),
            tally,
        };
        assert_eq!(
            plain(&unresolved, false),
            "MISMATCH: found by run 7 and not resolved since; in this one 15 of 15 checks match [MISMATCH]"
        );
        assert_eq!(
            plain(&Verdict::of_load(Tally::default(), false), false),
            "nothing changed; nothing was compared [UNCHANGED]"
        );
        assert_eq!(
            plain(
                &Verdict::of_load(
                    Tally {
                        changed_rows: 1,
                        ..tally
                    },
                    true
                ),
                true
            ),
            "dry run: 1 row would change; nothing was written [WOULD_CHANGE]"
        );
    }
}
