//! The transform stage: maps a page's rows on rayon and finds what the target lacks of them.

use rayon::prelude::*;
use sea_orm::Value;

use crate::declare::lookup::{KeyMap, Lookup, Lookups};
use crate::declare::rejection::Reject;
use crate::declare::row::integer;
use crate::declare::source_rows::SourceRow;
use crate::declare::table::{Publish, Table};
use crate::error::{Doing, Result};
use crate::failpoint;
use crate::pipeline::compare;
use crate::pipeline::flow::{Batch, Page, Wanted};
use crate::target::sqlite::held::Held;
use crate::target::statement::ROWS_A_STATEMENT;

/// Rows that one rayon task maps: enough of them to be worth a task, few enough to keep all threads busy, and as many as
/// one statement takes, so that new rows go into it as they are.
const ROWS_A_TASK: usize = ROWS_A_STATEMENT[0];

/// Lookups that tables fill, so far.
pub type Published = Vec<(&'static Lookup, KeyMap)>;

/// What the transform stage makes beside batches.
#[derive(Default)]
pub struct Made {
    /// What tables publish for the mappings of later ones.
    pub published: Published,
    /// What their rows show for the totals of later ones.
    pub filled: Published,
}

/// Maps, compares and adds up one page; adds what its table publishes and fills to those of `made` that it is to fill, and
/// describes up to `described` rows that differ.
pub fn transform(page: Page, made: &mut Made, described: usize) -> Result<Batch> {
    let Page {
        job,
        rows,
        held,
        lookups,
        late,
        are_lookups_current,
        sums,
    } = page;
    let table = job.table;
    let map = || {
        rows.parts(ROWS_A_TASK)
            .map(|rows| map_rows(table, rows, &lookups))
            .collect::<Result<Vec<Wanted>>>()
    };
    let add_up = || sums.as_ref().map(|plan| plan.add_up(&job.scope, &rows));
    let (parts, (held, page_sums)) = rayon::join(map, || rayon::join(|| Held::parse(table, &held), add_up));
    if let Some(plan) = &sums {
        plan.fill(table, &rows, &mut made.filled)?;
    }
    let (mut parts, held) = (parts?, held?);
    if let Some(column) = failpoint::column("row-mapped-wrong", table.name) {
        map_wrong(table, &column, &mut parts);
    }
    for publish in &table.publishes {
        let to_fill = made.published.iter_mut().find(|(lookup, _)| *lookup == publish.lookup);
        if let Some((_, map)) = to_fill {
            for wanted in &parts {
                add_published(table, publish, wanted, map);
            }
        }
    }
    let mut batch = if held.is_empty() {
        // Without the rejected rows a part is no longer one statement's.
        let is_whole = parts.iter().all(|part| part.rejects.is_empty());
        let parts = if is_whole { parts } else { vec![Wanted::join(parts)] };
        compare::all_new(job, described, parts)
    } else {
        compare::compare(job, described, Wanted::join(parts), &held, are_lookups_current)
    };
    batch.late = late;
    batch.sums = page_sums;
    Ok(batch)
}

fn add_published(table: &Table, publish: &Publish, wanted: &Wanted, map: &mut KeyMap) {
    let (key, value) = (table.position(publish.lookup.key), table.position(publish.lookup.value));
    for cells in wanted.cells.chunks_exact(table.columns.len()) {
        map.insert(integer(&cells[key]), integer(&cells[value]));
    }
    for reject in &wanted.rejects {
        if let Some(value) = (publish.rejected_as)(reject.rejection.missing_parent) {
            map.insert(reject.page_key, value);
        }
    }
}

/// A planted fault: one cell is another than the mapping says.
fn map_wrong(table: &Table, column: &str, parts: &mut [Wanted]) {
    let cells = parts.first_mut().map(|part| &mut part.cells);
    match cells.and_then(|cells| cells.get_mut(table.position(column))) {
        Some(Value::BigInt(Some(number))) => *number += 1,
        Some(Value::Double(Some(number))) => *number += 1.0,
        _ => {}
    }
}

fn map_rows<'a>(
    table: &Table,
    rows: impl ExactSizeIterator<Item = SourceRow<'a>>,
    lookups: &Lookups,
) -> Result<Wanted> {
    let doing = || format!("reading the key of a row of {}", table.source_table);
    let mut wanted = Wanted::with_capacity(rows.len(), table.columns.len());
    for row in rows {
        let page_key = table.page_key_of(row).source(doing)?;
        match (table.map)(row, lookups, &mut wanted.cells) {
            Ok(()) => wanted.page_keys.push(page_key),
            Err(rejection) => {
                let key = table.source_key_text(row).source(doing)?;
                wanted.rejects.push(Reject {
                    page_key,
                    key,
                    rejection,
                });
            }
        }
    }
    Ok(wanted)
}
