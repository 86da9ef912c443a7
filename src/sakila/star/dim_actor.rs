//! `dim_actor`: one row an actor.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    QuerySelect, QueryTrait,
};
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::{Lookup, Lookups, Side};
use star_sync::declare::rejection::Rejection;
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::Table;

use super::timestamp_text;
use crate::sakila::source::actor;

/// One actor.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_actor")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub actor_key: i64,
    #[sea_orm(unique)]
    pub actor_id: i64,
    pub first_name: String,
    pub last_name: String,
    /// The actor's own, UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// actor_id to actor_key.
pub static ACTOR: Lookup = Lookup {
    name: "actor",
    side: Side::Target,
    table: "dim_actor",
    key: "actor_id",
    value: "actor_key",
    published_by: None,
};

pub fn table() -> Table {
    Table::dimension::<Entity>("dim_actor", "actor", "actor_id", select, map)
}

fn select() -> SelectStatement {
    actor::Entity::find()
        .select_only()
        .columns([
            actor::Column::ActorId,
            actor::Column::FirstName,
            actor::Column::LastName,
            actor::Column::LastUpdate,
        ])
        .into_query()
}

fn map(row: SourceRow<'_>, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let (actor_id, first_name, last_name, last_update): (Integer, String, String, DateTime<Utc>) = row.read()?;
    Ok(ActiveModel {
        actor_key: NotSet,
        actor_id: Set(actor_id.0),
        first_name: Set(first_name),
        last_name: Set(last_name),
        last_update: Set(timestamp_text(last_update)),
        run_id: NotSet,
    })
}
