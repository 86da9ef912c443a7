//! Builds the statements that change the star.

use sea_orm::sea_query::{
    Alias, DeleteStatement, Expr, ExprTrait, Index, IndexCreateStatement, InsertStatement, OnConflict, Query,
    SqliteQueryBuilder, ValueTuple,
};
use sea_orm::{DbBackend, Statement, Value};

use crate::declare::key_range::KEYS_PER_STATEMENT;
use crate::declare::row::{Columns, RUN_COLUMN, TargetRow};
use crate::declare::table::Table;

/// Rows of one INSERT. Each is sent to SQLite's thread and awaited, so few large ones are better; more than 500 rows
/// bring no gain (docs/performance.md), and SQLite's limit of 32,766 bind variables is far away. The remainder uses
/// ever smaller ones, so that there are few different statements and all of them are kept prepared.
pub(crate) const ROWS_PER_STATEMENT: [usize; 5] = [500, 100, 20, 4, 1];

/// The INSERT of `rows` rows that overwrites `columns` of rows with the same natural key, so that surrogate keys stay.
/// The run is part of the text, because it is the same for everything that a writer writes.
pub fn upsert(table: &Table, columns: Columns, rows: usize, run_id: i64) -> String {
    let run = table.notes_run.then_some(RUN_COLUMN);
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).chain(run).collect();
    let mut insert = insert(table, None, rows, run_id);
    let key = table.natural_key.clone();
    let others: Vec<&str> = names
        .into_iter()
        .enumerate()
        .filter(|(position, name)| !key.contains(name) && (columns.contains(*position) || *name == RUN_COLUMN))
        .map(|(_, name)| name)
        .collect();
    let mut on_conflict = OnConflict::columns(key);
    if others.is_empty() {
        on_conflict.do_nothing();
    } else {
        on_conflict.update_columns(others);
    }
    insert.on_conflict(on_conflict);
    insert.build(SqliteQueryBuilder).0
}

/// The INSERT of `rows` rows that the table does not contain, under the surrogate keys that they had before, which are
/// the first value of each. None of these keys is in use, since SQLite assigns no key twice.
pub(crate) fn insert_with_keys(table: &Table, surrogate_key: &'static str, rows: usize, run_id: i64) -> String {
    insert(table, Some(surrogate_key), rows, run_id)
        .build(SqliteQueryBuilder)
        .0
}

fn insert(table: &Table, surrogate_key: Option<&'static str>, rows: usize, run_id: i64) -> InsertStatement {
    let run = table.notes_run.then_some(RUN_COLUMN);
    let own = table.columns.iter().map(|column| column.name);
    let values = surrogate_key.iter().count() + table.columns.len();
    let mut insert = Query::insert();
    insert
        .into_table(table.name)
        .columns(surrogate_key.into_iter().chain(own).chain(run));
    for _ in 0..rows {
        let cells = (0..values).map(|_| Expr::value(0));
        insert.values_panic(cells.chain(run.map(|_| Expr::cust(run_id.to_string()))));
    }
    insert
}

/// Binds values to the text of a prepared statement.
pub fn bind(sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

/// Splits the cells of rows into those of one statement each. Rows that fill exactly one statement are not copied.
pub(crate) fn portions(cells: Vec<Value>, width: usize) -> Vec<Vec<Value>> {
    if cells.is_empty() {
        return Vec::new();
    }
    let next = |left: usize| {
        let sizes = ROWS_PER_STATEMENT.into_iter();
        let mut cells = sizes.map(|rows| rows * width);
        cells.find(|cells| *cells <= left).unwrap_or(left)
    };
    if next(cells.len()) == cells.len() {
        return vec![cells];
    }
    let mut portions = Vec::new();
    let mut cells = cells.into_iter();
    while cells.len() > 0 {
        let next = next(cells.len());
        portions.push(cells.by_ref().take(next).collect());
    }
    portions
}

/// Deletes rows by their natural keys.
pub(crate) fn deletes(table: &Table, rows: &[TargetRow]) -> Vec<DeleteStatement> {
    let keys: Vec<&[Value]> = rows.iter().map(|row| &row.natural_key[..]).collect();
    keys.chunks(KEYS_PER_STATEMENT)
        .map(|keys| {
            let condition = match table.natural_key[..] {
                [name] => Expr::col(name).is_in(keys.iter().flat_map(|key| key.iter().cloned())),
                _ => Expr::tuple(table.natural_key.iter().map(|name| Expr::col(*name)))
                    .in_tuples(keys.iter().map(|key| ValueTuple::Many(key.to_vec()))),
            };
            Query::delete().from_table(table.name).and_where(condition).to_owned()
        })
        .collect()
}

/// The secondary indexes of a table.
pub(crate) fn indexes(table: &Table) -> Vec<IndexCreateStatement> {
    table
        .indexes
        .iter()
        .map(|column| {
            Index::create()
                .if_not_exists()
                .name(format!("idx_{}_{column}", table.name))
                .table(table.name)
                .col(Alias::new(*column))
                .to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cells_go_into_statements_of_few_sizes_and_in_order() {
        const WIDTH: usize = 3;
        for rows in [0, 1, 3, 499, 500, 501, 620, 1000] {
            let cells: Vec<Value> = (0..).take(rows * WIDTH).map(|cell: i64| cell.into()).collect();
            let portions = portions(cells.clone(), WIDTH);
            assert!(
                portions
                    .iter()
                    .all(|portion| { ROWS_PER_STATEMENT.map(|rows| rows * WIDTH).contains(&portion.len()) })
            );
            assert_eq!(portions.concat(), cells, "{rows} rows");
        }
    }
}
