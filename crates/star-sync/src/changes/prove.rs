//! Finds what changed without a trace: a foreign-key cascade, an update that keeps `last_update`, a row that was
//! swapped for another. A table that has moved is compared with the source row by row, key range by key range, for as
//! long as a run may spend on it; the next run goes on where this one stopped.

use std::collections::HashMap;
use std::time::Instant;

use rust_decimal::Decimal;
use sea_orm::QueryResult;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query};
use tokio::sync::mpsc;
use tracing::info;

use crate::changes::catch_up::{CatchUp, LEAST_ROWS_A_RANGE, WalkedBefore};
use crate::changes::stale::Changes;
use crate::declare::lookup::Lookups;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::pipeline::flow::{Job, Outcomes};
use crate::pipeline::read::LookupPlan;
use crate::stop::Stop;
use crate::target::bookkeeping::verification::{self, VerificationRange, VerificationSummary, Verified};
use crate::{metrics, pipeline};

/// Ranges from which on lookups are loaded whole instead of key by key.
const RANGES_TO_LOAD_LOOKUPS: usize = 8;

/// A range that may hold what nothing tells of.
struct Candidate {
    table: &'static Table,
    range: VerificationRange,
    /// Whether its sums already say that it differs.
    differs: bool,
}

impl CatchUp<'_> {
    /// Compares unproven ranges, those that differ in their sums first, then those that have waited longest.
    pub(super) async fn prove(&mut self) -> Result<()> {
        let budget = self.context.verify_budget;
        if budget.is_zero() {
            return Ok(());
        }
        let began = Instant::now();
        let mut candidates = self.unproven().await?;
        if candidates.is_empty() {
            return Ok(());
        }
        self.sum_up_verification().await?;
        // Looking at the sums is worth less than comparing: it gets half of the time at most.
        self.look_at_sums(&mut candidates, began + budget / 2).await?;
        candidates.sort_by_key(|candidate| {
            (
                !candidate.differs,
                candidate.range.verified.map(|verified| verified.run_id),
            )
        });
        let lookups = if candidates.len() < RANGES_TO_LOAD_LOOKUPS {
            LookupPlan::ByKey(self.lookup_source())
        } else {
            let mut lookups = Lookups::default();
            let source = self.lookup_source();
            for table in self.context.look.star.tables() {
                if candidates.iter().any(|candidate| candidate.table.name == table.name) {
                    source.load(&table.needs, &mut lookups).await?;
                }
            }
            LookupPlan::Loaded(lookups)
        };
        let all = candidates.len();
        let tables: Vec<_> = candidates.iter().map(|candidate| candidate.table.name).collect();
        let (sender, jobs) = pipeline::jobs(1);
        let stop = self.context.look.stop.clone();
        let feeder = tokio::spawn(feed(candidates, began + budget, sender, stop));
        let found = self.pass(jobs, self.held(&tables), lookups).await;
        let compared = feeder.await.map_err(|_| Error::Panicked { stage: "planner" })?;
        let mut found = found?;
        for (name, outcome) in &mut found {
            let deferred = std::mem::take(&mut outcome.deferred);
            if let Some(table) = self.context.look.star.table(name)
                && !deferred.is_empty()
            {
                outcome.late.clear();
                outcome.add(self.reconcile(table, deferred).await?);
            }
        }
        self.note(&compared).await?;
        info!(
            ranges = compared.len(),
            of = all,
            seconds = began.elapsed().as_secs_f64(),
            "compared what had moved"
        );
        self.take_along(found).await
    }

    /// Takes what comparing has found to the tables that depend on it.
    async fn take_along(&mut self, mut found: Outcomes) -> Result<()> {
        let is_quiet = found.values().all(|outcome| outcome.changed.is_empty());
        for table in self.context.look.star.tables() {
            if let Some(outcome) = found.get(table.name) {
                self.add_removed(table, outcome);
            }
        }
        let star = self.context.look.star;
        for table in star.tables().filter(|_| !is_quiet) {
            let no_deltas = HashMap::new();
            let changes = Changes {
                // Where lookups were loaded before, a row without its parent was noted and left in the star.
                retries_all: true,
                ..self.changes(&no_deltas, &found)
            };
            let keys = changes.stale_keys(table).await?;
            let followed = self.reconcile(table, Scope::of_keys(keys, self.page_size())).await?;
            self.add_removed(table, &followed);
            found.entry(table.name).or_default().add(followed);
        }
        for (table, outcome) in found {
            self.outcomes.entry(table).or_default().add(outcome.of_comparing());
        }
        Ok(())
    }

    /// The key ranges of a table, ascending. They are cut once and kept; what may have grown at the table's end is
    /// cut anew.
    pub(super) async fn ranges(&self, table: &Table) -> Result<Vec<VerificationRange>> {
        let mut ranges = verification::of_table(&*self.transaction, table.name).await?;
        let may_have_grown = self.deltas[table.source_table].moved;
        let last = match ranges.pop() {
            Some(last) if !may_have_grown => {
                ranges.push(last);
                return Ok(ranges);
            }
            Some(last) => last,
            None => VerificationRange::ALL,
        };
        let tail: Vec<VerificationRange> = self
            .intervals(table, last.after)
            .await?
            .iter()
            .filter_map(|scope| VerificationRange::of_scope(scope, last.verified))
            .collect();
        if tail != [last] {
            verification::replace(&*self.transaction, table.name, last.after, &tail).await?;
        }
        ranges.extend(tail);
        Ok(ranges)
    }

    /// The ranges in which something may have changed unseen since they were compared.
    async fn unproven(&self) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for table in self.context.look.star.tables() {
            let modified_run = verification::modified_run(self.context.look.star, table, &self.states);
            let ranges = self.ranges(table).await?;
            candidates.extend(
                ranges
                    .into_iter()
                    .filter(|range| range.is_in_backlog(modified_run))
                    .map(|range| Candidate {
                        table,
                        range,
                        differs: false,
                    }),
            );
        }
        Ok(candidates)
    }

    /// Finds the candidates whose row count or sums differ, until `deadline`. A table that is one range is compared
    /// as fast as it is summed up.
    async fn look_at_sums(&self, candidates: &mut [Candidate], deadline: Instant) -> Result<()> {
        let mut ranges_of: HashMap<&'static str, usize> = HashMap::new();
        for candidate in candidates.iter() {
            *ranges_of.entry(candidate.table.name).or_default() += 1;
        }
        for candidate in candidates {
            if Instant::now() >= deadline {
                break;
            }
            let table = candidate.table;
            if ranges_of[table.name] > 1 && !table.sums.is_empty() {
                let scope = candidate.range.scope();
                candidate.differs = self.source_sums(table, &scope).await? != self.target_sums(table, &scope).await?;
            }
        }
        Ok(())
    }

    /// The row count and the sums of a range in the source; `None` where a number is too large to be told.
    async fn source_sums(&self, table: &Table, scope: &Scope) -> Result<Option<Vec<Decimal>>> {
        let doing = || format!("summing up {}, {scope}", table.source_table);
        let mut select = Query::select();
        select
            .expr(Expr::col(Asterisk).count())
            .from(table.source_table)
            .cond_where(scope.contains(&table.source_page_key()));
        for sum in &table.sums {
            select.expr(Func::sum((sum.source)()));
        }
        let row = self.snapshot.reader().one(&select).await.source(doing)?;
        Ok(row.and_then(|row| {
            let rows: i64 = row.try_get_by_index(0).ok()?;
            let sum = |position| row.try_get_by_index::<Option<Decimal>>(position + 1).ok();
            sums(rows, table, sum)
        }))
    }

    async fn target_sums(&self, table: &Table, scope: &Scope) -> Result<Option<Vec<Decimal>>> {
        let doing = || format!("summing up {}, {scope}", table.name);
        let mut select = Query::select();
        table.from_target(select.expr(Expr::col(Asterisk).count()));
        select.cond_where(scope.contains(&table.target_page_key()));
        for sum in &table.sums {
            select.expr(Func::sum((sum.target)()));
        }
        let rows: Vec<QueryResult> = match self.target().all(&select).await {
            // Of numbers whose sum is beyond 64 bits.
            Err(error) if error.to_string().contains("integer overflow") => return Ok(None),
            rows => rows.target(doing)?,
        };
        Ok(rows.first().and_then(|row| {
            let rows: i64 = row.try_get_by_index(0).ok()?;
            let sum = |position| {
                let sum = row.try_get_by_index::<Option<i64>>(position + 1).ok()?;
                Some(sum.map(Decimal::from))
            };
            sums(rows, table, sum)
        }))
    }

    async fn note(&self, compared: &[Candidate]) -> Result<()> {
        let mut ends: HashMap<&'static str, Vec<Option<i64>>> = HashMap::new();
        for candidate in compared {
            ends.entry(candidate.table.name)
                .or_default()
                .push(candidate.range.up_to);
        }
        for (table, ends) in ends {
            self.note_compared(table, &ends).await?;
        }
        Ok(())
    }

    /// Notes that ranges of a table, named by their ends, were compared by this run.
    pub(super) async fn note_compared(&self, table: &str, ends: &[Option<i64>]) -> Result<()> {
        verification::note(&*self.transaction, table, ends, self.verified_now()).await
    }

    /// Notes that all pages were compared by this very run. What moved meanwhile is for the next one.
    pub(super) async fn note_walked(&mut self, walked: WalkedBefore) -> Result<()> {
        for table in self.context.look.star.tables() {
            let intervals = walked.intervals.get(table.name).map_or(&[][..], Vec::as_slice);
            let ranges: Vec<VerificationRange> = intervals
                .iter()
                .filter_map(|scope| VerificationRange::of_scope(scope, Some(self.verified_now())))
                .collect();
            let ranges = merge(&ranges, LEAST_ROWS_A_RANGE.div_ceil(self.page_size() as u64));
            verification::replace(&*self.transaction, table.name, None, &ranges).await?;
        }
        self.signatures_before_pages = Some(walked.signatures);
        Ok(())
    }

    /// How much of the star is proven by now; the metrics tell it, too.
    pub(super) async fn sum_up_verification(&self) -> Result<VerificationSummary> {
        let ranges = verification::load(&*self.transaction).await?;
        let summary = verification::sum_up(self.context.look.star, &ranges, &self.states, self.snapshot.clock);
        metrics::unproven(summary.backlog, summary.oldest_backlog_seconds);
        Ok(summary)
    }

    fn verified_now(&self) -> Verified {
        Verified {
            run_id: self.run_id,
            at: self.snapshot.clock,
        }
    }
}

/// Neighbouring ranges made one, so many at a time.
fn merge(ranges: &[VerificationRange], count: u64) -> Vec<VerificationRange> {
    let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
    let merged = ranges.chunks(count).filter_map(|ranges| {
        let (first, last) = (ranges.first()?, ranges.last()?);
        Some(VerificationRange {
            after: first.after,
            ..*last
        })
    });
    merged.collect()
}

fn sums(rows: i64, table: &Table, sum: impl Fn(usize) -> Option<Option<Decimal>>) -> Option<Vec<Decimal>> {
    let sums = (0..table.sums.len()).map(|position| Some(sum(position)?.unwrap_or_default().normalize()));
    std::iter::once(Some(Decimal::from(rows))).chain(sums).collect()
}

/// Hands out candidates until the deadline. Returns those that were handed out.
async fn feed(candidates: Vec<Candidate>, deadline: Instant, jobs: mpsc::Sender<Job>, stop: Stop) -> Vec<Candidate> {
    let mut handed_out = Vec::new();
    for candidate in candidates {
        if Instant::now() >= deadline || stop.is_requested() {
            break;
        }
        let job = Job::of(candidate.table, candidate.range.scope());
        if jobs.send(job).await.is_err() {
            break;
        }
        handed_out.push(candidate);
    }
    handed_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pages_make_no_small_ranges() {
        let range = |after, up_to| VerificationRange {
            after,
            up_to,
            ..VerificationRange::ALL
        };
        let pages = [range(None, Some(1)), range(Some(1), Some(2)), range(Some(2), None)];
        assert_eq!(merge(&pages, 1), pages);
        assert_eq!(merge(&pages, 2), [range(None, Some(2)), range(Some(2), None)]);
        assert_eq!(merge(&pages, 100), [range(None, None)]);
    }
}
