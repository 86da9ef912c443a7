//! `status`: markers, their lag, the last runs, rejected rows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use comfy_table::CellAlignment;
use serde::Serialize;
use star_sync::changes::identity::{self, SourceColumns};
use star_sync::changes::prove::Proof;
use star_sync::declare::star::Star;
use star_sync::source::open_work::OpenWork;
use star_sync::source::{Source, check};
use star_sync::target::bookkeeping::history::{self, Status, sync_run};
use star_sync::target::bookkeeping::proof;
use star_sync::target::bookkeeping::reject::{self, sync_reject};
use star_sync::target::bookkeeping::source_record::{self, SourceRecord};
use star_sync::target::bookkeeping::state::{self, States};
use star_sync::target::open_to_read;
use star_sync::verify::verdict::VerdictCode;
use tracing::{error, warn};

use super::advice::{self, Advice};
use super::{SYNCS, Session};
use crate::cli;
use crate::config::target_path;
use crate::error::{Doing, EXIT_DIFFERENCES, Error, Result};
use crate::output::{self, human};

/// Runs, and rejected rows of each table, that are shown.
const SHOWN: u64 = 10;

#[derive(Serialize)]
struct Report {
    /// Whether a full load has finished.
    loaded: bool,
    /// The source that the target was loaded from; none before the first load has begun.
    loaded_from: Option<Identity>,
    /// The source as it is, if it answered.
    source_now: Option<Identity>,
    /// What tells that it is another one.
    source_changed: Vec<String>,
    /// The source's clock, if it was asked and answered.
    source_clock: Option<DateTime<Utc>>,
    /// Whether the account may see open transactions, so that they hold markers back.
    sees_open_transactions: Option<bool>,
    markers: Vec<MarkerStatus>,
    proof: Proof,
    /// Indexes that the source lacks, if it was asked.
    advice: Vec<Advice>,
    /// When a load, an incremental run or a repair last ended well.
    last_success: Option<String>,
    runs: Vec<sync_run::Model>,
    rejects: BTreeMap<String, u64>,
    some_rejects: Vec<sync_reject::Model>,
}

/// A source, for people.
#[derive(Serialize)]
struct Identity {
    server: String,
    schema: String,
}

#[derive(Serialize)]
struct MarkerStatus {
    table: String,
    marker: Option<String>,
    observed_at: Option<String>,
    /// The source's clock less the marker.
    lag_seconds: Option<i64>,
    /// What keeps the marker from the newest change that was seen.
    held_back_by: Option<String>,
    /// Where an unfinished full load has come to.
    loaded_upto: Option<i64>,
}

pub(crate) async fn run(session: &Session, arguments: &cli::Status) -> Result<u8> {
    let path = target_path(&session.global)?;
    // The source takes its time to greet.
    let (kept, source) = tokio::try_join!(Kept::read(session.star(), &path), connect(session))?;
    let answer = match source {
        Some(source) => ask(session.star(), &source, &kept).await,
        None => None,
    };
    let clock = answer.as_ref().map(|answer| answer.clock);
    let sees_open_transactions = answer.as_ref().map(|answer| answer.sees_open_transactions);
    let (source_now, source_changed, advice) = answer.map_or((None, Vec::new(), Vec::new()), |answer| {
        (Some(answer.identity), answer.source_changed, answer.advice)
    });
    // Of another source's clock there is no lag.
    let lag_clock = clock.filter(|_| source_changed.is_empty());
    let summary = proof::sum_up_all(session.star(), &kept.ranges, &kept.states);
    let loaded = state::is_loaded(&kept.states);
    let mut states = kept.states;
    let markers = session
        .star()
        .sources
        .iter()
        .filter_map(|source| states.remove(source.name))
        .map(|state| MarkerStatus {
            lag_seconds: lag_clock
                .zip(state.last_updated.as_deref().and_then(state::parse_time))
                .map(|(clock, marker)| (clock - marker).num_seconds()),
            table: state.source_table,
            marker: state.last_updated,
            observed_at: state.observed_at,
            held_back_by: state.held_back_by,
            loaded_upto: state.loaded_upto,
        })
        .collect();
    let report = Report {
        loaded,
        loaded_from: kept.loaded_from.map(|record| Identity {
            server: record.server,
            schema: record.schema,
        }),
        source_now,
        source_changed,
        source_clock: clock,
        sees_open_transactions,
        markers,
        proof: Proof::of(&summary, lag_clock.unwrap_or_else(Utc::now)),
        advice,
        last_success: kept.last_success,
        runs: kept.runs,
        rejects: kept.rejects,
        some_rejects: kept.some_rejects,
    };
    let text = text(&report, session.program.name());
    session.output.result("status", session.seconds(), &report, &text)?;
    let is_fresh = arguments.fresh_within.is_none_or(|within| {
        let age = report.last_success.as_deref().and_then(age_of);
        age.is_some_and(|age| age <= within)
    });
    if !is_fresh {
        error!(
            code = "STALE",
            last_success = report.last_success.as_deref().unwrap_or("never"),
            "no run has succeeded within --fresh-within"
        );
    }
    Ok(if is_fresh { 0 } else { EXIT_DIFFERENCES })
}

/// How long ago a time is, by this machine's clock, as the history's times are. What lies in the future is no age.
fn age_of(time: &str) -> Option<Duration> {
    let age = Utc::now() - state::parse_time(time)?;
    Some(age.to_std().unwrap_or_default())
}

/// What the target remembers.
struct Kept {
    states: States,
    loaded_from: Option<SourceRecord>,
    ranges: proof::Ranges,
    rejects: BTreeMap<String, u64>,
    some_rejects: Vec<sync_reject::Model>,
    last_success: Option<String>,
    runs: Vec<sync_run::Model>,
}

impl Kept {
    async fn read(star: &Star, path: &Path) -> Result<Self> {
        let target = open_to_read(path, star, 1).await?;
        let rejects = reject::counts(&target).await?;
        let mut some_rejects = Vec::new();
        for source_table in rejects.keys() {
            some_rejects.extend(reject::some(&target, source_table, SHOWN).await?);
        }
        let kept = Self {
            states: state::load(&target).await?,
            loaded_from: source_record::load(&target).await?,
            ranges: proof::load(&target).await?,
            rejects,
            some_rejects,
            last_success: history::last_success_of(&target, &SYNCS)
                .await?
                .and_then(|run| run.finished),
            runs: history::last_runs(&target, SHOWN).await?,
        };
        target.close().await.target(|| "closing the file".to_owned())?;
        Ok(kept)
    }
}

/// What the source has to say.
struct Answer {
    clock: DateTime<Utc>,
    identity: Identity,
    source_changed: Vec<String>,
    sees_open_transactions: bool,
    advice: Vec<Advice>,
}

/// The source, if it was named and can be reached. One that does not answer is no failure here: the target's part is
/// shown all the same.
async fn connect(session: &Session) -> Result<Option<Source>> {
    if session.global.source.is_none() {
        return Ok(None);
    }
    match session.connect(1).await {
        Err(error @ Error::Setting { .. }) => Err(error),
        connected => Ok(answered(connected)),
    }
}

async fn ask(star: &Star, source: &Source, kept: &Kept) -> Option<Answer> {
    let answer = async {
        let clock = source.clock().await?;
        // A schema without these tables is another one, whatever their columns were.
        let columns = match check::columns(source, star).await {
            Err(star_sync::Error::SourceUnfit { .. }) => SourceColumns::new(),
            columns => columns?,
        };
        Ok(Answer {
            clock,
            identity: Identity {
                server: source.server.id.clone(),
                schema: source.server.schema.clone(),
            },
            source_changed: identity::evidence_of(source, &columns, clock, kept.loaded_from.as_ref(), &kept.states),
            sees_open_transactions: source.open_work().await? != OpenWork::Hidden,
            advice: advice::find(star, source, Some(&kept.states)).await?,
        })
    };
    answered(answer.await)
}

fn answered<T>(result: Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            warn!(
                code = "SOURCE_NOT_ASKED",
                "the source does not answer, so there is no lag to show: {error}"
            );
        })
        .ok()
}

fn text(report: &Report, program: &str) -> String {
    let mut text = String::new();
    if !report.loaded {
        text.push_str("no full load has finished yet\n");
    }
    text.push_str(&sources(report));
    if let Some(run) = report
        .runs
        .first()
        .filter(|run| run.status == Status::Differences.as_str())
    {
        let _ = writeln!(
            text,
            "the last run, {} {}, ended in {}: run `{program} repair`\n",
            run.command,
            run.id,
            human::bad(VerdictCode::Mismatch.name())
        );
    }
    let mut markers = human::table(&["source table", "marker", "lag", "last in step", "held back by"]);
    for marker in &report.markers {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        markers.add_row([
            marker.table.clone(),
            or_dash(&marker.marker),
            marker.lag_seconds.map_or_else(|| "-".to_owned(), human::duration),
            or_dash(&marker.observed_at),
            or_dash(&marker.held_back_by),
        ]);
    }
    if let Some(column) = markers.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let _ = writeln!(text, "{markers}\n");
    if let Some(sees) = report.sees_open_transactions {
        let _ = writeln!(text, "{}\n", what_is_seen(sees));
    }
    let proof = output::report::proof(&report.proof);
    let proven = if proof.is_empty() && report.proof.ranges > 0 {
        let ranges = human::grouped(report.proof.ranges);
        format!("all {ranges} key ranges are compared row by row, as of the last run\n")
    } else {
        proof
    };
    let _ = writeln!(text, "{proven}");
    if !report.advice.is_empty() {
        let _ = writeln!(text, "{}\n", advice::text(&report.advice));
    }
    let mut runs = human::table(&[
        "run", "command", "started", "status", "read", "inserted", "updated", "deleted", "rejected",
    ]);
    for run in &report.runs {
        runs.add_row([
            run.id.to_string(),
            command_of(run),
            run.started.clone(),
            run.status.clone(),
            human::grouped(run.rows_read),
            human::grouped(run.rows_inserted),
            human::grouped(run.rows_updated),
            human::grouped(run.rows_deleted),
            human::grouped(run.rows_rejected),
        ]);
    }
    let _ = writeln!(text, "{runs}");
    for (table, count) in &report.rejects {
        let _ = writeln!(
            text,
            "\n{} rows of {table} are rejected, among them:",
            human::grouped(*count)
        );
        for reject in report
            .some_rejects
            .iter()
            .filter(|reject| reject.source_table == *table)
        {
            let _ = writeln!(
                text,
                "  {table} {}: {}: {} (run {})",
                reject.key, reject.code, reject.reason, reject.run_id
            );
        }
    }
    text
}

/// The source that the target was loaded from, and the one that answers now.
fn sources(report: &Report) -> String {
    let mut text = String::new();
    let sources = [("loaded from", &report.loaded_from), ("source now", &report.source_now)];
    for (what, source) in sources {
        if let Some(Identity { server, schema }) = source {
            let _ = writeln!(text, "{what}: server {server}, schema {schema}");
        }
    }
    if !report.source_changed.is_empty() {
        let changed = human::bad("source identity changed since the last load");
        let _ = writeln!(
            text,
            "{changed}; only full-load --accept-source and validate --accept-source take it:"
        );
        for evidence in &report.source_changed {
            let _ = writeln!(text, "  {evidence}");
        }
    }
    text + "\n"
}

/// The command of a row of the history, and how many runs it stands for.
fn command_of(run: &sync_run::Model) -> String {
    match run.runs {
        1 => run.command.clone(),
        runs => format!("{} \u{d7} {}", run.command, human::grouped(runs)),
    }
}

/// What keeps markers safe from transactions that commit late.
pub(crate) fn what_is_seen(sees_open_transactions: bool) -> &'static str {
    if sees_open_transactions {
        "markers stay behind open transactions, which this account may see (PROCESS)"
    } else {
        "markers stay behind the clock by --overlap alone: open transactions are seen with GRANT PROCESS ON *.*"
    }
}
