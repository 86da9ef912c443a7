//! `fact_payment`: one row per payment. Its store is that of the rented inventory item, as in Sakila's view
//! `sales_by_store`; without a rental or its inventory item, that of its staff member.

use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use sea_orm::entity::prelude::*;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    JoinType, QuerySelect, QueryTrait,
};
use star_sync::declare::{Entry, Integer, Lookups, Measure, Rejection, Table, Totals, When, calendar_key, fixed_point};
use star_sync::source_record;

use super::dim_customer::CUSTOMER;
use super::dim_store::{self, STORE};
use super::fact_rental::{self, REJECTED_RENTAL, RENTAL_FILM, RENTAL_STORE};
use crate::sakila::source::{inventory, payment, rental, staff};
use crate::sakila::source_lookups::{INVENTORY_STORE, RENTAL_ITEM, STAFF_STORE};

/// One payment.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "fact_payment")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub fact_payment_key: i64,
    #[sea_orm(unique)]
    pub payment_id: i64,
    pub date_key_paid: i32,
    pub customer_key: i64,
    pub store_key: i64,
    pub staff_id: i64,
    /// In currency units with two decimals, as the nearest REAL; sum it in whole cents.
    pub amount: f64,
    /// As in the source, even if the rental no longer exists; NULL for a payment without a rental.
    pub rental_id: Option<i64>,
    /// The rented film; NULL without a rental or without its inventory item.
    pub film_key: Option<i64>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
    #[sea_orm(belongs_to, relation_enum = "DatePaid", from = "date_key_paid", to = "date_key")]
    pub date_paid: HasOne<star_sync::declare::dim_date::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Customer", from = "customer_key", to = "customer_key")]
    pub customer: HasOne<super::dim_customer::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Store", from = "store_key", to = "store_key")]
    pub store: HasOne<super::dim_store::Entity>,
    #[sea_orm(belongs_to, relation_enum = "Film", from = "film_key", to = "film_key")]
    pub film: HasOne<super::dim_film::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

source_record! {
    struct Payment of payment::Entity {
        payment_id: Integer = payment::Column::PaymentId,
        customer_id: Integer = payment::Column::CustomerId,
        staff_id: Integer = payment::Column::StaffId,
        rental_id: Option<Integer> = payment::Column::RentalId,
        amount: Decimal = payment::Column::Amount,
        paid: NaiveDateTime = payment::Column::PaymentDate,
    }
}

pub fn table() -> Table {
    Table::fact::<Entity, _>(map)
        .looks_up(&CUSTOMER, payment::Column::CustomerId)
        .looks_up(&STAFF_STORE, payment::Column::StaffId)
        .looks_up_through(&STAFF_STORE, &STORE)
        .looks_up(&RENTAL_STORE, payment::Column::RentalId)
        .looks_up(&RENTAL_FILM, payment::Column::RentalId)
        .affected_by(staff::Entity, |members| {
            without_item()
                .filter(payment::Column::StaffId.is_in(members.iter().copied()))
                .into_query()
        })
        .follows(fact_rental::Entity, When::LookupChanged, |rentals| {
            payments()
                .filter(payment::Column::RentalId.is_in(rentals.iter().copied()))
                .into_query()
        })
        // Deleting a rental sets rental_id of its payments to NULL, so these cannot be found by rental_id any more.
        .follows(fact_rental::Entity, When::Deleted, |_| {
            payments().filter(payment::Column::RentalId.is_null()).into_query()
        })
        .totals(totals())
        .fixed_point([Column::Amount], CENTS.decimals)
}

/// Money, in whole cents.
const CENTS: Measure = Measure {
    name: "cents",
    label: "total",
    decimals: 2,
};

source_record! {
    struct Counted of payment::Entity {
        payment_id: Integer = payment::Column::PaymentId,
        rental_id: Option<Integer> = payment::Column::RentalId,
        staff_id: Option<Integer> = payment::Column::StaffId,
        paid: Option<NaiveDateTime> = payment::Column::PaymentDate,
        amount: Option<Decimal> = payment::Column::Amount,
    }
}

fn totals() -> Totals {
    Totals::of(entry)
        .dated(payment::Column::PaymentDate, Column::DateKeyPaid)
        .grouped_by("store", dim_store::Column::StoreId, [Relation::Store.def()])
        .sum(CENTS, || fixed_point::whole_of_real(Column::Amount, CENTS.decimals))
        .looks_up(&RENTAL_ITEM, payment::Column::RentalId)
        .looks_up_through(&RENTAL_ITEM, &INVENTORY_STORE)
        .looks_up(&STAFF_STORE, payment::Column::StaffId)
}

fn map(payment: Payment, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    let rental_id = payment.rental_id.map(|rental| rental.0);
    let staff_store = lookups.find(&STAFF_STORE, payment.staff_id.0)?;
    let store_key = match rental_id.and_then(|rental| lookups.get(&RENTAL_STORE, rental)) {
        Some(REJECTED_RENTAL) => return Err(Rejection::parent_quarantined(&RENTAL_STORE)),
        Some(store_key) => store_key,
        None => lookups.find(&STORE, staff_store)?,
    };
    Ok(ActiveModel {
        fact_payment_key: NotSet,
        payment_id: Set(payment.payment_id.0),
        date_key_paid: Set(calendar_key(payment.paid)?),
        customer_key: Set(lookups.find(&CUSTOMER, payment.customer_id.0)?),
        store_key: Set(store_key),
        staff_id: Set(payment.staff_id.0),
        amount: Set(fixed_point::real(payment.amount, CENTS.decimals, "amount")?),
        rental_id: Set(rental_id),
        film_key: Set(rental_id.and_then(|rental| lookups.get(&RENTAL_FILM, rental))),
        run_id: NotSet,
    })
}

fn payments() -> Select<payment::Entity> {
    payment::Entity::find().select_only().column(payment::Column::PaymentId)
}

/// The payments without an inventory item, which use the store of their staff member.
fn without_item() -> Select<payment::Entity> {
    payments()
        .join(JoinType::LeftJoin, payment::Relation::Rental.def())
        .join(JoinType::LeftJoin, rental::Relation::Inventory.def())
        .filter(inventory::Column::InventoryId.is_null())
}

fn entry(payment: Counted, lookups: &Lookups) -> Entry {
    let store_of_item = payment
        .rental_id
        .and_then(|rental| lookups.get(&RENTAL_ITEM, rental))
        .and_then(|item| lookups.get(&INVENTORY_STORE, item));
    let store = store_of_item.or_else(|| lookups.get(&STAFF_STORE, payment.staff_id?));
    // An amount that cannot be stored (too many decimals, or too large) adds nothing: huge ones could overflow the
    // 64-bit sum. A row that is quarantined for another reason adds its amount.
    let cents = payment
        .amount
        .and_then(|amount| fixed_point::whole(amount, CENTS.decimals));
    Entry::default()
        .on(payment.paid)
        .in_group(store)
        .adds([cents.unwrap_or(0)])
}
