//! Compares rows of source and target in one snapshot, without writing.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::declare::key_range::{KEYS_PER_PAGE, KeyRange};
use crate::declare::lookup::{KeysFrom, LookupKey, Lookups};
use crate::declare::period::Period;
use crate::declare::table::{Kind, Table};
use crate::error::{Doing, Result};
use crate::pipeline::databases::Databases;
use crate::pipeline::flow::{Removed, TableOutcome};
use crate::pipeline::lookup::LookupSource;
use crate::pipeline::page_digest::PageDigestPlans;
use crate::pipeline::read::{LookupPlan, Reader};
use crate::pipeline::write::{WriteMode, Writer};
use crate::pipeline::{self, Pipeline};
use crate::source::reader::SourceReader;
use crate::target::TargetReader;

/// A comparison of rows. Tables must come in the star's order: the result of one decides which values the next should
/// have.
pub(crate) struct RowComparison<'a> {
    databases: &'a Databases<'a>,
    source: SourceReader,
    target: TargetReader,
    /// The number of differing rows to describe per table.
    pub described: usize,
    /// Lookup values according to the source, where the target has other values.
    corrected: Lookups,
    /// Rows of dimensions that the source no longer has.
    pub removed: Removed,
}

impl<'a> RowComparison<'a> {
    /// Compares a snapshot of the source with a transaction on the target.
    pub(crate) fn new(
        databases: &'a Databases<'a>,
        source: SourceReader,
        target: TargetReader,
        described: usize,
    ) -> Self {
        Self {
            databases,
            source,
            target,
            described,
            corrected: Lookups::default(),
            removed: Removed::new(),
        }
    }

    /// Determines from the source the lookup values of rows of other facts that these rows look up: the target may have
    /// other values, and those rows are not compared themselves.
    pub(crate) async fn look_up_facts(&mut self, table: &'static Table, key_ranges: &[KeyRange]) -> Result<()> {
        let mut facts: Vec<(&'static Table, BTreeSet<usize>)> = Vec::new();
        for used in &table.lookups {
            let fact = self.databases.star.fact_behind(used.lookup);
            let (Some(fact), KeysFrom::Column(column)) = (fact, used.keys) else {
                continue;
            };
            match facts.iter_mut().find(|(known, _)| known.name == fact.name) {
                Some((_, columns)) => drop(columns.insert(column)),
                None => facts.push((fact, BTreeSet::from([column]))),
            }
        }
        // The keys of all columns together: a comparison replaces the earlier results of the same fact.
        for (fact, columns) in facts {
            let mut keys = HashSet::new();
            for key_range in key_ranges {
                let select = (table.select)()
                    .cond_where(key_range.contains(&table.source_page_key()))
                    .cond_where(table.source_rows())
                    .to_owned();
                let rows = self.source.rows(&select).await;
                let rows = rows.source(|| format!("reading {}, {key_range}", table.source_table))?;
                for row in rows.iter() {
                    keys.extend(columns.iter().filter_map(|column| match row.cell(*column) {
                        Some(LookupKey::Number(key)) => Some(key),
                        _ => None,
                    }));
                }
            }
            self.compare(fact, KeyRange::of_keys(keys, KEYS_PER_PAGE), Period::All)
                .await?;
        }
        Ok(())
    }

    /// Compares the rows of a table in these key ranges, within the period. The outcome contains the changes that would
    /// make the target equal.
    pub(crate) async fn compare(
        &mut self,
        table: &'static Table,
        key_ranges: Vec<KeyRange>,
        period: Period,
    ) -> Result<TableOutcome> {
        if key_ranges.is_empty() {
            return Ok(TableOutcome::default());
        }
        let star = self.databases.star;
        let pipeline = Pipeline {
            // A snapshot is one connection.
            workers: 1,
            reader: Reader {
                source: self.source.clone(),
                target: self.target.clone(),
                lookups: LookupPlan::ByKey(LookupSource {
                    corrected: self.corrected.clone(),
                    removed: Arc::new(self.removed.clone()),
                    ..LookupSource::new(star, self.source.clone(), self.target.clone())
                }),
                period,
                digest_plans: PageDigestPlans::new(),
            },
            writer: Writer::new(star, WriteMode::CompareOnly, 0, None),
            fill_lookups_of: vec![table],
            described: self.described,
            progress: Arc::clone(&self.databases.progress),
            stop: &self.databases.stop,
        };
        let outcome = pipeline.run(pipeline::jobs_of(table, key_ranges)).await?;
        for (lookup, map) in outcome.lookups.mapping_lookups {
            self.corrected.set(lookup, map);
        }
        let mut outcomes = outcome.tables;
        let mut found = outcomes.remove(table.name).unwrap_or_default();
        found.changed.sort_unstable();
        found.changed.dedup();
        if table.kind == Kind::Dimension {
            self.removed.insert(table.name, found.deleted.iter().cloned().collect());
        }
        Ok(found)
    }
}
