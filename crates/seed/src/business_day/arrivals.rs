//! New rows of a business day: customers, films, rentals with their payments.

use rust_decimal::Decimal;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};

use super::super::rows::Done;
use super::super::tables;
use super::super::words::{CATEGORIES, FIRST_NAMES, LANGUAGES, LAST_NAMES, STREETS};
use super::super::world::{STAFF, STORES};
use super::Day;

impl Day<'_> {
    pub(super) async fn new_customers(&mut self, count: u64) -> Done {
        for _ in 0..count {
            let address = self.new_address().await?;
            let row = [
                ("store_id", (self.random.below(STORES) + 1).into()),
                ("first_name", self.random.pick(&FIRST_NAMES).into()),
                ("last_name", self.random.pick(&LAST_NAMES).into()),
                ("address_id", address.into()),
                ("create_date", self.moment().into()),
            ];
            self.rows.insert("customer", row).await?;
        }
        Ok(count)
    }

    pub(super) async fn new_address(&mut self) -> Done<u64> {
        let city = self.rows.some_keys(&mut self.random, "city", "city_id", 1).await?;
        let street = format!("{} New {}", 1 + self.random.below(999), self.random.pick(&STREETS));
        let row = [
            ("address", street.into()),
            ("district", "New".into()),
            ("city_id", city.first().copied().into()),
            ("phone", format!("{:012}", self.random.below(1_000_000_000)).into()),
            (
                "location",
                tables::location(self.random.below(3_600), self.random.below(1_800)),
            ),
        ];
        self.rows.insert("address", row).await
    }

    pub(super) async fn new_films(&mut self, count: u64) -> Done {
        for _ in 0..count {
            let title = format!("{} {}", tables::title(self.random.below(2_500)), self.date);
            let language = self.random.below(LANGUAGES.len() as u64) + 1;
            let row = [
                ("title", title.clone().into()),
                ("description", tables::description(&title).into()),
                ("release_year", self.date.format("%Y").to_string().into()),
                ("language_id", language.into()),
                ("length", (60 + self.random.below(100)).into()),
            ];
            let film = self.rows.insert("film", row).await?;
            let text = [
                ("film_id", film.into()),
                ("title", title.clone().into()),
                ("description", tables::description(&title).into()),
            ];
            self.rows.insert("film_text", text).await?;
            for actor in self.rows.some_keys(&mut self.random, "actor", "actor_id", 3).await? {
                let row = [("actor_id", actor.into()), ("film_id", film.into())];
                self.rows.insert("film_actor", row).await?;
            }
            let nth = self.random.below(CATEGORIES.len() as u64);
            let categories = self
                .rows
                .keys("category", "category_id", |select| select.offset(nth).limit(1))
                .await?;
            for category in categories {
                let row = [("film_id", film.into()), ("category_id", category.into())];
                self.rows.insert("film_category", row).await?;
            }
            for _ in 0..3 {
                let store = self.random.below(STORES) + 1;
                let row = [("film_id", film.into()), ("store_id", store.into())];
                self.rows.insert("inventory", row).await?;
            }
        }
        Ok(count)
    }

    /// Rents out copies that are not rented out, each with its payment.
    pub(super) async fn new_rentals(&mut self) -> Done {
        let copies = self.copies_on_the_shelf(self.rentals).await?;
        for (copy, rate) in &copies {
            let customer = self
                .rows
                .some_keys(&mut self.random, "customer", "customer_id", 1)
                .await?
                .first()
                .copied();
            let (staff, rented) = (self.random.below(STAFF) + 1, self.moment());
            let row = [
                ("rental_date", rented.into()),
                ("inventory_id", (*copy).into()),
                ("customer_id", customer.into()),
                ("staff_id", staff.into()),
            ];
            let rental = self.rows.insert("rental", row).await?;
            let payment = [
                ("customer_id", customer.into()),
                ("staff_id", staff.into()),
                ("rental_id", rental.into()),
                ("amount", (*rate).into()),
                ("payment_date", rented.into()),
            ];
            self.rows.insert("payment", payment).await?;
        }
        Ok(copies.len() as u64)
    }

    /// Copies that are not rented out, with their rental rates.
    pub(super) async fn copies_on_the_shelf(&mut self, limit: u64) -> Done<Vec<(u64, Decimal)>> {
        let from = self
            .rows
            .some_key(&mut self.random, "inventory", "inventory_id")
            .await?;
        let rented_out = Query::select()
            .expr(Expr::val(1))
            .from("rental")
            .and_where(Expr::col(("rental", "inventory_id")).equals(("inventory", "inventory_id")))
            .and_where(Expr::col(("rental", "return_date")).is_null())
            .to_owned();
        let select = Query::select()
            .expr(Expr::col(("inventory", "inventory_id")).cast_as("UNSIGNED"))
            .column(("film", "rental_rate"))
            .from("inventory")
            .inner_join("film", Expr::col(("film", "film_id")).equals(("inventory", "film_id")))
            .and_where(Expr::col(("inventory", "inventory_id")).gte(from))
            .and_where(Expr::exists(rented_out).not())
            .order_by(("inventory", "inventory_id"), Order::Asc)
            .limit(limit)
            .to_owned();
        let rows = self.rows.0.query_all(&select).await?;
        rows.iter().map(sea_orm::QueryResult::try_get_many_by_index).collect()
    }
}
