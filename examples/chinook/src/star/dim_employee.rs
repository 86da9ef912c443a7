//! `dim_employee`: one row per employee.

use std::sync::LazyLock;

use chrono::{NaiveDate, NaiveDateTime};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, Rejection, Table};
use star_sync::source_record;

use crate::source::employee;

/// One employee.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_employee")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub employee_key: i64,
    #[sea_orm(unique)]
    pub employee_id: i64,
    pub first_name: String,
    pub last_name: String,
    pub title: Option<String>,
    /// Stored in SQLite as `YYYY-MM-DD`.
    pub hired: Option<NaiveDate>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// employee_id to employee_key.
pub static EMPLOYEE: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("Employee", Column::EmployeeId, Column::EmployeeKey));

source_record! {
    struct Employee of employee::Entity {
        employee_id: Integer = employee::Column::EmployeeId,
        first_name: String = employee::Column::FirstName,
        last_name: String = employee::Column::LastName,
        title: Option<String> = employee::Column::Title,
        hired: Option<NaiveDateTime> = employee::Column::HireDate,
    }
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map)
}

fn map(employee: Employee, _: &Lookups) -> Result<ActiveModel, Rejection> {
    Ok(ActiveModel {
        employee_key: NotSet,
        employee_id: Set(employee.employee_id.0),
        first_name: Set(employee.first_name),
        last_name: Set(employee.last_name),
        title: Set(employee.title),
        hired: Set(employee.hired.map(|hired| hired.date())),
        run_id: NotSet,
    })
}
