//! Compares a lake with the star: for each partition the number of rows, for each integer or decimal column the sum of
//! its values, and for each text column the sum of their character counts. Columns of type double, boolean or date are
//! not compared.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sea_orm::sea_query::{Alias, Asterisk, Expr, ExprTrait, Func, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait};
use serde::Serialize;
use star_sync::declare::personal::PersonalColumn;
use star_sync::declare::star::Star;
use star_sync::error::Doing;
use star_sync::target::bookkeeping::changed_partitions;
use star_sync::target::bookkeeping::publication;

use crate::actions::Add;
use crate::error::{Error, Result};
use crate::layout::{self, ColumnType, Layout, left_out};
use crate::log::{self, TableState};
use crate::store::Lake;

/// Values of integer columns are reduced modulo this prime before they are summed, so that no sum overflows.
const MODULUS: i64 = 1_000_003;

/// The result of the comparison.
#[derive(Debug, Serialize)]
pub struct Report {
    pub lake: String,
    pub tables: Vec<CheckedTable>,
    /// Number of values that were compared.
    pub checks: usize,
    pub mismatches: usize,
}

/// A table of the lake, compared as of the run that was last published to it.
#[derive(Debug, Serialize)]
pub struct CheckedTable {
    pub table: &'static str,
    pub version: i64,
    pub run_id: i64,
    pub rows: i64,
    /// Partitions that changed after that run; they are not compared.
    pub not_yet_published: Vec<i32>,
    pub mismatches: Vec<Mismatch>,
}

/// A value that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The month; 0 for a table without partitions.
    pub partition: i32,
    /// `rows`, or the column whose sum differs.
    pub figure: String,
    pub target: Option<i64>,
    pub lake: Option<i64>,
}

/// The compared values, by partition and name (`rows` or a column).
type Figures = BTreeMap<(i32, String), i64>;

/// Compares all tables. Writes nothing.
///
/// # Errors
/// If nothing was published, if the lake was published from another target, or if either side cannot be read.
pub async fn run(star: &Star, readers: &DatabaseConnection, lake: &Lake) -> Result<Report> {
    lake.log_in().await?;
    // Read the lake before the target, so that the target has every run that the lake has. In the other order, a
    // concurrent publication could add a newer run.
    let mut states = Vec::new();
    for table in layout::tables(star, &[]) {
        let state = log::load(lake, table.name).await?.ok_or_else(|| Error::NotPublished {
            lake: lake.name.clone(),
        })?;
        states.push((table.name, state));
    }
    let without = columns_left_out(star, &states);
    let transaction = readers.begin().await.target(|| "beginning to compare".to_owned())?;
    let known = publication::load(&transaction).await?;
    let writer = known.into_iter().find(|publication| publication.lake == lake.name);
    // All tables are there, but this target has published none of them.
    let writer = writer.ok_or_else(|| Error::OtherStar {
        lake: lake.name.clone(),
        table: states.first().map(|(table, _)| (*table).to_owned()).unwrap_or_default(),
    })?;
    let app_id = format!("{}/{}", star.names.program, writer.writer);
    let mut report = Report {
        lake: lake.name.clone(),
        tables: Vec::new(),
        checks: 0,
        mismatches: 0,
    };
    for (layout, (_, state)) in layout::tables(star, &without).into_iter().zip(&states) {
        let txn = state.txns.get(&app_id).ok_or_else(|| Error::OtherStar {
            lake: lake.name.clone(),
            table: layout.name.to_owned(),
        })?;
        let run_id = txn.version;
        let mut changed = changed_partitions::changed_after(&transaction, run_id).await?;
        let changed = changed.remove(layout.name).unwrap_or_default();
        let changed: BTreeSet<i32> = changed
            .into_iter()
            .map(star_sync::declare::partition::Partition::number)
            .collect();
        let star = of_star(&transaction, &layout, &changed).await?;
        let published = of_lake(lake, &layout, state, &changed).await?;
        let mismatches = mismatches(&star, &published);
        report.checks += star.len().max(published.len());
        report.mismatches += mismatches.len();
        report.tables.push(CheckedTable {
            table: layout.name,
            version: state.version,
            run_id,
            rows: state.rows(),
            not_yet_published: changed.into_iter().collect(),
            mismatches,
        });
    }
    transaction
        .rollback()
        .await
        .target(|| "ending the comparison".to_owned())?;
    Ok(report)
}

/// The personal columns that the lake was published without.
fn columns_left_out(star: &Star, states: &[(&str, TableState)]) -> Vec<PersonalColumn> {
    let mut columns = star.personal_columns();
    columns.retain(|column| {
        let of_table = states.iter().find(|(table, _)| *table == column.table);
        let meta_data = of_table.and_then(|(_, state)| state.meta_data.as_ref());
        meta_data.is_some_and(|meta_data| left_out(meta_data).contains(&column.column))
    });
    columns
}

fn mismatches(star: &Figures, lake: &Figures) -> Vec<Mismatch> {
    let keys: BTreeSet<_> = star.keys().chain(lake.keys()).collect();
    let differing = keys.into_iter().filter(|key| star.get(key) != lake.get(key));
    let mismatch = |key: &(i32, String)| Mismatch {
        partition: key.0,
        figure: key.1.clone(),
        target: star.get(key).copied(),
        lake: lake.get(key).copied(),
    };
    differing.map(mismatch).collect()
}

/// The columns whose values are summed.
fn added_up(layout: &Layout<'_>) -> impl Iterator<Item = (&'static str, ColumnType)> {
    let columns = layout.columns.iter().map(|column| (column.name, column.column_type));
    columns.filter(|(_, column_type)| {
        matches!(
            column_type,
            ColumnType::Long | ColumnType::Integer | ColumnType::Decimal(_) | ColumnType::Text
        )
    })
}

fn star_select(layout: &Layout<'_>) -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(layout.partition_expression())
        .expr(Func::count(Expr::col(Asterisk)))
        .from(Alias::new(layout.name))
        .add_group_by([layout.partition_expression()]);
    for (column, column_type) in added_up(layout) {
        let column = layout.expression(column);
        let value = match column_type {
            ColumnType::Text => Expr::expr(Func::char_length(column)),
            ColumnType::Decimal(decimals) => {
                let whole = Func::round(column.mul(10_i64.pow(decimals.into())));
                Expr::expr(whole).cast_as("INTEGER")
            }
            _ => column.modulo(MODULUS),
        };
        select.expr(Expr::expr(Func::sum(value)).if_null(0));
    }
    select
}

async fn of_star(transaction: &DatabaseTransaction, layout: &Layout<'_>, changed: &BTreeSet<i32>) -> Result<Figures> {
    let doing = || format!("adding up {}", layout.name);
    let mut figures = Figures::new();
    for row in transaction.query_all(&star_select(layout)).await.target(doing)? {
        let partition: i32 = row.try_get_by_index(0).target(doing)?;
        let names = ["rows"].into_iter().chain(added_up(layout).map(|(column, _)| column));
        for (position, name) in names.enumerate() {
            let value: i64 = row.try_get_by_index(position + 1).target(doing)?;
            // An empty table is one group without rows.
            if value != 0 && !changed.contains(&partition) {
                figures.insert((partition, name.to_owned()), value);
            }
        }
    }
    Ok(figures)
}

async fn of_lake(lake: &Lake, layout: &Layout<'_>, state: &TableState, changed: &BTreeSet<i32>) -> Result<Figures> {
    let mut figures = Figures::new();
    for file in state.files.values() {
        let partition = file.month().and_then(|month| month.parse().ok()).unwrap_or(0);
        if !changed.contains(&partition) {
            add_file(lake, layout, file, partition, &mut figures).await?;
        }
    }
    figures.retain(|_, value| *value != 0);
    Ok(figures)
}

async fn add_file(lake: &Lake, layout: &Layout<'_>, file: &Add, partition: i32, figures: &mut Figures) -> Result<()> {
    let path = lake.path(&format!("{}/{}", layout.name, file.path));
    let content = lake.read(&path).await?.ok_or_else(|| Error::Damaged {
        lake: lake.name.clone(),
        table: layout.name.to_owned(),
        problem: format!("{path} is gone"),
    })?;
    let encoding = |cause: Box<dyn std::error::Error + Send + Sync>| Error::Encoding {
        table: layout.name.to_owned(),
        cause,
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).and_then(ParquetRecordBatchReaderBuilder::build);
    for batch in reader.map_err(|error| encoding(error.into()))? {
        let batch = batch.map_err(|error| encoding(error.into()))?;
        let mut add = |figure: &str, value: i64| *figures.entry((partition, figure.to_owned())).or_insert(0) += value;
        add("rows", i64::try_from(batch.num_rows()).unwrap_or(i64::MAX));
        for (column, column_type) in added_up(layout) {
            if let Some(values) = batch.column_by_name(column) {
                add(column, sum(values.as_ref(), column_type));
            }
        }
    }
    Ok(())
}

/// The sum of a column's values, calculated as SQLite does in `star_select`.
fn sum(values: &dyn Array, column_type: ColumnType) -> i64 {
    match column_type {
        ColumnType::Integer => {
            let values = values.as_primitive_opt::<Int32Type>().into_iter().flatten();
            values.flatten().map(|value| i64::from(value) % MODULUS).sum()
        }
        ColumnType::Decimal(_) => {
            let values = values.as_primitive_opt::<Decimal128Type>().into_iter().flatten();
            let sum: i128 = values.flatten().sum();
            i64::try_from(sum).unwrap_or(i64::MAX)
        }
        ColumnType::Text => {
            let values = values.as_string_opt::<i32>().into_iter().flatten();
            let characters: usize = values.flatten().map(|text| text.chars().count()).sum();
            i64::try_from(characters).unwrap_or(i64::MAX)
        }
        _ => {
            let values = values.as_primitive_opt::<Int64Type>().into_iter().flatten();
            values.flatten().map(|value| value % MODULUS).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_one_side_lacks_differs() {
        let figures = |figures: &[(i32, i64)]| -> Figures {
            let rows = figures.iter();
            rows.map(|(month, rows)| ((*month, "rows".to_owned()), *rows)).collect()
        };
        let star = figures(&[(200_505, 7), (200_506, 8)]);
        let lake = figures(&[(200_505, 7), (200_507, 9)]);
        let months: Vec<_> = mismatches(&star, &lake)
            .into_iter()
            .map(|mismatch| (mismatch.partition, mismatch.target, mismatch.lake))
            .collect();
        assert_eq!(months, [(200_506, Some(8), None), (200_507, None, Some(9))]);
    }
}
