//! Random changes to a source, each as one or a few statements.

use super::keys::Keys;
use super::odds::{DELETED, DELETED_WHOLE, EXCHANGED, KINDS, Kind, ORPHANS, REPLACED, TABLES, TRUNCATED, VANISHING};
use super::random::Random;
use super::rows::{self, Stamp};

/// The statements of one random change.
pub fn happening(random: &mut Random, keys: &mut Keys) -> Vec<String> {
    let kind = random.weighted(&KINDS);
    let mut operation = Operation {
        random,
        keys,
        statements: Vec::new(),
    };
    operation.draw(kind);
    operation.statements
}

/// Statements that store a row's values, change the row with a new timestamp, and restore it including its old
/// timestamp.
pub fn taken_back(random: &mut Random, keys: &Keys) -> [String; 3] {
    let (table, assignment) = random.pick(&TRUNCATED);
    let column = assignment.split(' ').next().unwrap();
    let key = keys.pick(random, table);
    let condition = format!("{} = {key}", rows::key_column(table));
    [
        format!("SELECT {column}, last_update, {key} INTO @before, @stamp, @key FROM {table} WHERE {condition}"),
        rows::update(table, assignment, &condition, Stamp::Now),
        format!(
            "UPDATE {table} SET {column} = @before, last_update = @stamp WHERE {condition} AND {} = @key",
            rows::key_column(table)
        ),
    ]
}

struct Operation<'a> {
    random: &'a mut Random,
    keys: &'a mut Keys,
    statements: Vec<String>,
}

impl Operation<'_> {
    fn draw(&mut self, kind: Kind) {
        let honest = Stamp::honest(self.random);
        let silent = Stamp::silent(self.random);
        let table = self.random.weighted(&TABLES);
        match kind {
            Kind::Insert => self.insert(table, honest),
            Kind::SilentInsert => self.insert(table, silent),
            Kind::Update => self.update(table, honest),
            Kind::SilentUpdate => self.update(table, silent),
            Kind::Delete => {
                let table = self.random.weighted(&DELETED);
                self.delete(table);
            }
            Kind::DeleteWhole => {
                self.delete_whole();
            }
            Kind::ChangeKey => self.change_key(table, honest),
            Kind::SilentKeyChange if self.random.one_in(3) => self.take_over(silent),
            Kind::SilentKeyChange => self.change_key(table, silent),
            Kind::SilentSwap => {
                // Rows that refer to the swapped rows show no change, whatever timestamps the swapped rows get.
                let stamp = self.random.pick(&[honest, silent]);
                self.swap(table, stamp);
            }
            Kind::Link => self.link(honest),
            Kind::Unlink => self.unlink(),
            Kind::Vanish => {
                let table = self.random.weighted(&VANISHING);
                self.vanish(table);
            }
            Kind::Orphan => self.orphan(honest),
            Kind::BringBack => self.bring_back(honest),
            Kind::SilentExchange => self.exchange(silent),
            Kind::SilentValueExchange => self.exchange_values(),
            Kind::Truncate => self.truncate(),
            Kind::Replace => self.replace(),
        }
    }

    fn insert(&mut self, table: &'static str, stamp: Stamp) {
        let key = self.keys.fresh(self.random, table);
        self.insert_as(table, key, &[], stamp);
        if table == "film" {
            let actor = self.keys.pick(self.random, "actor");
            let category = self.keys.pick(self.random, "category");
            self.insert_role((actor, key), stamp);
            self.insert_genre((key, category), stamp);
        }
    }

    fn insert_as(&mut self, table: &'static str, key: u64, given: &[(&'static str, u64)], stamp: Stamp) {
        let mut given = given.to_vec();
        if table == "customer" && given.is_empty() && self.random.one_in(2) {
            let address = self.keys.fresh(self.random, "address");
            self.insert_as("address", address, &[], stamp);
            given.push(("address_id", address));
        }
        given.push((rows::key_column(table), key));
        if table == "store" {
            // Each store has its own manager.
            let manager = self.keys.fresh(self.random, "staff");
            self.insert_as("staff", manager, &[], stamp);
            given.push(("manager_staff_id", manager));
        }
        let values = rows::values(self.random, self.keys, table);
        self.say(rows::insert(table, values, &given, stamp));
        self.keys.add(table, key);
    }

    fn update(&mut self, table: &str, stamp: Stamp) {
        let assignment = rows::assignment(self.random, self.keys, table);
        let key = self.keys.pick(self.random, table);
        let condition = if self.random.one_in(8) {
            format!("{table}_id BETWEEN {key} AND {}", key + 60)
        } else {
            format!("{table}_id = {key}")
        };
        self.say(rows::update(table, &assignment, &condition, stamp));
    }

    fn delete(&mut self, table: &str) -> u64 {
        let key = self.keys.pick(self.random, table);
        self.say(format!("DELETE FROM {table} WHERE {table}_id = {key}"));
        if ["payment", "rental"].contains(&table) {
            self.keys.forget(table, key);
        }
        key
    }

    fn delete_whole(&mut self) -> (&'static str, u64) {
        let (table, before) = self.random.pick(&DELETED_WHOLE);
        let key = self.keys.pick(self.random, table);
        for statement in before {
            self.say(statement.replace('?', &key.to_string()));
        }
        self.say(format!("DELETE FROM {table} WHERE {table}_id = {key}"));
        self.keys.forget(table, key);
        (table, key)
    }

    fn change_key(&mut self, table: &str, stamp: Stamp) {
        let from = self.keys.pick(self.random, table);
        let to = self.keys.fresh(self.random, table);
        self.rename(table, from, to, stamp);
    }

    fn rename(&mut self, table: &str, from: u64, to: u64, stamp: Stamp) {
        let assignment = format!("{table}_id = {to}");
        self.say(rows::update(table, &assignment, &format!("{table}_id = {from}"), stamp));
        self.keys.rename(table, from, to);
    }

    /// Two rows exchange their keys.
    fn swap(&mut self, table: &str, stamp: Stamp) {
        let one = self.keys.pick(self.random, table);
        let other = self.keys.pick(self.random, table);
        let between = self.keys.fresh(self.random, table);
        self.rename(table, one, between, stamp);
        self.rename(table, other, one, stamp);
        self.rename(table, between, other, stamp);
    }

    /// A row takes over the key of a deleted one.
    fn take_over(&mut self, stamp: Stamp) {
        let (table, key) = self.delete_whole();
        let heir = self.keys.pick(self.random, table);
        self.rename(table, heir, key, stamp);
    }

    fn insert_role(&mut self, (actor, film): (u64, u64), stamp: Stamp) {
        let given = [("actor_id", actor), ("film_id", film)];
        self.say(rows::insert("film_actor", Vec::new(), &given, stamp));
        self.keys.roles.push((actor, film));
    }

    fn insert_genre(&mut self, (film, category): (u64, u64), stamp: Stamp) {
        let given = [("film_id", film), ("category_id", category)];
        self.say(rows::insert("film_category", Vec::new(), &given, stamp));
        self.keys.genres.push((film, category));
    }

    /// Inserts a link, or changes where one leads.
    fn link(&mut self, stamp: Stamp) {
        let film = self.keys.pick(self.random, "film");
        match self.random.below(4) {
            0 => {
                let actor = self.keys.pick(self.random, "actor");
                self.insert_role((actor, film), stamp);
            }
            1 => {
                let category = self.keys.pick(self.random, "category");
                self.insert_genre((film, category), stamp);
            }
            2 => {
                let (actor, before) = self.random.pick(&self.keys.roles);
                let condition = format!("actor_id = {actor} AND film_id = {before}");
                self.say(rows::update(
                    "film_actor",
                    &format!("film_id = {film}"),
                    &condition,
                    stamp,
                ));
                self.keys.roles.push((actor, film));
            }
            _ => {
                let (film, before) = self.random.pick(&self.keys.genres);
                let category = self.keys.pick(self.random, "category");
                let condition = format!("film_id = {film} AND category_id = {before}");
                let assignment = format!("category_id = {category}");
                self.say(rows::update("film_category", &assignment, &condition, stamp));
                self.keys.genres.push((film, category));
            }
        }
    }

    fn unlink(&mut self) {
        if self.random.one_in(2) {
            let (actor, film) = self.random.pick(&self.keys.roles);
            self.say(format!(
                "DELETE FROM film_actor WHERE actor_id = {actor} AND film_id = {film}"
            ));
        } else {
            let (film, category) = self.random.pick(&self.keys.genres);
            self.say(format!(
                "DELETE FROM film_category WHERE film_id = {film} AND category_id = {category}"
            ));
        }
    }

    /// Deletes one row and inserts another: the row count is unchanged.
    fn exchange(&mut self, stamp: Stamp) {
        let table = self.random.pick(&["payment", "rental"]);
        match self.random.below(5) {
            0 => {
                self.unlink();
                self.link(stamp);
            }
            1 => {
                self.vanish("inventory");
                self.insert("inventory", stamp);
            }
            2 => {
                let key = self.delete(table);
                self.insert_as(table, key, &[], stamp);
            }
            _ => {
                self.delete(table);
                self.insert(table, stamp);
            }
        }
    }

    /// Two rows exchange a value and keep their timestamps.
    fn exchange_values(&mut self) {
        let (table, column) = self.random.pick(&EXCHANGED);
        let one = self.keys.pick(self.random, table);
        let other = self.keys.pick(self.random, table);
        let key = rows::key_column(table);
        self.say(format!(
            "UPDATE {table} t JOIN (SELECT DISTINCT {key}, {column} FROM {table} WHERE {key} IN ({one}, {other})) o \
             ON o.{key} = {one} + {other} - t.{key} \
             SET t.{column} = o.{column}, t.last_update = t.last_update WHERE t.{key} IN ({one}, {other})"
        ));
    }

    /// Truncates a table and refills it, with one row changed that keeps its timestamp.
    fn truncate(&mut self) {
        let (table, assignment) = self.random.pick(&TRUNCATED);
        let key = self.keys.pick(self.random, table);
        let condition = format!("{} = {key}", rows::key_column(table));
        self.unchecked(|this| {
            this.say("DROP TEMPORARY TABLE IF EXISTS kept".to_owned());
            this.say(format!("CREATE TEMPORARY TABLE kept AS SELECT * FROM {table}"));
            this.say(rows::update("kept", assignment, &condition, Stamp::Kept));
            this.say(format!("TRUNCATE TABLE {table}"));
            this.say(format!("INSERT INTO {table} SELECT * FROM kept"));
        });
    }

    /// Replaces a table by a copy in which a row is changed and keeps its timestamp. The foreign keys are lost.
    fn replace(&mut self) {
        let table = self.random.pick(&REPLACED);
        let condition = if table == "payment" {
            format!("payment_id = {}", self.keys.pick(self.random, table))
        } else {
            let (actor, film) = self.random.pick(&self.keys.roles);
            format!("actor_id = {actor} AND film_id = {film}")
        };
        let (before, new) = (format!("{table}_before"), format!("{table}_new"));
        self.say(format!("DROP TABLE IF EXISTS {before}, {new}"));
        self.say(format!("CREATE TABLE {new} LIKE {table}"));
        self.say(format!("INSERT INTO {new} SELECT * FROM {table}"));
        if table == "payment" {
            self.say(rows::update(&new, "amount = amount + 1", &condition, Stamp::Kept));
        } else {
            self.say(format!("DELETE FROM {new} WHERE {condition}"));
        }
        self.say(format!("RENAME TABLE {table} TO {before}, {new} TO {table}"));
        self.say(format!("DROP TABLE IF EXISTS {before}, {new}"));
    }

    fn vanish(&mut self, table: &'static str) {
        let key = self.keys.pick(self.random, table);
        self.unchecked(|this| this.say(format!("DELETE FROM {table} WHERE {table}_id = {key}")));
        self.keys.miss(table, key);
    }

    fn orphan(&mut self, stamp: Stamp) {
        let (table, parent) = self.random.pick(&ORPHANS);
        let missing = self.keys.fresh(self.random, parent);
        let is_new = self.random.one_in(2);
        self.unchecked(|this| {
            if is_new {
                let key = this.keys.fresh(this.random, table);
                this.insert_as(table, key, &[(rows::key_column(parent), missing)], stamp);
            } else {
                let key = this.keys.pick(this.random, table);
                let assignment = format!("{parent}_id = {missing}");
                this.say(rows::update(table, &assignment, &format!("{table}_id = {key}"), stamp));
            }
        });
        self.keys.miss(parent, missing);
    }

    fn bring_back(&mut self, stamp: Stamp) {
        if let Some((table, key)) = self.keys.found(self.random) {
            self.insert_as(table, key, &[], stamp);
        }
    }

    fn unchecked(&mut self, write: impl FnOnce(&mut Self)) {
        self.say("SET foreign_key_checks = 0".to_owned());
        write(self);
        self.say("SET foreign_key_checks = 1".to_owned());
    }

    fn say(&mut self, statement: String) {
        self.statements.push(statement);
    }
}
