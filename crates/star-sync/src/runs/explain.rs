//! Explains one row of the star: its source rows, the run that wrote it, and whether both sides match.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait;
use serde::Serialize;

use crate::changes::identity::{self, SourceColumns};
use crate::changes::lineage::{self, Cells, LineageRow, Search, target_row, was_written_since};
use crate::changes::pending::{self, Pending};
use crate::compare::figures::Sides;
use crate::compare::verdict::VerdictCode;
use crate::declare::lookup::LookupKey;
use crate::declare::rejection::{ReasonCode, RejectedRow};
use crate::declare::table::{RowIdentity, Table, key_of_row};
use crate::error::{Doing, Error, Result};
use crate::pipeline::databases::Databases;
use crate::pipeline::flow::Difference;
use crate::pipeline::transform::{TransformOutput, transform};
use crate::runs::validate::wait_until_after;
use crate::target::TargetReader;
use crate::target::bookkeeping::history::{self, Run};
use crate::target::bookkeeping::state;
use crate::target::bookkeeping::{quarantine, time, watermark};

/// Everything that `explain` shows of one row.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub table: &'static str,
    /// The key of the source row, as requested.
    pub key: LookupKey,
    /// The row of the table's own source table comes first.
    pub source_rows: Vec<LineageRow>,
    /// The row in the star.
    pub target_row: Option<Cells>,
    /// The run that last wrote the row, if that is recorded.
    pub written_by: Option<Run>,
    /// The watermark of the row's source table after that run, and now.
    #[serde(serialize_with = "time::serialize_option")]
    pub watermark_after_run: Option<DateTime<Utc>>,
    #[serde(serialize_with = "time::serialize_option")]
    pub watermark: Option<DateTime<Utc>>,
    /// Why the source row cannot be loaded: the stable code, and a sentence.
    pub reason_code: Option<ReasonCode>,
    pub reason: Option<String>,
    pub difference: Option<Difference>,
    pub verdict: RowVerdict,
    /// Whether a later full load is unfinished: until it finishes, no other run can begin.
    #[serde(skip)]
    pub is_loading: bool,
}

/// The verdict on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RowVerdict {
    pub code: VerdictCode,
}

/// Explains one row of `table` ([`Table::row_named`]). A mismatch is reported only if a second read confirms it,
/// because change timestamps have whole seconds.
///
/// # Errors
/// `NotLoaded` before a full load has finished; `SourceChanged`; any error of either database.
pub async fn run(
    databases: &Databases<'_>,
    source_columns: &SourceColumns,
    table: &'static Table,
    row: &RowIdentity,
) -> Result<Explanation> {
    let (first, clock) = explain(databases, source_columns, table, row).await?;
    if !first.verdict.code.is_mismatch() {
        return Ok(first);
    }
    wait_until_after(databases.source, clock).await?;
    let (second, _) = explain(databases, source_columns, table, row).await?;
    Ok(second)
}

async fn explain(
    databases: &Databases<'_>,
    source_columns: &SourceColumns,
    table: &'static Table,
    row: &RowIdentity,
) -> Result<(Explanation, DateTime<Utc>)> {
    let transaction = databases
        .readers
        .begin()
        .await
        .target(|| "beginning to read".to_owned())?;
    let states = state::load(&transaction).await?;
    if !states.is_loaded() {
        return Err(Error::NotLoaded);
    }
    identity::check(databases.source, source_columns, &transaction).await?;
    let quarantined = quarantine::counts(&transaction).await?;
    let target = TargetReader::Within(Arc::new(transaction));
    let mut snapshot = databases.source.snapshot().await?;
    snapshot.refresh_update_times().await?;
    let mut search = Search::new(databases, &snapshot, &target, &states);
    let page = search.behind(table, row).await?;
    let source = search.found;
    let has_source = lineage::source_row(&page, row)?.is_some();
    let batch = transform(page, &mut TransformOutput::default(), usize::MAX)?;
    let key = key_of_row(row);
    let is_it = |rejected: &RejectedRow| row.1.as_ref().is_none_or(|key| rejected.key == *key);
    let rejection = batch.rejected.into_iter().find(is_it).map(|row| row.rejection);
    let mut differences = batch.differences.into_iter();
    let difference = differences.find(|difference| difference.key.to_string() == key.to_string());
    let star = target_row(&target, table, row).await?;
    let run_id = star.as_ref().and_then(Cells::run_id);
    let (run, watermark_after_run) = match run_id {
        Some(id) => (
            history::find(&databases.readers, id).await?,
            watermark::after_run(&databases.readers, id, table.source_table).await?,
        ),
        None => (None, None),
    };
    let may_have_changed = |table: &str| pending::may_have_changed(&snapshot, table, &states);
    let compared = match (&difference, &rejection) {
        (None, None) if !has_source => Compared::Neither,
        (None, None) => Compared::Equal,
        (None, Some(_)) if quarantine::is_noted(&target, table, row).await? => Compared::Quarantined,
        _ => Compared::Differs,
    };
    let has_seen_all = was_written_since(&source, run.as_ref());
    let has_unseen_change = !has_seen_all && source.iter().any(|row| row.is_pending);
    let may_have_changed = sources_of(databases, table).any(may_have_changed);
    let mut code = verdict(compared, has_unseen_change, may_have_changed);
    // Some changes are detected by row counts only: a row that was deleted from the source or inserted with an old
    // change timestamp, and a row that refers to a deleted fact row. Check whether the next run would detect one here.
    let is_of_one_side = has_source != star.is_some();
    let mut lookups = table.lookups.iter();
    let refers_to_facts = lookups.any(|used| databases.star.fact_behind(used.lookup).is_some());
    if code == VerdictCode::RowUntracked && (is_of_one_side || refers_to_facts && !has_seen_all) {
        let sides = Sides {
            source: snapshot.reader(),
            indexes: databases.source.indexes(&snapshot.reader()).await?,
            target: target.clone(),
            quarantined,
        };
        let pending = Pending::find(databases, &snapshot, &sides, &states).await?;
        if pending.holds(table, row.0) {
            code = VerdictCode::RowPending;
        }
    }
    let clock = snapshot.clock;
    snapshot.close().await?;
    let explanation = Explanation {
        table: table.name,
        key,
        source_rows: source,
        target_row: star,
        written_by: run,
        watermark_after_run,
        watermark: states.get(table.source_table).and_then(|state| state.watermark),
        reason_code: rejection.as_ref().map(|rejection| rejection.code),
        reason: rejection.map(|rejection| rejection.reason),
        difference,
        verdict: RowVerdict { code },
        is_loading: states.is_loading(),
    };
    Ok((explanation, clock))
}

/// The result of comparing both sides of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    /// Neither side has the row.
    Neither,
    Equal,
    /// The source row cannot be loaded, and is recorded in the quarantine.
    Quarantined,
    Differs,
}

/// The verdict on a row. A difference is pending if the next run re-reads the row because of a change made after the
/// row was written. It is untracked if a table that the row is made from may have changed without showing in which
/// rows.
fn verdict(compared: Compared, is_pending: bool, may_have_changed: bool) -> VerdictCode {
    match compared {
        Compared::Neither => VerdictCode::RowAbsent,
        Compared::Equal => VerdictCode::RowOk,
        Compared::Quarantined => VerdictCode::RowQuarantined,
        Compared::Differs if is_pending => VerdictCode::RowPending,
        Compared::Differs if may_have_changed => VerdictCode::RowUntracked,
        Compared::Differs => VerdictCode::RowMismatch,
    }
}

/// The source tables that a table is made from.
fn sources_of(databases: &Databases<'_>, table: &Table) -> impl Iterator<Item = &'static str> {
    let sources = databases.star.sources.iter();
    sources
        .filter(|source| table.is_made_from(source.name))
        .map(|source| source.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_a_mismatch_unless_a_change_since_the_last_sync_may_explain_it() {
        for (compared, is_pending, may_have_changed, expected) in [
            (Compared::Neither, true, true, VerdictCode::RowAbsent),
            (Compared::Equal, true, true, VerdictCode::RowOk),
            (Compared::Quarantined, true, true, VerdictCode::RowQuarantined),
            (Compared::Differs, true, true, VerdictCode::RowPending),
            (Compared::Differs, true, false, VerdictCode::RowPending),
            (Compared::Differs, false, true, VerdictCode::RowUntracked),
            (Compared::Differs, false, false, VerdictCode::RowMismatch),
        ] {
            assert_eq!(verdict(compared, is_pending, may_have_changed), expected);
        }
    }
}
