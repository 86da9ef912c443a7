//! The transform stage: maps a page's rows on rayon and finds what the target lacks of them.

use rayon::prelude::*;

use crate::declare::lookup::{KeyMap, Lookup, Lookups};
use crate::declare::rejection::Reject;
use crate::declare::row::integer;
use crate::declare::source_rows::SourceRow;
use crate::declare::table::{Publish, Table};
use crate::error::{Doing, Result};
use crate::pipeline::compare;
use crate::pipeline::flow::{Batch, Page, Wanted};
use crate::target::sqlite::held::Held;
use crate::target::statement::ROWS_A_STATEMENT;

/// Rows that one rayon task maps: enough of them to be worth a task, few enough to keep all threads busy, and as many as
/// one statement takes, so that new rows go into it as they are.
const ROWS_A_TASK: usize = ROWS_A_STATEMENT[0];

/// What tables publish, so far.
pub type Published = Vec<(&'static Lookup, KeyMap)>;

/// Maps and compares one page; adds what its table publishes to those of `published` that it is to fill, and describes up
/// to `described` rows that differ.
pub fn transform(page: Page, published: &mut Published, described: usize) -> Result<Batch> {
    let Page {
        job,
        rows,
        held,
        lookups,
        late,
        are_lookups_current,
    } = page;
    let table = job.table;
    let (parts, held) = rayon::join(
        || {
            rows.parts(ROWS_A_TASK)
                .map(|rows| map_rows(table, rows, &lookups))
                .collect::<Result<Vec<Wanted>>>()
        },
        || Held::parse(table, &held),
    );
    let (parts, held) = (parts?, held?);
    for publish in &table.publishes {
        let to_fill = published.iter_mut().find(|(lookup, _)| *lookup == publish.lookup);
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
