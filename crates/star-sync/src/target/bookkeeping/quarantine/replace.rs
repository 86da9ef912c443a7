//! Updates the quarantine of a key range from a batch: adds rows that are quarantined now, and removes rows that are no
//! longer.
//!
//! A row that was in the star keeps its surrogate key: the transaction that deletes it from the star stores the key in
//! sync_reject, and the row returns under that key. SQLite assigns no key twice, so the key is still free then. When
//! the source row is deleted, its key is deleted with it.

use std::collections::{HashMap, HashSet};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DeleteMany, EntityTrait, QueryFilter, QuerySelect};

use super::of_table;
use super::sync_reject::{ActiveModel, Column, Entity};
use crate::declare::key_range::{KEYS_PER_STATEMENT, KeyRange};
use crate::declare::rejection::RejectedRow;
use crate::declare::row::{TargetRow, joined_key, key_text};
use crate::declare::table::{RowIdentity, Table};
use crate::error::{Doing, Result};

/// The columns of a sync_reject row that the writer needs.
pub(crate) struct StoredRow {
    page_key: i64,
    key: String,
    reason: String,
    surrogate_key: Option<i64>,
}

/// The stored and the found quarantined rows of one key range.
pub(crate) struct Change<'a> {
    pub quarantined: Vec<StoredRow>,
    pub found: &'a [RejectedRow],
    /// Surrogate keys of rows that are deleted from the star.
    pub leaving: HashMap<RowIdentity, i64>,
}

/// The stored quarantined rows of a key range.
pub(crate) async fn of_key_range<C: ConnectionTrait>(
    connection: &C,
    table: &Table,
    key_range: &KeyRange,
) -> Result<Vec<StoredRow>> {
    let rows: Vec<(i64, String, String, Option<i64>)> = Entity::find()
        .select_only()
        .columns([Column::PageKey, Column::Key, Column::Reason, Column::SurrogateKey])
        .filter(of_table(table.name, key_range))
        .into_tuple()
        .all(connection)
        .await
        .target(|| format!("reading the quarantined rows of {}, {key_range}", table.source_table))?;
    let quarantined = rows
        .into_iter()
        .map(|(page_key, key, reason, surrogate_key)| StoredRow {
            page_key,
            key,
            reason,
            surrogate_key,
        });
    Ok(quarantined.collect())
}

/// The surrogate keys of stored rows that are no longer quarantined.
pub(crate) fn keys_of_returning(
    table: &Table,
    quarantined: &[StoredRow],
    found: &[RejectedRow],
) -> HashMap<RowIdentity, i64> {
    if table.surrogate_key.is_none() || quarantined.is_empty() {
        return HashMap::new();
    }
    let found: HashSet<&str> = found.iter().map(|row| row.key.as_str()).collect();
    quarantined
        .iter()
        .filter(|row| !found.contains(row.key.as_str()))
        .filter_map(|row| Some((table.identity(row.page_key, || row.key.clone()), row.surrogate_key?)))
        .collect()
}

/// The surrogate keys of rows that leave the star because they are now quarantined.
pub(crate) async fn keys_of_leaving<C: ConnectionTrait>(
    connection: &C,
    table: &Table,
    deletes: &[TargetRow],
    found: &[RejectedRow],
) -> Result<HashMap<RowIdentity, i64>> {
    let Some(surrogate_key) = table.surrogate_key else {
        return Ok(HashMap::new());
    };
    let found: HashSet<RowIdentity> = found
        .iter()
        .map(|row| table.identity(row.page_key, || row.key.clone()))
        .collect();
    let identity = |row: &TargetRow| table.identity(row.page_key, || key_text(&row.natural_key));
    let page_keys = deletes.iter().filter(|row| found.contains(&identity(row)));
    let mut leaving = HashMap::new();
    for key_range in KeyRange::of_keys(page_keys.map(|row| row.page_key), KEYS_PER_STATEMENT) {
        let doing = || format!("reading the surrogate keys of {}, {key_range}", table.name);
        let parts = table
            .natural_key
            .iter()
            .map(|column| Expr::col(*column).cast_as("TEXT"));
        let select = Query::select()
            .expr(table.target_page_key())
            .column(surrogate_key)
            .exprs(parts)
            .from(table.name)
            .cond_where(key_range.contains(&table.target_page_key()))
            .to_owned();
        for row in connection.query_all(&select).await.target(doing)? {
            let (page_key, surrogate_key): (i64, i64) = row.try_get_many_by_index().target(doing)?;
            let parts = (0..table.natural_key.len()).map(|part| row.try_get_by_index::<String>(2 + part));
            let parts: Vec<String> = parts.collect::<std::result::Result<_, _>>().target(doing)?;
            let identity = table.identity(page_key, || joined_key(parts));
            if found.contains(&identity) {
                leaving.insert(identity, surrogate_key);
            }
        }
    }
    Ok(leaving)
}

/// Replaces the contents of sync_reject for a key range with what was found. Rows that were already there keep their
/// surrogate keys. Returns the page keys of the rows that are written or removed.
pub(crate) async fn replace<C: ConnectionTrait>(
    connection: &C,
    table: &Table,
    change: &Change<'_>,
    run_id: i64,
) -> Result<Vec<i64>> {
    let doing = || format!("writing the quarantined rows of {}", table.source_table);
    let stored: HashMap<&str, &StoredRow> = change.quarantined.iter().map(|row| (row.key.as_str(), row)).collect();
    let found: HashSet<&str> = change.found.iter().map(|row| row.key.as_str()).collect();
    let gone: Vec<(i64, &str)> = change
        .quarantined
        .iter()
        .filter(|row| !found.contains(row.key.as_str()))
        .map(|row| (row.page_key, row.key.as_str()))
        .collect();
    let new: Vec<ActiveModel> = change
        .found
        .iter()
        .filter_map(|row| {
            let stored = stored.get(row.key.as_str());
            let kept = stored.and_then(|stored| stored.surrogate_key);
            let identity = table.identity(row.page_key, || row.key.clone());
            let leaving = change.leaving.get(&identity).copied();
            let is_known = stored.is_some_and(|stored| stored.reason == row.rejection.reason);
            if is_known && (leaving.is_none() || leaving == kept) {
                return None;
            }
            Some(ActiveModel {
                target_table: Set(table.name.to_owned()),
                source_table: Set(table.source_table.to_owned()),
                page_key: Set(row.page_key),
                key: Set(row.key.clone()),
                code: Set(row.rejection.code.name().to_owned()),
                reason: Set(row.rejection.reason.clone()),
                run_id: Set(run_id),
                missing_parent: Set(row.rejection.missing_parent.map(str::to_owned)),
                surrogate_key: Set(leaving.or(kept)),
            })
        })
        .collect();
    for keys in gone.chunks(KEYS_PER_STATEMENT) {
        removal(table.name, keys).exec(connection).await.target(doing)?;
    }
    for rows in new.chunks(KEYS_PER_STATEMENT) {
        let key = [Column::TargetTable, Column::PageKey, Column::Key];
        let others = [
            Column::Code,
            Column::Reason,
            Column::RunId,
            Column::MissingParent,
            Column::SurrogateKey,
        ];
        Entity::insert_many(rows.to_vec())
            .on_conflict(OnConflict::columns(key).update_columns(others).to_owned())
            .exec_without_returning(connection)
            .await
            .target(doing)?;
    }
    let written = new.iter().map(|row| *row.page_key.as_ref());
    Ok(gone.iter().map(|(page_key, _)| *page_key).chain(written).collect())
}

fn removal(table: &str, keys: &[(i64, &str)]) -> DeleteMany<Entity> {
    let key = Expr::tuple([Expr::col(Column::PageKey), Expr::col(Column::Key)]);
    Entity::delete_many()
        .filter(Column::TargetTable.eq(table))
        .filter(key.in_tuples(keys.iter().copied()))
}

#[cfg(test)]
mod tests {
    use sea_orm::{DatabaseConnection, QueryTrait, Statement};

    use super::*;
    use crate::declare::rejection::{ReasonCode, Rejection};
    use crate::test_star;

    async fn plan(connection: &DatabaseConnection, statement: Statement) -> Vec<String> {
        let explain = Statement {
            sql: format!("EXPLAIN QUERY PLAN {}", statement.sql),
            ..statement
        };
        let steps = connection.query_all_raw(explain).await.unwrap();
        steps.iter().map(|step| step.try_get("", "detail").unwrap()).collect()
    }

    #[tokio::test]
    async fn the_rows_of_a_key_range_are_found_by_their_key() {
        let connection = test_star::database_of(Entity).await;
        let backend = connection.get_database_backend();
        let range = KeyRange::Between {
            after: Some(100),
            up_to: Some(200),
        };
        for key_range in [range, KeyRange::Keys(vec![1, 5, 9])] {
            let find = Entity::find().filter(of_table("fact_loan", &key_range)).build(backend);
            let steps = plan(&connection, find).await;
            let is_found = |step: &String| step.contains("SEARCH") && step.contains("target_table=? AND page_key");
            assert!(steps.iter().any(is_found), "{key_range}: {steps:?}");
            assert!(
                !steps.iter().any(|step| step.contains("SCAN")),
                "{key_range}: {steps:?}"
            );
        }
        let steps = plan(&connection, removal("fact_loan", &[(1, "1"), (2, "2")]).build(backend)).await;
        let is_found = |step: &String| step.contains("SEARCH sync_reject") && step.contains("page_key=?");
        assert!(steps.iter().any(is_found), "{steps:?}");
    }

    fn loan(key: i64, reason: &str) -> RejectedRow {
        RejectedRow {
            page_key: key,
            key: key.to_string(),
            rejection: Rejection::invalid(ReasonCode::DateInvalid, reason),
        }
    }

    async fn keys(connection: &DatabaseConnection, key_range: &KeyRange) -> Vec<(i64, String, Option<i64>)> {
        let table = test_star::star().table("fact_loan").unwrap();
        let rows = of_key_range(connection, table, key_range).await.unwrap();
        rows.into_iter()
            .map(|row| (row.page_key, row.reason, row.surrogate_key))
            .collect()
    }

    #[tokio::test]
    async fn a_key_comes_with_the_row_stays_with_it_and_goes_with_it() {
        let connection = test_star::database_of(Entity).await;
        let table = test_star::star().table("fact_loan").unwrap();
        let becomes = async |found: &[RejectedRow], leaving: &[(i64, i64)], run_id| {
            let quarantined = of_key_range(&connection, table, &KeyRange::ALL).await.unwrap();
            let returning = keys_of_returning(table, &quarantined, found);
            let change = Change {
                quarantined,
                found,
                leaving: leaving
                    .iter()
                    .map(|(key, surrogate)| ((*key, None), *surrogate))
                    .collect(),
            };
            replace(&connection, table, &change, run_id).await.unwrap();
            returning
        };
        // One row was never in the star; the other stays there until its parent has been looked up again.
        becomes(&[loan(1, "a"), loan(2, "a")], &[], 1).await;
        becomes(&[loan(1, "a"), loan(2, "a")], &[(2, 77)], 2).await;
        becomes(&[loan(1, "b"), loan(2, "b")], &[], 3).await;
        let stored = keys(&connection, &KeyRange::ALL).await;
        assert_eq!(stored, [(1, "b".to_owned(), None), (2, "b".to_owned(), Some(77))]);
        let returning = becomes(&[loan(1, "b")], &[], 4).await;
        assert_eq!(returning, HashMap::from([((2, None), 77)]));
        assert_eq!(keys(&connection, &KeyRange::ALL).await.len(), 1);
    }
}
