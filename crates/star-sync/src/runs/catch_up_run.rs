//! The last step of every run that writes: a catch-up pass over the changes in one snapshot of the source and one
//! transaction on the target, reconciliation of both sides, and one commit of rows and watermarks together. A dry run
//! rolls back instead.

use std::sync::Arc;

use chrono::Utc;
use sea_orm::DatabaseTransaction;

use crate::changes::catch_up::{self, CatchUpInput, CatchUpOutcome};
use crate::changes::pass::Pass;
use crate::changes::{Context, Mode};
use crate::compare::totals;
use crate::compare::verdict::Verdict;
use crate::error::Result;
use crate::failpoint;
use crate::pipeline::flow::TableOutcomes;
use crate::pipeline::progress::Work;
use crate::pipeline::stages::Stage;
use crate::runs::report::{self, Report};
use crate::source::Snapshot;
use crate::target::bookkeeping::history::{self, Status};
use crate::target::bookkeeping::verified_ranges::VerificationMark;
use crate::target::bookkeeping::{quarantine, success, watermark};
use crate::target::{self, TargetReader};

/// One source snapshot and one target transaction.
pub(crate) struct CatchUpRun<'a> {
    pub context: &'a Context<'a>,
    pub snapshot: Snapshot,
    pub transaction: Arc<DatabaseTransaction>,
    pub run_id: i64,
    pub command: &'static str,
    /// Whether it finishes a first or an interrupted load. This counts as a change, even if no row is left to write.
    pub finishes_load: bool,
    /// Whether to roll back at the end.
    pub dry_run: bool,
    /// Calendar days that were corrected.
    pub calendar_days_corrected: u64,
}

impl<'a> CatchUpRun<'a> {
    /// Opens the snapshot and the transaction, and adds the run to the history.
    pub(crate) async fn begin(context: &'a Context<'a>, command: &'static str, dry_run: bool) -> Result<Self> {
        let snapshot = context.databases.source.snapshot().await?;
        let transaction = context.target.begin().await?;
        let run_id = context.begin_run(&*transaction, command).await?;
        Ok(Self {
            context,
            snapshot,
            transaction,
            run_id,
            command,
            finishes_load: false,
            dry_run,
            calendar_days_corrected: 0,
        })
    }

    /// The mark of key ranges that this run verifies.
    pub(crate) fn verified(&self) -> VerificationMark {
        VerificationMark {
            run_id: self.run_id,
            at: self.snapshot.clock,
        }
    }

    /// Runs the pass and ends the run.
    ///
    /// # Errors
    /// Any error of either database. Nothing of the pass is kept.
    pub(crate) async fn finish(self, mode: Mode, input: CatchUpInput) -> Result<Report> {
        let star = self.context.databases.star;
        // For a repair: the number of tables in which every row was compared.
        let deep_tables = match mode {
            Mode::Repair => input.checked.ranges.len(),
            Mode::Incremental | Mode::FullLoad => 0,
        };
        self.context.databases.progress.begin_work(Work::CatchUp);
        let mut lap = self.context.databases.progress.lap(Stage::CatchUp);
        let pass = Pass {
            context: self.context,
            snapshot: &self.snapshot,
            indexes: self.context.databases.source.indexes(&self.snapshot.reader()).await?,
            transaction: Arc::clone(&self.transaction),
            run_id: self.run_id,
            mode,
        };
        let CatchUpOutcome {
            outcomes,
            comparisons,
            verification,
            rows_verified_by_digest,
        } = catch_up::catch_up(&pass, input).await?;
        // The commit needs the only reference to the transaction.
        drop(pass);
        let totals_changed = if self.dry_run {
            let committed = TargetReader::Committed(self.context.databases.readers.clone());
            let written = TargetReader::Within(Arc::clone(&self.transaction));
            totals::changes(star, &outcomes, &committed, &written).await?
        } else {
            Vec::new()
        };
        let quarantined = quarantine::counts(&*self.transaction).await?;
        lap.worked();
        let tables = report::tables(star, &outcomes, &quarantined);
        let mut tally = report::tally(&tables, &comparisons, &quarantined, deep_tables);
        tally.changed_rows += self.calendar_days_corrected;
        tally.backlog_ranges = verification.backlog_ranges;
        let verdict = Verdict::of_load(tally, self.dry_run);
        let mut report = Report {
            status: if verdict.is_mismatch() {
                Status::Mismatch
            } else {
                Status::Done
            },
            verdict,
            run_id: self.run_id,
            dry_run: self.dry_run,
            tables,
            reconciliation: comparisons,
            quarantined: quarantine::by_source(star, &quarantined),
            verification,
            rows_verified_by_digest,
            calendar_days_corrected: self.calendar_days_corrected,
            bytes_received: self.context.databases.source.bytes_received(&self.snapshot).await,
            stages: self.context.databases.progress.stages.seconds(),
            totals_changed,
            resumed: None,
        };
        let is_idle = !self.finishes_load && changes_nothing(&report, &outcomes);
        let unresolved = match report.status {
            Status::Done if !self.dry_run => history::unresolved_mismatch(&*self.transaction, star).await?,
            _ => None,
        };
        self.record(&report, is_idle, unresolved.is_none()).await?;
        // The history records this run as done: the ranges that it verified count towards resolving the mismatch.
        if let Some(run) = unresolved {
            report.status = Status::Mismatch;
            report.verdict = report.verdict.with_unresolved_mismatch(run.id);
        }
        self.snapshot.close().await?;
        failpoint::pass("before-catch-up-commit");
        if self.dry_run {
            target::roll_back(self.transaction).await?;
        } else {
            target::commit(self.transaction).await?;
        }
        Ok(report)
    }

    /// Closes the run's row in the history, or removes it if the run changed nothing.
    async fn record(&self, report: &Report, is_idle: bool, is_resolved: bool) -> Result<()> {
        let (transaction, run_id) = (&*self.transaction, self.run_id);
        if report.status == Status::Done && is_resolved {
            success::note(transaction, self.command, Utc::now(), run_id).await?;
        }
        if is_idle {
            history::remove(transaction, run_id).await?;
            let last_run = history::last_runs(transaction, 1).await?.first().map(|run| run.id);
            return watermark::forget_idle(transaction, last_run, run_id).await;
        }
        history::finish_run(transaction, run_id, report.status, Some(report.counts())).await?;
        if let Some(oldest) = history::keep_newest(transaction, self.context.keep_runs).await? {
            watermark::forget_before(transaction, oldest).await?;
        }
        Ok(())
    }
}

/// Whether a run succeeded and changed neither rows nor the quarantine.
fn changes_nothing(report: &Report, outcomes: &TableOutcomes) -> bool {
    report.status == Status::Done && !report.changes() && !outcomes.values().any(|outcome| outcome.changes_quarantine)
}
