//! What other programs have put into the file, as far as it can stand in a run's way.

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::declare::star::Star;
use crate::error::{Doing, Error, Result};
use crate::target::sqlite::pragma;

/// An error of a run, with the tables named that stand behind it where it was a foreign key of another program's table:
/// SQLite names none.
pub async fn explain(error: Error, readers: &DatabaseConnection, star: &Star) -> Error {
    if !error.is_foreign_key() {
        return error;
    }
    match referencing(readers, star).await {
        Ok(tables) if !tables.is_empty() => Error::TargetReferenced { tables },
        _ => error,
    }
}

/// Tables that are not ours, with the tables of the star that their foreign keys point to.
async fn referencing(readers: &DatabaseConnection, star: &Star) -> Result<Vec<String>> {
    let doing = || "looking for foreign keys of other tables".to_owned();
    let statement = Statement::from_string(readers.get_database_backend(), pragma::FOREIGN_KEYS);
    let is_ours = |name: &str| {
        star.calendar.iter().any(|calendar| name == calendar.table) || star.tables().any(|table| table.name == name)
    };
    let mut found = Vec::new();
    for row in readers.query_all_raw(statement).await.target(doing)? {
        let (table, parent): (String, String) = row.try_get_many_by_index().target(doing)?;
        if is_ours(&parent) && !is_ours(&table) {
            found.push(format!("{table} (points to {parent})"));
        }
    }
    Ok(found)
}
