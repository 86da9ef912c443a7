//! The keys that a sequence may name. What is believed here may turn out otherwise, where the server refuses a
//! statement or a transaction is rolled back: then later statements that name the key change nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;
use crate::harness::Sandbox;

/// Every table with a key of one column; it is named after the table.
const TABLES: [&str; 13] = [
    "country",
    "city",
    "address",
    "language",
    "staff",
    "store",
    "customer",
    "film",
    "actor",
    "category",
    "inventory",
    "rental",
    "payment",
];

#[derive(Clone, Default)]
pub struct Keys {
    tables: BTreeMap<&'static str, TableKeys>,
    /// (actor, film), of `film_actor`.
    pub roles: Vec<(u64, u64)>,
    /// (film, category), of `film_category`.
    pub genres: Vec<(u64, u64)>,
    /// Rows that others refer to, and that are not there.
    missing: Vec<(&'static str, u64)>,
}

#[derive(Clone, Default)]
struct TableKeys {
    present: Vec<u64>,
    used: BTreeSet<u64>,
}

impl Keys {
    /// Those of a source.
    pub fn of(source: &Sandbox) -> Self {
        let mut keys = Self::default();
        for table in TABLES {
            let mut present: Vec<u64> = source
                .source(&format!("SELECT CAST({table}_id AS CHAR) FROM {table}"))
                .iter()
                .map(|key| key.parse().unwrap())
                .collect();
            present.sort_unstable();
            let used = present.iter().copied().collect();
            keys.tables.insert(table, TableKeys { present, used });
        }
        keys.roles = pairs(source, "SELECT CONCAT(actor_id, ' ', film_id) FROM film_actor");
        keys.genres = pairs(source, "SELECT CONCAT(film_id, ' ', category_id) FROM film_category");
        keys
    }

    /// A key that is there.
    pub fn pick(&self, random: &mut Random, table: &str) -> u64 {
        random.pick(&self.tables[table].present)
    }

    /// A key that nobody has ever had: after all others, or in a gap between them.
    pub fn fresh(&mut self, random: &mut Random, table: &str) -> u64 {
        let used = &mut self.tables.get_mut(table).unwrap().used;
        let highest = used.last().copied().unwrap_or(0);
        let in_a_gap = random.one_in(3).then(|| 1 + random.below(highest.max(1)));
        let key = in_a_gap.filter(|key| !used.contains(key)).unwrap_or(highest + 1);
        used.insert(key);
        key
    }

    pub fn add(&mut self, table: &str, key: u64) {
        let present = &mut self.tables.get_mut(table).unwrap().present;
        if !present.contains(&key) {
            present.push(key);
        }
    }

    /// Takes a key out, unless it is the last one: statements need keys to name.
    pub fn forget(&mut self, table: &str, key: u64) {
        let present = &mut self.tables.get_mut(table).unwrap().present;
        if present.len() > 1 {
            present.retain(|other| *other != key);
        }
    }

    /// A key that changes, and with it the links that name it.
    pub fn rename(&mut self, table: &str, from: u64, to: u64) {
        self.forget(table, from);
        self.add(table, to);
        let renamed = |key: &mut u64| {
            if *key == from {
                *key = to;
            }
        };
        match table {
            "actor" => self.roles.iter_mut().for_each(|(actor, _)| renamed(actor)),
            "category" => self.genres.iter_mut().for_each(|(_, category)| renamed(category)),
            "film" => {
                self.roles.iter_mut().for_each(|(_, film)| renamed(film));
                self.genres.iter_mut().for_each(|(film, _)| renamed(film));
            }
            _ => (),
        }
    }

    /// Notes that others refer to a row that is not there.
    pub fn miss(&mut self, table: &'static str, key: u64) {
        self.forget(table, key);
        self.missing.push((table, key));
    }

    /// Takes one of the rows that are missed, to bring it back.
    pub fn found(&mut self, random: &mut Random) -> Option<(&'static str, u64)> {
        if self.missing.is_empty() {
            return None;
        }
        let index = random.index(self.missing.len());
        Some(self.missing.swap_remove(index))
    }
}

fn pairs(source: &Sandbox, sql: &str) -> Vec<(u64, u64)> {
    let pair = |text: &String| {
        let (one, other) = text.split_once(' ').unwrap();
        (one.parse().unwrap(), other.parse().unwrap())
    };
    let mut pairs: Vec<_> = source.source(sql).iter().map(pair).collect();
    pairs.sort_unstable();
    pairs
}
