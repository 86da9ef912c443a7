//! The row counts and sums of key ranges that have no digest: which of them differ between source and target.

use std::collections::HashMap;
use std::time::Instant;

use rust_decimal::Decimal;
use sea_orm::QueryResult;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query};

use crate::changes::candidate::Candidate;
use crate::changes::pass::Pass;
use crate::declare::scope::Scope;
use crate::declare::table::Table;
use crate::error::{Doing, Result};

/// Finds the candidates whose row count or sums differ, until `deadline`. A table that is one range is compared
/// as fast as it is summed up.
pub(super) async fn look_at_sums(pass: &Pass<'_>, candidates: &mut [Candidate], deadline: Instant) -> Result<()> {
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

fn sums(rows: i64, table: &Table, sum: impl Fn(usize) -> Option<Option<Decimal>>) -> Option<Vec<Decimal>> {
    let sums = (0..table.sums.len()).map(|position| Some(sum(position)?.unwrap_or_default().normalize()));
    std::iter::once(Some(Decimal::from(rows))).chain(sums).collect()
}
