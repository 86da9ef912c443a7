//! Values for the source's tables: new rows, changes, and their change timestamps.

use super::keys::Keys;
use super::random::Random;

/// The change timestamp of a written row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// The server's own time.
    Now,
    /// The old timestamp, so that the row seems unchanged.
    Kept,
    Past,
    Future,
    /// No timestamp, where the table allows it.
    Never,
}

impl Stamp {
    /// A timestamp as a well-behaved program sets it.
    pub fn honest(random: &mut Random) -> Self {
        random.weighted(&[(10, Self::Now), (1, Self::Future), (1, Self::Never)])
    }

    /// A timestamp that does not show the change.
    pub fn silent(random: &mut Random) -> Self {
        random.pick(&[Self::Kept, Self::Past])
    }

    /// The SQL value, if one is set.
    fn of(self, table: &str) -> Option<&'static str> {
        match self {
            Self::Kept => Some("last_update"),
            Self::Past => Some("NOW() - INTERVAL 3 YEAR"),
            Self::Future => Some("NOW() + INTERVAL 1 DAY"),
            Self::Never if ["customer", "payment"].contains(&table) => Some("NULL"),
            Self::Now | Self::Never => None,
        }
    }
}

type Values = Vec<(&'static str, String)>;

/// Inserts a row. The columns in `given` get these values.
pub fn insert(table: &str, mut values: Values, given: &[(&'static str, u64)], stamp: Stamp) -> String {
    for (column, value) in given {
        values.retain(|(other, _)| other != column);
        values.push((column, value.to_string()));
    }
    // A new row has no old timestamp to keep.
    let stamp = if stamp == Stamp::Kept { Stamp::Past } else { stamp };
    values.extend(stamp.of(table).map(|time| ("last_update", time.to_owned())));
    let (columns, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        columns.join(", "),
        values.join(", ")
    )
}

/// Updates the rows that meet a condition.
pub fn update(table: &str, assignment: &str, condition: &str, stamp: Stamp) -> String {
    let stamp = stamp
        .of(table)
        .map_or(String::new(), |time| format!(", last_update = {time}"));
    format!("UPDATE {table} SET {assignment}{stamp} WHERE {condition}")
}

/// A new row without its key. All rows that it refers to exist.
pub fn values(random: &mut Random, keys: &Keys, table: &str) -> Values {
    match table {
        "country" => vec![("country", text(random))],
        "city" => vec![("city", text(random)), reference(random, keys, "country")],
        "address" => vec![
            ("address", text(random)),
            ("district", text(random)),
            reference(random, keys, "city"),
            ("phone", "''".to_owned()),
            ("location", "ST_GeomFromText('POINT(1 2)')".to_owned()),
        ],
        "language" | "category" => vec![("name", text(random))],
        "staff" => vec![
            ("first_name", text(random)),
            ("last_name", text(random)),
            reference(random, keys, "address"),
            reference(random, keys, "store"),
            ("username", "''".to_owned()),
        ],
        "store" => vec![reference(random, keys, "address")],
        "customer" => vec![
            reference(random, keys, "store"),
            ("first_name", text(random)),
            ("last_name", text(random)),
            reference(random, keys, "address"),
            ("create_date", "NOW()".to_owned()),
        ],
        "film" => vec![("title", text(random)), reference(random, keys, "language")],
        "actor" => vec![("first_name", text(random)), ("last_name", text(random))],
        "inventory" => vec![reference(random, keys, "film"), reference(random, keys, "store")],
        "rental" => vec![
            ("rental_date", time(random)),
            reference(random, keys, "inventory"),
            reference(random, keys, "customer"),
            reference(random, keys, "staff"),
        ],
        "payment" => vec![
            reference(random, keys, "customer"),
            reference(random, keys, "staff"),
            ("rental_id", rental_or_none(random, keys)),
            ("amount", amount(random)),
            ("payment_date", time(random)),
        ],
        _ => unreachable!("{table} has no key of one column"),
    }
}

/// A change of a row, other than of its key.
pub fn assignment(random: &mut Random, keys: &Keys, table: &str) -> String {
    let name = |name: &str, random: &mut Random| format!("{name} = {}", text(random));
    let refers = |table: &str, random: &mut Random| format!("{table}_id = {}", keys.pick(random, table));
    match (table, random.below(6)) {
        ("country", _) => name("country", random),
        ("city", 0..3) => name("city", random),
        ("city", _) => refers("country", random),
        ("address", _) => refers("city", random),
        ("language" | "category", _) => name("name", random),
        ("staff" | "inventory", 0..3) => refers("store", random),
        ("store" | "staff", _) | ("customer", 0..2) => refers("address", random),
        ("inventory", _) => refers("film", random),
        ("customer", 2) => "active = 1 - active".to_owned(),
        ("film", 0) => name("title", random),
        ("film", 1) => refers("language", random),
        ("film", 2) => format!("rating = {}", random.pick(&["'G'", "'PG-13'", "'NC-17'", "NULL"])),
        ("film", 3) => format!("length = {}", random.pick(&["NULL", "46", "185"])),
        ("film", 4) => format!("release_year = {}", random.pick(&["NULL", "1999", "2026"])),
        // A column that the star does not hold.
        ("film", _) => format!("rental_rate = {}", amount(random)),
        ("customer" | "actor", 3) => name("first_name", random),
        ("customer" | "actor", _) => name("last_name", random),
        ("rental", 0..2) => format!("return_date = rental_date + INTERVAL {} HOUR", random.below(200)),
        ("rental", 2) => "return_date = NULL".to_owned(),
        ("rental", 3) => format!("rental_date = {}", time(random)),
        ("rental", 4) => refers("inventory", random),
        ("rental" | "payment", 5) => {
            let parent = random.pick(&["customer", "staff"]);
            refers(parent, random)
        }
        ("payment", 0..3) => format!("amount = {}", amount(random)),
        ("payment", 3) => format!("payment_date = {}", time(random)),
        ("payment", _) => format!("rental_id = {}", rental_or_none(random, keys)),
        _ => unreachable!("{table} has no key of one column"),
    }
}

/// The key column named after a table, in that table and in those that refer to it.
pub fn key_column(table: &str) -> &'static str {
    match table {
        "country" => "country_id",
        "city" => "city_id",
        "address" => "address_id",
        "language" => "language_id",
        "staff" => "staff_id",
        "store" => "store_id",
        "customer" => "customer_id",
        "film" => "film_id",
        "actor" => "actor_id",
        "category" => "category_id",
        "inventory" => "inventory_id",
        "rental" => "rental_id",
        "payment" => "payment_id",
        _ => unreachable!("{table} has no key of one column"),
    }
}

fn reference(random: &mut Random, keys: &Keys, table: &str) -> (&'static str, String) {
    (key_column(table), keys.pick(random, table).to_string())
}

fn rental_or_none(random: &mut Random, keys: &Keys) -> String {
    if random.one_in(4) {
        "NULL".to_owned()
    } else {
        keys.pick(random, "rental").to_string()
    }
}

/// At most 20 characters.
fn text(random: &mut Random) -> String {
    let word = random.pick(&[
        "Aba",
        "Ōsaka",
        "Žilina",
        "O''Hare",
        "São Paulo",
        "100 %",
        "東京",
        "zürich",
    ]);
    format!("'{word} {}'", random.below(1_000))
}

/// Mostly within the years of the calendar.
fn time(random: &mut Random) -> String {
    let year = random.weighted(&[(20, 2022), (20, 2024), (20, 2025), (1, 2019), (1, 2028)]);
    let (month, day) = (1 + random.below(12), 1 + random.below(28));
    format!(
        "'{year}-{month:02}-{day:02} {:02}:{:02}:00'",
        random.below(24),
        random.below(60)
    )
}

fn amount(random: &mut Random) -> String {
    format!("{}.{:02}", random.below(12), random.below(100))
}
