//! Finding what changed in the source, and applying it: the pass that brings the target to one instant of the source.
//!
//! `delta` reads what changed since the watermarks, `stale` which target rows depend on it, `reconcile` compares and
//! writes them, `prove` re-checks key ranges in the background, and `catch_up` does all of it in order and advances the
//! watermarks. `pending` tells, by reading alone, what such a pass would change; `lineage` what one row is made of.
//! `identity` tells whether the source is still the one that the target was loaded from.

pub(crate) mod agreement;
pub(crate) mod catch_up;
pub(crate) mod delta;
pub mod identity;
pub mod lineage;
pub(crate) mod pending;
pub mod prove;
pub(crate) mod reconcile;
pub(crate) mod stale;
pub(crate) mod survey;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;

use crate::error::Result;
use crate::pipeline::look::Look;
use crate::target::Target;
use crate::target::bookkeeping::history;

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
    pub(crate) async fn begin_run<C: ConnectionTrait>(&self, connection: &C, command: &str) -> Result<i64> {
        history::begin_run(connection, command, self.began, &self.look.source.server.identity).await
    }
}

/// What a pass over the changes is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Begins at the markers; tables that have not moved are not read.
    Incremental,
    /// As an incremental run, after all pages were compared.
    ClosingRepair,
    /// Begins where the full load began; everything is compared.
    ClosingFullLoad,
}
