//! Dimensions, bridges and facts.
//!
//! Secondary indexes are not created here: a first load is faster without them and creates them at its end.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            manager.drop_table(Table::drop().table(*table).to_owned()).await?;
        }
        Ok(())
    }
}

const TABLES: [&str; 11] = [
    "dim_date",
    "dim_film",
    "dim_actor",
    "dim_category",
    "dim_store",
    "dim_staff",
    "dim_customer",
    "bridge_film_actor",
    "bridge_film_category",
    "fact_rental",
    "fact_payment",
];

fn tables() -> Vec<TableCreateStatement> {
    [dimensions(), bridges(), facts()].concat()
}

fn dimensions() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("dim_date")
            .col(integer("date_key").primary_key())
            .col(string_uniq("date"))
            .col(integer("year"))
            .col(integer("quarter"))
            .col(integer("month"))
            .col(integer("day_of_month"))
            .col(integer("day_of_week"))
            .col(boolean("is_weekend"))
            .col(string("month_name"))
            .col(string("day_name"))
            .to_owned(),
        Table::create()
            .table("dim_film")
            .col(surrogate_key("film_key"))
            .col(big_integer_uniq("film_id"))
            .col(string("title"))
            .col(string_null("rating"))
            .col(integer_null("length"))
            .col(string("language"))
            .col(integer_null("release_year"))
            .col(string("last_update"))
            .col(integer("allowed_days"))
            .col(double("rental_rate"))
            .col(double("replacement_cost"))
            .col(run_id())
            .to_owned(),
        Table::create()
            .table("dim_actor")
            .col(surrogate_key("actor_key"))
            .col(big_integer_uniq("actor_id"))
            .col(string("first_name"))
            .col(string("last_name"))
            .col(string("last_update"))
            .col(run_id())
            .to_owned(),
        Table::create()
            .table("dim_category")
            .col(surrogate_key("category_key"))
            .col(big_integer_uniq("category_id"))
            .col(string("name"))
            .col(string("last_update"))
            .col(run_id())
            .to_owned(),
        Table::create()
            .table("dim_store")
            .col(surrogate_key("store_key"))
            .col(big_integer_uniq("store_id"))
            .col(string("city"))
            .col(string("country"))
            .col(string("last_update"))
            .col(run_id())
            .to_owned(),
        Table::create()
            .table("dim_staff")
            .col(surrogate_key("staff_key"))
            .col(big_integer_uniq("staff_id"))
            .col(string("first_name"))
            .col(string("last_name"))
            .col(boolean("active"))
            .col(big_integer("store_id"))
            .col(string("last_update"))
            .col(run_id())
            .to_owned(),
        Table::create()
            .table("dim_customer")
            .col(surrogate_key("customer_key"))
            .col(big_integer_uniq("customer_id"))
            .col(string("first_name"))
            .col(string("last_name"))
            .col(boolean("active"))
            .col(string("city"))
            .col(string("country"))
            .col(string_null("last_update"))
            .col(run_id())
            .to_owned(),
    ]
}

fn bridges() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("bridge_film_actor")
            .col(big_integer("film_key"))
            .col(big_integer("actor_key"))
            .primary_key(Index::create().col("film_key").col("actor_key"))
            .foreign_key(&mut references("bridge_film_actor", "film_key", "dim_film", "film_key"))
            .foreign_key(&mut references(
                "bridge_film_actor",
                "actor_key",
                "dim_actor",
                "actor_key",
            ))
            .to_owned(),
        Table::create()
            .table("bridge_film_category")
            .col(big_integer("film_key"))
            .col(big_integer("category_key"))
            .primary_key(Index::create().col("film_key").col("category_key"))
            .foreign_key(&mut references(
                "bridge_film_category",
                "film_key",
                "dim_film",
                "film_key",
            ))
            .foreign_key(&mut references(
                "bridge_film_category",
                "category_key",
                "dim_category",
                "category_key",
            ))
            .to_owned(),
    ]
}

fn facts() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("fact_rental")
            .col(surrogate_key("fact_rental_key"))
            .col(big_integer_uniq("rental_id"))
            .col(integer("date_key_rented"))
            .col(integer_null("date_key_returned"))
            .col(big_integer("film_key"))
            .col(big_integer("store_key"))
            .col(big_integer("customer_key"))
            .col(big_integer("staff_id"))
            .col(integer_null("rental_duration_days"))
            .col(run_id())
            .foreign_key(&mut references(
                "fact_rental",
                "date_key_rented",
                "dim_date",
                "date_key",
            ))
            .foreign_key(&mut references(
                "fact_rental",
                "date_key_returned",
                "dim_date",
                "date_key",
            ))
            .foreign_key(&mut references("fact_rental", "film_key", "dim_film", "film_key"))
            .foreign_key(&mut references("fact_rental", "store_key", "dim_store", "store_key"))
            .foreign_key(&mut references(
                "fact_rental",
                "customer_key",
                "dim_customer",
                "customer_key",
            ))
            .to_owned(),
        Table::create()
            .table("fact_payment")
            .col(surrogate_key("fact_payment_key"))
            .col(big_integer_uniq("payment_id"))
            .col(integer("date_key_paid"))
            .col(big_integer("customer_key"))
            .col(big_integer("store_key"))
            .col(big_integer("staff_id"))
            .col(double("amount"))
            .col(big_integer_null("rental_id"))
            .col(big_integer_null("film_key"))
            .col(run_id())
            .foreign_key(&mut references("fact_payment", "date_key_paid", "dim_date", "date_key"))
            .foreign_key(&mut references(
                "fact_payment",
                "customer_key",
                "dim_customer",
                "customer_key",
            ))
            .foreign_key(&mut references("fact_payment", "store_key", "dim_store", "store_key"))
            .foreign_key(&mut references("fact_payment", "film_key", "dim_film", "film_key"))
            .to_owned(),
    ]
}

/// AUTOINCREMENT, so that SQLite never hands a deleted row's key to another row.
fn surrogate_key(name: &'static str) -> ColumnDef {
    big_pk_auto(name)
}

/// The run that last wrote the row; 0 in a row that another program inserted.
fn run_id() -> ColumnDef {
    big_integer("run_id").default(0).take()
}

fn references(
    table: &'static str,
    column: &'static str,
    parent: &'static str,
    parent_column: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to(parent, parent_column)
        .to_owned()
}
