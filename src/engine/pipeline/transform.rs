//! The transform stage: maps a page's rows on rayon and finds what the target lacks of them.

use rayon::prelude::*;
use sea_orm::QueryResult;

use crate::engine::declaration::integer::Key;
use crate::engine::declaration::lookup::{KeyMap, Lookups};
use crate::engine::declaration::rejection::Reject;
use crate::engine::declaration::row::{SourceRow, integer};
use crate::engine::declaration::table::Table;
use crate::engine::pipeline::compare;
use crate::engine::pipeline::flow::{Batch, Page, Wanted};
use crate::engine::pipeline::held::Held;
use crate::error::{Doing, Result};

/// Rows that one rayon task maps: enough of them to be worth a task, and few enough to keep all threads busy.
const ROWS_A_TASK: usize = 1_000;

/// Maps and compares one page; adds what its table publishes to `published`, and describes up to `described` rows
/// that differ.
pub fn transform(page: Page, published: Option<&mut KeyMap>, described: usize) -> Result<Batch> {
    let Page {
        job,
        rows,
        held,
        lookups,
        late,
        are_lookups_current,
    } = page;
    let table = job.table;
    let (wanted, held) = rayon::join(
        || {
            rows.par_chunks(ROWS_A_TASK)
                .map(|rows| map_rows(table, rows, &lookups))
                .collect::<Result<_>>()
                .map(Wanted::join)
        },
        || Held::parse(table, &held),
    );
    let (wanted, held) = (wanted?, held?);
    if let (Some(publish), Some(map)) = (&table.publishes, published) {
        let (key, value) = (table.position(publish.key), table.position(publish.value));
        for cells in wanted.cells.chunks_exact(table.columns.len()) {
            map.insert(integer(&cells[key]), integer(&cells[value]));
        }
        for (page_key, reject) in &wanted.rejects {
            if let Some(value) = (publish.rejected_as)(reject.rejection.missing_parent) {
                map.insert(*page_key, value);
            }
        }
    }
    let mut batch = compare::compare(job, described, wanted, &held, are_lookups_current);
    batch.late = late;
    // A row is many allocations: giving them back takes as long as mapping it.
    rows.into_par_iter().for_each(drop);
    Ok(batch)
}

fn map_rows(table: &Table, rows: &[QueryResult], lookups: &Lookups) -> Result<Wanted> {
    let doing = || format!("reading the key of a row of {}", table.source_table);
    let mut wanted = Wanted::with_capacity(rows.len(), table.columns.len());
    for row in rows {
        let Key(page_key) = row.try_get_by_index(0).source(doing)?;
        match (table.map)(&SourceRow(row), lookups, &mut wanted.cells) {
            Ok(()) => wanted.page_keys.push(page_key),
            Err(rejection) => {
                let parts = (0..table.primary_key_columns).map(|column| Key::text(row, column));
                let key = parts
                    .collect::<std::result::Result<Vec<_>, _>>()
                    .source(doing)?
                    .join(",");
                wanted.rejects.push((page_key, Reject { key, rejection }));
            }
        }
    }
    Ok(wanted)
}
