//! `dim_film`: one row a film, with its language by name.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    JoinType, QuerySelect, QueryTrait,
};
use star_sync::declare::integer::Integer;
use star_sync::declare::lookup::{Lookup, Lookups, Side};
use star_sync::declare::rejection::{ReasonCode, Rejection};
use star_sync::declare::source_rows::SourceRow;
use star_sync::declare::table::Table;

use super::timestamp_text;
use crate::sakila::source::{film, language};

/// One film.
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
    /// The film's own, UTC.
    pub last_update: String,
    /// How many days a customer may keep it; the source calls it rental_duration.
    pub allowed_days: i32,
    /// Units of money, as the nearest REAL.
    pub rental_rate: f64,
    /// Units of money, as the nearest REAL.
    pub replacement_cost: f64,
    /// The run that last wrote the row.
    #[sea_orm(default_value = 0)]
    pub run_id: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// film_id to film_key.
pub static FILM: Lookup = Lookup {
    name: "film",
    side: Side::Target,
    table: "dim_film",
    key: "film_id",
    value: "film_key",
    published_by: None,
};

pub fn table() -> Table {
    Table {
        joined: vec!["language"],
        ..Table::dimension::<Entity>("dim_film", "film", "film_id", select, map)
    }
}

fn select() -> SelectStatement {
    film::Entity::find()
        .select_only()
        .columns([
            film::Column::FilmId,
            film::Column::Title,
            film::Column::Rating,
            film::Column::Length,
            film::Column::LanguageId,
            film::Column::ReleaseYear,
            film::Column::LastUpdate,
            film::Column::RentalDuration,
            film::Column::RentalRate,
            film::Column::ReplacementCost,
        ])
        .column(language::Column::Name)
        .join(JoinType::LeftJoin, film::Relation::Language.def())
        .into_query()
}

type Source = (
    Integer,
    String,
    Option<String>,
    Option<Integer>,
    Integer,
    Option<Integer>,
    DateTime<Utc>,
    Integer,
    Decimal,
    Decimal,
    Option<String>,
);

fn map(row: SourceRow<'_>, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let (film_id, title, rating, length, language_id, release_year, last_update, allowed_days, rate, cost, language): Source =
        row.read()?;
    let language = language.ok_or_else(|| Rejection::missing("language", language_id.0))?;
    Ok(ActiveModel {
        film_key: NotSet,
        film_id: Set(film_id.0),
        title: Set(title),
        rating: Set(rating),
        length: Set(length.map(|length| in_32_bits("length", length)).transpose()?),
        language: Set(language.trim_end_matches(' ').to_owned()),
        release_year: Set(release_year.map(|year| in_32_bits("release_year", year)).transpose()?),
        last_update: Set(timestamp_text(last_update)),
        allowed_days: Set(in_32_bits("rental_duration", allowed_days)?),
        rental_rate: Set(nearest_real("rental_rate", rate)?),
        replacement_cost: Set(nearest_real("replacement_cost", cost)?),
        run_id: NotSet,
    })
}

fn in_32_bits(column: &str, Integer(number): Integer) -> Result<i32, Rejection> {
    i32::try_from(number)
        .map_err(|_| Rejection::invalid(ReasonCode::ValueOutOfRange, format!("{column} is beyond 32 bits")))
}

fn nearest_real(column: &str, amount: Decimal) -> Result<f64, Rejection> {
    let real = amount.to_f64();
    real.ok_or_else(|| Rejection::invalid(ReasonCode::ValueOutOfRange, format!("{column} is no REAL")))
}
