//! The columns of a published table: their types in Arrow and in Delta, and how they are selected from SQLite.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use serde_json::json;
use star_sync::declare::partition::{Partition, Partitioning};
use star_sync::declare::personal::PersonalColumn;
use star_sync::declare::row::{CellType, Column, RUN_COLUMN};
use star_sync::declare::star::Star;
use star_sync::declare::table::{Kind, Table};
use star_sync::target::copy::pseudonym;
use uuid::Uuid;

use crate::actions::{Format, META_WITHOUT, MONTH, MetaData};
use crate::log::now;
use crate::versions;

/// Precision of decimal columns. Spark allows 38; above 18, a Parquet reader only needs to support 128-bit decimals.
const DECIMAL_PRECISION: u8 = 20;

/// A table as it is published.
pub(crate) struct Layout<'a> {
    pub name: &'static str,
    pub kind: TableKind,
    pub columns: Vec<PublishedColumn>,
    pub partitioning: Partitioning,
    /// The column that the rows of a file are sorted by.
    order: &'static str,
    /// The declared table; none for the calendar.
    table: Option<&'a Table>,
    /// The names of the personal columns that are left out.
    without: Vec<&'static str>,
}

/// The kinds of tables in the order in which they are published: facts come last, after the tables that they reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TableKind {
    Dimension,
    Bridge,
    Fact,
}

/// A column of a published table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedColumn {
    pub name: &'static str,
    pub column_type: ColumnType,
}

/// The type of a published column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Long,
    Integer,
    Text,
    Double,
    Boolean,
    Date,
    /// A REAL of the star that is a whole number of its smallest unit, with this many decimal places.
    Decimal(u8),
}

impl ColumnType {
    fn from_column(column: &Column, decimals: Option<u8>) -> Self {
        match column.cell_type {
            CellType::BigInteger => Self::Long,
            CellType::Integer => Self::Integer,
            CellType::Real => decimals.map_or(Self::Double, Self::Decimal),
            CellType::Boolean => Self::Boolean,
            CellType::Date => Self::Date,
            CellType::Text | CellType::Unsupported => Self::Text,
        }
    }

    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Long => DataType::Int64,
            Self::Integer => DataType::Int32,
            Self::Text => DataType::Utf8,
            Self::Double => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Decimal(decimals) => DataType::Decimal128(DECIMAL_PRECISION, decimals.cast_signed()),
        }
    }

    fn delta(self) -> String {
        match self {
            Self::Long => "long".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Text => "string".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Decimal(decimals) => format!("decimal({DECIMAL_PRECISION},{decimals})"),
        }
    }
}

/// All tables of a star, in the order of publication.
pub(crate) fn tables<'a>(star: &'a Star, without: &[PersonalColumn]) -> Vec<Layout<'a>> {
    let calendar = star.calendar.iter().map(|calendar| Layout {
        name: calendar.table,
        kind: TableKind::Dimension,
        columns: calendar.columns.iter().map(|column| published(column, None)).collect(),
        partitioning: Partitioning::Whole,
        order: calendar.date_key,
        table: None,
        without: Vec::new(),
    });
    let declared = star.tables().map(|table| Layout::new(table, without));
    let mut tables: Vec<_> = calendar.chain(declared).collect();
    tables.sort_by_key(|table| table.kind);
    tables
}

/// Declared names that cannot be published, because a lake uses them itself. Delta compares column names without regard
/// to case.
pub(crate) fn mistakes(tables: &[Layout<'_>]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for table in tables {
        if table.name == versions::TABLE {
            mistakes.push(format!("{}: a lake has a table of this name of its own", table.name));
        }
        let is_month = |column: &PublishedColumn| column.name.eq_ignore_ascii_case(MONTH);
        if table.is_divided() && table.columns.iter().any(is_month) {
            mistakes.push(format!(
                "{}: a lake divides facts by a column {MONTH}; give the declared one another name",
                table.name
            ));
        }
    }
    mistakes
}

fn published(column: &Column, decimals: Option<u8>) -> PublishedColumn {
    PublishedColumn {
        name: column.name,
        column_type: ColumnType::from_column(column, decimals),
    }
}

impl<'a> Layout<'a> {
    fn new(table: &'a Table, without: &[PersonalColumn]) -> Self {
        let long = |name| PublishedColumn {
            name,
            column_type: ColumnType::Long,
        };
        let own = table
            .columns
            .iter()
            .map(|column| published(column, table.decimals_of(column.name)));
        let run = table.notes_run.then(|| long(RUN_COLUMN));
        let left_out = without.iter().filter(|column| column.table == table.name);
        Self {
            name: table.name,
            kind: match table.kind {
                Kind::Dimension => TableKind::Dimension,
                Kind::Bridge => TableKind::Bridge,
                Kind::Fact => TableKind::Fact,
            },
            columns: table
                .surrogate_key
                .map(long)
                .into_iter()
                .chain(own)
                .chain(run)
                .collect(),
            partitioning: table.partitioning(),
            order: table.surrogate_key.unwrap_or(table.columns[0].name),
            table: Some(table),
            without: left_out.map(|column| column.column).collect(),
        }
    }

    /// The columns that the files contain; the partition column is not stored in them.
    pub(crate) fn arrow_schema(&self) -> SchemaRef {
        let fields = self.columns.iter();
        let fields = fields.map(|column| Field::new(column.name, column.column_type.arrow(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    pub(crate) fn is_divided(&self) -> bool {
        self.partitioning != Partitioning::Whole
    }

    /// The table's description in Delta's log.
    pub(crate) fn meta_data(&self) -> MetaData {
        let month = self.is_divided().then(|| (MONTH, "integer".to_owned()));
        let columns = self.columns.iter();
        let columns = columns.map(|column| (column.name, column.column_type.delta()));
        meta_data(columns.chain(month), self.is_divided(), &self.without)
    }

    /// Whether `meta_data` has this table's columns, partitioning and left-out columns, so that its files can be kept.
    pub(crate) fn is_described_by(&self, meta_data: &MetaData) -> bool {
        let ours = self.meta_data();
        ours.schema_string == meta_data.schema_string
            && ours.partition_columns == meta_data.partition_columns
            && ours.configuration.get(META_WITHOUT) == meta_data.configuration.get(META_WITHOUT)
    }

    /// The columns whose personal data this publication would disclose in a lake that leaves out personal data: columns
    /// that were left out so far, and `personal` columns that the lake does not have yet (a new table or a new column
    /// name).
    pub(crate) fn disclosed_columns(
        &self,
        personal: &[PersonalColumn],
        meta_data: Option<&MetaData>,
    ) -> Vec<&'static str> {
        let left_out = meta_data.map(left_out).unwrap_or_default();
        let personal = personal.iter().filter(|column| column.table == self.name);
        let personal: Vec<&str> = personal.map(|column| column.column).collect();
        let is_new = |name| !meta_data.is_some_and(|meta_data| meta_data.has_column(name));
        let columns = self.columns.iter().map(|column| column.name);
        columns
            .filter(|name| !self.without.contains(name))
            .filter(|name| left_out.contains(name) || personal.contains(name) && is_new(name))
            .collect()
    }

    /// Selects the rows of a partition in order, with NULL or pseudonyms in place of personal data that is left out.
    pub(crate) fn select(&self, partition: Partition) -> SelectStatement {
        let mut select = Query::select();
        for column in &self.columns {
            select.expr(self.expression(column.name));
        }
        select
            .from(Alias::new(self.name))
            .order_by(Alias::new(self.order), sea_orm::Order::Asc);
        if let Partitioning::ByMonth { date_column } = self.partitioning {
            let date = Expr::col(Alias::new(date_column));
            select.and_where(match partition.date_keys() {
                Some((first, last)) => date.between(first, last),
                None => date.is_null(),
            });
        }
        select
    }

    /// The value to publish in a column, as an expression on a row of the star.
    pub(crate) fn expression(&self, column: &'static str) -> Expr {
        match self.table {
            Some(table) if self.without.contains(&column) => pseudonym(table, column),
            _ => Expr::col(Alias::new(column)),
        }
    }

    /// The number of a row's partition, as an expression on the row.
    pub(crate) fn partition_expression(&self) -> Expr {
        match self.partitioning {
            Partitioning::Whole => Expr::val(0),
            Partitioning::ByMonth { date_column } => Expr::col(Alias::new(date_column)).div(100).if_null(0),
        }
    }
}

/// The personal columns that a table was published without.
pub(crate) fn left_out(meta_data: &MetaData) -> Vec<&str> {
    let columns = meta_data.configuration.get(META_WITHOUT);
    columns.map(|columns| columns.split(',').collect()).unwrap_or_default()
}

/// The description of a table; `columns` are names with their Delta types.
pub(crate) fn meta_data<'a>(
    columns: impl Iterator<Item = (&'a str, String)>,
    is_divided: bool,
    without: &[&str],
) -> MetaData {
    let fields: Vec<_> = columns
        .map(|(name, delta)| json!({ "name": name, "type": delta, "nullable": true, "metadata": {} }))
        .collect();
    let mut configuration = BTreeMap::from([
        ("delta.logRetentionDuration".to_owned(), "interval 30 days".to_owned()),
        (
            "delta.deletedFileRetentionDuration".to_owned(),
            "interval 30 days".to_owned(),
        ),
    ]);
    if !without.is_empty() {
        configuration.insert(META_WITHOUT.to_owned(), without.join(","));
    }
    MetaData {
        id: Uuid::new_v4().to_string(),
        format: Format {
            provider: "parquet".to_owned(),
            options: BTreeMap::new(),
        },
        schema_string: json!({ "type": "struct", "fields": fields }).to_string(),
        partition_columns: is_divided.then(|| MONTH.to_owned()).into_iter().collect(),
        configuration,
        created_time: Some(now()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &'static str, column: &'static str, partitioning: Partitioning) -> Layout<'static> {
        Layout {
            name,
            kind: TableKind::Fact,
            columns: vec![PublishedColumn {
                name: column,
                column_type: ColumnType::Text,
            }],
            partitioning,
            order: column,
            table: None,
            without: Vec::new(),
        }
    }

    #[test]
    fn personal_data_is_disclosed_by_a_column_that_was_left_out_and_by_a_new_one() {
        let published =
            |column, without: &[&str]| meta_data([(column, "string".to_owned())].into_iter(), false, without);
        let personal = PersonalColumn {
            table: "dim_reader",
            column: "name",
        };
        let now = table("dim_reader", "name", Partitioning::Whole);
        let disclosed = |meta_data: Option<MetaData>| now.disclosed_columns(&[personal], meta_data.as_ref());
        assert_eq!(disclosed(Some(published("name", &["name"]))), ["name"]);
        assert_eq!(
            disclosed(Some(published("full_name", &["full_name"]))),
            ["name"],
            "renamed"
        );
        assert_eq!(disclosed(None), ["name"], "a new table");
        assert!(
            disclosed(Some(published("name", &[]))).is_empty(),
            "the lake has the data already"
        );
        let left_out = Layout {
            without: vec!["name"],
            ..table("dim_reader", "name", Partitioning::Whole)
        };
        let before = published("name", &["name"]);
        assert!(left_out.disclosed_columns(&[personal], Some(&before)).is_empty());
        let dropped = table("dim_reader", "city", Partitioning::Whole);
        assert!(dropped.disclosed_columns(&[], Some(&before)).is_empty());
    }

    #[test]
    fn a_table_and_a_column_that_a_lake_adds_itself_cannot_be_declared() {
        let by_month = Partitioning::ByMonth { date_column: "Month" };
        let found = |name, column, partitioning| mistakes(&[table(name, column, partitioning)]);
        assert_eq!(found("fact_loan", "day", by_month), Vec::<String>::new());
        assert_eq!(found("dim_month", "month", Partitioning::Whole), Vec::<String>::new());
        assert!(found("fact_loan", "Month", by_month)[0].starts_with("fact_loan: "));
        assert!(found("star_versions", "day", Partitioning::Whole)[0].starts_with("star_versions: "));
    }
}
