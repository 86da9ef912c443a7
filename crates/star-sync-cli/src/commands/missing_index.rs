//! Indexes that would reduce the load on the source: one on each change timestamp, to find changed rows, and one on
//! each date of a fact, to find the days to compare. They are only reported: the sync never writes to the source.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;
use star_sync::Result;
use star_sync::declare::star::Star;
use star_sync::source::{Source, indexes};
use star_sync::target::bookkeeping::state::States;

use crate::output::human;

/// Tables with fewer rows are cheap enough to scan without an index.
const ROWS_WORTH_AN_INDEX: u64 = 2_000;

/// An index that the source lacks; without it each run scans the table in full.
#[derive(Serialize)]
pub(crate) struct MissingIndex {
    pub source_table: String,
    pub column: &'static str,
    /// Rows that the last run scanned for changes; if unknown, the server's estimate of the table's rows.
    pub rows_scanned: u64,
    /// Whether `rows_scanned` is the server's estimate.
    pub is_estimate: bool,
    pub statement: String,
}

/// The missing indexes on tables that are large enough to need them.
pub async fn find(star: &Star, source: &Source, states: Option<&States>) -> Result<Vec<MissingIndex>> {
    let timestamps = star.sources.iter();
    let timestamps = timestamps.filter_map(|table| Some((table.name, table.change_timestamp?)));
    let dates = star
        .tables()
        .filter_map(|table| table.source_date().map(|date| (&*date.table, date.name)));
    let indexes = source.indexes(&source.reader()).await?;
    let estimated_rows = source.estimated_rows(&source.reader()).await?;
    let mut missing = Vec::new();
    let timestamps = timestamps.map(|(table, column)| (table, column, true));
    let dates = dates.map(|(table, column)| (table, column, false));
    for (source_table, column, is_change_timestamp) in timestamps.chain(dates) {
        if indexes.begin_with(source_table, column) {
            continue;
        }
        let scanned = states
            .filter(|_| is_change_timestamp)
            .and_then(|states| states.get(source_table)?.rows_scanned);
        let is_estimate = scanned.is_none();
        let rows_scanned = match scanned {
            Some(rows) => rows.unsigned_abs(),
            None => estimated_rows.get(source_table).copied().unwrap_or(0),
        };
        if rows_scanned >= ROWS_WORTH_AN_INDEX {
            missing.push(MissingIndex {
                source_table: source_table.to_owned(),
                column,
                rows_scanned,
                is_estimate,
                statement: indexes::advice(&source.server.schema, source_table, column),
            });
        }
    }
    Ok(missing)
}

/// The number of missing indexes in one line; empty if none is missing.
pub(crate) fn line(program: &str, missing: &[MissingIndex]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let tables: BTreeSet<&str> = missing.iter().map(|index| &*index.source_table).collect();
    let noun = if tables.len() == 1 { "table" } else { "tables" };
    format!(
        "missing indexes: {} on {} {noun} (`{program} status --indexes` prints them)\n",
        missing.len(),
        tables.len()
    )
}

/// A script for the source that creates the missing indexes.
pub(crate) fn statements(missing: &[MissingIndex]) -> String {
    if missing.is_empty() {
        return "-- no index is missing\n".to_owned();
    }
    let mut text = String::from("-- Without these indexes, each run scans these tables in full.\n");
    for table in missing {
        let rows = human::grouped(table.rows_scanned);
        let about = if table.is_estimate { "about " } else { "" };
        let _ = writeln!(
            text,
            "-- {}: {about}{rows} rows\n{}",
            table.source_table,
            table.statement.replacen(" ON ", "\n  ON ", 1)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_indexes_are_one_line_and_their_statements_a_script() {
        let index = |column| MissingIndex {
            source_table: "loan".to_owned(),
            column,
            rows_scanned: 16_049,
            is_estimate: true,
            statement: format!("CREATE INDEX idx_{column} ON `library`.`loan` ({column});"),
        };
        let missing = [index("changed_at"), index("lent_on")];
        assert_eq!(
            line("star-sync", &missing),
            "missing indexes: 2 on 1 table (`star-sync status --indexes` prints them)\n"
        );
        assert_eq!(line("star-sync", &[]), "");
        assert_eq!(
            statements(&missing[..1]),
            "-- Without these indexes, each run scans these tables in full.\n\
             -- loan: about 16,049 rows\n\
             CREATE INDEX idx_changed_at\n  ON `library`.`loan` (changed_at);\n"
        );
    }
}
