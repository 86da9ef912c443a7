//! `fact_invoice_line`: one row per line of an invoice. Date and customer are those of the invoice; the employee is the
//! one who supports the customer.

use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait};
use star_sync::declare::{Entry, Integer, Lookups, Measure, Rejection, Table, Totals, calendar_key, fixed_point};
use star_sync::source_record;

use super::dim_customer::{self, CUSTOMER};
use super::dim_employee::EMPLOYEE;
use super::dim_track::TRACK;
use crate::source::{customer, invoice, invoice_line};

/// One line of an invoice.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "fact_invoice_line")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub invoice_line_key: i64,
    #[sea_orm(unique)]
    pub invoice_line_id: i64,
    pub invoice_id: i64,
    pub date_key: i32,
    pub track_key: i64,
    pub customer_key: i64,
    /// NULL if no employee supports the customer.
    pub employee_key: Option<i64>,
    pub quantity: i64,
    /// The price of one piece, in currency units with two decimals.
    pub unit_price: f64,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
    #[sea_orm(belongs_to, relation_enum = "Date", from = "date_key", to = "date_key")]
    pub date: HasOne<star_sync::declare::dim_date::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Track", from = "track_key", to = "track_key")]
    pub track: HasOne<super::dim_track::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Customer", from = "customer_key", to = "customer_key")]
    pub customer: HasOne<super::dim_customer::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Employee", from = "employee_key", to = "employee_key")]
    pub employee: HasOne<super::dim_employee::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

source_record! {
    struct Line of invoice_line::Entity {
        invoice_line_id: Integer = invoice_line::Column::InvoiceLineId,
        invoice_id: Integer = invoice_line::Column::InvoiceId,
        track_id: Integer = invoice_line::Column::TrackId,
        unit_price: Decimal = invoice_line::Column::UnitPrice,
        quantity: Integer = invoice_line::Column::Quantity,
        customer_id: Integer = invoice::Column::CustomerId,
        invoiced: NaiveDateTime = invoice::Column::InvoiceDate,
        employee_id: Option<Integer> = customer::Column::SupportRepId,
    }
    joins [invoice_line::Relation::Invoice, invoice::Relation::Customer]
}

pub fn table() -> Table {
    Table::fact::<Entity, _>(map)
        .looks_up(&TRACK, invoice_line::Column::TrackId)
        .looks_up(&CUSTOMER, invoice::Column::CustomerId)
        .looks_up(&EMPLOYEE, customer::Column::SupportRepId)
        .totals(totals())
        .fixed_point([Column::UnitPrice], 2)
}

fn map(line: Line, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    let employee = line.employee_id.map(|employee| lookups.find(&EMPLOYEE, employee));
    Ok(ActiveModel {
        invoice_line_key: NotSet,
        invoice_line_id: Set(line.invoice_line_id.0),
        invoice_id: Set(line.invoice_id.0),
        date_key: Set(calendar_key(line.invoiced)?),
        track_key: Set(lookups.find(&TRACK, line.track_id)?),
        customer_key: Set(lookups.find(&CUSTOMER, line.customer_id)?),
        employee_key: Set(employee.transpose()?),
        quantity: Set(line.quantity.0),
        unit_price: Set(fixed_point::real(line.unit_price, CENTS.decimals, "UnitPrice")?),
        run_id: NotSet,
    })
}

/// Money, in whole cents.
const CENTS: Measure = Measure {
    name: "cents",
    label: "revenue",
    decimals: 2,
};

/// The number of tracks sold.
const QUANTITY: Measure = Measure {
    name: "quantity",
    label: "quantity",
    decimals: 0,
};

// Totals read the source independently of the mapping above, so that they detect its mistakes.
source_record! {
    struct Sold of invoice_line::Entity {
        invoice_line_id: Integer = invoice_line::Column::InvoiceLineId,
        unit_price: Option<Decimal> = invoice_line::Column::UnitPrice,
        quantity: Option<Integer> = invoice_line::Column::Quantity,
        invoiced: Option<NaiveDateTime> = invoice::Column::InvoiceDate,
        country: Option<String> = customer::Column::Country,
    }
    joins [invoice_line::Relation::Invoice, invoice::Relation::Customer]
}

fn totals() -> Totals {
    Totals::of(sold)
        .dated(invoice::Column::InvoiceDate, Column::DateKey)
        .grouped_by("country", dim_customer::Column::Country, [Relation::Customer.def()])
        .sum(QUANTITY, || Expr::col((Entity, Column::Quantity)))
        .sum(CENTS, || {
            Expr::col((Entity, Column::Quantity)).mul(fixed_point::whole_of_real(Column::UnitPrice, CENTS.decimals))
        })
}

fn sold(line: Sold, _: &Lookups) -> Entry {
    let quantity = line.quantity.map_or(0, |quantity| quantity.0);
    let price = line
        .unit_price
        .and_then(|price| fixed_point::whole(price, CENTS.decimals));
    Entry::default()
        .on(line.invoiced)
        .in_group(line.country)
        .adds([quantity, quantity * price.unwrap_or(0)])
}
