//! The deep comparison: every row of the star with the source, by reading alone.
//!
//! Pages are compared in parallel, each a statement of its own; the rows that seem to differ are read again, in one
//! snapshot, before they are called different. What has changed since the last sync is pending, and no difference.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use tracing::info;

use crate::engine::declaration::lookup::Lookups;
use crate::engine::declaration::period::Period;
use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::{Star, Table};
use crate::engine::pipeline::flow::{Difference, Outcomes};
use crate::engine::pipeline::lookups::LookupSource;
use crate::engine::pipeline::read::{LookupPlan, Reader};
use crate::engine::pipeline::write::{Commits, Writer};
use crate::engine::pipeline::{self, Pipeline};
use crate::engine::runs::Look;
use crate::engine::runs::pages::Pages;
use crate::engine::runs::pending::Pending;
use crate::engine::source_db::Snapshot;
use crate::engine::target_db::TargetReader;
use crate::error::Result;

/// Keys that one page names.
const KEYS_A_PAGE: usize = 2_000;

/// How one table differs.
#[derive(Clone, Debug, Serialize)]
pub struct TableDifferences {
    pub table: &'static str,
    /// Source rows that were compared.
    pub compared: u64,
    /// Rows that the target lacks.
    pub missing: u64,
    /// Rows that the target has and the source has not.
    pub extra: u64,
    /// Rows that differ in a column.
    pub different: u64,
    /// Rows that seemed to differ, but have changed in the source since the last sync.
    pub pending: u64,
    /// The first that differ.
    pub first: Vec<Difference>,
}

impl TableDifferences {
    pub fn is_equal(&self) -> bool {
        self.missing + self.extra + self.different == 0
    }
}

/// Compares all pages; what seems to differ is in the outcomes' changed keys.
pub async fn suspects(look: &Look<'_>, period: &Period) -> Result<Outcomes> {
    let pages = Pages {
        look,
        is_target_empty: false,
        commits: Commits::Never,
        run_id: 0,
        done_upto: HashMap::new(),
        period: period.clone(),
    };
    Ok(pages.walk().await?.outcomes)
}

/// The second look, in one snapshot.
pub struct Recheck<'a> {
    pub look: &'a Look<'a>,
    pub snapshot: &'a Snapshot,
    pub target: TargetReader,
    pub pending: &'a Pending,
    /// Rows to describe, a table.
    pub described: usize,
}

impl Recheck<'_> {
    /// Looks again at what seemed to differ.
    pub async fn run(&self, suspects: Outcomes) -> Result<Vec<TableDifferences>> {
        // What rows of the source should be to others, where the target may have them wrong.
        let mut corrected = Lookups::default();
        let mut tables = Vec::new();
        for table in self.look.star.tables() {
            let outcome = suspects.get(table.name).cloned().unwrap_or_default();
            let compared = outcome.counts.read;
            let mut keys = outcome.changed;
            keys.sort_unstable();
            keys.dedup();
            keys.retain(|key| !self.pending.is_rejected(table, *key));
            let all = keys.len();
            keys.retain(|key| !self.pending.holds(table, *key));
            let pending = (all - keys.len()) as u64;
            let mut differences = self.compare(table, keys, &mut corrected).await?;
            differences.compared = compared;
            differences.pending = pending;
            info!(table = table.name, rows = compared, "compared row by row");
            tables.push(differences);
        }
        Ok(tables)
    }

    async fn compare(
        &self,
        table: &'static Table,
        keys: Vec<i64>,
        corrected: &mut Lookups,
    ) -> Result<TableDifferences> {
        let jobs = pipeline::jobs_of(table, Scope::of_keys(keys, KEYS_A_PAGE));
        let star: &'static Star = self.look.star;
        let pipeline = Pipeline {
            // A snapshot is one connection.
            workers: 1,
            reader: Reader {
                source: self.snapshot.reader(),
                target: self.target.clone(),
                lookups: LookupPlan::ByKey(LookupSource {
                    corrected: corrected.clone(),
                    ..LookupSource::of(star, self.snapshot.reader(), self.target.clone())
                }),
                period: Period::All,
            },
            writer: Writer::new(star, Commits::Never, 0, None),
            publishes: vec![table],
            described: self.described,
            progress: Arc::clone(&self.look.progress),
            stop: &self.look.stop,
        };
        let outcome = pipeline.run(jobs).await?;
        for (lookup, map) in outcome.published {
            corrected.set(lookup, map);
        }
        let mut outcomes = outcome.tables;
        let found = outcomes.remove(table.name).unwrap_or_default();
        let mut first = found.differences;
        first.sort_by_key(|difference| difference.key);
        first.truncate(self.described);
        Ok(TableDifferences {
            table: table.name,
            compared: 0,
            missing: found.counts.inserted,
            extra: found.counts.deleted,
            different: found.counts.updated,
            pending: 0,
            first,
        })
    }
}
