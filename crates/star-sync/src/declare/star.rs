//! The star as a value: its tables in the order in which they are loaded, and what they are made from.

use std::collections::HashSet;

use sea_orm::Value;
use sea_orm::sea_query::SelectStatement;
use sea_orm_migration::MigrationTrait;

use crate::declare::mistakes;
use crate::declare::row::Column;
use crate::declare::source_table::SourceTable;
use crate::declare::table::Table;
use crate::error::{Error, Result};

/// The whole star: what is loaded, in which order, and from what.
pub struct Star {
    pub names: Names,
    pub sources: Vec<SourceTable>,
    /// Tables of one phase are loaded together; a phase begins when the one before it is written.
    pub phases: Vec<Vec<Table>>,
    /// Where the facts have dates, the dimension of days.
    pub calendar: Option<Calendar>,
    /// The steps that make the star's tables and views, oldest first. Those of the engine's own tables come before them by
    /// themselves.
    pub migrations: fn() -> Vec<Box<dyn MigrationTrait>>,
    /// Which tables could not be put into a phase.
    unplaced: Vec<String>,
}

/// How a star and its program are called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The program, as it is typed.
    pub program: &'static str,
    /// The source's schema, for people.
    pub source: &'static str,
    /// Stands before the names of all metrics, with an underscore between.
    pub metrics_prefix: &'static str,
    /// Marks the target in its header as a file of this program (`PRAGMA application_id`).
    pub application_id: i32,
}

impl Names {
    /// Marks a copy for readers, so that it is not taken for a target.
    pub const fn copy_application_id(&self) -> i32 {
        self.application_id.wrapping_add(1)
    }
}

/// A first and a last year.
pub type Years = Option<(i32, i32)>;

/// The generated dimension of days.
pub struct Calendar {
    pub table: &'static str,
    pub date_key: &'static str,
    pub columns: Vec<Column>,
    /// All days of a year, in order.
    pub year: fn(i32) -> Vec<Vec<Value>>,
    /// (first, last) year of the source's dates, a pair from each select.
    pub source_years: Vec<SelectStatement>,
}

impl Star {
    /// Puts the tables in the order in which each finds what it looks up, points to and follows.
    pub fn new(
        names: Names,
        sources: Vec<SourceTable>,
        mut tables: Vec<Table>,
        calendar: Option<Calendar>,
        migrations: fn() -> Vec<Box<dyn MigrationTrait>>,
    ) -> Self {
        if let Some(calendar) = &calendar {
            for table in &mut tables {
                let references = table.references.iter();
                let dates = references.filter(|reference| reference.parent == calendar.table);
                table.date_columns = dates.map(|reference| reference.column).collect();
            }
        }
        let (phases, unplaced) = phases(tables);
        Self {
            names,
            sources,
            phases,
            calendar,
            migrations,
            unplaced,
        }
    }

    /// All tables, in the order in which they are loaded.
    pub fn tables(&self) -> impl DoubleEndedIterator<Item = &Table> {
        self.phases.iter().flatten()
    }

    /// The table of this name, if it is one of the star's.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables().find(|table| table.name == name)
    }

    /// Fails if a declaration has a mistake. Every command asks before it reads anything.
    ///
    /// # Errors
    /// [`Error::DeclarationInvalid`] with each mistake by the name of its table.
    pub fn check(&self) -> Result<()> {
        match self.mistakes() {
            mistakes if mistakes.is_empty() => Ok(()),
            mistakes => Err(Error::DeclarationInvalid { mistakes }),
        }
    }

    /// What is wrong with the declarations, by name; nothing of a star that can be synced.
    pub fn mistakes(&self) -> Vec<String> {
        [self.unplaced.clone(), mistakes::of(self)].concat()
    }

    /// Whether a source table's rows become rows of a star table, and are part of no other one's: then the star has all
    /// that is to be known of a row that goes.
    pub fn has_all_of(&self, source_table: &str) -> bool {
        let has_rows = |table: &Table| table.source_table == source_table && table.only.is_none();
        self.tables().any(has_rows)
            && self
                .tables()
                .all(|table| has_rows(table) || !table.is_made_from(source_table))
    }

    /// A table and, in turn, all that refer to its rows, follow them, or are paged through them: what may have to be
    /// written when its rows are.
    pub fn with_dependents(&self, table: &Table) -> Vec<&'static str> {
        let mut names = vec![table.name];
        // Tables stand in the order in which each finds what it refers to.
        for dependent in self.tables() {
            if !names.contains(&dependent.name) && names.iter().any(|name| dependent.depends_on(name)) {
                names.push(dependent.name);
            }
        }
        names
    }

    /// Whether a table is made of every row of its source table, and no other table is.
    pub(crate) fn shows_all_rows(&self, table: &Table) -> bool {
        let mut of_same_source = self.tables().filter(|other| other.source_table == table.source_table);
        table.only.is_none() && of_same_source.all(|other| other.name == table.name)
    }

    /// The source table of this name.
    pub fn source(&self, name: &str) -> Option<&SourceTable> {
        self.sources.iter().find(|source| source.name == name)
    }
}

/// The tables by phases, each of which needs only what the phases before it have loaded; and what is wrong with those that
/// wait for each other.
fn phases(mut tables: Vec<Table>) -> (Vec<Vec<Table>>, Vec<String>) {
    let mut phases = Vec::new();
    while !tables.is_empty() {
        let waiting: HashSet<&str> = tables.iter().map(|table| table.name).collect();
        let is_ready: Vec<bool> = tables.iter().map(|table| !needs_any(table, &waiting)).collect();
        if !is_ready.contains(&true) {
            let circle = tables
                .iter()
                .map(|table| format!("{} depends on a table that depends on it", table.name));
            let circle = circle.collect();
            phases.push(tables);
            return (phases, circle);
        }
        let mut is_ready = is_ready.into_iter();
        let (ready, rest) = tables.into_iter().partition(|_| is_ready.next() == Some(true));
        phases.push(ready);
        tables = rest;
    }
    (phases, Vec::new())
}

/// Whether a table needs rows of one of these.
fn needs_any(table: &Table, others: &HashSet<&str>) -> bool {
    let mut others = others.iter().filter(|other| **other != table.name);
    others.any(|other| table.depends_on(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up;

    fn mistakes_of(change: impl FnOnce(&mut Vec<Table>)) -> String {
        let mut tables = made_up::tables();
        change(&mut tables);
        made_up::star_of(tables).mistakes().join("\n")
    }

    #[test]
    fn what_a_lookup_needs_is_loaded_in_an_earlier_phase() {
        let mut tables = made_up::tables();
        let loan = tables.remove(1).looks_up(&made_up::BOOK, made_up::loan::Column::LoanId);
        tables.insert(0, loan);
        let (phases, mistakes) = phases(tables);
        let names: Vec<Vec<&str>> = phases
            .iter()
            .map(|phase| phase.iter().map(|table| table.name).collect())
            .collect();
        assert_eq!(names, [["dim_book"], ["fact_loan"]]);
        assert!(mistakes.is_empty());
    }

    #[test]
    fn what_refers_to_a_table_depends_on_it() {
        let mut tables = made_up::tables();
        let loan = tables.remove(1).looks_up(&made_up::BOOK, made_up::loan::Column::LoanId);
        tables.push(loan);
        let star = made_up::star_of(tables);
        let dependents = |name| star.with_dependents(star.table(name).unwrap());
        assert_eq!(dependents("dim_book"), ["dim_book", "fact_loan"]);
        assert_eq!(dependents("fact_loan"), ["fact_loan"]);
    }

    #[test]
    fn tables_that_wait_for_each_other_are_named() {
        let mistakes = mistakes_of(|tables| {
            let mut tables = tables.iter_mut();
            let (book, loan) = (tables.next().unwrap(), tables.next().unwrap());
            for (table, other) in [(book, "fact_loan"), (loan, "dim_book")] {
                table.references.push(crate::declare::table::Reference {
                    column: "key",
                    parent: other.to_owned(),
                    parent_column: "key".to_owned(),
                });
            }
        });
        assert!(
            mistakes.contains("dim_book depends on a table that depends on it"),
            "{mistakes}"
        );
        assert!(
            mistakes.contains("fact_loan depends on a table that depends on it"),
            "{mistakes}"
        );
    }
}
