//! Writes the rows and builds the indexes, on several connections in parallel.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use sea_orm::sea_query::{Expr, MysqlQueryBuilder, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use tokio_util::task::AbortOnDropHandle;

use super::sql;
use super::table::SeedTable;
use super::world::World;
use super::{OnStep, Step};
use crate::error::{Doing, Error, Result};

/// Values per INSERT, about 10 kB. A message longer than one TLS record (16 kB) is sent in several pieces, and the
/// system holds back the last piece until the server has acknowledged the others: 40 ms each time. (Scale 100 on MySQL
/// takes 164 s with statements of 30 kB.)
const VALUES_PER_STATEMENT: usize = 1_000;
/// Rows per transaction.
const ROWS_PER_JOB: usize = 20_000;

/// Writes all rows of all tables.
pub async fn rows(
    database: &DatabaseConnection,
    world: &Arc<World>,
    tables: &[Arc<SeedTable>],
    writers: usize,
    on_step: &OnStep,
) -> Result<()> {
    let jobs = tables.iter().flat_map(|table| {
        (0..table.rows)
            .step_by(ROWS_PER_JOB)
            .map(|from| (Arc::clone(table), from..table.rows.min(from + ROWS_PER_JOB as u64)))
    });
    let jobs = jobs.map(|(table, numbers)| {
        let (database, world, on_step) = (database.clone(), Arc::clone(world), Arc::clone(on_step));
        async move {
            let result = insert(&database, &world, &table, numbers.clone(), &on_step).await;
            result.seed(|| format!("writing rows {} to {} of {}", numbers.start, numbers.end, table.name))
        }
    });
    all(jobs, writers).await
}

/// Builds all indexes.
pub async fn indexes(
    database: &DatabaseConnection,
    tables: &[Arc<SeedTable>],
    writers: usize,
    on_step: &OnStep,
) -> Result<()> {
    let indexes_of = |table: &Arc<SeedTable>| table.indexes.len() + usize::from(table.spatial_index.is_some());
    let count = tables.iter().map(indexes_of).sum();
    let done = Arc::new(AtomicUsize::new(0));
    on_step(Step::Indexes { done: 0, count });
    let jobs = tables.iter().map(|table| {
        let (database, table) = (database.clone(), Arc::clone(table));
        let (done, on_step) = (Arc::clone(&done), Arc::clone(on_step));
        let created = move || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            on_step(Step::Indexes { done, count });
        };
        async move {
            let doing = || format!("indexing {}", table.name);
            for index in &table.indexes {
                database.execute(index).await.seed(doing)?;
                created();
            }
            if let Some((name, column)) = table.spatial_index {
                let statement = sql::spatial_index(name, table.name, column);
                database.execute_unprepared(&statement).await.seed(doing)?;
                created();
            }
            Ok(())
        }
    });
    all(jobs, writers).await
}

/// Runs the jobs, `at_once` of them concurrently; the first error stops all.
async fn all<Job>(jobs: impl Iterator<Item = Job>, at_once: usize) -> Result<()>
where
    Job: Future<Output = Result<()>> + Send + 'static,
{
    stream::iter(jobs)
        .map(|job| AbortOnDropHandle::new(tokio::spawn(job)))
        .buffer_unordered(at_once)
        .map(|joined| joined.unwrap_or(Err(Error::Panicked)))
        .try_collect()
        .await
}

async fn insert(
    database: &DatabaseConnection,
    world: &World,
    table: &SeedTable,
    numbers: Range<u64>,
    on_step: &OnStep,
) -> std::result::Result<(), sea_orm::DbErr> {
    let transaction = database.begin().await?;
    let mut statement = String::new();
    let mut statement_rows = 0;
    let rows_per_statement = VALUES_PER_STATEMENT / table.columns.len();
    for from in numbers.clone().step_by(rows_per_statement) {
        let chunk = from..numbers.end.min(from + rows_per_statement as u64);
        let rows = chunk.end - chunk.start;
        // Built once per number of rows: the same text lets the server reuse its prepared statement.
        if rows != statement_rows {
            statement = insert_statement(table, rows);
            statement_rows = rows;
        }
        let values = chunk.flat_map(|number| (table.row)(world, number));
        let statement = Statement::from_sql_and_values(DbBackend::MySql, &statement, values);
        transaction.execute_raw(statement).await?;
        on_step(Step::Rows(rows));
    }
    transaction.commit().await
}

fn insert_statement(table: &SeedTable, rows: u64) -> String {
    let mut insert = Query::insert();
    insert.into_table(table.name).columns(table.columns.iter().copied());
    for _ in 0..rows {
        insert.values_panic(table.columns.iter().map(|_| Expr::value(0)));
    }
    insert.build(MysqlQueryBuilder).0
}
