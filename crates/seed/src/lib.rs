//! Generates a Sakila schema of any size, for the demo, for tests and for benchmarks.
//!
//! `seed` fills an empty schema; the same scale, seed and date give the same rows. `business_day` then writes the
//! changes of a day. They are the only code that writes to a MySQL schema, and only to one that `seed` created: the
//! `marker` table in it records that. A table is a value (`table::SeedTable`), declared in `tables` with its layout and
//! the function that generates row number n.

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

/// The largest scale, and the largest that was tested: 16 million rentals.
pub const MAXIMAL_SCALE: u32 = 1_000;

/// Called to report progress.
pub type OnStep = Arc<dyn Fn(Step) + Send + Sync>;

/// A step of filling a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This many more rows were written.
    Rows(u64),
    /// `done` of `count` indexes were created.
    Indexes { done: usize, count: usize },
    /// Foreign keys are being added.
    ForeignKeys,
}

/// The tables that were created, with their numbers of rows.
pub type Made = Vec<(&'static str, u64)>;

/// The number of rows that `seed` will write.
pub fn rows(settings: Settings) -> u64 {
    let tables = tables::all(&World::new(settings));
    tables.iter().map(|table| table.rows).sum()
}

/// Fills an empty schema over `writers` connections; with `replace`, first drops what an earlier call created.
///
/// # Errors
/// If the schema contains anything that `seed` did not create, or if it is already seeded and `replace` is not set.
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

/// Creates an empty schema on a private server, and an account without a password that has read access only.
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
