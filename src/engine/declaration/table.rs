//! A target table as a value: everything that the engine has to know to load, refresh, check and repair it.
//!
//! Full load, incremental run and validation are uses of the same declaration. Nothing here knows Sakila.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{EntityTrait, Iterable, RelationDef, RelationTrait, Value};

use crate::engine::declaration::lookup::{Lookup, Need};
use crate::engine::declaration::row::{Column, RowMap};
use crate::engine::declaration::source_table::SourceTable;

/// The whole star: what is loaded, in which order, and from what.
pub struct Star {
    pub sources: Vec<SourceTable>,
    /// Tables of one phase are loaded together; a phase begins when the one before it is written.
    pub phases: Vec<Vec<Table>>,
    pub calendar: Calendar,
}

/// One target table.
pub struct Table {
    pub name: &'static str,
    pub kind: Kind,
    /// The source table whose rows become this table's rows, one to one.
    pub source_table: &'static str,
    /// The integer column of it that pages are cut by.
    pub page_key: &'static str,
    /// Selects the source rows, unfiltered. The first columns are the source's primary key, the page key foremost.
    pub select: fn() -> SelectStatement,
    /// How many columns of `select` the source's primary key has.
    pub source_key_columns: usize,
    /// Source row to target row, or why there is none.
    pub map: RowMap,
    /// The columns that are written: all but the surrogate key, which SQLite assigns.
    pub columns: Vec<Column>,
    /// Positions in `columns` of the natural key; integers, at most two.
    pub natural_key: Vec<usize>,
    pub held: Held,
    pub needs: Vec<Need>,
    pub publishes: Option<Publish>,
    /// Source tables besides its own that a row is made from.
    pub joins: Vec<Dependency>,
    /// Facts whose changed rows make rows of this one stale.
    pub parents: Vec<Dependency>,
    /// Foreign keys. A row that points to a row that goes is stale, too.
    pub references: Vec<Reference>,
    /// Positions in `columns` of date keys.
    pub date_columns: Vec<usize>,
    /// Secondary indexes, a column each; made when the first load ends.
    pub indexes: Vec<&'static str>,
    pub totals: Option<Totals>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Dimension,
    Bridge,
    Fact,
}

/// Where the target's own rows of a scope are found: the page key is a column of the table, or of a dimension
/// that a bridge points to.
#[derive(Clone, Copy)]
pub enum Held {
    Own {
        page_key: &'static str,
    },
    Through {
        dimension: &'static str,
        surrogate_key: &'static str,
        page_key: &'static str,
    },
}

/// Tells which rows of this table are stale when rows elsewhere have changed.
pub struct Dependency {
    /// The table that changed.
    pub on: &'static str,
    pub when: When,
    /// Selects the page keys, from the source, that hang on the changed keys.
    pub affected: fn(&[i64]) -> SelectStatement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It was inserted, updated, deleted or rejected.
    Changed,
    Deleted,
}

/// What this table's load adds to a lookup that a later phase needs.
pub struct Publish {
    pub lookup: &'static Lookup,
    /// Positions in `columns` of the key and the value.
    pub key: usize,
    pub value: usize,
    /// What a row stands as that was rejected for want of this parent: `None` if dependants may treat it as missing.
    pub rejected_as: fn(Option<&str>) -> Option<i64>,
}

/// A declared foreign key of the target.
pub struct Reference {
    pub column: String,
    pub parent: String,
    pub parent_column: String,
}

/// Totals that source and target must agree on, per store and day. Both selects yield
/// (date key, store id, rows, sum), the source's sum in units as DECIMAL, the target's in whole cents.
pub struct Totals {
    pub source: fn() -> SelectStatement,
    /// The source's DATETIME that the period applies to.
    pub source_date: fn() -> Expr,
    pub target: fn() -> SelectStatement,
    pub target_date: &'static str,
    /// Whether there is a sum of money besides the count.
    pub money: bool,
}

/// The generated dimension of days.
pub struct Calendar {
    pub table: &'static str,
    pub date_key: &'static str,
    pub columns: Vec<Column>,
    /// All days of a year, in order.
    pub year: fn(i32) -> Vec<Vec<Value>>,
    /// (oldest, newest) date of the source, a pair from each select.
    pub source_range: Vec<fn() -> SelectStatement>,
}

impl Star {
    pub fn tables(&self) -> impl DoubleEndedIterator<Item = &Table> {
        self.phases.iter().flatten()
    }

    pub fn table_of_source(&self, source_table: &str) -> Option<&Table> {
        self.tables().find(|table| table.source_table == source_table)
    }

    /// The star tables in which a change of this source table can show.
    pub fn tables_fed_by<'a>(&'a self, source_table: &'a str) -> impl Iterator<Item = &'a Table> {
        self.tables().filter(move |table| table.is_fed_by(source_table))
    }
}

impl Table {
    pub fn is_fed_by(&self, source_table: &str) -> bool {
        self.source_table == source_table || self.joins.iter().any(|join| join.on == source_table)
    }

    /// The source's page key column, qualified, as conditions need it.
    pub fn source_key(&self) -> Expr {
        Expr::col((self.source_table, self.page_key))
    }

    /// (page key, all of `columns`) of the rows that the target has, unfiltered.
    pub fn held_rows(&self) -> SelectStatement {
        let mut select = Query::select();
        select.expr(self.held_key());
        for column in &self.columns {
            select.column((self.name, column.name));
        }
        self.from_held(&mut select);
        select
    }

    /// The page key of the target's own rows.
    pub fn held_key(&self) -> Expr {
        match self.held {
            Held::Own { page_key } => Expr::col((self.name, page_key)),
            Held::Through {
                dimension, page_key, ..
            } => Expr::col((dimension, page_key)),
        }
    }

    /// Completes a select with the tables that `held_key` stands in.
    pub fn from_held(&self, select: &mut SelectStatement) {
        select.from(self.name);
        if let Held::Through {
            dimension,
            surrogate_key,
            ..
        } = self.held
        {
            select.inner_join(
                dimension,
                Expr::col((dimension, surrogate_key)).equals((self.name, surrogate_key)),
            );
        }
    }

    pub fn natural_key_names(&self) -> Vec<&'static str> {
        self.natural_key
            .iter()
            .map(|&position| self.columns[position].name)
            .collect()
    }
}

/// The foreign keys that an entity's relations declare.
pub fn references_of<E: EntityTrait>() -> Vec<Reference> {
    let name = |identity: sea_orm::Identity| {
        identity
            .into_iter()
            .map(|iden| iden.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    E::Relation::iter()
        .map(|relation| {
            let RelationDef {
                from_col,
                to_tbl,
                to_col,
                ..
            } = relation.def();
            Reference {
                column: name(from_col),
                parent: to_tbl.sea_orm_table().to_string(),
                parent_column: name(to_col),
            }
        })
        .collect()
}
