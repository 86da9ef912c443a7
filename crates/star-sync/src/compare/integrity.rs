//! Checks the integrity of target rows: no duplicate key, no missing parent, no NULL in a NOT NULL column.

use sea_orm::sea_query::{Alias, Asterisk, Condition, Expr, ExprTrait, Query, SelectStatement};
use serde::Serialize;

use crate::declare::table::{Reference, Table, TargetPageKey};
use crate::error::{Doing, Result};
use crate::target::TargetReader;
use crate::target::bookkeeping::quarantine;

/// The alias of the distinct keys of one reference.
const KEYS: &str = "keys";

/// The integrity violations of one target table, by kind.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Integrity {
    /// Natural keys that occur more than once.
    pub duplicates: u64,
    /// Rows whose parent is missing.
    pub orphans: u64,
    /// Rows with NULL in a NOT NULL column.
    pub nulls: u64,
}

impl Integrity {
    /// Checks a target table.
    pub(crate) async fn check(table: &Table, target: &TargetReader) -> Result<Self> {
        Ok(Self {
            duplicates: duplicates(table, target).await?,
            orphans: orphans(table, target, Condition::all()).await?,
            nulls: nulls(table, target).await?,
        })
    }

    /// Whether there are no violations.
    pub(crate) fn is_intact(self) -> bool {
        self.duplicates == 0 && self.orphans == 0 && self.nulls == 0
    }
}

async fn count(target: &TargetReader, table: &Table, select: &SelectStatement) -> Result<u64> {
    let count = target.number(select).await;
    Ok(count.target(|| format!("checking {}", table.name))?.unsigned_abs())
}

async fn duplicates(table: &Table, target: &TargetReader) -> Result<u64> {
    let keys = table.natural_key.clone().into_iter().map(Alias::new);
    let repeated = Query::select()
        .columns(keys.clone())
        .from(table.name)
        .group_by_columns(keys)
        .and_having(Expr::col(Asterisk).count().gt(1))
        .to_owned();
    let select = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from_subquery(repeated, "repeated")
        .to_owned();
    count(target, table, &select).await
}

/// Rows whose parent is missing, except quarantined ones: the catch-up pass of a load deletes those, because the source
/// lacks their parent too.
pub(crate) async fn orphans_to_stay(table: &Table, target: &TargetReader) -> Result<u64> {
    let mut stay = Condition::all();
    // Bridges have no page key of their own; their orphans are deleted before.
    if let TargetPageKey::Own(page_key) = table.target_page_key {
        let page_key = Expr::col((Alias::new(table.name), page_key));
        stay = stay.add(page_key.not_in_subquery(quarantine::select_page_keys(table)));
    }
    orphans(table, target, stay).await
}

/// The number of rows that meet `among` and whose parent is missing.
async fn orphans(table: &Table, target: &TargetReader, among: Condition) -> Result<u64> {
    let mut sum = 0;
    for reference in &table.references {
        let column = Expr::col((Alias::new(table.name), reference.column));
        let parent = Expr::col((Alias::new(&reference.parent), Alias::new(&reference.parent_column)));
        if !has_orphans(table, reference, target).await? {
            continue;
        }
        let select = Query::select()
            .expr(Expr::col(Asterisk).count())
            .from(table.name)
            .left_join(Alias::new(&reference.parent), column.clone().eq(parent.clone()))
            .and_where(column.is_not_null())
            .and_where(parent.is_null())
            .cond_where(among.clone())
            .to_owned();
        sum += count(target, table, &select).await?;
    }
    Ok(sum)
}

/// Whether any key of a reference has no parent. Each distinct key is looked up once, however many rows have it.
async fn has_orphans(table: &Table, reference: &Reference, target: &TargetReader) -> Result<bool> {
    let keys = Query::select()
        .distinct()
        .column(reference.column)
        .from(table.name)
        .and_where(Expr::col(reference.column).is_not_null())
        .to_owned();
    let key = Expr::col((KEYS, reference.column));
    let parent = Expr::col((Alias::new(&reference.parent), Alias::new(&reference.parent_column)));
    let select = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from_subquery(keys, KEYS)
        .left_join(Alias::new(&reference.parent), key.eq(parent.clone()))
        .and_where(parent.is_null())
        .to_owned();
    Ok(count(target, table, &select).await? > 0)
}

async fn nulls(table: &Table, target: &TargetReader) -> Result<u64> {
    let condition = table
        .columns
        .iter()
        .filter(|column| !column.nullable)
        .fold(Condition::any(), |any, column| {
            any.add(Expr::col(column.name).is_null())
        });
    let select = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from(table.name)
        .cond_where(condition)
        .to_owned();
    count(target, table, &select).await
}
