//! Compares rows of both sides at one instant, without writing.

use std::sync::Arc;

use crate::declare::lookup::Lookups;
use crate::declare::period::Period;
use crate::declare::scope::Scope;
use crate::declare::table::{Kind, Table};
use crate::error::Result;
use crate::pipeline::flow::{Removed, TableOutcome};
use crate::pipeline::look::Look;
use crate::pipeline::lookups::LookupSource;
use crate::pipeline::page_sums::SumPlans;
use crate::pipeline::read::{LookupPlan, Reader};
use crate::pipeline::write::{Commits, Writer};
use crate::pipeline::{self, Pipeline};
use crate::source::reader::SourceReader;
use crate::target::TargetReader;

/// Keys that one page names.
pub(crate) const KEYS_A_PAGE: usize = 2_000;

/// A comparison of rows. Tables have to come in the star's order: what is found of one decides what the next should hold.
pub(crate) struct RowComparison<'a> {
    look: &'a Look<'a>,
    source: SourceReader,
    target: TargetReader,
    /// Rows to describe, a table.
    pub described: usize,
    /// What rows should be to others, where the target has them otherwise.
    corrected: Lookups,
    /// Rows of dimensions that the source no longer has.
    pub removed: Removed,
}

impl<'a> RowComparison<'a> {
    /// Of a snapshot of the source with a transaction on the target.
    pub(crate) fn new(look: &'a Look<'a>, source: SourceReader, target: TargetReader, described: usize) -> Self {
        Self {
            look,
            source,
            target,
            described,
            corrected: Lookups::default(),
            removed: Removed::new(),
        }
    }

    /// Compares the rows of a table in these scopes, as far as they lie in the period. What has to be done to the target
    /// to make them equal is in the outcome.
    pub(crate) async fn compare(
        &mut self,
        table: &'static Table,
        scopes: Vec<Scope>,
        period: Period,
    ) -> Result<TableOutcome> {
        if scopes.is_empty() {
            return Ok(TableOutcome::default());
        }
        let star = self.look.star;
        let pipeline = Pipeline {
            // A snapshot is one connection.
            workers: 1,
            reader: Reader {
                source: self.source.clone(),
                target: self.target.clone(),
                lookups: LookupPlan::ByKey(LookupSource {
                    corrected: self.corrected.clone(),
                    removed: Arc::new(self.removed.clone()),
                    ..LookupSource::of(star, self.source.clone(), self.target.clone())
                }),
                period,
                sums: SumPlans::new(),
            },
            writer: Writer::new(star, Commits::Never, 0, None),
            publishes: vec![table],
            described: self.described,
            progress: Arc::clone(&self.look.progress),
            stop: &self.look.stop,
        };
        let outcome = pipeline.run(pipeline::jobs_of(table, scopes)).await?;
        for (lookup, map) in outcome.published {
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
