//! Detects what other programs have added to the file that can make a run fail.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::declare::star::Star;
use crate::error::{Doing, Error, Result};

/// For a foreign key error, names the tables of other programs that may have caused it, because SQLite names none.
/// Returns other errors unchanged.
pub async fn explain(error: Error, readers: &DatabaseConnection, star: &Star) -> Error {
    if !error.is_foreign_key() {
        return error;
    }
    match referencing(readers, star).await {
        Ok(tables) if !tables.is_empty() => Error::TargetReferenced { tables },
        _ => error,
    }
}

/// Tables of other programs, with the tables of the star that their foreign keys refer to.
async fn referencing(readers: &DatabaseConnection, star: &Star) -> Result<Vec<String>> {
    let doing = || "reading the foreign keys of other tables".to_owned();
    let keys_of_table = Func::cust("pragma_foreign_key_list").arg(Expr::col(("tables", "name")));
    let select = Query::select()
        .distinct()
        .column(("tables", "name"))
        .column(("keys", "table"))
        .from_as("sqlite_master", "tables")
        .from_function(keys_of_table, "keys")
        .and_where(Expr::col(("tables", "type")).eq("table"))
        .order_by(("tables", "name"), Order::Asc)
        .order_by(("keys", "table"), Order::Asc)
        .to_owned();
    let is_ours = |name: &str| {
        star.calendar.iter().any(|calendar| name == calendar.table) || star.tables().any(|table| table.name == name)
    };
    let mut found = Vec::new();
    for row in readers.query_all(&select).await.target(doing)? {
        let (table, parent): (String, String) = row.try_get_many_by_index().target(doing)?;
        if is_ours(&parent) && !is_ours(&table) {
            found.push(format!("{table} (refers to {parent})"));
        }
    }
    Ok(found)
}
