//! `dim_film`: one row per film, with its language by name.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use star_sync::declare::{Integer, Lookup, Lookups, ReasonCode, Rejection, Table};
use star_sync::source_record;

use super::timestamp_text;
use crate::sakila::source::{film, language};

/// One film.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "dim_film")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub film_key: i64,
    #[sea_orm(unique)]
    pub film_id: i64,
    pub title: String,
    pub rating: Option<String>,
    /// Minutes.
    pub length: Option<i32>,
    /// The language's name, without padding.
    pub language: String,
    pub release_year: Option<i32>,
    /// `last_update` of the film, in UTC.
    pub last_update: String,
    /// Days that a customer may keep the film; `rental_duration` in the source.
    pub allowed_days: i32,
    /// In currency units, as the nearest REAL.
    pub rental_rate: f64,
    /// In currency units, as the nearest REAL.
    pub replacement_cost: f64,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

impl ActiveModelBehavior for ActiveModel {}

/// film_id to film_key.
pub static FILM: LazyLock<Lookup> = LazyLock::new(|| Lookup::in_target("film", Column::FilmId, Column::FilmKey));

/// Decimal places of an amount of money.
const MONEY_DECIMALS: u32 = 2;

source_record! {
    struct Film of film::Entity {
        film_id: Integer = film::Column::FilmId,
        title: String = film::Column::Title,
        rating: Option<String> = film::Column::Rating,
        length: Option<Integer> = film::Column::Length,
        language_id: Integer = film::Column::LanguageId,
        release_year: Option<Integer> = film::Column::ReleaseYear,
        last_update: DateTime<Utc> = film::Column::LastUpdate,
        rental_duration: Integer = film::Column::RentalDuration,
        rental_rate: Decimal = film::Column::RentalRate,
        replacement_cost: Decimal = film::Column::ReplacementCost,
        language: Option<String> = language::Column::Name,
    }
    joins [film::Relation::Language]
}

pub fn table() -> Table {
    Table::dimension::<Entity, _>(map).fixed_point([Column::RentalRate, Column::ReplacementCost], MONEY_DECIMALS)
}

fn map(film: Film, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let Integer(language_id) = film.language_id;
    let without_language = || Rejection::missing_joined("language", format!("language {language_id} does not exist"));
    let language = film.language.ok_or_else(without_language)?;
    let in_32_bits_if_any =
        |column, number: Option<Integer>| number.map(|number| in_32_bits(column, number)).transpose();
    Ok(ActiveModel {
        film_key: NotSet,
        film_id: Set(film.film_id.0),
        title: Set(film.title),
        rating: Set(film.rating),
        length: Set(in_32_bits_if_any("length", film.length)?),
        language: Set(language.trim_end_matches(' ').to_owned()),
        release_year: Set(in_32_bits_if_any("release_year", film.release_year)?),
        last_update: Set(timestamp_text(film.last_update)),
        allowed_days: Set(in_32_bits("rental_duration", film.rental_duration)?),
        rental_rate: Set(nearest_real("rental_rate", film.rental_rate)?),
        replacement_cost: Set(nearest_real("replacement_cost", film.replacement_cost)?),
        run_id: NotSet,
    })
}

fn in_32_bits(column: &str, Integer(number): Integer) -> Result<i32, Rejection> {
    i32::try_from(number)
        .map_err(|_| Rejection::invalid(ReasonCode::ValueOutOfRange, format!("{column} is beyond 32 bits")))
}

/// Prices are not part of totals, so a price with more decimals than declared is loaded, not quarantined. Publishing it
/// to a lake fails.
fn nearest_real(column: &str, amount: Decimal) -> Result<f64, Rejection> {
    let real = amount.to_f64();
    real.ok_or_else(|| Rejection::invalid(ReasonCode::ValueOutOfRange, format!("{column} is no REAL")))
}
