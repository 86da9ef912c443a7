//! A target table as a value: all that the engine needs to load, refresh, check and repair it.
//!
//! Full load, incremental run and validation use the same declaration.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_orm::{Condition, DbErr, RelationDef};

use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{Lookup, LookupKey, LookupUse, Side};
use crate::declare::period::Period;
use crate::declare::row::{Column, RowMap, joined_key, parts_of_key};
use crate::declare::source_record::SelectedColumn;
use crate::declare::source_rows::SourceRow;
use crate::declare::totals::{Dates, Totals};

/// One target table.
pub struct Table {
    pub name: &'static str,
    pub kind: Kind,
    /// The source table whose rows become this table's rows, one to one.
    pub source_table: &'static str,
    /// The columns of the select, in order.
    pub(crate) selected: Vec<SelectedColumn>,
    /// The integer column of `source_table` by which pages are cut and changed rows are identified. A table without one
    /// is read completely, as one page.
    pub page_key: Option<&'static str>,
    /// Selects the source rows, unfiltered. The first columns are the source's primary key, the page key first.
    pub select: fn() -> SelectStatement,
    /// Which source rows belong to the table; `None` for all.
    pub(crate) only: Option<fn() -> Expr>,
    /// The joins of the select, in order; rows whose parent is missing are kept.
    pub(crate) joins: Vec<RelationDef>,
    /// The number of columns of `select` that are the source's primary key.
    pub(crate) primary_key_columns: usize,
    /// Maps a source row to a target row, or returns the reason for quarantining it.
    pub(crate) map: RowMap,
    /// The columns that are compared and written: all except the surrogate key, which SQLite assigns, and `run_id`.
    pub columns: Vec<Column>,
    /// The column of the surrogate key, which SQLite assigns; `None` for a bridge.
    pub surrogate_key: Option<&'static str>,
    /// Whether a column holds the run that last wrote each row.
    pub notes_run: bool,
    /// The unique columns, at most three, with a unique index over them.
    pub natural_key: Vec<&'static str>,
    /// The source columns of the natural key; empty for a bridge, whose key consists of surrogate keys.
    pub(crate) source_key: Vec<SelectedColumn>,
    pub(crate) target_page_key: TargetPageKey,
    /// The lookups of the mapping, in tables of earlier phases or in the source.
    pub lookups: Vec<LookupUse>,
    /// The lookups that loading the table fills for later phases.
    pub filled_lookups: Vec<FilledLookup>,
    /// Source tables that `select` joins: a change in one affects the rows that it is joined to.
    pub(crate) joined: Vec<&'static str>,
    /// Source tables whose changed rows affect rows of this table, because it looks them up or by declaration.
    pub(crate) affected_by: Vec<AffectedBy>,
    /// Facts that determine rows of this table.
    pub(crate) follows: Vec<Follows>,
    /// Foreign keys. Deleting a row affects the rows that refer to it.
    pub(crate) references: Vec<Reference>,
    /// Columns with date keys; the calendar is extended to cover them.
    pub(crate) date_columns: Vec<&'static str>,
    /// Secondary indexes of one column each, created at the end of the first load.
    pub(crate) indexes: Vec<&'static str>,
    pub(crate) totals: Option<Totals>,
    /// Columns with personal data; copies can leave them out.
    pub(crate) personal: Vec<&'static str>,
    /// REAL columns that are multiples of a smallest unit, with their digits after the point: a lake stores them as
    /// decimals.
    pub decimals: Vec<(&'static str, u8)>,
    /// Mistakes that the builder found.
    pub(crate) mistakes: Vec<String>,
}

/// The role of a table in the star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Dimension,
    Bridge,
    Fact,
}

/// Where the target stores the page key: in the table itself, or in a dimension to which a bridge refers.
#[derive(Clone, Copy)]
pub(crate) enum TargetPageKey {
    /// Nowhere: the table is read completely, and the key of its only page is [`WHOLE_TABLE`].
    Whole,
    Own(&'static str),
    Through {
        dimension: &'static str,
        surrogate_key: &'static str,
        page_key: &'static str,
    },
}

/// The page key of all rows of a table that is read completely.
pub(crate) const WHOLE_TABLE: i64 = 0;

/// Builds a select of the rows that depend on these keys.
pub(crate) type Affected = Box<dyn Fn(&[i64]) -> SelectStatement + Send + Sync>;

/// A source table whose changed rows affect rows of a target table.
pub(crate) struct AffectedBy {
    pub source_table: &'static str,
    /// Selects from the source the page keys of the rows that depend on the changed keys; `None` if no rows do.
    pub affected: Option<Affected>,
    /// The lookup from which this follows, and the column with its keys; `None` if it was declared.
    pub follows_from: Option<(&'static Lookup, &'static str)>,
}

impl Table {
    /// Whether a deleted row of a source table leaves no key that leads to the rows that depended on it: its table is
    /// joined, or the affected rows are selected by a declaration, which needs the row to exist.
    pub(crate) fn loses_sight_of(&self, source_table: &str) -> bool {
        let is_declared = |other: &AffectedBy| other.source_table == source_table && other.follows_from.is_none();
        self.joined.contains(&source_table) || self.affected_by.iter().any(is_declared)
    }
}

/// A fact whose changed rows affect rows of another fact, because that uses a lookup that the fact fills.
pub(crate) struct Follows {
    pub fact: &'static str,
    pub when: When,
    /// Selects from the source the page keys of the rows that depend on the fact's keys.
    pub affected: fn(&[i64]) -> SelectStatement,
}

/// Which change of a followed fact affects other rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The row's value in a lookup changed, or the row was inserted, deleted or quarantined.
    LookupChanged,
    Deleted,
}

/// A lookup that loading a table fills. Key and value are columns of the table.
pub struct FilledLookup {
    pub lookup: &'static Lookup,
    /// The value for a quarantined row, given the name of its missing parent if that is the reason; if it returns
    /// `None`, the key is missing.
    pub rejected_as: fn(Option<&str>) -> Option<i64>,
}

/// The identity of a row: its page key, and the parts of its natural key joined by commas if the page key is not
/// unique.
pub type RowIdentity = (i64, Option<String>);

/// The key that identifies a row to users.
pub(crate) fn key_of_row((page_key, key): &RowIdentity) -> LookupKey {
    match key {
        None => LookupKey::Number(*page_key),
        Some(key) => LookupKey::Text(key.as_str().into()),
    }
}

/// A declared foreign key of the target.
pub(crate) struct Reference {
    pub column: &'static str,
    pub parent: String,
    pub parent_column: String,
}

impl Table {
    /// Whether rows of this source table are part of rows of this table, or determine whether they can be loaded.
    pub(crate) fn is_made_from(&self, source_table: &str) -> bool {
        self.source_table == source_table
            || self.joined.contains(&source_table)
            || self
                .affected_by
                .iter()
                .any(|lookup| lookup.source_table == source_table)
            || self
                .lookups
                .iter()
                .any(|used| used.lookup.side == Side::Source && used.lookup.table == source_table)
    }

    /// Whether rows of this table refer to those of another table of the star, follow them, or are paged through them.
    pub(crate) fn depends_on(&self, table: &str) -> bool {
        let is_paged_through =
            matches!(self.target_page_key, TargetPageKey::Through { dimension, .. } if dimension == table);
        is_paged_through
            || self.references.iter().any(|reference| reference.parent == table)
            || self.follows.iter().any(|followed| followed.fact == table)
            || self
                .lookups
                .iter()
                .any(|used| used.lookup.side == Side::Target && used.lookup.table == table)
    }

    /// Whether a column of the target may be NULL.
    pub(crate) fn is_nullable(&self, column: &str) -> bool {
        self.columns.iter().any(|found| found.name == column && found.nullable)
    }

    /// Whether a column of the source table determines which rows of other tables are joined.
    pub(crate) fn joins_by(&self, column: &str) -> bool {
        let of_own = |relation: &&RelationDef| relation.from_tbl.sea_orm_table().to_string() == self.source_table;
        let mut joins = self.joins.iter().filter(of_own);
        joins.any(|relation| relation.from_col.iter().any(|from| from.to_string() == column))
    }

    /// The condition for source rows that belong to the table.
    pub(crate) fn source_rows(&self) -> Condition {
        Condition::all().add_option(self.only.map(|only| only()))
    }

    /// Begins a select of the source rows that belong to the table and lie in a key range.
    pub(crate) fn source_rows_in(&self, key_range: &KeyRange) -> SelectStatement {
        Query::select()
            .from(self.source_table)
            .cond_where(self.source_rows())
            .cond_where(key_range.contains(&self.source_page_key()))
            .to_owned()
    }

    /// The columns with the day on which a row counts in the totals.
    pub(crate) fn dates(&self) -> Option<&Dates> {
        self.totals.as_ref().and_then(|totals| totals.dates.as_ref())
    }

    /// The source column with the day on which a row counts.
    pub fn source_date(&self) -> Option<&SelectedColumn> {
        self.dates().map(|dates| &dates.source)
    }

    /// A period as a condition on the source rows; it has an effect only if the table's totals have days.
    pub(crate) fn source_in(&self, period: &Period) -> Condition {
        self.dates().map_or_else(Condition::all, |Dates { source, .. }| {
            period.of_time(&Expr::col((Alias::new(&source.table), source.name)))
        })
    }

    /// A period as a condition on the target's rows.
    pub(crate) fn target_in(&self, period: &Period) -> Condition {
        self.dates().map_or_else(Condition::all, |Dates { target, .. }| {
            period.of_key(&Expr::col((self.name, *target)))
        })
    }

    /// The page key in the source.
    pub fn source_page_key(&self) -> Expr {
        self.page_key.map_or_else(
            || Expr::val(WHOLE_TABLE),
            |page_key| Expr::col((self.source_table, page_key)),
        )
    }

    /// The page key of a row of `select`.
    pub(crate) fn page_key_of(&self, row: SourceRow<'_>) -> Result<i64, DbErr> {
        match self.page_key {
            Some(_) => row.key(0),
            None => Ok(WHOLE_TABLE),
        }
    }

    /// The source's primary key of a row of `select`, as one text.
    pub(crate) fn source_key_text(&self, row: SourceRow<'_>) -> Result<String, DbErr> {
        let parts = (0..self.primary_key_columns).map(|column| row.key_text(column));
        Ok(joined_key(parts.collect::<Result<Vec<_>, _>>()?))
    }

    /// Begins a select of source rows to which a condition on the period can be added.
    pub(crate) fn add_source_tables(&self, select: &mut SelectStatement) {
        select.from(self.source_table);
        let is_joined = self
            .dates()
            .is_some_and(|dates| dates.source.table != self.source_table);
        for relation in self.joins.iter().filter(|_| is_joined) {
            select.join(JoinType::LeftJoin, relation.to_tbl.clone(), relation.clone());
        }
    }

    /// The page key in the target.
    pub(crate) fn target_page_key(&self) -> Expr {
        match self.target_page_key {
            TargetPageKey::Whole => Expr::val(WHOLE_TABLE),
            TargetPageKey::Own(page_key) => Expr::col((self.name, page_key)),
            TargetPageKey::Through {
                dimension, page_key, ..
            } => Expr::col((dimension, page_key)),
        }
    }

    /// Adds the tables that contain `target_page_key` to a select.
    pub(crate) fn add_target_tables(&self, select: &mut SelectStatement) {
        select.from(self.name);
        if let TargetPageKey::Through {
            dimension,
            surrogate_key,
            ..
        } = self.target_page_key
        {
            select.inner_join(
                dimension,
                Expr::col((dimension, surrogate_key)).equals((self.name, surrogate_key)),
            );
        }
    }

    /// Whether the natural key is the page key alone, as in most tables.
    pub(crate) fn has_page_key_as_natural_key(&self) -> bool {
        matches!(self.target_page_key, TargetPageKey::Own(page_key) if self.natural_key == [page_key])
    }

    /// Whether the page key is the entire primary key of the source.
    pub(crate) fn has_unique_page_key(&self) -> bool {
        self.page_key.is_some() && self.primary_key_columns == 1
    }

    /// The row of a dimension or fact that a key, as users write it, identifies: the page key or, if that is not
    /// unique, the columns of the natural key joined by commas. `None` if it cannot be the key of a row.
    ///
    /// ```text
    /// 42                      of a table with one integer as its key
    /// USA                     of one that is keyed by a code
    /// 10001,1986-06-26        of one whose key has two columns
    /// ```
    pub fn row_named(&self, key: &str) -> Option<RowIdentity> {
        if self.has_unique_page_key() {
            return Some((key.parse().ok()?, None));
        }
        let mut parts = parts_of_key(key, self.natural_key.len());
        if parts.len() != self.natural_key.len() {
            return None;
        }
        let page_key = if self.page_key.is_none() {
            WHOLE_TABLE
        } else {
            let page_key: i64 = parts[0].parse().ok()?;
            parts[0] = page_key.to_string();
            page_key
        };
        Some((page_key, Some(joined_key(parts))))
    }

    /// The condition on `select` for one row in the source.
    pub(crate) fn is_source_row(&self, (page_key, key): &RowIdentity) -> Condition {
        let columns = self.source_key.iter();
        let columns = columns.map(|column| Expr::col((Alias::new(&column.table), column.name)));
        Condition::all()
            .add(self.source_page_key().eq(*page_key))
            .add(self.has_key(columns, key.as_deref()))
    }

    /// The condition for one row in the target.
    pub(crate) fn is_target_row(&self, (page_key, key): &RowIdentity) -> Condition {
        let columns = self.natural_key.iter();
        let columns = columns.map(|column| Expr::col((self.name, *column)).cast_as("TEXT"));
        Condition::all()
            .add(self.target_page_key().eq(*page_key))
            .add(self.has_key(columns, key.as_deref()))
    }

    fn has_key(&self, columns: impl Iterator<Item = Expr>, key: Option<&str>) -> Condition {
        let parts = key.map(|key| parts_of_key(key, self.natural_key.len()));
        let equal = columns.zip(parts.unwrap_or_default());
        equal.fold(Condition::all(), |all, (column, part)| all.add(column.eq(part)))
    }

    /// The identity of a row, in the source as well as in the target.
    pub(crate) fn identity(&self, page_key: i64, key: impl FnOnce() -> String) -> RowIdentity {
        (page_key, (!self.has_unique_page_key()).then(key))
    }

    /// The number of digits after the point of a REAL column, if declared.
    pub fn decimals_of(&self, column: &str) -> Option<u8> {
        let mut declared = self.decimals.iter();
        declared
            .find(|(name, _)| *name == column)
            .map(|(_, decimals)| *decimals)
    }

    /// The position of a column in `columns`.
    pub fn position(&self, name: &str) -> usize {
        self.columns
            .iter()
            .position(|column| column.name == name)
            .expect("declarations name their own columns; a test sees to it")
    }

    /// The positions of several columns in `columns`.
    pub fn positions(&self, names: &[&str]) -> Vec<usize> {
        names.iter().map(|name| self.position(name)).collect()
    }
}
