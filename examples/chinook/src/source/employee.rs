//! `Employee`: one employee; some support customers.

use sea_orm::entity::prelude::*;
use star_sync::declare::Integer;

/// The columns that are read.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "Employee", rename_all = "PascalCase")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub employee_id: Integer,
    pub last_name: String,
    pub first_name: String,
    pub title: Option<String>,
    pub hire_date: Option<DateTime>,
}

impl ActiveModelBehavior for ActiveModel {}
