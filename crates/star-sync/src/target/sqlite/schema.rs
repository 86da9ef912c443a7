//! Checks whether a star's migrations create the tables that its declarations write to.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};
use sea_orm_migration::MigratorTraitSelf;

use crate::declare::row::{Column, RUN_COLUMN};
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::target::sqlite::version::Steps;

/// Applies the migrations to a database in memory and compares what they create with what is declared.
///
/// # Errors
/// [`Error::DeclarationInvalid`] with each table, column and unique index that is missing or differs; any error of a
/// migration.
pub(crate) async fn check_migrations(star: &Star) -> Result<()> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let doing = || "applying the migrations to a database in memory".to_owned();
    let database = Database::connect(options).await.target(doing)?;
    Steps(star.migrations).up(&database, None).await.target(doing)?;
    let mistakes = mistakes(&database, star).await;
    let mistakes = mistakes.target(|| "reading the tables that the migrations create".to_owned())?;
    database.close().await.target(doing)?;
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(Error::DeclarationInvalid { mistakes })
    }
}

async fn mistakes(database: &DatabaseConnection, star: &Star) -> std::result::Result<Vec<String>, DbErr> {
    let mut mistakes = Vec::new();
    for table in star.tables() {
        let created = CreatedTable::read(database, table.name).await?;
        let of_table = created.map_or_else(|| vec![MISSING.to_owned()], |created| created.mistakes_of(table));
        mistakes.extend(of_table.into_iter().map(|mistake| format!("{}: {mistake}", table.name)));
    }
    if let Some(calendar) = &star.calendar {
        let created = CreatedTable::read(database, calendar.table).await?;
        let of_calendar = created.map_or_else(
            || vec![MISSING.to_owned()],
            |created| created.missing(&calendar.columns),
        );
        mistakes.extend(
            of_calendar
                .into_iter()
                .map(|mistake| format!("{}: {mistake}", calendar.table)),
        );
    }
    Ok(mistakes)
}

const MISSING: &str = "no migration creates it";

/// A column as SQLite reports it.
struct CreatedColumn {
    /// In upper case, such as INTEGER.
    data_type: String,
    is_required: bool,
    has_default: bool,
    is_in_primary_key: bool,
}

/// A table as SQLite reports it.
struct CreatedTable {
    columns: BTreeMap<String, CreatedColumn>,
    /// The columns of each unique index, in the order of their names.
    unique: Vec<Vec<String>>,
}

impl CreatedTable {
    /// `None` if there is no such table.
    async fn read(database: &DatabaseConnection, table: &str) -> std::result::Result<Option<Self>, DbErr> {
        let select = Query::select()
            .columns(["name", "type", "notnull", "dflt_value", "pk"])
            .from_function(Func::cust("pragma_table_info").arg(table), "columns")
            .to_owned();
        let mut columns = BTreeMap::new();
        for row in database.query_all(&select).await? {
            let (name, data_type, is_required, default, primary_key): (String, String, bool, Option<String>, i64) =
                row.try_get_many_by_index()?;
            let column = CreatedColumn {
                data_type: data_type.to_uppercase(),
                is_required,
                has_default: default.is_some(),
                is_in_primary_key: primary_key > 0,
            };
            columns.insert(name, column);
        }
        let primary_key = columns.iter().filter(|(_, column)| column.is_in_primary_key);
        let mut unique: Vec<Vec<String>> = vec![primary_key.map(|(name, _)| name.clone()).collect()];
        let select = Query::select()
            .column("name")
            .from_function(Func::cust("pragma_index_list").arg(table), "indexes")
            .and_where(Expr::col("unique").eq(1))
            .and_where(Expr::col("partial").eq(0))
            .to_owned();
        for index in database.query_all(&select).await? {
            let index: String = index.try_get_by_index(0)?;
            let select = Query::select()
                .column("name")
                .from_function(Func::cust("pragma_index_info").arg(index), "parts")
                .to_owned();
            let parts = database.query_all(&select).await?;
            let mut parts: Vec<String> = parts.iter().filter_map(|row| row.try_get_by_index(0).ok()).collect();
            parts.sort_unstable();
            unique.push(parts);
        }
        Ok((!columns.is_empty()).then_some(Self { columns, unique }))
    }

    fn mistakes_of(&self, table: &Table) -> Vec<String> {
        let mut mistakes = self.missing(&table.columns);
        for column in &table.columns {
            if column.nullable && self.columns.get(column.name).is_some_and(|created| created.is_required) {
                mistakes.push(format!(
                    "its column {} can be NULL, and is created NOT NULL",
                    column.name
                ));
            }
        }
        if table.notes_run && !self.columns.contains_key(RUN_COLUMN) {
            mistakes.push(format!("no migration creates its column {RUN_COLUMN}"));
        }
        let is_known = |name: &String| {
            name == RUN_COLUMN
                || table.surrogate_key == Some(name)
                || table.columns.iter().any(|column| column.name == name)
        };
        let others = self.columns.iter().filter(|(name, _)| !is_known(name));
        let unfilled = others.filter(|(_, column)| column.is_required && !column.has_default);
        mistakes.extend(unfilled.map(|(name, _)| format!("nothing fills its column {name}, which is NOT NULL")));
        if let Some(key) = table.surrogate_key {
            let is_assigned = self.unique[0] == [key] && self.columns[key].data_type == "INTEGER";
            if !is_assigned {
                mistakes.push(format!(
                    "its surrogate key {key} has to be created as INTEGER PRIMARY KEY, for SQLite to assign it"
                ));
            }
        }
        let mut natural_key = table.natural_key.clone();
        natural_key.sort_unstable();
        if self.unique.iter().all(|unique| *unique != natural_key) {
            mistakes.push(format!(
                "no migration creates a unique index over its natural key ({})",
                table.natural_key.join(", ")
            ));
        }
        mistakes
    }

    fn missing(&self, columns: &[Column]) -> Vec<String> {
        let missing = columns.iter().filter(|column| !self.columns.contains_key(column.name));
        missing
            .map(|column| format!("no migration creates its column {}", column.name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use sea_orm_migration::MigrationTrait;

    use super::*;
    use crate::declare::CreateTables;
    use crate::test_star;

    async fn problems(migrations: fn() -> Vec<Box<dyn MigrationTrait>>) -> String {
        let mut star = test_star::star_of(test_star::tables());
        star.migrations = migrations;
        match check_migrations(&star).await {
            Ok(()) => String::new(),
            Err(Error::DeclarationInvalid { mistakes }) => mistakes.join("\n"),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn tables_that_are_created_from_their_entities_are_as_declared() {
        let found = problems(|| {
            let step = CreateTables::new("m1").table(test_star::dim_book::Entity);
            vec![Box::new(step.table(test_star::fact_loan::Entity))]
        });
        assert_eq!(found.await, "");
    }

    #[tokio::test]
    async fn a_table_that_no_migration_creates_is_named() {
        let found = problems(|| vec![Box::new(CreateTables::new("m1").table(test_star::dim_book::Entity))]);
        assert_eq!(found.await, "fact_loan: no migration creates it");
    }

    #[tokio::test]
    async fn columns_and_indexes_that_differ_from_the_declaration_are_named() {
        mod other {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = "dim_book")]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub book_key: String,
                pub book_number: i64,
            }

            #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
        let found = problems(|| {
            let step = CreateTables::new("m1").table(other::Entity);
            vec![Box::new(step.table(test_star::fact_loan::Entity))]
        });
        assert_eq!(
            found.await,
            "dim_book: no migration creates its column book_id\n\
             dim_book: nothing fills its column book_number, which is NOT NULL\n\
             dim_book: its surrogate key book_key has to be created as INTEGER PRIMARY KEY, for SQLite to assign it\n\
             dim_book: no migration creates a unique index over its natural key (book_id)"
        );
    }
}
