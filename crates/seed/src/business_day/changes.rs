//! Updates of a business day: returns, payments, prices, names, addresses and stores.

use chrono::{NaiveDateTime, TimeDelta};
use rust_decimal::Decimal;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query};

use super::super::rows::Done;
use super::super::tables::LATE_FEE_CENTS;
use super::super::words::{LANGUAGES, nth};
use super::super::world::STORES;
use super::Day;

impl Day<'_> {
    /// Records returns of rentals of the last weeks, oldest first, about as many as are rented out in a day.
    pub(super) async fn returns(&mut self) -> Done {
        let newest = self.rows.extreme("rental", "rental_id", Func::max).await?;
        let closes = self.opens + TimeDelta::seconds(self.open_seconds.cast_signed());
        let select = Query::select()
            .expr(Expr::col("rental_id").cast_as("UNSIGNED"))
            .column("rental_date")
            .from("rental")
            .and_where(Expr::col("rental_id").gt(newest.saturating_sub(self.rentals * 30)))
            .and_where(Expr::col("return_date").is_null())
            .and_where(Expr::col("rental_date").lt(closes - TimeDelta::seconds(1)))
            .order_by("rental_id", Order::Asc)
            .limit(self.rentals)
            .to_owned();
        let rows = self.rows.0.query_all(&select).await?;
        for row in &rows {
            let (rental, rented): (u64, NaiveDateTime) = row.try_get_many_by_index()?;
            let from = Ord::max(self.opens, rented + TimeDelta::seconds(1));
            let seconds = Ord::max((closes - from).num_seconds(), 1).cast_unsigned();
            let returned = from + TimeDelta::seconds(self.random.below(seconds).cast_signed());
            self.rows
                .update("rental", |update| {
                    update
                        .value("return_date", returned)
                        .and_where(Expr::col("rental_id").eq(rental))
                })
                .await?;
        }
        Ok(rows.len() as u64)
    }

    pub(super) async fn correct_payments(&mut self, count: u64) -> Done {
        let keys = self
            .rows
            .some_keys(&mut self.random, "payment", "payment_id", count)
            .await?;
        // Adds a late fee of one day that was not charged. The column holds at most 999.99.
        let fee = Decimal::new(LATE_FEE_CENTS, 2);
        self.rows
            .update("payment", |update| {
                update
                    .value("amount", Expr::col("amount").add(fee))
                    .and_where(Expr::col("payment_id").is_in(keys))
                    .and_where(Expr::col("amount").lt(900))
            })
            .await
    }

    pub(super) async fn reprice_films(&mut self, count: u64) -> Done {
        let keys = self.rows.some_keys(&mut self.random, "film", "film_id", count).await?;
        let raise = Decimal::new(50 * (1 + self.random.below(4)).cast_signed(), 2);
        self.rows
            .update("film", |update| {
                // The price stays below 10.00 and always changes.
                update
                    .value("rental_rate", Expr::col("rental_rate").add(raise).modulo(10))
                    .and_where(Expr::col("film_id").is_in(keys))
            })
            .await
    }

    /// Appends " Spa" to the name of a city, or removes it.
    pub(super) async fn rename_city(&mut self) -> Done {
        const SPA: &str = " Spa";
        let city = self.rows.some_keys(&mut self.random, "city", "city_id", 1).await?;
        let Some(city) = city.first().copied() else {
            return Ok(0);
        };
        let old: Option<String> = self.rows.field("city", "city", "city_id", city).await?;
        let Some(old) = old else { return Ok(0) };
        let new = old
            .strip_suffix(SPA)
            .map_or_else(|| format!("{old}{SPA}"), str::to_owned);
        self.rows
            .update("city", |update| {
                update.value("city", new).and_where(Expr::col("city_id").eq(city))
            })
            .await
    }

    pub(super) async fn rename_language(&mut self) -> Done {
        let number = self.random.below(LANGUAGES.len() as u64);
        let names = nth(&LANGUAGES, number);
        let old: Option<String> = self.rows.field("language", "name", "language_id", number + 1).await?;
        let new = if old.as_deref() == Some(names[0]) {
            names[1]
        } else {
            names[0]
        };
        self.rows
            .update("language", |update| {
                update
                    .value("name", new)
                    .and_where(Expr::col("language_id").eq(number + 1))
            })
            .await
    }

    pub(super) async fn move_customers(&mut self, count: u64) -> Done {
        let customers = self
            .rows
            .some_keys(&mut self.random, "customer", "customer_id", count)
            .await?;
        for customer in &customers {
            let address = self.new_address().await?;
            self.rows
                .update("customer", |update| {
                    update
                        .value("address_id", address)
                        .and_where(Expr::col("customer_id").eq(*customer))
                })
                .await?;
        }
        Ok(customers.len() as u64)
    }

    pub(super) async fn move_inventory_items(&mut self, count: u64) -> Done {
        let copies = self
            .rows
            .some_keys(&mut self.random, "inventory", "inventory_id", count)
            .await?;
        self.rows
            .update("inventory", |update| {
                // Moves the items to the other store.
                update
                    .value("store_id", Expr::val(STORES + 1).sub(Expr::col("store_id")))
                    .and_where(Expr::col("inventory_id").is_in(copies))
            })
            .await
    }
}
