//! A Sakila of our own making, for those who have none at hand: for the demo, for tests, for benchmarks at any size.
//!
//! `seed` fills an empty schema; the same scale, seed and date give the same rows. `business_day` then lets a day
//! pass in it. Both write to a MySQL schema, which nothing else here does, and only to one that `seed` has made:
//! the `marker` in it says so. A table is a value (`table::SeedTable`), declared in `tables` with its layout and the
//! function that makes row number n.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection};

use error::Doing;
pub use error::{Error, Result};

pub mod business_day;
mod error;
mod fill;
mod marker;
pub mod private_server;
mod rows;
mod schema;
mod sql;
mod table;
mod tables;
mod words;
pub mod world;

use world::{Settings, World};

/// The largest scale: 16 million rentals. It is what was tried.
pub const MAXIMAL_SCALE: u32 = 1_000;

/// Called when a step is done.
pub type OnStep = Arc<dyn Fn(Step) + Send + Sync>;

/// A step of filling a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many rows more are written.
    Rows(u64),
    /// So many indexes of all are created.
    Indexes { done: usize, count: usize },
    /// Foreign keys are being added.
    ForeignKeys,
}

/// What was made: each table and its rows.
pub type Made = Vec<(&'static str, u64)>;

/// How many rows `seed` will make.
pub fn rows(settings: Settings) -> u64 {
    let tables = tables::all(&World::new(settings));
    tables.iter().map(|table| table.rows).sum()
}

/// Fills an empty schema on `writers` connections; with `replace`, first drops what an earlier call has made.
///
/// # Errors
/// If the schema holds anything that `seed` has not made, or if it holds its own and is not to be replaced.
pub async fn seed(
    database: &DatabaseConnection,
    settings: Settings,
    replace: bool,
    writers: usize,
    on_step: OnStep,
) -> Result<Made> {
    let world = Arc::new(World::new(settings));
    let tables: Vec<Arc<table::SeedTable>> = tables::all(&world).into_iter().map(Arc::new).collect();
    let session = marker::lock_out_others(database).await?;
    marker::claim(database, settings, &tables, replace).await?;
    schema::probe(database).await?;
    schema::create(database, &tables).await?;
    fill::rows(database, &world, &tables, writers, &on_step).await?;
    fill::indexes(database, &tables, writers, &on_step).await?;
    on_step(Step::ForeignKeys);
    schema::add_foreign_keys(database, &tables).await?;
    marker::complete(database).await?;
    session.commit().await.seed(|| "unlocking the schema".to_owned())?;
    Ok(tables.iter().map(|table| (table.name, table.rows)).collect())
}

/// Creates an empty schema on a server of one's own, and an account without a password that may only read it.
pub async fn make_schema(database: &DatabaseConnection, schema: &str, reader: &str) -> Result<()> {
    for statement in [
        sql::create_schema(schema),
        sql::create_account(reader),
        sql::grant_select(schema, reader),
    ] {
        let made = database.execute_unprepared(&statement).await;
        made.seed(|| format!("creating the schema {schema}"))?;
    }
    Ok(())
}
