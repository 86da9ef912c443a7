//! Change detection and the catch-up pass, which applies the changes so that the target matches one snapshot of the
//! source.
//!
//! The steps of a pass, each with explicit inputs and outputs: `detect` reads the changes since the watermarks
//! (`survey` for a full load), `affected` finds the target rows that depend on them, `row_count_check` finds key ranges
//! whose row counts differ, `apply` compares and writes both, `verification` re-checks key ranges within the budget
//! (`candidate` orders them, `range_digests` compares their digests, `lookup_tables` verifies source tables that
//! contribute to the star table of another), `reconcile` compares row counts and totals, `advance` advances the
//! watermarks. `page_check` compares the pages of a full load with the snapshot of the catch-up pass (`page_cover` adds
//! the key ranges between the pages, `lookup_check` checks the lookups that the pages used, `page_surveys` their
//! totals). `catch_up` calls the steps in order; `pass` holds the connections that all of them use. `pending`
//! determines, without writing, what such a pass would change; `lineage` finds the source rows behind one target row.
//! `identity` checks whether the source is still the one that the target was loaded from.

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

/// The connections and settings of a run.
pub struct Context<'a> {
    pub databases: Databases<'a>,
    pub target: &'a Target,
    /// When the run began, by this machine's clock.
    pub began: DateTime<Utc>,
    /// Data types of the columns that are read, by `table.column`.
    pub source_columns: &'a BTreeMap<String, String>,
    /// The safety lag: how far watermarks trail the source's clock and the oldest in-flight transaction there.
    pub safety_lag: TimeDelta,
    /// The number of runs to keep in the history.
    pub keep_runs: u64,
    /// How long an incremental run may verify key ranges: rows to which no detected change points. Zero disables
    /// verification.
    pub verify_budget: VerifyBudget,
}

impl Context<'_> {
    /// Inserts this run into the history; returns its id.
    pub(crate) async fn begin_run<C: ConnectionTrait>(&self, connection: &C, command: &str) -> Result<i64> {
        history::begin_run(connection, command, self.began, &self.databases.source.server.identity).await
    }
}

/// The kind of run that a catch-up pass belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Starts at the watermarks; change detection does not read unmodified tables.
    Incremental,
    /// Like an incremental run, after all pages were compared.
    Repair,
    /// Starts at the watermark that the full load recorded when it began, and compares everything.
    FullLoad,
}
