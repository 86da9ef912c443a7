//! What every run has at hand, and the report that it ends with.

pub mod catch_up;
pub mod delta;
pub mod full_load;
pub mod identity;
pub mod incremental;
pub mod stale;
pub mod validate;
pub mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use serde::Serialize;

use crate::engine::declaration::table::Star;
use crate::engine::pipeline::flow::{BatchCounts, Outcomes};
use crate::engine::pipeline::progress::Progress;
use crate::engine::runs::verify::Comparison;
use crate::engine::source_db::Source;
use crate::engine::stop::Stop;
use crate::engine::target_db::Target;
use crate::engine::target_db::state::{RunCounts, Status};

/// Both databases and how to work on them.
pub struct Context<'a> {
    pub star: &'static Star,
    pub source: &'a Source,
    pub target: &'a Target,
    /// Data types of the columns that are read, by `table.column`.
    pub source_columns: &'a BTreeMap<String, String>,
    /// Concurrent connections to the source.
    pub workers: usize,
    /// Rows a page, and so a batch.
    pub batch_size: u64,
    /// How far markers stay behind the source's clock and behind the oldest work that is open there.
    pub overlap: TimeDelta,
    pub progress: Arc<Progress>,
    pub stop: Stop,
}

/// What a pass over the changes is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Begins at the markers; tables that have not moved are not read.
    Incremental,
    /// Begins where the full load began; everything is compared.
    ClosingFullLoad,
}

/// How a load ended.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub status: Status,
    pub run_id: i64,
    /// In the order of loading.
    pub tables: Vec<TableReport>,
    /// The comparison that closes the load, differences and all.
    pub comparisons: Vec<Comparison>,
    /// Rows in sync_reject, by source table.
    pub rejects: BTreeMap<String, u64>,
}

/// What was done to one target table.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    pub table: &'static str,
    pub read: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub unchanged: u64,
    /// Rows of its source table that are in sync_reject now.
    pub rejected: u64,
}

impl Report {
    pub fn new(
        star: &Star,
        run_id: i64,
        outcomes: &Outcomes,
        comparisons: Vec<Comparison>,
        rejects: BTreeMap<String, u64>,
    ) -> Self {
        let differs = comparisons.iter().any(Comparison::differs);
        Self {
            status: if differs { Status::Differences } else { Status::Done },
            run_id,
            tables: star
                .tables()
                .map(|table| {
                    let counts = outcomes
                        .get(table.name)
                        .map(|outcome| outcome.counts)
                        .unwrap_or_default();
                    let rejected = rejects.get(table.source_table).copied().unwrap_or(0);
                    TableReport::new(table.name, counts, rejected)
                })
                .collect(),
            comparisons,
            rejects,
        }
    }

    pub fn counts(&self) -> RunCounts {
        let mut counts = RunCounts {
            rejected: self.rejects.values().sum(),
            ..RunCounts::default()
        };
        for table in &self.tables {
            counts.read += table.read;
            counts.inserted += table.inserted;
            counts.updated += table.updated;
            counts.deleted += table.deleted;
        }
        counts
    }
}

impl TableReport {
    fn new(table: &'static str, counts: BatchCounts, rejected: u64) -> Self {
        Self {
            table,
            read: counts.read,
            inserted: counts.inserted,
            updated: counts.updated,
            deleted: counts.deleted,
            unchanged: counts.unchanged,
            rejected,
        }
    }
}
