//! `status`: shows watermarks, verification backlog, last runs and quarantined rows.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use star_sync::changes::identity::{self, SourceColumns};
use star_sync::declare::star::Star;
use star_sync::source::in_flight::InFlight;
use star_sync::source::{Source, check};
use star_sync::target::bookkeeping::history::{self, Run};
use star_sync::target::bookkeeping::publication::{self, Publication};
use star_sync::target::bookkeeping::quarantine::{self, QuarantinedRow};
use star_sync::target::bookkeeping::source_identity::{self, ColumnChanges, SourceIdentity};
use star_sync::target::bookkeeping::state::{self, SourceState, States};
use star_sync::target::bookkeeping::success;
use star_sync::target::bookkeeping::time;
use star_sync::target::bookkeeping::verified_ranges::{self, VerificationSummary};
use star_sync::target::open_to_read;
use tracing::{error, warn};

pub(crate) use self::text::watermark_limits;
use super::Session;
use super::missing_index::{self, MissingIndex};
use crate::cli;
use crate::config::target_path;
use crate::error::{Doing, Error, Result, exit_of};

/// The number of runs, and of quarantined rows per table, to show.
const SHOWN: u64 = 10;

#[derive(Serialize)]
struct Report {
    /// Whether a full load has finished.
    loaded: bool,
    /// Whether there is an unfinished full load, in progress or interrupted.
    #[serde(skip)]
    loading: bool,
    /// The source that the target was loaded from; `None` before the first load.
    loaded_from: Option<Identity>,
    /// The source that answered.
    source_now: Option<Identity>,
    /// How that source differs from the one that the target was loaded from.
    source_identity_changes: Vec<String>,
    /// Columns added to or removed from the source's tables since the last full load, if the source answered.
    columns_changed: Option<ColumnChanges>,
    /// The source's clock, if the source answered.
    source_clock: Option<DateTime<Utc>>,
    /// Whether the account may list in-flight transactions, so that they limit watermarks.
    sees_in_flight_transactions: Option<bool>,
    watermarks: Vec<WatermarkStatus>,
    verification: VerificationSummary,
    /// Indexes that the source lacks, if the source answered.
    missing_indexes: Vec<MissingIndex>,
    /// When a load, an incremental run or a repair last succeeded.
    #[serde(serialize_with = "time::serialize_option")]
    last_success: Option<DateTime<Utc>>,
    /// The newest run that found a mismatch, while no later run has resolved it.
    last_mismatch: Option<Run>,
    runs: Vec<Run>,
    quarantined: BTreeMap<String, u64>,
    quarantined_examples: Vec<QuarantinedRow>,
    /// The lakes that the target was published to.
    lakes: Vec<LakeStatus>,
}

/// A lake, with the number of partitions that changed since its last publication.
#[derive(Serialize)]
struct LakeStatus {
    #[serde(flatten)]
    publication: Publication,
    backlog_partitions: usize,
}

/// The document of --indexes.
#[derive(Serialize)]
struct Indexes {
    missing_indexes: Vec<MissingIndex>,
}

/// The identity of a source, for display.
#[derive(Serialize)]
struct Identity {
    server: String,
    schema: String,
}

#[derive(Serialize)]
struct WatermarkStatus {
    table: &'static str,
    /// How far the table is loaded.
    lifecycle: &'static str,
    #[serde(serialize_with = "time::serialize_option")]
    watermark: Option<DateTime<Utc>>,
    #[serde(serialize_with = "time::serialize_option")]
    last_synced: Option<DateTime<Utc>>,
    /// The source's clock minus the watermark.
    lag_seconds: Option<i64>,
    /// The newest change timestamp that was read.
    #[serde(serialize_with = "time::serialize_option")]
    newest_change: Option<DateTime<Utc>>,
    /// What keeps the watermark behind the newest change.
    limited_by: Option<String>,
    /// The key up to which an unfinished full load has loaded the table.
    loaded_up_to: Option<i64>,
}

impl WatermarkStatus {
    fn new(table: &'static str, state: &SourceState, loaded_up_to: Option<i64>, clock: Option<DateTime<Utc>>) -> Self {
        Self {
            table,
            lifecycle: state.lifecycle.name(),
            watermark: state.watermark,
            last_synced: state.lifecycle.last_synced(),
            lag_seconds: clock
                .zip(state.watermark)
                .map(|(clock, watermark)| (clock - watermark).num_seconds()),
            newest_change: state.newest_change,
            limited_by: state.limited_by.clone(),
            loaded_up_to,
        }
    }
}

pub(crate) async fn run(session: &Session, arguments: &cli::Status) -> Result<u8> {
    if arguments.indexes {
        return missing_indexes(session).await;
    }
    let path = target_path(&session.global)?;
    // Read the target while the connection to the source is established.
    let (target_part, source) = tokio::try_join!(TargetPart::read(session.star(), &path), connect(session))?;
    let answer = match source {
        Some(source) => read_source(session.star(), &source, &target_part).await,
        None => None,
    };
    let clock = answer.as_ref().map(|answer| answer.clock);
    let sees_in_flight_transactions = answer.as_ref().map(|answer| answer.sees_in_flight_transactions);
    let columns_changed = answer.as_ref().and_then(|answer| answer.columns_changed.clone());
    let (source_now, source_identity_changes, missing_indexes) =
        answer.map_or((None, Vec::new(), Vec::new()), |answer| {
            (
                Some(answer.identity),
                answer.source_identity_changes,
                answer.missing_indexes,
            )
        });
    // The clock of another source says nothing about the lag.
    let lag_clock = clock.filter(|_| source_identity_changes.is_empty());
    let sources = session.star().sources.iter();
    let watermarks = sources
        .filter_map(|source| {
            Some(WatermarkStatus::new(
                source.name,
                target_part.states.get(source.name)?,
                target_part.loaded_up_to(session.star(), source.name),
                lag_clock,
            ))
        })
        .collect();
    let verification_clock = lag_clock.unwrap_or_else(Utc::now);
    let report = Report {
        loaded: target_part.states.is_loaded(),
        loading: target_part.states.is_loading(),
        loaded_from: target_part.loaded_from.map(|record| Identity {
            server: record.server,
            schema: record.schema,
        }),
        source_now,
        source_identity_changes,
        columns_changed,
        source_clock: clock,
        sees_in_flight_transactions,
        watermarks,
        verification: verified_ranges::sum_up(
            session.star(),
            &target_part.ranges,
            &target_part.states,
            verification_clock,
        ),
        missing_indexes,
        last_success: target_part.last_success,
        last_mismatch: target_part.last_mismatch,
        runs: target_part.runs,
        quarantined: target_part.quarantined,
        quarantined_examples: target_part.quarantined_examples,
        lakes: target_part.lakes,
    };
    let text = text::text(&report, session.program.name());
    session.output.result("status", session.seconds(), &report, &text)?;
    let is_fresh = arguments.fresh_within.is_none_or(|within| {
        report
            .last_success
            .is_some_and(|time| is_younger(time, within, Utc::now()))
    });
    if !is_fresh {
        error!(
            code = "STALE",
            last_success = report.last_success.map_or_else(|| "never".to_owned(), time::text),
            "no run has succeeded within --fresh-within"
        );
    }
    Ok(exit_of(!is_fresh))
}

/// Prints only the statements that create missing indexes.
async fn missing_indexes(session: &Session) -> Result<u8> {
    let path = target_path(&session.global)?;
    let target = open_to_read(&path, session.star(), 1).await?;
    let states = state::load(&target).await;
    target.close().await.target(|| "closing the file".to_owned())?;
    let source = session.connect(1).await?;
    let missing_indexes = missing_index::find(session.star(), &source, Some(&states?)).await?;
    let text = missing_index::statements(&missing_indexes);
    let document = Indexes { missing_indexes };
    session.output.result("status", session.seconds(), &document, &text)?;
    Ok(0)
}

/// Whether `time` is at most `within` ago, by this machine's clock. The clock of the machine that synced may be ahead
/// by up to `CLOCK_TOLERANCE`. A time further in the future was written before a clock was set back, so its age is
/// unknown and it fails.
fn is_younger(time: DateTime<Utc>, within: Duration, now: DateTime<Utc>) -> bool {
    (now + success::CLOCK_TOLERANCE - time)
        .to_std()
        .is_ok_and(|age| age <= within.saturating_add(success::CLOCK_TOLERANCE))
}

/// The part of the status that is read from the target.
struct TargetPart {
    states: States,
    loaded_from: Option<SourceIdentity>,
    table_columns: Option<BTreeSet<String>>,
    ranges: verified_ranges::Ranges,
    quarantined: BTreeMap<String, u64>,
    quarantined_examples: Vec<QuarantinedRow>,
    last_success: Option<DateTime<Utc>>,
    last_mismatch: Option<Run>,
    runs: Vec<Run>,
    lakes: Vec<LakeStatus>,
}

impl TargetPart {
    /// The key up to which an unfinished load has loaded all tables that are derived from a source table.
    fn loaded_up_to(&self, star: &Star, source_table: &str) -> Option<i64> {
        let tables = star.tables().filter(|table| table.source_table == source_table);
        let loaded: Option<Vec<i64>> = tables
            .map(|table| self.states.target(table.name).loaded_up_to)
            .collect();
        loaded?.into_iter().min()
    }

    async fn read(star: &Star, path: &Path) -> Result<Self> {
        let target = open_to_read(path, star, 1).await?;
        let quarantined = quarantine::by_source(star, &quarantine::counts(&target).await?);
        let mut quarantined_examples = Vec::new();
        for source_table in quarantined.keys() {
            quarantined_examples.extend(quarantine::some(&target, source_table, SHOWN).await?);
        }
        let mut lakes = Vec::new();
        for publication in publication::load(&target).await? {
            lakes.push(LakeStatus {
                backlog_partitions: publication::backlog(&target, &publication).await?,
                publication,
            });
        }
        let target_part = Self {
            lakes,
            states: state::load(&target).await?,
            loaded_from: source_identity::load(&target).await?,
            table_columns: source_identity::table_columns(&target).await?,
            ranges: verified_ranges::load(&target).await?,
            quarantined,
            quarantined_examples,
            last_success: success::newest(&success::load(&target).await?),
            last_mismatch: history::last_mismatch(&target).await?,
            runs: history::last_runs(&target, SHOWN).await?,
        };
        target.close().await.target(|| "closing the file".to_owned())?;
        Ok(target_part)
    }
}

/// The part of the status that is read from the source.
struct SourcePart {
    clock: DateTime<Utc>,
    identity: Identity,
    source_identity_changes: Vec<String>,
    columns_changed: Option<ColumnChanges>,
    sees_in_flight_transactions: bool,
    missing_indexes: Vec<MissingIndex>,
}

/// Connects to the source, if one is given. A source that cannot be reached is no error here, since the target's part
/// can still be shown.
async fn connect(session: &Session) -> Result<Option<Source>> {
    if session.global.source.is_none() {
        return Ok(None);
    }
    match session.connect(1).await {
        Err(error @ Error::Setting { .. }) => Err(error),
        connected => Ok(answered(connected)),
    }
}

async fn read_source(star: &Star, source: &Source, target_part: &TargetPart) -> Option<SourcePart> {
    let answer = async {
        let clock = source.clock().await?;
        // A schema without these tables is a different source; its columns need not be compared.
        let columns = match check::columns(source, star).await {
            Err(star_sync::Error::SourceUnfit { .. }) => SourceColumns::new(),
            columns => columns?,
        };
        Ok(SourcePart {
            clock,
            identity: Identity {
                server: source.server.id.clone(),
                schema: source.server.schema.clone(),
            },
            source_identity_changes: identity::evidence_of(
                source,
                &columns,
                clock,
                target_part.loaded_from.as_ref(),
                &target_part.states,
            ),
            columns_changed: match &target_part.table_columns {
                Some(then) => Some(ColumnChanges::between(then, &check::table_columns(source, star).await?)),
                None => None,
            },
            sees_in_flight_transactions: source.in_flight().await? != InFlight::NotPermitted,
            missing_indexes: missing_index::find(star, source, Some(&target_part.states)).await?,
        })
    };
    answered(answer.await)
}

fn answered<T>(result: Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            warn!(
                code = "SOURCE_NOT_REACHED",
                "the source cannot be reached; showing the target's part only: {error}"
            );
        })
        .ok()
}
