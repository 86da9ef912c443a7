//! Surveys a fact from the pages of a load that equal the snapshot of the catch-up pass, and re-reads the key ranges
//! that differ.

use std::cmp::max;
use std::collections::HashMap;

use tracing::debug;

use crate::changes::detect::SourceChanges;
use crate::changes::lookup_check::corrected;
use crate::changes::page_check::{CheckedTable, PageCheck};
use crate::changes::survey::{self, Survey};
use crate::compare::source_totals::SourceTotals;
use crate::declare::day_totals::{self, DayTotals};
use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{Lookup, LookupKey};
use crate::declare::period::Period;
use crate::declare::totals::Total;
use crate::error::{Doing, Result};

impl PageCheck<'_> {
    /// The changes and totals of a fact from its pages; `None` if the pages have no totals, or if the totals cannot be
    /// corrected for changed lookups.
    pub(super) async fn survey(
        &self,
        of_table: &CheckedTable<'_>,
        differing: &[KeyRange],
        totals: &mut SourceTotals<'_>,
        changed_lookups: &mut Vec<(&'static Lookup, Vec<LookupKey>)>,
    ) -> Result<Option<Survey>> {
        let table = of_table.table;
        let Some((declared, before)) = table.totals.as_ref().zip(of_table.plan.totals_lookups()) else {
            return Ok(None);
        };
        let mut day_totals = DayTotals::new();
        let (mut read_again, mut shown) = (Vec::new(), HashMap::new());
        for (piece, found) in of_table.pieces.iter().zip(&of_table.found) {
            let of_page = piece.page.filter(|page| page.digest == found.digest);
            if let Some(of_page) = of_page.and_then(|page| page.totals.as_ref()) {
                day_totals::add_all(&mut day_totals, of_page.unpack());
            } else if found.digest.rows > 0 {
                read_again.push(piece.key_range.clone());
                let (of_key_range, pairs) = totals.of_key_range_shown(table, &Period::All, &piece.key_range).await?;
                day_totals::add_all(&mut day_totals, of_key_range);
                shown.extend(pairs);
            }
        }
        if let Some(fill) = &declared.fills {
            let map = self
                .pages_outcome
                .totals_lookups
                .map(fill.lookup)
                .cloned()
                .unwrap_or_default();
            let (map, keys) = corrected(map, differing, shown);
            totals.set_lookup(fill.lookup, map);
            if !keys.is_empty() {
                changed_lookups.push((fill.lookup, keys));
            }
        }
        let is_changed = |lookup: &Lookup| changed_lookups.iter().any(|(changed, _)| *changed == lookup);
        if declared.lookups.iter().any(|used| is_changed(used.lookup)) {
            match totals
                .correction_for(table, before, changed_lookups, &read_again)
                .await?
            {
                Some(moved) => day_totals::add_all(&mut day_totals, moved),
                None => return Ok(None),
            }
        }
        // Drop totals without rows: the target has no entries for them.
        day_totals.retain(|_, total| *total != Total::default());
        debug!(
            table = table.name,
            ranges = read_again.len(),
            "totals taken from the pages, but for some ranges"
        );
        let changes = self.source_changes(of_table, differing).await?;
        Ok(Some(Survey {
            changes,
            totals: day_totals,
        }))
    }

    /// The row count, and the rows of the differing key ranges with a change timestamp newer than the watermark of the
    /// load, or without one.
    async fn source_changes(&self, of_table: &CheckedTable<'_>, differing: &[KeyRange]) -> Result<SourceChanges> {
        let table = of_table.table;
        let rows = of_table.found.iter().map(|found| found.digest.rows).sum::<u64>();
        let newest = of_table
            .found
            .iter()
            .fold(None, |newest, found| max(newest, found.newest));
        let mut keys = Vec::new();
        if let Some(source_table) = self.context.databases.star.source(table.source_table) {
            let watermark = survey::load_watermark(self.states, table);
            for key_range in differing {
                let doing = || format!("reading what changed in {}, {key_range}", table.source_table);
                let mut select = source_table.changed_since(watermark);
                select.cond_where(key_range.contains(&table.source_page_key()));
                for row in self.snapshot.reader().rows(&select).await.source(doing)?.iter() {
                    keys.push(row.key(0).source(doing)?);
                }
            }
        }
        Ok(SourceChanges::surveyed(
            i64::try_from(rows).unwrap_or(i64::MAX),
            keys,
            newest,
        ))
    }
}
