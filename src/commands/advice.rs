//! What would make the source cheaper to look at: an index for the markers. It is only told; the source is not ours to
//! alter.

use serde::Serialize;

use crate::engine::source_db::{Source, indexes};
use crate::engine::target_db::state::States;
use crate::error::Result;
use crate::output::human;
use crate::sakila;

/// Going through fewer rows than this costs nothing that is worth an index.
const ROWS_WORTH_AN_INDEX: u64 = 1_000;

/// One source table in which every look for changes goes through all rows.
#[derive(Serialize)]
pub struct Advice {
    pub source_table: &'static str,
    /// Rows that the last look for changes went through; before the first run, the server's own estimate of all.
    pub rows_scanned: u64,
    pub statement: String,
}

/// The tables that lack an index and are large enough for it to matter.
pub async fn find(source: &Source, states: Option<&States>) -> Result<Vec<Advice>> {
    let indexed = indexes::on_marker(source).await?;
    let mut advice = Vec::new();
    for table in sakila::star()
        .sources
        .iter()
        .filter(|table| !indexed.contains(table.name))
    {
        let scanned = states.and_then(|states| states.get(table.name)?.rows_scanned);
        let rows_scanned = match scanned {
            Some(rows) => rows.unsigned_abs(),
            None => source.estimated_rows(table.name).await?,
        };
        if rows_scanned >= ROWS_WORTH_AN_INDEX {
            advice.push(Advice {
                source_table: table.name,
                rows_scanned,
                statement: indexes::advice(&source.server.schema, table.name),
            });
        }
    }
    Ok(advice)
}

/// The advice as text; nothing if there is none.
pub fn text(advice: &[Advice]) -> String {
    if advice.is_empty() {
        return String::new();
    }
    let mut lines =
        vec!["no index serves the markers of these tables, so a look for changes goes through all rows:".to_owned()];
    for table in advice {
        let rows = human::grouped(table.rows_scanned);
        lines.push(format!("  {}, {rows} rows: {}", table.source_table, table.statement));
    }
    lines.join("\n")
}
