//! The target's part of the status page: freshness, backlog, quarantined rows, history; no keys or values of rows.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use star_sync::declare::star::Star;
use star_sync::target::bookkeeping::history::{self, Run};
use star_sync::target::bookkeeping::verified_ranges::{self, VerificationSummary};
use star_sync::target::bookkeeping::{quarantine, state, success};
use star_sync::target::open_to_read;

use crate::error::{Doing, Result};

/// The number of runs to show.
const SHOWN_RUNS: u64 = 10;

/// The target's part of the page.
#[derive(Default)]
pub(crate) struct TargetView {
    pub is_loaded: bool,
    pub tables: Vec<TableFreshness>,
    pub verification: VerificationSummary,
    /// Quarantined rows by source table.
    pub quarantined: BTreeMap<String, u64>,
    pub last_success: Option<DateTime<Utc>>,
    pub runs: Vec<Run>,
}

/// How far a source table is synced.
pub(crate) struct TableFreshness {
    pub name: &'static str,
    pub watermark: Option<DateTime<Utc>>,
    pub last_synced: Option<DateTime<Utc>>,
    pub limited_by: Option<String>,
}

impl TargetView {
    pub(crate) async fn read(star: &Star, path: &Path) -> Result<Self> {
        let target = open_to_read(path, star, 1).await?;
        let states = state::load(&target).await?;
        let ranges = verified_ranges::load(&target).await?;
        let successes = success::load(&target).await?;
        let view = Self {
            is_loaded: states.is_loaded(),
            tables: star
                .sources
                .iter()
                .filter_map(|source| {
                    let state = states.get(source.name)?;
                    Some(TableFreshness {
                        name: source.name,
                        watermark: state.watermark,
                        last_synced: state.lifecycle.last_synced(),
                        limited_by: state.limited_by.clone(),
                    })
                })
                .collect(),
            verification: verified_ranges::sum_up(star, &ranges, &states, Utc::now()),
            quarantined: quarantine::by_source(star, &quarantine::counts(&target).await?),
            last_success: success::newest(&successes),
            runs: history::last_runs(&target, SHOWN_RUNS).await?,
        };
        target.close().await.target(|| "closing the file".to_owned())?;
        Ok(view)
    }
}
