//! The statements that change the star, made by the query builder.

use sea_orm::sea_query::{
    Alias, DeleteStatement, Expr, ExprTrait, Index, IndexCreateStatement, OnConflict, Query, SqliteQueryBuilder,
};
use sea_orm::{DbBackend, Statement, Value};

use crate::engine::declaration::row::{Columns, NaturalKey, RUN_COLUMN};
use crate::engine::declaration::table::Table;

/// Rows of one INSERT. Each is handed to SQLite's thread and waited for, so few large ones are better; beyond 500 they
/// gain nothing (docs/performance.md), and SQLite's limit of 32,766 bind variables is far. What is left over goes in
/// ever smaller ones, so that there are few different statements and all of them are kept prepared.
pub const ROWS_A_STATEMENT: [usize; 5] = [500, 100, 20, 4, 1];
/// Rows that one DELETE names.
const KEYS_A_STATEMENT: usize = 1_000;

/// The INSERT of `rows` rows that overwrites `columns` of rows with the same natural key, so that surrogate keys stay.
/// The run is part of the text: it is the same for all that a writer writes.
pub fn upsert(table: &Table, columns: Columns, rows: usize, run_id: i64) -> String {
    let run = table.notes_run.then_some(RUN_COLUMN);
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).chain(run).collect();
    let mut insert = Query::insert();
    insert.into_table(table.name).columns(names.iter().copied());
    for _ in 0..rows {
        let cells = table.columns.iter().map(|_| Expr::value(0));
        insert.values_panic(cells.chain(run.map(|_| Expr::cust(run_id.to_string()))));
    }
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

/// A kept statement with values of its own.
pub fn bind(sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

/// Cuts the cells of rows into those of one statement each. Rows that are as many as one takes are not copied.
pub fn portions(cells: Vec<Value>, width: usize) -> Vec<Vec<Value>> {
    let rows_of_next = |cells: usize| {
        let mut sizes = ROWS_A_STATEMENT.into_iter();
        sizes.find(|rows| rows * width <= cells).unwrap_or(1)
    };
    if rows_of_next(cells.len()) * width == cells.len() {
        return vec![cells];
    }
    let mut portions = Vec::new();
    let mut cells = cells.into_iter();
    while cells.len() > 0 {
        let rows = rows_of_next(cells.len());
        portions.push(cells.by_ref().take(rows * width).collect());
    }
    portions
}

/// Deletes rows by their natural keys.
pub fn deletes(table: &Table, keys: &[NaturalKey]) -> Vec<DeleteStatement> {
    let names = table.natural_key.clone();
    keys.chunks(KEYS_A_STATEMENT)
        .map(|keys| {
            let condition = match names[..] {
                [name] => Expr::col(name).is_in(keys.iter().map(|key| key[0])),
                [first, second] => Expr::tuple([Expr::col(first), Expr::col(second)])
                    .in_tuples(keys.iter().map(|key| (key[0], key[1]))),
                _ => unreachable!("a natural key has one column or two"),
            };
            Query::delete().from_table(table.name).and_where(condition).to_owned()
        })
        .collect()
}

/// The secondary indexes of a table.
pub fn indexes(table: &Table) -> Vec<IndexCreateStatement> {
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
