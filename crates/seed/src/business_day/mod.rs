//! Simulates a day of business in a seeded schema: a few of each kind of change that a video shop makes.
//!
//! The seed, the number of the day and the contents of the schema determine which rows change. A day is one
//! transaction.

mod arrivals;
mod changes;

use chrono::{Days, NaiveDate, NaiveDateTime, TimeDelta};
use sea_orm::sea_query::{Func, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};

use super::marker;
use super::rows::{Done, Rows};
use super::world::{Random, Settings, World};
use crate::error::{Doing, Error, Result};

/// The changes of a business day.
#[derive(Debug, serde::Serialize)]
pub struct BusinessDay {
    /// Counted from 1, the first day after the seeded history.
    pub number: u32,
    pub date: NaiveDate,
    pub changes: Vec<Change>,
}

/// A kind of change, and the number of source rows that it affected.
#[derive(Debug, serde::Serialize)]
pub struct Change {
    pub kind: &'static str,
    pub rows: u64,
}

/// Writes one business day. Its date is the day after the previous one, but never in the future.
///
/// # Errors
/// If the schema was not completely seeded by this version of `seed`.
pub async fn business_day(database: &DatabaseConnection) -> Result<BusinessDay> {
    if !marker::is_seeded(database).await? {
        return Err(Error::Refused {
            why: "the schema was not made by seed".to_owned(),
            hint: "nothing was changed; name a seeded schema in --source".to_owned(),
        });
    }
    let transaction = database.begin().await.seed(|| "beginning".to_owned())?;
    let marker = marker::lock(&transaction).await?;
    let number = marker.business_days + 1;
    let doing = || format!("writing business day {number}");
    let now = now(&transaction).await.seed(doing)?;
    let day = Day::new(&transaction, marker.settings(), number, now);
    let date = day.date;
    let changes = day.pass().await.seed(doing)?;
    marker::count_day(&transaction, number).await?;
    transaction.commit().await.seed(doing)?;
    Ok(BusinessDay { number, date, changes })
}

async fn now(transaction: &DatabaseTransaction) -> std::result::Result<NaiveDateTime, DbErr> {
    let select = Query::select().expr(Func::cust("UTC_TIMESTAMP")).to_owned();
    let row = transaction.query_one(&select).await?;
    row.map_or(Ok(NaiveDateTime::default()), |row| row.try_get_by_index(0))
}

struct Day<'a> {
    rows: Rows<'a>,
    date: NaiveDate,
    /// The start of business hours and their length.
    opens: NaiveDateTime,
    open_seconds: u64,
    /// The approximate number of rentals per day at this scale.
    rentals: u64,
    random: Random,
}

impl<'a> Day<'a> {
    fn new(source: &'a DatabaseTransaction, settings: Settings, number: u32, now: NaiveDateTime) -> Self {
        let world = World::new(settings);
        let next = settings.until + Days::new(u64::from(number) - 1);
        let date = Ord::min(next, now.date());
        let midnight = NaiveDateTime::from(date);
        let (opens, open_seconds) = if date < now.date() {
            (midnight + TimeDelta::hours(9), 14 * 3_600)
        } else {
            (midnight, Ord::max((now - midnight).num_seconds(), 1).cast_unsigned())
        };
        Self {
            rows: Rows(source),
            date,
            opens,
            open_seconds,
            rentals: Ord::max(world.rentals_a_day(), 4),
            random: world.random("business day", number.into()),
        }
    }

    async fn pass(mut self) -> Done<Vec<Change>> {
        let some = 1 + self.rentals / 20;
        let mut changes = Vec::new();
        let mut happened = |kind, rows| changes.push(Change { kind, rows });
        happened("new customers", self.new_customers(some).await?);
        happened("new films", self.new_films(1 + some / 10).await?);
        happened("returned rentals", self.returns().await?);
        happened("new rentals", self.new_rentals().await?);
        happened("corrected payments", self.correct_payments(2 + some).await?);
        happened("films at a new price", self.reprice_films(some).await?);
        happened("renamed cities", self.rename_city().await?);
        happened("renamed languages", self.rename_language().await?);
        happened("customers who moved", self.move_customers(some).await?);
        happened(
            "inventory items that changed store",
            self.move_inventory_items(1 + some).await?,
        );
        happened(
            "deleted payments",
            self.rows.delete_one(&mut self.random, "payment", "payment_id").await?,
        );
        happened(
            "deleted rentals",
            self.rows.delete_one(&mut self.random, "rental", "rental_id").await?,
        );
        happened(
            "actors removed from a film",
            self.rows.delete_one(&mut self.random, "film_actor", "actor_id").await?,
        );
        Ok(changes)
    }

    fn moment(&mut self) -> NaiveDateTime {
        self.opens + TimeDelta::seconds(self.random.below(self.open_seconds).cast_signed())
    }
}
