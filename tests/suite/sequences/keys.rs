//! The keys that a sequence may use. They may differ from the source after a refused statement or a rollback; later
//! statements with such a key then change nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;
use crate::harness::Sandbox;

/// Every table with a single-column key, which is named after the table.
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
    /// (actor, film) pairs of `film_actor`.
    pub roles: Vec<(u64, u64)>,
    /// (film, category) pairs of `film_category`.
    pub genres: Vec<(u64, u64)>,
    /// Missing rows that other rows refer to.
    missing: Vec<(&'static str, u64)>,
}

#[derive(Clone, Default)]
struct TableKeys {
    present: Vec<u64>,
    used: BTreeSet<u64>,
}

impl Keys {
    /// The keys of a source.
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

    /// A present key.
    pub fn pick(&self, random: &mut Random, table: &str) -> u64 {
        random.pick(&self.tables[table].present)
    }

    /// A key that was never used: above all others, or in a gap between them.
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

    /// Removes a key, unless it is the last one: statements need keys.
    pub fn forget(&mut self, table: &str, key: u64) {
        let present = &mut self.tables.get_mut(table).unwrap().present;
        if present.len() > 1 {
            present.retain(|other| *other != key);
        }
    }

    /// Changes a key, and with it the links that contain it.
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

    /// Records a missing row that other rows refer to.
    pub fn miss(&mut self, table: &'static str, key: u64) {
        self.forget(table, key);
        self.missing.push((table, key));
    }

    /// Takes one of the missing rows, to bring it back.
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
