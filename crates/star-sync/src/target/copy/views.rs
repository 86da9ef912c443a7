//! The views of a copy. One that reads the star alone is a view there too. One that reads the sync's own tables, which a
//! copy does not have, is a table with the rows that it had; views that read it go on from there. One that reads tables of
//! another program is left out.

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Order, Statement};

use crate::target::copy::CopiedTable;
use crate::target::sqlite::pragma::{self, TARGET};

/// What a view is made with.
pub(crate) struct Definition {
    name: String,
    sql: String,
}

/// What was made of the views.
#[derive(Default)]
pub(crate) struct Made {
    pub views: Vec<String>,
    pub tables: Vec<CopiedTable>,
}

/// Reads the definitions of the target's views, in the order in which they were made, and keeps the sync's own tables for
/// as long as the connection is open.
pub(crate) async fn read(transaction: &DatabaseTransaction) -> Result<Vec<Definition>, DbErr> {
    for table in master(transaction, "table").await? {
        if table.name.starts_with(pragma::OWN_TABLES) {
            transaction.execute_unprepared(&pragma::keep_table(&table.name)).await?;
        }
    }
    master(transaction, "view").await
}

async fn master(transaction: &DatabaseTransaction, kind: &str) -> Result<Vec<Definition>, DbErr> {
    let select = Query::select()
        .columns(["name", "sql"])
        .from((TARGET, "sqlite_master"))
        .and_where(Expr::col("type").eq(kind))
        .order_by("rowid", Order::Asc)
        .to_owned();
    let rows = transaction.query_all(&select).await?;
    rows.iter()
        .map(|row| {
            let (name, sql) = row.try_get_many_by_index()?;
            Ok(Definition { name, sql })
        })
        .collect()
}

/// Makes them in the copy, from its own rows: what the copy leaves out is left out of them, too. The target is let go of
/// first, so that nothing of it can be read in passing.
pub(crate) async fn make(connection: &DatabaseConnection, definitions: Vec<Definition>) -> Result<Made, DbErr> {
    connection.execute_unprepared(pragma::DETACH_TARGET).await?;
    let mut made = Made::default();
    for Definition { name, sql } in definitions {
        connection.execute_unprepared(&sql).await?;
        if is_readable(connection, &pragma::in_copy(&name)).await {
            made.views.push(name);
            continue;
        }
        connection
            .execute_unprepared(&pragma::drop_view(&pragma::in_copy(&name)))
            .await?;
        // Only a temporary view finds the tables that were kept.
        let Some(temporary) = pragma::temporary(&sql) else {
            continue;
        };
        connection.execute_unprepared(&temporary).await?;
        if is_readable(connection, &pragma::kept(&name)).await {
            connection.execute_unprepared(&pragma::view_as_table(&name)).await?;
            made.tables.push(CopiedTable {
                rows: count(connection, &name).await?,
                table: name.clone(),
            });
        }
        connection
            .execute_unprepared(&pragma::drop_view(&pragma::kept(&name)))
            .await?;
    }
    Ok(made)
}

/// The rows of a table of the copy.
async fn count(connection: &DatabaseConnection, table: &str) -> Result<u64, DbErr> {
    let select = Query::select()
        .expr(Func::count(Expr::col(Asterisk)))
        .from(("main", table.to_owned()))
        .to_owned();
    let row = connection.query_one(&select).await?;
    let rows: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(rows.unsigned_abs())
}

async fn is_readable(connection: &DatabaseConnection, view: &str) -> bool {
    let look = Statement::from_string(connection.get_database_backend(), pragma::look_into(view));
    connection.query_all_raw(look).await.is_ok()
}
