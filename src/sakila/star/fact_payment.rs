//! `fact_payment`: one row a payment. It counts at the store of the rented inventory item, as Sakila's own view
//! `sales_by_store` has it; without a rental, at its staff member's store.

use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    JoinType, QuerySelect, QueryTrait,
};
use star_sync::declare::date_key;
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::{KeysFrom, Lookups, Need};
use star_sync::declare::rejection::{ReasonCode, Rejection};
use star_sync::declare::row::position;
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::{Table, When};
use star_sync::declare::totals::{Entry, Group, MOST_MEASURES, Measure, Totals};
use star_sync::source_record;

use super::dim_customer::CUSTOMER;
use super::dim_date::calendar_key;
use super::dim_store::{self, STORE};
use super::fact_rental::{self, REJECTED_RENTAL, RENTAL_FILM, RENTAL_STORE};
use crate::sakila::source::{inventory, payment, rental, staff};
use crate::sakila::source_lookups::{INVENTORY_STORE, RENTAL_ITEM, STAFF_STORE};

/// One payment.
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
    /// Units with two decimals, as the nearest REAL; sum it in whole cents.
    pub amount: f64,
    /// As the source has it, also where there is no such rental any more; NULL without one.
    pub rental_id: Option<i64>,
    /// The rented film; NULL without a rental or without its inventory item.
    pub film_key: Option<i64>,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::dim_date::Entity",
        from = "Column::DateKeyPaid",
        to = "super::dim_date::Column::DateKey"
    )]
    DatePaid,
    #[sea_orm(
        belongs_to = "super::dim_customer::Entity",
        from = "Column::CustomerKey",
        to = "super::dim_customer::Column::CustomerKey"
    )]
    Customer,
    #[sea_orm(
        belongs_to = "super::dim_store::Entity",
        from = "Column::StoreKey",
        to = "super::dim_store::Column::StoreKey"
    )]
    Store,
    #[sea_orm(
        belongs_to = "super::dim_film::Entity",
        from = "Column::FilmKey",
        to = "super::dim_film::Column::FilmKey"
    )]
    Film,
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
        .affected_by_query(staff::Entity, |members| {
            without_item()
                .filter(payment::Column::StaffId.is_in(members.iter().copied()))
                .into_query()
        })
        .follows(fact_rental::Entity, When::Republished, |rentals| {
            payments()
                .filter(payment::Column::RentalId.is_in(rentals.iter().copied()))
                .into_query()
        })
        // Deleting a rental sets its payments' rental_id to NULL and leaves no trace of which they were.
        .follows(fact_rental::Entity, When::Deleted, |_| {
            payments().filter(payment::Column::RentalId.is_null()).into_query()
        })
        .sum(
            || Expr::col((payment::Entity, payment::Column::StaffId)),
            || Expr::col((Entity, Column::StaffId)),
        )
        .sum(
            || Expr::col((payment::Entity, payment::Column::RentalId)),
            || Expr::col((Entity, Column::RentalId)),
        )
        .sum(|| Expr::col((payment::Entity, payment::Column::Amount)).mul(100), cents)
        .totals(totals())
}

/// Money, in whole cents.
const CENTS: Measure = Measure {
    name: "cents",
    label: "total",
    decimals: 2,
};

fn totals() -> Totals {
    Totals {
        grouped_by: Some("store"),
        measures: vec![CENTS],
        source: || {
            payment::Entity::find()
                .select_only()
                .columns(TOTALS_COLUMNS)
                .into_query()
        },
        needs: vec![
            Need {
                lookup: &RENTAL_ITEM,
                keys: KeysFrom::Column(position(&TOTALS_COLUMNS, payment::Column::RentalId)),
            },
            Need {
                lookup: &INVENTORY_STORE,
                keys: KeysFrom::Values(&RENTAL_ITEM),
            },
            Need {
                lookup: &STAFF_STORE,
                keys: KeysFrom::Column(position(&TOTALS_COLUMNS, payment::Column::StaffId)),
            },
        ],
        entry,
        fills: None,
        source_date: "payment_date",
        target: target_totals,
        target_date: "date_key_paid",
    }
}

fn map(payment: Payment, lookups: &Lookups) -> Result<ActiveModel, Rejection> {
    let rental_id = payment.rental_id.map(|rental| rental.0);
    let staff_store = lookups.find(&STAFF_STORE, payment.staff_id.0)?;
    let store_key = match rental_id.and_then(|rental| lookups.get(&RENTAL_STORE, rental)) {
        Some(REJECTED_RENTAL) => {
            return Err(Rejection {
                code: ReasonCode::ParentQuarantined,
                reason: "its rental is itself rejected".to_owned(),
                missing_parent: Some("rental"),
            });
        }
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
        amount: Set(units(payment.amount)?),
        rental_id: Set(rental_id),
        film_key: Set(rental_id.and_then(|rental| lookups.get(&RENTAL_FILM, rental))),
        run_id: NotSet,
    })
}

/// The amount as the REAL nearest to its two decimals.
fn units(amount: Decimal) -> Result<f64, Rejection> {
    let cents = whole_cents(amount).ok_or_else(|| {
        let reason = "amount is not a number of whole cents up to 2^45 units";
        Rejection::invalid(ReasonCode::ValueOutOfRange, reason)
    })?;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53, which a REAL holds exactly")]
    let units = cents as f64 / 100.0;
    Ok(units)
}

/// Beyond 2^45 units a REAL times 100 may round to another cent than the one it was made of.
fn whole_cents(amount: Decimal) -> Option<i64> {
    const LARGEST_CENTS: u64 = (1 << 45) * 100;
    amount
        .checked_mul(Decimal::ONE_HUNDRED)
        .filter(Decimal::is_integer)
        .and_then(|cents| cents.to_i64())
        .filter(|cents| cents.unsigned_abs() <= LARGEST_CENTS)
}

fn payments() -> Select<payment::Entity> {
    payment::Entity::find().select_only().column(payment::Column::PaymentId)
}

/// The payments that count at their staff member's store.
fn without_item() -> Select<payment::Entity> {
    payments()
        .join(JoinType::LeftJoin, payment::Relation::Rental.def())
        .join(JoinType::LeftJoin, rental::Relation::Inventory.def())
        .filter(inventory::Column::InventoryId.is_null())
}

/// What a payment's part in the totals is read from, in this order.
const TOTALS_COLUMNS: [payment::Column; 6] = [
    payment::Column::PaymentId,
    payment::Column::LastUpdate,
    payment::Column::RentalId,
    payment::Column::StaffId,
    payment::Column::PaymentDate,
    payment::Column::Amount,
];

fn entry(row: SourceRow<'_>, lookups: &Lookups) -> Entry {
    let (rental, staff): (Option<Integer>, Option<Integer>) = (row.cell(2), row.cell(3));
    let (paid, amount): (Option<NaiveDateTime>, Option<Decimal>) = (row.cell(4), row.cell(5));
    let store_of_item = rental
        .and_then(|Integer(rental)| lookups.get(&RENTAL_ITEM, rental))
        .and_then(|item| lookups.get(&INVENTORY_STORE, item));
    let store = store_of_item.or_else(|| lookups.get(&STAFF_STORE, staff?.0));
    let mut amounts = [0; MOST_MEASURES];
    // An amount that is rejected adds nothing: with huge ones the sum would be beyond 64 bits.
    amounts[0] = amount.and_then(whole_cents).unwrap_or(0);
    Entry {
        date_key: paid.map_or(0, |paid| date_key::of_day(paid.date())),
        group: store.map(Group::Number),
        amounts,
    }
}

/// The target's amount in whole cents.
fn cents() -> Expr {
    let cents = Func::round(Expr::col((Entity, Column::Amount)).mul(100));
    Expr::expr(cents).cast_as("INTEGER")
}

fn target_totals() -> SelectStatement {
    let store_id = (dim_store::Entity, dim_store::Column::StoreId);
    Query::select()
        .column((Entity, Column::DateKeyPaid))
        .column(store_id)
        .expr(Expr::col((Entity, Column::PaymentId)).count())
        .expr(Func::sum(cents()))
        .from(Entity)
        .inner_join(dim_store::Entity, Relation::Store.def())
        .add_group_by([dim_store::with_day(Expr::col((Entity, Column::DateKeyPaid)))])
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Option<f64> {
        units(text.parse().unwrap()).ok()
    }

    #[test]
    fn amounts_become_the_nearest_real_to_their_cents() {
        assert_eq!(amount("6.99"), Some(6.99));
        assert_eq!(amount("0.00"), Some(0.0));
        assert_eq!(amount("-11.10"), Some(-11.1));
        assert_eq!(amount("35184372088832.00"), Some(35_184_372_088_832.0));
    }

    #[test]
    fn the_largest_amounts_come_back_to_the_cent() {
        for cents in (3_518_437_208_883_200 - 1_000)..=3_518_437_208_883_200_i64 {
            let units = units(Decimal::new(cents, 2)).unwrap();
            // As the star's totals have it.
            #[expect(clippy::cast_possible_truncation, reason = "whole, and far below 2^63")]
            let back = (units * 100.0).round() as i64;
            assert_eq!(back, cents);
        }
    }

    #[test]
    fn an_amount_that_cents_cannot_hold_is_rejected() {
        assert_eq!(amount("6.995"), None);
        assert_eq!(amount("35184372088832.01"), None);
    }
}
