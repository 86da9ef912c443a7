//! `dim_film`: one row a film, with its language by name.

use chrono::{DateTime, Utc};
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
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
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
    Option<String>,
);

fn map(row: SourceRow<'_>, _: &Lookups) -> Result<ActiveModel, Rejection> {
    let (film_id, title, rating, length, language_id, release_year, last_update, language): Source = row.read()?;
    let language = language.ok_or_else(|| Rejection::missing("language", language_id.0))?;
    Ok(ActiveModel {
        film_key: NotSet,
        film_id: Set(film_id.0),
        title: Set(title),
        rating: Set(rating),
        length: Set(small("length", length)?),
        language: Set(language.trim_end_matches(' ').to_owned()),
        release_year: Set(small("release_year", release_year)?),
        last_update: Set(timestamp_text(last_update)),
        run_id: NotSet,
    })
}

fn small(column: &str, number: Option<Integer>) -> Result<Option<i32>, Rejection> {
    number
        .map(|Integer(number)| i32::try_from(number))
        .transpose()
        .map_err(|_| Rejection::invalid(ReasonCode::ValueOutOfRange, format!("{column} is beyond 32 bits")))
}
