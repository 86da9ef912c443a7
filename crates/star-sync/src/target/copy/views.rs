//! The views of a copy. A view that reads only the star stays a view. One that reads the sync's own tables, which a
//! copy does not have, becomes a table with its current rows, and views on it read that table. One that reads tables of
//! another program is left out.

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Func, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Order};

use crate::target::copy::CopiedTable;
use crate::target::sqlite::pragma::{self, TARGET};

/// The name and the definition of a view.
pub(crate) struct Definition {
    name: String,
    sql: String,
}

/// The views and tables created from the target's views.
#[derive(Default)]
pub(crate) struct CreatedViews {
    pub views: Vec<String>,
    pub tables: Vec<CopiedTable>,
}

/// Reads the definitions of the target's views in order of creation, and copies the sync's own tables that they read to
/// temporary tables, which last as long as the connection.
pub(crate) async fn read(transaction: &DatabaseTransaction) -> Result<Vec<Definition>, DbErr> {
    let views = master(transaction, "view").await?;
    // Table names are case-insensitive.
    let views_text: String = views.iter().map(|view| view.sql.to_ascii_lowercase()).collect();
    for Definition { name, .. } in master(transaction, "table").await? {
        if name.starts_with(pragma::OWN_TABLES) && views_text.contains(&name) {
            transaction.execute_unprepared(&pragma::keep_table(&name)).await?;
        }
    }
    Ok(views)
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

/// Creates the views in the copy, from its own rows: values that the copy leaves out are left out of them, too. The
/// target is detached first, so that no view can read it.
pub(crate) async fn make(connection: &DatabaseConnection, mut waiting: Vec<Definition>) -> Result<CreatedViews, DbErr> {
    connection.execute_unprepared(pragma::DETACH_TARGET).await?;
    let mut made = CreatedViews::default();
    // A view may read one that was created after it.
    loop {
        let before = waiting.len();
        let mut unreadable = Vec::new();
        for definition in waiting {
            if is_view(connection, &definition).await? {
                made.views.push(definition.name);
            } else if let Some(table) = as_table(connection, &definition).await? {
                made.tables.push(table);
            } else {
                unreadable.push(definition);
            }
        }
        waiting = unreadable;
        if waiting.len() == before || waiting.is_empty() {
            return Ok(made);
        }
    }
}

/// Creates it as a view of the copy, unless it reads tables that the copy does not have.
async fn is_view(connection: &DatabaseConnection, Definition { name, sql }: &Definition) -> Result<bool, DbErr> {
    connection.execute_unprepared(sql).await?;
    let is_readable = is_readable(connection, "main", name).await;
    if !is_readable {
        connection
            .execute_unprepared(&pragma::drop_view(&pragma::in_copy(name)))
            .await?;
    }
    Ok(is_readable)
}

/// Creates it as a table of the copy, if it reads tables of the sync: only a temporary view finds their temporary
/// tables.
async fn as_table(
    connection: &DatabaseConnection,
    Definition { name, sql }: &Definition,
) -> Result<Option<CopiedTable>, DbErr> {
    let Some(temporary) = pragma::temporary(sql) else {
        return Ok(None);
    };
    connection.execute_unprepared(&temporary).await?;
    let mut table = None;
    if is_readable(connection, "temp", name).await {
        connection.execute_unprepared(&pragma::view_as_table(name)).await?;
        table = Some(CopiedTable {
            table: name.clone(),
            rows: count(connection, name).await?,
        });
    }
    connection
        .execute_unprepared(&pragma::drop_view(&pragma::kept(name)))
        .await?;
    Ok(table)
}

/// The row count of a table of the copy.
async fn count(connection: &DatabaseConnection, table: &str) -> Result<u64, DbErr> {
    let select = Query::select()
        .expr(Func::count(Expr::col(Asterisk)))
        .from(("main", table.to_owned()))
        .to_owned();
    let row = connection.query_one(&select).await?;
    let rows: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(rows.unsigned_abs())
}

/// Whether all tables that a view reads exist. `schema` is that of the copy, or that of temporary objects.
async fn is_readable(connection: &DatabaseConnection, schema: &'static str, view: &str) -> bool {
    let select = Query::select()
        .column(Asterisk)
        .from((schema, view.to_owned()))
        .limit(0)
        .to_owned();
    connection.query_all(&select).await.is_ok()
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectOptions, Database, Statement, TransactionTrait};

    use super::*;

    /// A target with rows of the star, of the sync and of another program; the copy already has those of the star.
    const TARGET_AND_COPY: &str = "ATTACH ':memory:' AS target; \
        CREATE TABLE target.sync_state (source_table TEXT, last_synced TEXT); \
        INSERT INTO target.sync_state VALUES ('loan', '2026-01-31'); \
        CREATE TABLE target.diary (entry TEXT); \
        CREATE TABLE target.dim_book (book_id INTEGER, reader TEXT); \
        INSERT INTO target.dim_book VALUES (1, 'Ada'); \
        CREATE VIEW target.late AS SELECT book_id FROM dim_book WHERE (SELECT seen FROM \"how fresh\") > '2026'; \
        CREATE VIEW target.\"how fresh\" AS SELECT last_synced AS seen, reader FROM Sync_State, dim_book; \
        CREATE VIEW target.books AS SELECT * FROM dim_book; \
        CREATE VIEW target.entries AS SELECT entry FROM diary; \
        CREATE TABLE main.dim_book (book_id INTEGER, reader TEXT); \
        INSERT INTO main.dim_book VALUES (1, 'reader 1')";

    async fn texts(connection: &DatabaseConnection, sql: &str) -> Vec<String> {
        let select = Statement::from_string(connection.get_database_backend(), sql);
        let rows = connection.query_all_raw(select).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_view_of_the_sync_s_tables_becomes_a_table_of_what_the_copy_holds() {
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1);
        let connection = Database::connect(options).await.unwrap();
        connection.execute_unprepared(TARGET_AND_COPY).await.unwrap();
        let transaction = connection.begin().await.unwrap();
        let definitions = read(&transaction).await.unwrap();
        transaction.commit().await.unwrap();
        let made = make(&connection, definitions).await.unwrap();
        assert_eq!(made.views, ["books", "late"]);
        let tables: Vec<(&str, u64)> = made
            .tables
            .iter()
            .map(|made| (made.table.as_str(), made.rows))
            .collect();
        assert_eq!(tables, [("how fresh", 1)]);
        // Values that the copy leaves out are left out here, too.
        let seen = texts(&connection, "SELECT seen || ' ' || reader FROM \"how fresh\"").await;
        assert_eq!(seen, ["2026-01-31 reader 1"]);
        let names = texts(&connection, "SELECT name FROM main.sqlite_master ORDER BY name").await;
        assert_eq!(names, ["books", "dim_book", "how fresh", "late"]);
    }
}
