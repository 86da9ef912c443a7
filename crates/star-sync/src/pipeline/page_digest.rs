//! The digest of a page's rows as they were read, and their part of the source's totals. At its end, a load compares
//! the digest with the one that the server computes for the same key range, instead of reading the rows again.
//!
//! The totals use their own record and their own lookups; they are independent of the mapping.

use std::sync::Arc;

use rayon::prelude::*;

use crate::declare::day_totals::{self, DayTotals};
use crate::declare::digest::Digest;
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{KeyMap, Lookup, Lookups};
use crate::declare::packed_totals::PackedTotals;
use crate::declare::source_record::SelectedColumn;
use crate::declare::source_rows::{SourceRow, SourceRows};
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::declare::totals::Totals;
use crate::error::{Doing, Result};
use crate::pipeline::transform::LookupMaps;
use crate::source::digest::DigestPlan;
use crate::source::digest_plans::DigestPlans;

/// Rows that one rayon task adds up.
const ROWS_PER_TASK: usize = 2_500;

/// How the pages of one table are digested and added to the totals.
pub struct PageDigestPlan {
    /// Columns that are selected after those of the table's own select.
    pub more: Vec<SelectedColumn>,
    /// Digests all columns of a page.
    pub digest: DigestPlan,
    totals: Option<TotalsPlan>,
}

struct TotalsPlan {
    of: &'static Totals,
    /// The positions in a page of the columns of the totals' record.
    positions: Vec<usize>,
    lookups: Lookups,
}

/// The digest and the totals of one page.
#[derive(Clone, Debug)]
pub struct PageDigest {
    pub key_range: KeyRange,
    pub digest: Digest,
    /// `None` if the table has no totals, or its pages do not contain all that they are made from.
    pub totals: Option<PackedTotals>,
}

impl PageDigestPlan {
    /// `None` for a table without a digest. Totals are added up if given, with the lookups that they use.
    pub(crate) fn new(
        digesting: &DigestPlans,
        table: &'static Table,
        totals: Option<(&'static Totals, &Lookups)>,
    ) -> Option<Self> {
        let mut more: Vec<SelectedColumn> = Vec::new();
        for column in totals.iter().flat_map(|(totals, _)| &totals.columns) {
            if !table.selected.contains(column) && !more.contains(column) {
                more.push(column.clone());
            }
        }
        let totals = totals.map(|(of, lookups)| {
            let columns = || table.selected.iter().chain(&more);
            let positions = of.columns.iter();
            let positions = positions.filter_map(|column| columns().position(|selected| selected == column));
            TotalsPlan {
                of,
                positions: positions.collect(),
                lookups: lookups.clone(),
            }
        });
        Some(Self {
            digest: digesting.page(table, &more)?,
            more,
            totals,
        })
    }

    /// The lookups of the table's totals, if totals are added up.
    pub(crate) fn totals_lookups(&self) -> Option<&Lookups> {
        self.totals.as_ref().map(|totals| &totals.lookups)
    }

    /// The lookup that the table's rows fill, if any.
    pub(crate) fn to_fill(&self) -> Option<(&'static Lookup, KeyMap)> {
        let fill = self.totals.as_ref()?.of.fills.as_ref()?;
        Some((fill.lookup, KeyMap::default()))
    }

    /// Computes the digest and the totals of a page.
    pub(crate) fn add_up(&self, key_range: &KeyRange, rows: &SourceRows) -> PageDigest {
        let (digest, totals) = rows
            .parts(ROWS_PER_TASK)
            .map(|rows| {
                let (mut digest, mut of_rows) = (Digest::default(), DayTotals::new());
                for row in rows {
                    digest += Digest::of_row(self.digest.of_row(row));
                    if let Some(totals) = &self.totals {
                        totals
                            .of
                            .add(row.of_columns(&totals.positions), &totals.lookups, &mut of_rows);
                    }
                }
                (digest, of_rows)
            })
            .reduce(Default::default, |(mut digest, mut totals), (other, others)| {
                digest += other;
                day_totals::add_all(&mut totals, others);
                (digest, totals)
            });
        PageDigest {
            key_range: key_range.clone(),
            digest,
            totals: self.totals.as_ref().map(|_| PackedTotals::new(totals)),
        }
    }

    /// Fills a lookup from the rows of a page.
    pub(crate) fn fill(&self, table: &Table, rows: &SourceRows, filled: &mut LookupMaps) -> Result<()> {
        let Some((totals, fill)) = self
            .totals
            .as_ref()
            .and_then(|totals| Some((totals, totals.of.fills.as_ref()?)))
        else {
            return Ok(());
        };
        let Some((_, map)) = filled.iter_mut().find(|(lookup, _)| *lookup == fill.lookup) else {
            return Ok(());
        };
        for row in rows.iter() {
            if let (key, Some(value)) = lookup_entry(table, totals.of, row.of_columns(&totals.positions))? {
                map.insert(key, value);
            }
        }
        Ok(())
    }
}

/// The entry, key and value, that a row adds to the lookup that the totals fill.
pub(crate) fn lookup_entry(table: &Table, totals: &Totals, row: SourceRow<'_>) -> Result<(i64, Option<i64>)> {
    let doing = || format!("adding up {}", table.source_table);
    let Some(fill) = &totals.fills else {
        return Ok((0, None));
    };
    let key = row.key(fill.key).source(doing)?;
    let value: Option<crate::declare::integer::Key> = row.known(fill.value).source(doing)?;
    Ok((key, value.map(|key| key.0)))
}

/// The totals of a table, if its pages contain all that they are made from (every row of its source table, and the
/// tables that the totals join), and no other table uses its source table. A source table that is also joined or looked
/// up is not surveyed: change detection needs more data of it than a survey provides (see `survey::is_surveyed`).
pub(crate) fn shown_totals(star: &'static Star, table: &'static Table) -> Option<&'static Totals> {
    let totals = table.totals.as_ref()?;
    let is_shown = star.shows_all_rows(table)
        && star.has_all_of(table.source_table)
        && totals.joined.iter().all(|joined| table.joined.contains(joined));
    is_shown.then_some(totals)
}

/// How to compute the digests and totals of pages, by target table.
pub type PageDigestPlans = std::collections::HashMap<&'static str, Arc<PageDigestPlan>>;
