//! `dim_actor`: one row per actor.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table};
use star_sync::source_record;

use super::timestamp_text;
use crate::sakila::source::actor;

/// One actor.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_actor")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub actor_key: i64,
    #[sea_orm(unique)]
    pub actor_id: i64,
    pub first_name: String,
    pub last_name: String,
    /// `last_update` of the actor, in UTC.
    pub last_update: String,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// actor_id to actor_key.
pub static ACTOR: LazyLock<Lookup> = LazyLock::new(|| Lookup::in_target("actor", Column::ActorId, Column::ActorKey));

source_record! {
    struct Actor of actor::Entity {
        actor_id: Integer = actor::Column::ActorId,
        first_name: String = actor::Column::FirstName,
        last_name: String = actor::Column::LastName,
        last_update: DateTime<Utc> = actor::Column::LastUpdate,
    }
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map)
}

fn map(actor: Actor, _: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        actor_key: NotSet,
        actor_id: Set(actor.actor_id.0),
        first_name: Set(actor.first_name),
        last_name: Set(actor.last_name),
        last_update: Set(timestamp_text(actor.last_update)),
        run_id: NotSet,
    })
}
