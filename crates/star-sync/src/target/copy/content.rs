//! The contents of a copy: the rows of the star's tables as of one commit, and its views.

use std::path::Path;

use sea_orm::sea_query::{Expr, ExprTrait, Func, InsertStatement, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement, TransactionTrait, Value};

use crate::declare::personal::PersonalColumn;
use crate::declare::row::{CellType, RUN_COLUMN};
use crate::declare::table::Table;
use crate::error::{Doing, Error, Result};
use crate::failpoint;
use crate::target::bookkeeping::state;
use crate::target::copy::{CopiedTable, Request, due, failed, views};
use crate::target::sqlite::pragma::{self, TARGET};
use crate::target::sqlite::{Access, connect};

/// What was written.
pub(crate) struct Content {
    pub tables: Vec<CopiedTable>,
    pub views: Vec<String>,
}

/// Fills an empty file with the star.
pub(crate) async fn write(request: &Request<'_>, file: &Path) -> Result<Content> {
    let Request { star, copy, .. } = request;
    let connection = connect(file, Access::Copy, 1).await.map_err(|error| match error {
        Error::Target { doing, cause } => failed(copy, doing)(cause),
        error => error,
    })?;
    attach(&connection, request.target).await?;
    // Everything is read from the target in this transaction, so it is as of one commit.
    let transaction = connection.begin().await.map_err(failed(copy, "beginning to copy"))?;
    let states = state::load(&transaction).await?;
    if !states.is_loaded() || states.is_loading() {
        return Err(Error::NotLoaded);
    }
    let version = due::version(&transaction, request).await?;
    let mut tables = Vec::new();
    if let Some(calendar) = &star.calendar {
        tables.push(copy_table(request, &transaction, calendar.table, None).await?);
        failpoint::hold("copy-begun").await;
    }
    for table in star.tables() {
        tables.push(copy_table(request, &transaction, table.name, left_out(table, request.without)).await?);
    }
    let read = failed(copy, "reading the views");
    let definitions = views::read(&transaction).await.map_err(read)?;
    transaction.commit().await.map_err(failed(copy, "committing"))?;
    failpoint::pass("copy-filled");
    let views = views::make(&connection, definitions).await;
    let views = views.map_err(failed(copy, "making the views"))?;
    tables.extend(views.tables);
    let marks = [
        pragma::write_application_id(star.names.copy_application_id()),
        pragma::write_user_version(version),
    ];
    for mark in marks {
        let marked = connection.execute_unprepared(&mark).await;
        marked.map_err(failed(copy, "marking the file as a copy"))?;
    }
    connection.close().await.map_err(failed(copy, "closing the file"))?;
    Ok(Content {
        tables,
        views: views.views,
    })
}

/// Attaches the target to the copy's connection for reading.
async fn attach(connection: &DatabaseConnection, target: &Path) -> Result<()> {
    let opened = |cause| Error::TargetFile {
        path: target.to_owned(),
        verb: "opened",
        cause,
    };
    let path = target.canonicalize().map_err(opened)?;
    let Some(path) = path.to_str() else {
        return Err(opened(std::io::ErrorKind::InvalidFilename.into()));
    };
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), pragma::ATTACH_TARGET, [path.into()]);
    let attached = connection.execute_raw(statement).await;
    attached.map(drop).target(|| format!("opening {}", target.display()))
}

/// A table with personal columns that the copy leaves out.
struct LeftOut<'a> {
    table: &'a Table,
    columns: Vec<&'static str>,
}

fn left_out<'a>(table: &'a Table, without: &[PersonalColumn]) -> Option<LeftOut<'a>> {
    let of_table = without.iter().filter(|column| column.table == table.name);
    let columns: Vec<&str> = of_table.map(|column| column.column).collect();
    (!columns.is_empty()).then_some(LeftOut { table, columns })
}

/// Copies a table with its indexes.
async fn copy_table(
    request: &Request<'_>,
    transaction: &DatabaseTransaction,
    table: &str,
    left_out: Option<LeftOut<'_>>,
) -> Result<CopiedTable> {
    let doing = format!("copying {table}");
    let copied = async {
        for definition in definitions(transaction, table).await? {
            transaction.execute_unprepared(&definition).await?;
        }
        match left_out {
            Some(left_out) => transaction.execute(&rows_without(&left_out)?).await,
            None => transaction.execute_unprepared(&pragma::copy_rows(table)).await,
        }
    };
    let copied = copied.await.map_err(failed(request.copy, doing))?;
    Ok(CopiedTable {
        table: table.to_owned(),
        rows: copied.rows_affected(),
    })
}

/// The statements that create a table and its indexes.
async fn definitions(transaction: &DatabaseTransaction, table: &str) -> std::result::Result<Vec<String>, DbErr> {
    let select = Query::select()
        .column("sql")
        .from((TARGET, "sqlite_master"))
        .and_where(Expr::col("tbl_name").eq(table))
        .and_where(Expr::col("type").is_in(["table", "index"]))
        // SQLite creates the indexes of unique columns with the table.
        .and_where(Expr::col("sql").is_not_null())
        .order_by("rowid", sea_orm::Order::Asc)
        .to_owned();
    let rows = transaction.query_all(&select).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Copies the rows of a table with pseudonyms in place of texts, and NULL in place of any other value.
fn rows_without(left_out: &LeftOut<'_>) -> std::result::Result<InsertStatement, DbErr> {
    let LeftOut { table, columns } = left_out;
    let written = table.columns.iter().map(|column| column.name);
    let run = table.notes_run.then_some(RUN_COLUMN);
    let names: Vec<&'static str> = table.surrogate_key.into_iter().chain(written).chain(run).collect();
    let mut select = Query::select();
    for name in &names {
        select.expr(if columns.contains(name) {
            pseudonym(table, name)
        } else {
            Expr::col(*name)
        });
    }
    select.from((TARGET, table.name));
    let mut insert = Query::insert();
    insert
        .into_table(table.name)
        .columns(names)
        .select_from(select)
        .map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok(insert)
}

/// The pseudonym that replaces a personal text: the column's name with the row's natural key. It differs between rows
/// and is the same in every copy and lake. NULL stays NULL, and a value of another type becomes NULL.
pub fn pseudonym(table: &Table, column: &'static str) -> Expr {
    let is_text = table
        .columns
        .iter()
        .any(|declared| declared.name == column && declared.cell_type == CellType::Text);
    if !is_text {
        return Expr::val(Value::BigInt(None));
    }
    let keys = table.natural_key.iter().map(|key| Expr::col(*key));
    let words = [Expr::val(" "), Expr::val(column)].into_iter().chain(keys);
    let text = Func::cust("concat_ws").args(words);
    Expr::case(Expr::col(column).is_not_null(), text).into()
}
