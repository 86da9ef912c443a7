//! Verification: finds what changed without a trace, such as a foreign-key cascade, an update that keeps the change
//! timestamp, or a row that was swapped for another. The backlog is compared with the source row by row, key range by key
//! range, for as long as a run may spend on it; the next run resumes where this one stopped.

use std::collections::HashMap;
use std::time::Instant;

use rust_decimal::Decimal;
use sea_orm::QueryResult;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query};
use tokio::sync::mpsc;
use tracing::{debug, info};

use crate::changes::apply::Applier;
use crate::changes::detect::Deltas;
use crate::changes::digests;
use crate::changes::looked_up::{self, LookedUpChanges};
use crate::changes::pass::{LEAST_ROWS_A_RANGE, Pass};
use crate::changes::verify_budget::VerifyBudget;
use crate::declare::lookup::Lookups;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::pipeline::flow::{Job, Outcomes};
use crate::pipeline::read::LookupPlan;
use crate::source::digest::{Digest, ScopeDigest};
use crate::stop::Stop;
use crate::target::bookkeeping::state::States;
use crate::target::bookkeeping::verification::{self, VerificationRange, VerificationSummary, Verified};
use crate::{metrics, pipeline};

/// Ranges from which on lookups are loaded whole instead of key by key.
const RANGES_TO_LOAD_LOOKUPS: usize = 8;

/// A range of the backlog.
struct Candidate {
    table: &'static Table,
    range: VerificationRange,
    /// Whether something says that it may have changed. Of the others only the digest is looked at.
    is_due: bool,
    /// Whether nothing but its own source table was modified since its digest was taken: then the digest tells.
    digest_is_enough: bool,
    /// Whether its digest or its sums say that it differs.
    differs: bool,
}

/// Verifies key ranges of the backlog for as long as `budget`: by their digests where these are enough; the others row by
/// row, first those that differ, then those that have waited longest. Returns how many source rows were verified by
/// digest.
pub(crate) async fn verify(
    applier: &mut Applier<'_>,
    states: &mut States,
    deltas: &Deltas,
    budget: VerifyBudget,
) -> Result<u64> {
    let pass = applier.pass;
    let last_synced = states
        .iter()
        .filter_map(|(_, state)| state.lifecycle.last_synced())
        .max();
    let budget = budget.after(last_synced.map(|last_synced| pass.snapshot.clock - last_synced));
    if budget.is_zero() {
        return Ok(0);
    }
    let began = Instant::now();
    let looked_up = looked_up::verify(pass, states, deltas, began + budget).await?;
    let mut candidates = backlog(pass, states, deltas, &looked_up).await?;
    let all = candidates.len();
    sum_up(pass, states).await?;
    let by_digest = verify_by_digest(pass, &mut candidates, began + budget).await?;
    candidates.retain(|candidate| candidate.is_due || candidate.differs);
    // Of ranges without a digest. Looking at the sums is worth less than comparing: it gets half of the time at most.
    look_at_sums(pass, &mut candidates, began + budget / 2).await?;
    candidates.sort_by_key(urgency);
    let lookups = lookups(applier, &candidates).await?;
    let tables: Vec<_> = candidates.iter().map(|candidate| candidate.table.name).collect();
    let (sender, jobs) = pipeline::jobs(1);
    let stop = pass.context.look.stop.clone();
    let feeder = tokio::spawn(feed(candidates, began + budget, sender, stop));
    let found = applier.run(jobs, &tables, lookups).await;
    let compared = feeder.await.map_err(|_| Error::Panicked { stage: "planner" })?;
    let mut found = found?;
    for (name, outcome) in &mut found {
        let deferred = std::mem::take(&mut outcome.deferred);
        if let Some(table) = pass.star().table(name)
            && !deferred.is_empty()
        {
            outcome.late.clear();
            outcome.add(applier.apply(table, deferred).await?);
        }
    }
    for table in pass.star().tables() {
        let of_table = |candidates: &[Candidate]| {
            let of_table = candidates.iter().filter(|candidate| candidate.table.name == table.name);
            of_table.map(|candidate| candidate.range).collect::<Vec<_>>()
        };
        // These keep the digest that they have.
        let unchanged = of_table(&by_digest);
        verification::note(&*pass.transaction, table.name, &unchanged, pass.verified()).await?;
        note(pass, table, &of_table(&compared)).await?;
    }
    let (row_by_row, seconds) = (compared.len(), began.elapsed().as_secs_f64());
    if compared.is_empty() {
        debug!(
            by_digest = by_digest.len(),
            of = all,
            seconds,
            "verified key ranges by digest"
        );
    } else {
        info!(
            by_digest = by_digest.len(),
            row_by_row,
            of = all,
            seconds,
            "verified key ranges"
        );
    }
    propagate(applier, found, &looked_up).await?;
    let rows = by_digest.iter().filter_map(|candidate| candidate.range.digest);
    Ok(looked_up.rows_verified + rows.map(|digest| digest.rows).sum::<u64>())
}

/// Compares these ranges row by row, whatever that takes.
pub(crate) async fn compare(
    applier: &mut Applier<'_>,
    table: &'static Table,
    ranges: &[VerificationRange],
) -> Result<()> {
    if ranges.is_empty() {
        return Ok(());
    }
    info!(table = table.name, ranges = ranges.len(), "comparing row by row");
    let pass = applier.pass;
    let scopes = ranges.iter().map(VerificationRange::scope).collect();
    applier.apply_compared(table, scopes).await?;
    note(pass, table, ranges).await
}

/// Applies what verification has found to the tables that depend on it.
async fn propagate(applier: &mut Applier<'_>, mut found: Outcomes, looked_up: &LookedUpChanges) -> Result<()> {
    let pass = applier.pass;
    let is_quiet = looked_up.is_empty() && found.values().all(|outcome| outcome.changed.is_empty());
    for table in pass.star().tables() {
        if let Some(outcome) = found.get(table.name) {
            applier.note_removed(table, outcome);
        }
    }
    for table in pass.star().tables().filter(|_| !is_quiet) {
        // Where lookups were loaded before, a row without its parent was noted and left in the star.
        let changes = applier.changes(&looked_up.deltas, &found, true);
        let keys = changes.affected_keys(table).await?;
        let followed = applier.apply(table, Scope::of_keys(keys, pass.page_size())).await?;
        applier.note_removed(table, &followed);
        found.entry(table.name).or_default().add(followed);
    }
    for (table, outcome) in found {
        applier.outcomes.entry(table).or_default().add(outcome.of_comparing());
    }
    Ok(())
}

/// The key ranges of a table, ascending. They are cut once and kept; where the table may have grown, its last range is cut
/// anew.
pub(crate) async fn ranges(pass: &Pass<'_>, table: &Table, may_have_grown: bool) -> Result<Vec<VerificationRange>> {
    let mut ranges = verification::of_table(&*pass.transaction, table.name).await?;
    let is_known = !ranges.is_empty();
    let last = match ranges.last() {
        Some(_) if !may_have_grown => return Ok(ranges),
        _ => ranges.pop().unwrap_or(VerificationRange::ALL),
    };
    let scopes = pass.intervals(table, last.after).await?;
    let cut = |scope| VerificationRange::of_scope(scope, last.verified);
    let tail: Vec<VerificationRange> = scopes.iter().filter_map(cut).collect();
    if tail.len() == 1 && is_known {
        ranges.push(last);
    } else {
        // The digest of a range is none of its parts.
        verification::replace(&*pass.transaction, table.name, last.after, &tail).await?;
        ranges.extend(tail);
    }
    Ok(ranges)
}

/// The ranges in which something may have changed without a trace since they were verified; and behind them, if they
/// have a digest, those of which nothing says so: UPDATE_TIME does not move for each statement.
async fn backlog(
    pass: &Pass<'_>,
    states: &States,
    deltas: &Deltas,
    looked_up: &LookedUpChanges,
) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for table in pass.star().tables() {
        let modified_run = verification::modified_run(pass.star(), table, states);
        let others = verification::modified_run_of_others(pass.star(), table, states);
        let ranges = ranges(pass, table, deltas[table.source_table].is_modified).await?;
        let has_lost = looked_up.has_lost(table);
        let of_table = ranges.into_iter().map(|range| Candidate {
            table,
            range,
            is_due: has_lost || range.is_in_backlog(modified_run),
            digest_is_enough: !has_lost && digest_is_enough(&range, others),
            differs: has_lost,
        });
        candidates.extend(of_table.filter(|candidate| candidate.is_due || candidate.digest_is_enough));
    }
    Ok(candidates)
}

/// Whether the digest of a range tells that nothing in it has changed: only if none of the other tables that its rows are
/// made from was modified since.
fn digest_is_enough(range: &VerificationRange, modified_run_of_others: Option<i64>) -> bool {
    range.digest.is_some() && !range.is_in_backlog(modified_run_of_others)
}

/// What comes first: ranges that differ in their digests or sums, then those of modified tables, of these those that were
/// never verified, then the oldest.
fn urgency(candidate: &Candidate) -> (bool, bool, Option<i64>) {
    (
        !candidate.differs,
        !candidate.is_due,
        candidate.range.verified.map(|verified| verified.run_id),
    )
}

/// The lookups of the candidates' tables: whole, where there are many.
async fn lookups(applier: &Applier<'_>, candidates: &[Candidate]) -> Result<LookupPlan> {
    let source = applier.lookup_source();
    if candidates.len() < RANGES_TO_LOAD_LOOKUPS {
        return Ok(LookupPlan::ByKey(source));
    }
    let mut lookups = Lookups::default();
    for table in applier.pass.star().tables() {
        if candidates.iter().any(|candidate| candidate.table.name == table.name) {
            source.load(&table.needs, &mut lookups).await?;
        }
    }
    Ok(LookupPlan::Loaded(lookups))
}

/// Digests those candidates that have a digest of when they were verified, until `deadline`. Those that have it still are
/// verified and returned; the others differ.
async fn verify_by_digest(
    pass: &Pass<'_>,
    candidates: &mut Vec<Candidate>,
    deadline: Instant,
) -> Result<Vec<Candidate>> {
    let mut verified = Vec::new();
    for (is_due, table) in [true, false]
        .into_iter()
        .flat_map(|is_due| pass.star().tables().map(move |table| (is_due, table)))
    {
        let is_next = |candidate: &mut Candidate| {
            candidate.table.name == table.name && candidate.is_due == is_due && candidate.digest_is_enough
        };
        let mut due: Vec<Candidate> = candidates.extract_if(.., is_next).collect();
        if due.is_empty() {
            continue;
        }
        let Some(plan) = digests::plan(pass, table).await? else {
            candidates.append(&mut due);
            continue;
        };
        due.sort_by_key(urgency);
        for part in due.chunks(digests::RANGES_A_STATEMENT) {
            if Instant::now() >= deadline {
                break;
            }
            let ranges: Vec<VerificationRange> = part.iter().map(|candidate| candidate.range).collect();
            let scopes: Vec<Scope> = ranges.iter().map(VerificationRange::scope).collect();
            let found = digests::of_scopes(&pass.source(), &plan, &scopes).await?;
            for (range, ScopeDigest { digest, .. }) in ranges.into_iter().zip(found) {
                let candidate = Candidate {
                    table,
                    range,
                    is_due,
                    digest_is_enough: false,
                    differs: range.digest != Some(digest),
                };
                if candidate.differs {
                    candidates.push(candidate);
                } else {
                    verified.push(candidate);
                }
            }
        }
    }
    Ok(verified)
}

/// Notes that ranges were verified, each with the digest that it has in the pass's snapshot.
async fn note(pass: &Pass<'_>, table: &Table, ranges: &[VerificationRange]) -> Result<()> {
    if ranges.is_empty() {
        return Ok(());
    }
    let mut ranges = ranges.to_vec();
    if let Some(plan) = digests::plan(pass, table).await? {
        let scopes: Vec<Scope> = ranges.iter().map(VerificationRange::scope).collect();
        let found = digests::of_scopes(&pass.source(), &plan, &scopes).await?;
        for (range, found) in ranges.iter_mut().zip(found) {
            range.digest = Some(found.digest);
        }
    }
    verification::note(&*pass.transaction, table.name, &ranges, pass.verified()).await
}

/// Finds the candidates whose row count or sums differ, until `deadline`. A table that is one range is compared
/// as fast as it is summed up.
async fn look_at_sums(pass: &Pass<'_>, candidates: &mut [Candidate], deadline: Instant) -> Result<()> {
    let mut ranges_of: HashMap<&'static str, usize> = HashMap::new();
    for candidate in candidates.iter() {
        *ranges_of.entry(candidate.table.name).or_default() += 1;
    }
    for candidate in candidates {
        if Instant::now() >= deadline {
            break;
        }
        let table = candidate.table;
        if candidate.range.digest.is_none() && ranges_of[table.name] > 1 && !table.sums.is_empty() {
            let scope = candidate.range.scope();
            candidate.differs = source_sums(pass, table, &scope).await? != target_sums(pass, table, &scope).await?;
        }
    }
    Ok(())
}

/// The row count and the sums of a range in the source; `None` where a number is too large to be told.
async fn source_sums(pass: &Pass<'_>, table: &Table, scope: &Scope) -> Result<Option<Vec<Decimal>>> {
    let doing = || format!("summing up {}, {scope}", table.source_table);
    let mut select = table.source_rows_in(scope);
    select.expr(Expr::col(Asterisk).count());
    for sum in &table.sums {
        select.expr(Func::sum((sum.source)()));
    }
    let row = pass.source().one(&select).await.source(doing)?;
    Ok(row.and_then(|row| {
        let rows: i64 = row.try_get_by_index(0).ok()?;
        let sum = |position| row.try_get_by_index::<Option<Decimal>>(position + 1).ok();
        sums(rows, table, sum)
    }))
}

async fn target_sums(pass: &Pass<'_>, table: &Table, scope: &Scope) -> Result<Option<Vec<Decimal>>> {
    let doing = || format!("summing up {}, {scope}", table.name);
    let mut select = Query::select();
    table.from_target(select.expr(Expr::col(Asterisk).count()));
    select.cond_where(scope.contains(&table.target_page_key()));
    for sum in &table.sums {
        select.expr(Func::sum((sum.target)()));
    }
    let rows: Vec<QueryResult> = match pass.target().all(&select).await {
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

/// The key ranges of pages that a run has compared, without digests.
pub(crate) fn ranges_of<'a>(scopes: impl IntoIterator<Item = &'a Scope>, verified: Verified) -> Vec<VerificationRange> {
    let range = |scope| VerificationRange::of_scope(scope, Some(verified));
    scopes.into_iter().filter_map(range).collect()
}

/// Notes that all pages of these tables were compared by this very run. What is modified meanwhile is for the next one.
pub(crate) async fn note_pages(pass: &Pass<'_>, ranges: &HashMap<&'static str, Vec<VerificationRange>>) -> Result<()> {
    for table in pass.star().tables() {
        let Some(ranges) = ranges.get(table.name) else {
            continue;
        };
        let ranges = merge(ranges, LEAST_ROWS_A_RANGE.div_ceil(pass.page_size() as u64));
        verification::replace(&*pass.transaction, table.name, None, &ranges).await?;
    }
    Ok(())
}

/// How much of the star is verified by now; the metrics tell it, too.
pub(crate) async fn sum_up(pass: &Pass<'_>, states: &States) -> Result<VerificationSummary> {
    let ranges = verification::load(&*pass.transaction).await?;
    let summary = verification::sum_up(pass.star(), &ranges, states, pass.snapshot.clock);
    metrics::verification_backlog(&summary);
    Ok(summary)
}

/// Neighbouring ranges made one, so many at a time.
fn merge(ranges: &[VerificationRange], count: u64) -> Vec<VerificationRange> {
    let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
    let merged = ranges.chunks(count).filter_map(|ranges| {
        let (first, last) = (ranges.first()?, ranges.last()?);
        // A digest of several is the sum of theirs, if each has one.
        let digest = ranges.iter().try_fold(Digest::default(), |mut sum, range| {
            sum += range.digest?;
            Some(sum)
        });
        Some(VerificationRange {
            after: first.after,
            digest,
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
    use std::time::Duration;

    use super::*;
    use crate::made_up;

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
        let digested = |range, rows| VerificationRange {
            digest: Some(Digest { rows, sum: 7 }),
            ..range
        };
        let pages = [digested(pages[0], 1), digested(pages[1], 2), pages[2]];
        let digests: Vec<_> = merge(&pages, 2).iter().map(|range| range.digest).collect();
        assert_eq!(digests, [Some(Digest { rows: 3, sum: 14 }), None]);
    }

    #[test]
    fn what_differs_comes_first_then_what_was_never_verified_then_the_oldest() {
        let table = made_up::star().table("fact_loan").unwrap();
        let candidate = |up_to, run_id: Option<i64>, differs| Candidate {
            table,
            range: VerificationRange {
                up_to: Some(up_to),
                verified: run_id.map(|run_id| Verified {
                    run_id,
                    at: chrono::DateTime::UNIX_EPOCH,
                }),
                ..VerificationRange::ALL
            },
            is_due: true,
            digest_is_enough: false,
            differs,
        };
        let mut candidates = [
            candidate(1, Some(5), false),
            candidate(2, None, false),
            candidate(3, Some(4), false),
            candidate(4, Some(9), true),
        ];
        candidates.sort_by_key(urgency);
        assert_eq!(candidates.map(|candidate| candidate.range.up_to.unwrap()), [4, 2, 3, 1]);
    }

    #[test]
    fn a_digest_tells_as_long_as_no_other_table_was_modified() {
        let range = |digest| VerificationRange {
            verified: Some(Verified {
                run_id: 5,
                at: chrono::DateTime::UNIX_EPOCH,
            }),
            digest,
            ..VerificationRange::ALL
        };
        let digest = Some(crate::source::digest::Digest::default());
        assert!(digest_is_enough(&range(digest), None));
        assert!(digest_is_enough(&range(digest), Some(5)));
        assert!(!digest_is_enough(&range(digest), Some(6)));
        assert!(!digest_is_enough(&range(None), None));
    }

    #[tokio::test]
    async fn ranges_are_handed_out_until_the_time_is_up() {
        let handed_out = async |deadline| {
            let candidate = Candidate {
                table: made_up::star().table("fact_loan").unwrap(),
                range: VerificationRange::ALL,
                is_due: true,
                digest_is_enough: false,
                differs: false,
            };
            let (sender, _jobs) = pipeline::jobs(1);
            let (_, stop) = crate::stop::stop();
            feed(vec![candidate], deadline, sender, stop).await.len()
        };
        assert_eq!(handed_out(Instant::now()).await, 0);
        assert_eq!(handed_out(Instant::now() + Duration::from_mins(10)).await, 1);
    }
}
