//! The transform stage: maps the rows of a page on rayon and compares them with those of the target.

use rayon::prelude::*;
use sea_orm::Value;

use crate::declare::lookup::{KeyMap, Lookup, Lookups};
use crate::declare::rejection::RejectedRow;
use crate::declare::row::integer;
use crate::declare::source_rows::SourceRow;
use crate::declare::table::{FilledLookup, Table};
use crate::error::{Doing, Result};
use crate::failpoint;
use crate::pipeline::compare;
use crate::pipeline::flow::{Batch, MappedRows, Page};
use crate::target::sqlite::row_text::TargetRows;
use crate::target::statement::ROWS_PER_STATEMENT;

/// Rows that one rayon task maps: enough to be worth a task, few enough to keep all threads busy, and as many as one
/// statement takes, so that new rows are written without copying.
const ROWS_PER_TASK: usize = ROWS_PER_STATEMENT[0];

/// Lookups that tables have filled so far.
pub type LookupMaps = Vec<(&'static Lookup, KeyMap)>;

/// The results of the transform stage besides batches.
#[derive(Default)]
pub struct TransformOutput {
    /// Lookups that tables fill for the mappings of later tables.
    pub mapping_lookups: LookupMaps,
    /// Lookups that the rows of tables fill for the totals of later tables.
    pub totals_lookups: LookupMaps,
}

/// Maps, compares and digests one page; adds to the lookups in `output` that its table fills, and describes up to
/// `described` differing rows.
pub fn transform(page: Page, output: &mut TransformOutput, described: usize) -> Result<Batch> {
    let Page {
        job,
        rows,
        target_rows,
        lookups,
        late,
        are_lookups_current,
        digest_plan,
    } = page;
    let table = job.table;
    let map = || {
        rows.parts(ROWS_PER_TASK)
            .map(|rows| map_rows(table, rows, &lookups))
            .collect::<Result<Vec<MappedRows>>>()
    };
    let add_up = || digest_plan.as_ref().map(|plan| plan.add_up(&job.key_range, &rows));
    let (parts, (target_rows, page_digest)) =
        rayon::join(map, || rayon::join(|| TargetRows::parse(table, &target_rows), add_up));
    if let Some(plan) = &digest_plan {
        plan.fill(table, &rows, &mut output.totals_lookups)?;
    }
    let (mut parts, target_rows) = (parts?, target_rows?);
    if let Some(column) = failpoint::column("row-mapped-wrong", table.name) {
        corrupt_one_cell(table, &column, &mut parts);
    }
    for filled in &table.filled_lookups {
        let to_fill = output
            .mapping_lookups
            .iter_mut()
            .find(|(lookup, _)| *lookup == filled.lookup);
        if let Some((_, map)) = to_fill {
            for mapped in &parts {
                add_to_lookup(table, filled, mapped, map);
            }
        }
    }
    let mut batch = if target_rows.is_empty() {
        // If a row was rejected, its part has fewer rows than a statement takes, so the parts are joined.
        let is_whole = parts.iter().all(|part| part.rejected.is_empty());
        let parts = if is_whole { parts } else { vec![MappedRows::join(parts)] };
        compare::all_new(job, described, parts)
    } else {
        compare::compare(
            job,
            described,
            MappedRows::join(parts),
            &target_rows,
            are_lookups_current,
        )
    };
    batch.late = late;
    batch.page_digest = page_digest;
    Ok(batch)
}

fn add_to_lookup(table: &Table, filled: &FilledLookup, mapped: &MappedRows, map: &mut KeyMap) {
    let (key, value) = (table.position(filled.lookup.key), table.position(filled.lookup.value));
    for cells in mapped.cells.chunks_exact(table.columns.len()) {
        map.insert(integer(&cells[key]), integer(&cells[value]));
    }
    for row in &mapped.rejected {
        if let Some(value) = (filled.rejected_as)(row.rejection.missing_parent) {
            map.insert(row.page_key, value);
        }
    }
}

/// Injects a fault for tests: changes one cell that the mapping returned.
fn corrupt_one_cell(table: &Table, column: &str, parts: &mut [MappedRows]) {
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
) -> Result<MappedRows> {
    let doing = || format!("reading the key of a row of {}", table.source_table);
    let mut mapped = MappedRows::with_capacity(rows.len(), table.columns.len());
    for row in rows {
        let page_key = table.page_key_of(row).source(doing)?;
        match (table.map)(row, lookups, &mut mapped.cells) {
            Ok(()) => mapped.page_keys.push(page_key),
            Err(rejection) => {
                let key = table.source_key_text(row).source(doing)?;
                mapped.rejected.push(RejectedRow {
                    page_key,
                    key,
                    rejection,
                });
            }
        }
    }
    Ok(mapped)
}
