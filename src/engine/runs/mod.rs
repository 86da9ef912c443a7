//! What every run has at hand: both databases, and how to work on them.

pub mod agreement;
pub mod catch_up;
pub mod closing;
pub mod deep;
pub mod delta;
pub mod explain;
pub mod figures;
pub mod findings;
pub mod full_load;
pub mod identity;
pub mod incremental;
pub mod pages;
pub mod pending;
pub mod prove;
pub mod reconcile;
pub mod repair;
pub mod report;
pub mod rows;
pub mod soundness;
pub mod stale;
pub mod survey;
pub mod totals;
pub mod validate;
pub mod validation_look;
pub mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::engine::declaration::table::{Star, Table};
use crate::engine::pipeline::plan::Planner;
use crate::engine::pipeline::progress::Progress;
use crate::engine::source_db::Source;
use crate::engine::source_db::reader::SourceReader;
use crate::engine::stop::Stop;
use crate::engine::target_db::{Target, TargetReader, history};
use crate::error::Result;

/// Both databases, to look at: nothing is written through this.
pub struct Look<'a> {
    pub star: &'static Star,
    pub source: &'a Source,
    /// What was committed to the target.
    pub readers: DatabaseConnection,
    /// Pages of the source that are read at the same time, each on a connection of its own.
    pub workers: usize,
    /// Rows a page, and so a batch.
    pub batch_size: u64,
    pub progress: Arc<Progress>,
    pub stop: Stop,
}

impl Look<'_> {
    /// Cuts a table into intervals of a page each, as these two have it.
    pub async fn planner(&self, table: &Table, source: SourceReader, target: TargetReader) -> Result<Planner> {
        let estimated_rows = self.source.estimated_rows(&source).await?;
        Ok(Planner {
            source,
            target,
            estimated_rows: estimated_rows.get(table.source_table).copied().unwrap_or(0),
            rows: self.batch_size,
        })
    }
}

/// What a run that writes has at hand besides.
pub struct Context<'a> {
    pub look: Look<'a>,
    pub target: &'a Target,
    /// When the run began, by this machine's clock.
    pub began: DateTime<Utc>,
    /// Data types of the columns that are read, by `table.column`.
    pub source_columns: &'a BTreeMap<String, String>,
    /// How far markers stay behind the source's clock and behind the oldest work that is open there.
    pub overlap: TimeDelta,
    /// Rows of the history to keep.
    pub keep_runs: u64,
    /// How long an incremental run may compare rows that show no change. Zero switches it off.
    pub verify_budget: Duration,
}

impl Context<'_> {
    /// Opens the history's row of this run; returns its id.
    pub async fn begin_run<C: ConnectionTrait>(&self, connection: &C, command: &str) -> Result<i64> {
        history::begin_run(connection, command, self.began, &self.look.source.server.identity).await
    }
}

/// What a pass over the changes is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Begins at the markers; tables that have not moved are not read.
    Incremental,
    /// As an incremental run, after all pages were compared.
    ClosingRepair,
    /// Begins where the full load began; everything is compared.
    ClosingFullLoad,
}
