//! The marker table in a seeded schema: it records that `seed` created the schema, and with which settings.

use chrono::NaiveDate;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{DatabaseConnection, DatabaseTransaction, QuerySelect, RuntimeErr, Schema, Set, TransactionTrait};

use super::schema;
use super::table::SeedTable;
use super::world::Settings;
use crate::error::{self, Doing, Error};

pub const TABLE: &str = "sakila_sync_seed";
const ID: i32 = 1;
/// The SQLSTATE of an unknown column.
const UNKNOWN_COLUMN: &str = "42S22";
/// The version of the row generator; incremented when the same settings generate different rows.
const GENERATOR: i32 = 1;

/// The only row of the table.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sakila_sync_seed")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub generator: i32,
    pub scale: u32,
    pub seed: u64,
    pub history_until: NaiveDate,
    /// Set when all rows, indexes and foreign keys exist.
    pub is_complete: bool,
    /// The number of business days written since.
    pub business_days: u32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub fn settings(&self) -> Settings {
        Settings {
            scale: self.scale,
            seed: self.seed,
            until: self.history_until,
        }
    }
}

/// Checks that `seed` created everything in the schema, drops it if `replace` is set, and leaves a schema that is empty
/// except for a new marker table.
pub async fn claim(
    database: &DatabaseConnection,
    settings: Settings,
    tables: &[impl AsRef<SeedTable>],
    replace: bool,
) -> error::Result<()> {
    let mut found = schema::table_names(database).await?;
    // Drop the marker table last: until then it shows that `seed` created the schema.
    found.sort_unstable_by_key(|name| (name == TABLE, name.clone()));
    let is_ours = found.iter().any(|name| name == TABLE);
    let others: Vec<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|name| {
            // An earlier seed may have been killed during the probe.
            let made_by_us =
                [TABLE, schema::PROBE].contains(name) || tables.iter().any(|table| table.as_ref().name == *name);
            !(is_ours && made_by_us)
        })
        .collect();
    if !others.is_empty() {
        return Err(Error::Refused {
            why: format!("the schema has tables that seed did not create: {}", some_of(&others)),
            hint: "nothing was changed; name an empty schema in --source".to_owned(),
        });
    }
    if is_ours {
        let row = Entity::find().one(database).await;
        let row = row.map_err(|cause| match sql_state(&cause).as_deref() {
            Some(UNKNOWN_COLUMN) => Error::Refused {
                why: format!("the schema has a table {TABLE} that seed did not create"),
                hint: "nothing was changed; name an empty schema in --source".to_owned(),
            },
            _ => Error::Failed {
                doing: format!("reading {TABLE}"),
                cause,
            },
        })?;
        if !replace {
            let why = match row {
                Some(marker) if marker.is_complete => "the schema has been seeded before",
                _ => "an earlier seed of this schema did not finish",
            };
            return Err(Error::Refused {
                why: why.to_owned(),
                hint: "nothing was changed; --replace drops what was seeded and starts over".to_owned(),
            });
        }
        schema::drop(database, &found).await?;
    }
    let create = Schema::new(database.get_database_backend()).create_table_from_entity(Entity);
    let doing = || format!("creating {TABLE}");
    database.execute(&create).await.seed(doing)?;
    let row = ActiveModel {
        id: Set(ID),
        generator: Set(GENERATOR),
        scale: Set(settings.scale),
        seed: Set(settings.seed),
        history_until: Set(settings.until),
        is_complete: Set(false),
        business_days: Set(0),
    };
    Entity::insert(row).exec(database).await.seed(doing)?;
    Ok(())
}

/// The SQLSTATE of an error, if the server sent one.
fn sql_state(error: &DbErr) -> Option<String> {
    let DbErr::Query(RuntimeErr::SqlxError(error)) = error else {
        return None;
    };
    Some(error.as_database_error()?.code()?.into_owned())
}

fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        hidden => format!("{shown} and {hidden} more"),
    }
}

/// Prevents other seeds of the schema while the returned session exists.
///
/// # Errors
/// If another seed of the schema is running.
pub async fn lock_out_others(database: &DatabaseConnection) -> error::Result<DatabaseTransaction> {
    let doing = || "locking the schema".to_owned();
    // The lock belongs to the session; the transaction keeps the session on one connection.
    let session = database.begin().await.seed(doing)?;
    let schema = schema::name(&session).await?;
    let name: String = format!("{TABLE}:{schema}").chars().take(64).collect();
    let lock = Func::cust("GET_LOCK").args([Expr::val(name), Expr::val(0)]);
    let select = Query::select().expr(Expr::expr(lock).cast_as("SIGNED")).to_owned();
    let row = session.query_one(&select).await.seed(doing)?;
    let got: Option<i64> = row.map_or(Ok(None), |row| row.try_get_by_index(0)).seed(doing)?;
    if got != Some(1) {
        return Err(Error::Refused {
            why: "another seed works on this schema".to_owned(),
            hint: "wait for it to finish, or stop it".to_owned(),
        });
    }
    Ok(session)
}

/// Marks the schema as completely seeded.
pub async fn complete(database: &DatabaseConnection) -> error::Result<()> {
    Entity::update_many()
        .col_expr(Column::IsComplete, Expr::value(true))
        .exec(database)
        .await
        .seed(|| format!("writing {TABLE}"))?;
    Ok(())
}

/// Whether `seed` created the schema, completely or not.
pub async fn is_seeded(database: &DatabaseConnection) -> error::Result<bool> {
    Ok(schema::table_names(database).await?.iter().any(|name| name == TABLE))
}

/// The marker row, locked until the transaction ends, so that only one transaction changes a seeded schema at a time.
pub async fn lock(transaction: &DatabaseTransaction) -> error::Result<Model> {
    let row = Entity::find()
        .lock_exclusive()
        .one(transaction)
        .await
        .seed(|| format!("reading {TABLE}"))?;
    row.filter(|marker| marker.is_complete && marker.generator == GENERATOR)
        .ok_or_else(|| Error::Refused {
            why: "the schema was seeded by another version, or incompletely".to_owned(),
            hint: "`sakila-sync seed --replace` starts over".to_owned(),
        })
}

/// Records the number of business days.
pub async fn count_day(transaction: &DatabaseTransaction, days: u32) -> error::Result<()> {
    Entity::update_many()
        .col_expr(Column::BusinessDays, Expr::value(days))
        .exec(transaction)
        .await
        .seed(|| format!("writing {TABLE}"))?;
    Ok(())
}
