//! Determines which program a file belongs to, and its version, by reading only.

use std::collections::HashSet;
use std::path::Path;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTraitSelf, seaql_migrations};

use crate::declare::star::Star;
use crate::error::{Doing, Error, Result};
use crate::target::bookkeeping;
use crate::target::sqlite::result_code::is_no_database;
use crate::target::sqlite::{Access, connect, place, pragma};

/// The engine's migrations followed by a star's, for SeaORM to apply.
pub(crate) struct Steps(pub fn() -> Vec<Box<dyn MigrationTrait>>);

impl MigratorTraitSelf for Steps {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations = bookkeeping::migrations();
        migrations.extend((self.0)());
        migrations
    }
}

/// Opens a file for reading, and returns the migrations that it lacks; an empty file lacks all.
///
/// # Errors
/// If the file belongs to another program, is a copy for readers, or has a version that this program does not know.
pub(crate) async fn open(path: &Path, star: &Star, connections: u32) -> Result<(DatabaseConnection, Vec<String>)> {
    let opened = async {
        let readers = connect(path, Access::Read, connections).await?;
        let pending = pending_migrations(path, star, &readers).await?;
        Ok((readers, pending))
    };
    opened.await.map_err(|error| match error {
        Error::Target { cause, .. } if is_no_database(&cause) && !place::has_header(path) => Error::TargetForeign {
            path: path.to_owned(),
            program: star.names.program,
        },
        error => error,
    })
}

/// The migrations that the file lacks. Fails, before anything is written, if the file is a database of another program
/// or has a version that this program does not know.
async fn pending_migrations(path: &Path, star: &Star, connection: &DatabaseConnection) -> Result<Vec<String>> {
    let doing = || format!("reading the header of {}", path.display());
    let statement = Statement::from_string(connection.get_database_backend(), pragma::READ_APPLICATION_ID);
    let row = connection.query_one_raw(statement).await.target(doing)?;
    let application_id: i32 = match row {
        Some(row) => row.try_get_by_index(0).target(doing)?,
        None => 0,
    };
    let tables = tables(connection).await?;
    let is_ours = application_id == star.names.application_id;
    if application_id == star.names.copy_application_id() {
        return Err(Error::TargetCopy { path: path.to_owned() });
    }
    // A file without tables is accepted, too: its creation was interrupted.
    if !is_ours && !tables.is_empty() {
        return Err(Error::TargetForeign {
            path: path.to_owned(),
            program: star.names.program,
        });
    }
    let mut applied = HashSet::new();
    if tables.contains("seaql_migrations") {
        let rows = seaql_migrations::Entity::find()
            .all(connection)
            .await
            .target(|| "reading the list of migrations".to_owned())?;
        applied.extend(rows.into_iter().map(|row| row.version));
    }
    let migrations = Steps(star.migrations).migrations();
    let lacks_first = migrations.first().is_some_and(|first| !applied.contains(first.name()));
    if lacks_first && !applied.is_empty() {
        return Err(Error::TargetUnreleased { path: path.to_owned() });
    }
    let mut pending = Vec::new();
    for migration in migrations {
        if !applied.remove(migration.name()) {
            pending.push(migration.name().to_owned());
        }
    }
    match applied.into_iter().next() {
        Some(unknown) => Err(Error::TargetNewer {
            path: path.to_owned(),
            unknown,
        }),
        None => Ok(pending),
    }
}

async fn tables(connection: &DatabaseConnection) -> Result<HashSet<String>> {
    let doing = || "listing the tables".to_owned();
    let select = Query::select()
        .column("name")
        .from("sqlite_master")
        .and_where(Expr::col("type").eq("table"))
        .to_owned();
    let rows = connection.query_all(&select).await.target(doing)?;
    rows.iter().map(|row| row.try_get_by_index(0).target(doing)).collect()
}
