//! `MediaType`: the format in which a track is sold.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "MediaType", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub media_type_id: Integer,
    pub name: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
