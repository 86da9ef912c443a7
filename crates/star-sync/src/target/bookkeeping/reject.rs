//! Quarantine: source rows that could not be loaded, with the reason. Every run tries them again; a row leaves when it
//! loads, or when the source no longer has it.
//!
//! A row that the star held keeps its surrogate key here, in the transaction that takes it out of the star, and returns
//! under that key. SQLite assigns no key twice, so the key is still free then; when the source row is gone, its key goes
//! with it.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, DeleteMany, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QuerySelect, QueryTrait,
};
use serde::Serialize;

use crate::declare::rejection::Reject;
use crate::declare::row::{HeldRow, joined_key, key_text};
use crate::declare::scope::{KEYS_A_STATEMENT, Scope};
use crate::declare::star::Star;
use crate::declare::table::{RowIdentity, Table};
use crate::error::{Doing, Result};
use crate::target::TargetReader;
use sync_reject::{ActiveModel, Column, Entity};

pub(crate) mod sync_reject {
    //! One row a quarantined source row.
    use sea_orm::entity::prelude::*;

    /// A quarantined row; it leaves when it loads.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_reject")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub target_table: String,
        pub source_table: String,
        /// The number that the key begins with; runs find rows by it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub page_key: i64,
        /// The source's primary key; its parts joined by commas, the page key first.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        /// Of the reason: see `ReasonCode`.
        pub code: String,
        pub reason: String,
        /// The run that found it.
        pub run_id: i64,
        /// The name of the lookup that did not find the parent, or of the joined table that is not there, if that is the reason.
        pub missing_parent: Option<String>,
        /// The key that the row had in the star; NULL if it never was there, or is there still.
        pub surrogate_key: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A quarantined row as it is shown.
#[derive(Clone, Debug, FromQueryResult, Serialize)]
pub struct QuarantinedRow {
    pub target_table: String,
    pub source_table: String,
    pub page_key: i64,
    pub key: String,
    pub code: String,
    pub reason: String,
    pub run_id: i64,
    pub missing_parent: Option<String>,
    pub surrogate_key: Option<i64>,
}

/// A row of sync_reject, as far as the writer has to know it.
pub(crate) struct Quarantined {
    page_key: i64,
    key: String,
    reason: String,
    surrogate_key: Option<i64>,
}

/// What sync_reject says of one scope, and what it should say.
pub(crate) struct Change<'a> {
    pub quarantined: Vec<Quarantined>,
    pub found: &'a [Reject],
    /// Surrogate keys of rows that leave the star.
    pub leaving: HashMap<RowIdentity, i64>,
}

/// What sync_reject says of `scope`.
pub(crate) async fn of_scope<C: ConnectionTrait>(
    connection: &C,
    table: &Table,
    scope: &Scope,
) -> Result<Vec<Quarantined>> {
    let rows: Vec<(i64, String, String, Option<i64>)> = Entity::find()
        .select_only()
        .columns([Column::PageKey, Column::Key, Column::Reason, Column::SurrogateKey])
        .filter(of_table(table.name, scope))
        .into_tuple()
        .all(connection)
        .await
        .target(|| format!("reading the quarantined rows of {}, {scope}", table.source_table))?;
    let quarantined = rows
        .into_iter()
        .map(|(page_key, key, reason, surrogate_key)| Quarantined {
            page_key,
            key,
            reason,
            surrogate_key,
        });
    Ok(quarantined.collect())
}

fn of_table(table: &str, scope: &Scope) -> Condition {
    Condition::all()
        .add(Column::TargetTable.eq(table))
        .add(scope.contains(&Expr::col(Column::PageKey)))
}

/// The surrogate keys of quarantined rows that are found to be quarantined no longer.
pub(crate) fn keys_of_returning(
    table: &Table,
    quarantined: &[Quarantined],
    found: &[Reject],
) -> HashMap<RowIdentity, i64> {
    if table.surrogate_key.is_none() || quarantined.is_empty() {
        return HashMap::new();
    }
    let found: HashSet<&str> = found.iter().map(|reject| reject.key.as_str()).collect();
    quarantined
        .iter()
        .filter(|row| !found.contains(row.key.as_str()))
        .filter_map(|row| Some((table.identity(row.page_key, || row.key.clone()), row.surrogate_key?)))
        .collect()
}

/// The surrogate keys of rows that leave the star because they are found to be quarantined.
pub(crate) async fn keys_of_leaving<C: ConnectionTrait>(
    connection: &C,
    table: &Table,
    deletes: &[HeldRow],
    found: &[Reject],
) -> Result<HashMap<RowIdentity, i64>> {
    let Some(surrogate_key) = table.surrogate_key else {
        return Ok(HashMap::new());
    };
    let found: HashSet<RowIdentity> = found
        .iter()
        .map(|reject| table.identity(reject.page_key, || reject.key.clone()))
        .collect();
    let identity = |row: &HeldRow| table.identity(row.page_key, || key_text(&row.natural_key));
    let page_keys = deletes.iter().filter(|row| found.contains(&identity(row)));
    let mut leaving = HashMap::new();
    for scope in Scope::of_keys(page_keys.map(|row| row.page_key), KEYS_A_STATEMENT) {
        let doing = || format!("reading the surrogate keys of {}, {scope}", table.name);
        let parts = table
            .natural_key
            .iter()
            .map(|column| Expr::col(*column).cast_as("TEXT"));
        let select = Query::select()
            .expr(table.target_page_key())
            .column(surrogate_key)
            .exprs(parts)
            .from(table.name)
            .cond_where(scope.contains(&table.target_page_key()))
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

/// Makes sync_reject say of a scope what was found. Rows that were there keep their surrogate keys. Returns the page keys
/// of the rows that are written or removed.
pub(crate) async fn replace<C: ConnectionTrait>(
    connection: &C,
    table: &Table,
    change: &Change<'_>,
    run_id: i64,
) -> Result<Vec<i64>> {
    let doing = || format!("writing the quarantined rows of {}", table.source_table);
    let held: HashMap<&str, &Quarantined> = change.quarantined.iter().map(|row| (row.key.as_str(), row)).collect();
    let found: HashSet<&str> = change.found.iter().map(|reject| reject.key.as_str()).collect();
    let gone: Vec<(i64, &str)> = change
        .quarantined
        .iter()
        .filter(|row| !found.contains(row.key.as_str()))
        .map(|row| (row.page_key, row.key.as_str()))
        .collect();
    let new: Vec<ActiveModel> = change
        .found
        .iter()
        .filter_map(|reject| {
            let held = held.get(reject.key.as_str());
            let kept = held.and_then(|held| held.surrogate_key);
            let identity = table.identity(reject.page_key, || reject.key.clone());
            let leaving = change.leaving.get(&identity).copied();
            let is_known = held.is_some_and(|held| held.reason == reject.rejection.reason);
            if is_known && (leaving.is_none() || leaving == kept) {
                return None;
            }
            Some(ActiveModel {
                target_table: Set(table.name.to_owned()),
                source_table: Set(table.source_table.to_owned()),
                page_key: Set(reject.page_key),
                key: Set(reject.key.clone()),
                code: Set(reject.rejection.code.name().to_owned()),
                reason: Set(reject.rejection.reason.clone()),
                run_id: Set(run_id),
                missing_parent: Set(reject.rejection.missing_parent.map(str::to_owned)),
                surrogate_key: Set(leaving.or(kept)),
            })
        })
        .collect();
    for keys in gone.chunks(KEYS_A_STATEMENT) {
        removal(table.name, keys).exec(connection).await.target(doing)?;
    }
    for rows in new.chunks(KEYS_A_STATEMENT) {
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

/// How many rows are quarantined, by the target table that they should be in.
pub async fn counts<C: ConnectionTrait>(connection: &C) -> Result<BTreeMap<String, u64>> {
    let rows: Vec<(String, i64)> = Entity::find()
        .select_only()
        .column(Column::TargetTable)
        .column_as(Column::Key.count(), "rows")
        .group_by(Column::TargetTable)
        .into_tuple()
        .all(connection)
        .await
        .target(|| "counting the quarantined rows".to_owned())?;
    Ok(rows
        .into_iter()
        .map(|(table, rows)| (table, rows.unsigned_abs()))
        .collect())
}

/// The same by the source table that they come from.
pub fn by_source(star: &Star, counts: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut by_source = BTreeMap::new();
    for (table, rows) in counts {
        if let Some(table) = star.table(table) {
            *by_source.entry(table.source_table.to_owned()).or_default() += rows;
        }
    }
    by_source
}

/// How many rows of `scope` are quarantined.
pub(crate) async fn count<C: ConnectionTrait>(connection: &C, table: &Table, scope: &Scope) -> Result<u64> {
    Entity::find()
        .filter(of_table(table.name, scope))
        .count(connection)
        .await
        .target(|| format!("counting the quarantined rows of {}", table.source_table))
}

/// The page keys of the quarantined rows of a table.
pub(crate) async fn page_keys(target: &TargetReader, table: &Table) -> Result<Vec<i64>> {
    let doing = || format!("reading the quarantined rows of {}", table.source_table);
    let keys = missing_parents(target, table, &Scope::ALL).await.target(doing)?;
    Ok(keys.into_iter().map(|(key, _)| key).collect())
}

/// (page key, missing parent) of the quarantined rows of a table in `scope`.
pub(crate) async fn missing_parents(
    target: &TargetReader,
    table: &Table,
    scope: &Scope,
) -> std::result::Result<Vec<(i64, Option<String>)>, DbErr> {
    let select = Entity::find()
        .select_only()
        .columns([Column::PageKey, Column::MissingParent])
        .filter(of_table(table.name, scope))
        .into_query();
    target
        .all(&select)
        .await?
        .iter()
        .map(sea_orm::QueryResult::try_get_many_by_index)
        .collect()
}

/// Whether this row is quarantined.
pub(crate) async fn is_noted(target: &TargetReader, table: &Table, (page_key, key): &RowIdentity) -> Result<bool> {
    let mut noted = Entity::find().filter(of_table(table.name, &Scope::Keys(vec![*page_key])));
    if let Some(key) = key {
        noted = noted.filter(Column::Key.eq(key));
    }
    let noted = target.all(&noted.into_query()).await;
    let noted = noted.target(|| format!("reading the quarantined rows of {}", table.source_table))?;
    Ok(!noted.is_empty())
}

/// A few quarantined rows of a source table, for people to read.
pub async fn some<C: ConnectionTrait>(connection: &C, source_table: &str, limit: u64) -> Result<Vec<QuarantinedRow>> {
    Entity::find()
        .filter(Column::SourceTable.eq(source_table))
        .limit(limit)
        .into_model()
        .all(connection)
        .await
        .target(|| "reading the quarantined rows".to_owned())
}

#[cfg(test)]
mod tests {
    use sea_orm::{DatabaseConnection, Statement};

    use super::*;
    use crate::declare::rejection::{ReasonCode, Rejection};
    use crate::made_up;

    async fn plan(connection: &DatabaseConnection, statement: Statement) -> Vec<String> {
        let explain = Statement {
            sql: format!("EXPLAIN QUERY PLAN {}", statement.sql),
            ..statement
        };
        let steps = connection.query_all_raw(explain).await.unwrap();
        steps.iter().map(|step| step.try_get("", "detail").unwrap()).collect()
    }

    #[tokio::test]
    async fn the_rows_of_a_scope_are_found_by_their_key() {
        let connection = made_up::database_of(Entity).await;
        let backend = connection.get_database_backend();
        let range = Scope::Range {
            after: Some(100),
            upto: Some(200),
        };
        for scope in [range, Scope::Keys(vec![1, 5, 9])] {
            let find = Entity::find().filter(of_table("fact_loan", &scope)).build(backend);
            let steps = plan(&connection, find).await;
            let is_found = |step: &String| step.contains("SEARCH") && step.contains("target_table=? AND page_key");
            assert!(steps.iter().any(is_found), "{scope}: {steps:?}");
            assert!(!steps.iter().any(|step| step.contains("SCAN")), "{scope}: {steps:?}");
        }
        let steps = plan(&connection, removal("fact_loan", &[(1, "1"), (2, "2")]).build(backend)).await;
        let is_found = |step: &String| step.contains("SEARCH sync_reject") && step.contains("page_key=?");
        assert!(steps.iter().any(is_found), "{steps:?}");
    }

    fn loan(key: i64, reason: &str) -> Reject {
        Reject {
            page_key: key,
            key: key.to_string(),
            rejection: Rejection::invalid(ReasonCode::DateInvalid, reason),
        }
    }

    async fn keys(connection: &DatabaseConnection, scope: &Scope) -> Vec<(i64, String, Option<i64>)> {
        let table = made_up::star().table("fact_loan").unwrap();
        let rows = of_scope(connection, table, scope).await.unwrap();
        rows.into_iter()
            .map(|row| (row.page_key, row.reason, row.surrogate_key))
            .collect()
    }

    #[tokio::test]
    async fn a_key_comes_with_the_row_stays_with_it_and_goes_with_it() {
        let connection = made_up::database_of(Entity).await;
        let table = made_up::star().table("fact_loan").unwrap();
        let becomes = async |found: &[Reject], leaving: &[(i64, i64)], run_id| {
            let quarantined = of_scope(&connection, table, &Scope::ALL).await.unwrap();
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
        // A row that never was in the star, and one that stays there until its parent was looked for again.
        becomes(&[loan(1, "a"), loan(2, "a")], &[], 1).await;
        becomes(&[loan(1, "a"), loan(2, "a")], &[(2, 77)], 2).await;
        becomes(&[loan(1, "b"), loan(2, "b")], &[], 3).await;
        let held = keys(&connection, &Scope::ALL).await;
        assert_eq!(held, [(1, "b".to_owned(), None), (2, "b".to_owned(), Some(77))]);
        let returning = becomes(&[loan(1, "b")], &[], 4).await;
        assert_eq!(returning, HashMap::from([((2, None), 77)]));
        assert_eq!(keys(&connection, &Scope::ALL).await.len(), 1);
    }
}
