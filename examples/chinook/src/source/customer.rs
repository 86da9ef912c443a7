//! `Customer`: one customer, and the employee who supports them.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Customer", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub customer_id: Integer,
    pub first_name: String,
    pub last_name: String,
    pub city: Option<String>,
    pub country: Option<String>,
    pub support_rep_id: Option<Integer>,
}

impl ActiveModelBehavior for ActiveModel {}
