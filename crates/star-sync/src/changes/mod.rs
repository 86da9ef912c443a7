//! Finding what changed in the source, and applying it: the pass that brings the target to one instant of the source.
//!
//! The steps of a pass, each with explicit inputs and outputs: `detect` reads what changed since the watermarks
//! (`survey` for a full load), `affected` which target rows depend on it, `row_count_check` determines key ranges with
//! other numbers of rows, `apply` compares and writes both, `verification` re-checks key ranges within the budget
//! (`candidate` which, `range_digests` by their digests, `lookup_tables` the tables that are only joined or looked up),
//! `reconcile` compares counts and totals, `advance` advances the watermarks. `page_check` compares
//! the pages of a full load with the snapshot of the catch-up pass (`page_cover` the keys between them, `lookup_check`
//! what they were mapped with, `page_surveys` their totals). `catch_up` calls the steps in order; `pass` is what all of
//! them read and write through. `pending` determines, without writing, what such a pass would change; `lineage` the
//! source rows of one row. `identity` determines whether the source is still the one that the target was loaded from.

pub(crate) mod advance;
pub(crate) mod affected;
pub(crate) mod apply;
mod candidate;
pub(crate) mod catch_up;
pub(crate) mod detect;
pub(crate) mod digests;
pub mod identity;
pub mod lineage;
pub(crate) mod lookup_check;
pub(crate) mod lookup_tables;
pub(crate) mod page_check;
mod page_cover;
mod page_surveys;
pub(crate) mod pass;
pub(crate) mod pending;
mod range_digests;
pub(crate) mod reconcile;
pub(crate) mod row_count_check;
pub(crate) mod survey;
pub(crate) mod verification;
pub mod verify_budget;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;

use crate::changes::verify_budget::VerifyBudget;
use crate::error::Result;
use crate::pipeline::databases::Databases;
use crate::target::Target;
use crate::target::bookkeeping::history;

/// Everything that a run reads and writes through, and its settings.
pub struct Context<'a> {
    pub databases: Databases<'a>,
    pub target: &'a Target,
    /// When the run began, by this machine's clock.
    pub began: DateTime<Utc>,
    /// Data types of the columns that are read, by `table.column`.
    pub source_columns: &'a BTreeMap<String, String>,
    /// The safety lag: how far watermarks trail the source's clock and the oldest in-flight transaction there.
    pub safety_lag: TimeDelta,
    /// Rows of the history to keep.
    pub keep_runs: u64,
    /// How long an incremental run may compare rows that show no change. Zero switches it off.
    pub verify_budget: VerifyBudget,
}

impl Context<'_> {
    /// Opens the history's row of this run; returns its id.
    pub(crate) async fn begin_run<C: ConnectionTrait>(&self, connection: &C, command: &str) -> Result<i64> {
        history::begin_run(connection, command, self.began, &self.databases.source.server.identity).await
    }
}

/// The kind of run that a catch-up pass belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Begins at the watermarks; tables that were not modified are not read.
    Incremental,
    /// As an incremental run, after all pages were compared.
    Repair,
    /// Begins where the full load began; everything is compared.
    FullLoad,
}
