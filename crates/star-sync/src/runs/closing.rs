//! The end of every run that writes: a pass over the changes in one snapshot of the source and one transaction on the
//! target, the comparison of both sides, and then the commit of rows and markers together; of a dry run, the rollback.

use std::sync::Arc;

use sea_orm::DatabaseTransaction;

use crate::changes::catch_up::{CatchUp, Passed, Start};
use crate::changes::{Context, Mode};
use crate::error::Result;
use crate::failpoint;
use crate::pipeline::stages::Stage;
use crate::runs::report::{self, Report};
use crate::source::Snapshot;
use crate::target::bookkeeping::history::{self, Status};
use crate::target::bookkeeping::{history_length, reject};
use crate::target::{self, TargetReader};
use crate::verify::totals;
use crate::verify::verdict::Verdict;

/// One snapshot and one transaction.
pub(crate) struct Closing<'a> {
    pub context: &'a Context<'a>,
    pub snapshot: Snapshot,
    pub transaction: Arc<DatabaseTransaction>,
    pub run_id: i64,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
}

impl<'a> Closing<'a> {
    /// Opens both, and begins a run in the history.
    pub(crate) async fn begin(context: &'a Context<'a>, command: &str, dry_run: bool) -> Result<Self> {
        let snapshot = context.look.source.snapshot().await?;
        let transaction = context.target.begin().await?;
        let run_id = context.begin_run(&*transaction, command).await?;
        Ok(Self {
            context,
            snapshot,
            transaction,
            run_id,
            dry_run,
        })
    }

    /// Runs the pass and ends the run.
    ///
    /// # Errors
    /// Anything that either database answers, with nothing of the pass kept.
    pub(crate) async fn close(self, start: Start) -> Result<Report> {
        let star = self.context.look.star;
        let is_deep = start.mode == Mode::ClosingRepair;
        let mut lap = self.context.look.progress.lap(Stage::Closing);
        let pass = CatchUp::new(
            self.context,
            &self.snapshot,
            Arc::clone(&self.transaction),
            self.run_id,
            start,
        )
        .await?;
        let Passed {
            outcomes,
            comparisons,
            proof,
        } = pass.run().await?;
        let moves = if self.dry_run {
            let committed = TargetReader::Committed(self.context.look.readers.clone());
            let written = TargetReader::Within(Arc::clone(&self.transaction));
            totals::moves(star, &outcomes, &committed, &written).await?
        } else {
            Vec::new()
        };
        let rejects = reject::counts(&*self.transaction).await?;
        lap.worked();
        let tables = report::tables(star, &outcomes, &rejects);
        let tally = report::tally(&tables, &comparisons, &rejects, is_deep);
        let verdict = Verdict::of_load(tally, self.dry_run);
        let report = Report {
            status: if verdict.is_mismatch() {
                Status::Differences
            } else {
                Status::Done
            },
            verdict,
            run_id: self.run_id,
            dry_run: self.dry_run,
            tables,
            comparisons,
            rejects,
            proof,
            stages: self.context.look.progress.stages.seconds(),
            moves,
            resumed: None,
        };
        history::finish_run(&*self.transaction, self.run_id, report.status, Some(report.counts())).await?;
        history_length::merge_idle(&*self.transaction).await?;
        history_length::keep_newest(&*self.transaction, self.context.keep_runs).await?;
        self.snapshot.close().await?;
        failpoint::pass("before-closing-commit");
        if self.dry_run {
            target::roll_back(self.transaction).await?;
        } else {
            target::commit(self.transaction).await?;
        }
        Ok(report)
    }
}
