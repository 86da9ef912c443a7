//! The catalogue: languages, categories, films, actors, and which actors play in which films.

use chrono::Datelike;
use rust_decimal::Decimal;

use super::super::table::{KeyType, SeedTable};
use super::super::words::{
    CATEGORIES, FIRST_NAMES, LANGUAGES, LAST_NAMES, RATINGS, SPECIAL_FEATURES, TITLE_BEGINNINGS, TITLE_ENDINGS, nth,
};
use super::super::world::{World, key};
use super::stamp;

pub fn language() -> SeedTable {
    let rows = LANGUAGES.len() as u64;
    SeedTable::new("language", rows, |world, number| {
        vec![
            (number + 1).into(),
            nth(&LANGUAGES, number)[0].into(),
            stamp(world, "language", number),
        ]
    })
    .column("language_id", |column| {
        KeyType::TinyUnsigned.define(column, rows).not_null().auto_increment()
    })
    .column("name", |column| column.char_len(20).not_null())
    .last_update()
    .primary_key(["language_id"])
}

pub fn category_id(number: u64) -> u64 {
    key(number, 10)
}

pub fn category() -> SeedTable {
    let rows = CATEGORIES.len() as u64;
    SeedTable::new("category", rows, |world, number| {
        vec![
            category_id(number).into(),
            nth(&CATEGORIES, number).into(),
            stamp(world, "category", number),
        ]
    })
    .column("category_id", |column| {
        KeyType::TinyUnsigned.define(column, rows).not_null().auto_increment()
    })
    .column("name", |column| column.string_len(25).not_null())
    .last_update()
    .primary_key(["category_id"])
}

pub fn film_id(number: u64) -> u64 {
    key(number, 90)
}

/// A title of two words. The pairs of words are used in a pseudo-random order.
pub fn title(number: u64) -> String {
    let pairs = (TITLE_BEGINNINGS.len() * TITLE_ENDINGS.len()) as u64;
    let pair = number % pairs * 1_543 % pairs;
    let beginning = nth(&TITLE_BEGINNINGS, pair / TITLE_ENDINGS.len() as u64);
    let ending = nth(&TITLE_ENDINGS, pair % TITLE_ENDINGS.len() as u64);
    match number / pairs {
        0 => format!("{beginning} {ending}"),
        again => format!("{beginning} {ending} {}", again + 1),
    }
}

pub fn description(title: &str) -> String {
    format!("The story of {title}, told by those who were there")
}

/// How many days film `number` may be kept, 3 to 7.
pub fn rental_duration_days(film: u64) -> i64 {
    3 + (film * 7 % 5).cast_signed()
}

pub fn rental_rate_cents(film: u64) -> i64 {
    nth(&[99, 299, 499], film * 11 % 3)
}

pub fn film(world: &World) -> SeedTable {
    let rows = world.films;
    let languages = LANGUAGES.len() as u64;
    SeedTable::new("film", rows, |world, number| {
        let mut random = world.random("film", number);
        let title = title(number);
        let year = world.settings.until.year() - i32::try_from(random.skewed(60)).unwrap_or(0) - 1;
        let languages = LANGUAGES.len() as u64;
        vec![
            film_id(number).into(),
            title.clone().into(),
            description(&title).into(),
            (!random.one_in(100)).then_some(year).into(),
            (random.skewed(languages) + 1).into(),
            random.one_in(20).then(|| random.below(languages) + 1).into(),
            rental_duration_days(number).into(),
            Decimal::new(rental_rate_cents(number), 2).into(),
            (!random.one_in(250)).then(|| 46 + random.below(140)).into(),
            Decimal::new(999 + 100 * random.below(21).cast_signed(), 2).into(),
            (!random.one_in(200)).then(|| random.pick(&RATINGS)).into(),
            (!random.one_in(50)).then(|| random.pick(&SPECIAL_FEATURES)).into(),
            stamp(world, "film", number),
        ]
    })
    .column("film_id", |column| {
        KeyType::SmallUnsigned.define(column, rows).not_null().auto_increment()
    })
    .column("title", |column| column.string_len(255).not_null())
    .column("description", |column| column.text().null())
    .column("release_year", |column| column.year().null())
    .column("language_id", |column| {
        KeyType::TinyUnsigned.define(column, languages).not_null()
    })
    .column("original_language_id", |column| {
        KeyType::TinyUnsigned.define(column, languages).null()
    })
    .column("rental_duration", |column| column.tiny_unsigned().not_null().default(3))
    .column("rental_rate", |column| {
        column.decimal_len(4, 2).not_null().default(4.99)
    })
    .column("length", |column| column.small_unsigned().null())
    .column("replacement_cost", |column| {
        column.decimal_len(5, 2).not_null().default(19.99)
    })
    .column("rating", |column| {
        column.enumeration("rating", RATINGS).null().default("G")
    })
    .column("special_features", |column| {
        column
            .custom("SET('Trailers','Commentaries','Deleted Scenes','Behind the Scenes')")
            .null()
    })
    .last_update()
    .primary_key(["film_id"])
    .index("idx_title", ["title"])
    .index("idx_fk_language_id", ["language_id"])
    .index("idx_fk_original_language_id", ["original_language_id"])
    .foreign_key("fk_film_language", "language_id", "language", "language_id")
    .foreign_key(
        "fk_film_language_original",
        "original_language_id",
        "language",
        "language_id",
    )
}

/// The searchable copy of titles and descriptions. The official schema fills it with triggers, which many accounts are
/// not allowed to create; here the code that inserts a film inserts its text too.
pub fn film_text(world: &World) -> SeedTable {
    let rows = world.films;
    SeedTable::new("film_text", rows, |_, number| {
        let title = title(number);
        let description = description(&title);
        vec![film_id(number).into(), title.into(), description.into()]
    })
    .column("film_id", |column| KeyType::Small.define(column, rows).not_null())
    .column("title", |column| column.string_len(255).not_null())
    .column("description", |column| column.text().null())
    .primary_key(["film_id"])
    .full_text("idx_title_description", ["title", "description"])
}

fn actor_id(number: u64) -> u64 {
    key(number, 60)
}

pub fn actor(world: &World) -> SeedTable {
    let rows = world.actors;
    SeedTable::new("actor", rows, |world, number| {
        let mut random = world.random("actor", number);
        vec![
            actor_id(number).into(),
            random.pick(&FIRST_NAMES).into(),
            random.pick(&LAST_NAMES).into(),
            stamp(world, "actor", number),
        ]
    })
    .column("actor_id", |column| {
        KeyType::SmallUnsigned.define(column, rows).not_null().auto_increment()
    })
    .column("first_name", |column| column.string_len(45).not_null())
    .column("last_name", |column| column.string_len(45).not_null())
    .last_update()
    .primary_key(["actor_id"])
    .index("idx_actor_last_name", ["last_name"])
}

pub fn film_actor(world: &World) -> SeedTable {
    SeedTable::new("film_actor", world.film_actors, |world, number| {
        // As in the official data, three of a thousand films have no actors; the links are spread over the others in
        // order.
        let films = world.films * 997 / 1_000;
        let film = number * films / world.film_actors;
        let first_link = (film * world.film_actors).div_ceil(films);
        // The step is short enough that no actor occurs twice: a film has fewer than eight actors.
        let mut random = world.random("film_actor", film);
        let (first, step) = (random.below(world.actors), 1 + random.below(world.actors / 8 - 1));
        let actor = (first + (number - first_link) * step) % world.actors;
        vec![
            actor_id(actor).into(),
            film_id(film).into(),
            stamp(world, "film_actor", number),
        ]
    })
    .column("actor_id", |column| {
        KeyType::SmallUnsigned.define(column, world.actors).not_null()
    })
    .column("film_id", |column| {
        KeyType::SmallUnsigned.define(column, world.films).not_null()
    })
    .last_update()
    .primary_key(["actor_id", "film_id"])
    .index("idx_fk_film_id", ["film_id"])
    .foreign_key("fk_film_actor_actor", "actor_id", "actor", "actor_id")
    .foreign_key("fk_film_actor_film", "film_id", "film", "film_id")
}

pub fn film_category(world: &World) -> SeedTable {
    SeedTable::new("film_category", world.films, |world, number| {
        let mut random = world.random("film_category", number);
        vec![
            film_id(number).into(),
            category_id(random.below(CATEGORIES.len() as u64)).into(),
            stamp(world, "film_category", number),
        ]
    })
    .column("film_id", |column| {
        KeyType::SmallUnsigned.define(column, world.films).not_null()
    })
    .column("category_id", |column| {
        KeyType::TinyUnsigned.define(column, CATEGORIES.len() as u64).not_null()
    })
    .last_update()
    .primary_key(["film_id", "category_id"])
    .index("fk_film_category_category", ["category_id"])
    .foreign_key("fk_film_category_film", "film_id", "film", "film_id")
    .foreign_key("fk_film_category_category", "category_id", "category", "category_id")
}
