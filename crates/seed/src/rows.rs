//! Small statements on a seeded schema: select, insert, update or delete a few rows.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, FunctionCall, Order, Query, SelectStatement, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, TryGetable, Value};

use super::world::Random;

pub type Done<T = u64> = Result<T, DbErr>;

/// The rows of a schema, within a transaction.
pub struct Rows<'a>(pub &'a DatabaseTransaction);

impl Rows<'_> {
    /// A random key between the lowest and the highest existing one; it may not exist.
    pub async fn some_key(&self, random: &mut Random, table: &'static str, key: &'static str) -> Done {
        let lowest = self.extreme(table, key, Func::min).await?;
        let highest = self.extreme(table, key, Func::max).await?;
        Ok(lowest + random.below(highest - lowest + 1))
    }

    /// Up to `count` consecutive existing keys.
    pub async fn some_keys(
        &self,
        random: &mut Random,
        table: &'static str,
        key: &'static str,
        count: u64,
    ) -> Done<Vec<u64>> {
        let from = self.some_key(random, table, key).await?;
        self.keys(table, key, |select| {
            select.and_where(Expr::col(key).gte(from)).limit(count)
        })
        .await
    }

    pub async fn keys(
        &self,
        table: &'static str,
        key: &'static str,
        narrow: impl FnOnce(&mut SelectStatement) -> &mut SelectStatement,
    ) -> Done<Vec<u64>> {
        let mut select = Query::select();
        select
            .expr(Expr::col(key).cast_as("UNSIGNED"))
            .from(table)
            .order_by(key, Order::Asc);
        let rows = self.0.query_all(narrow(&mut select)).await?;
        rows.iter().map(|row| row.try_get_by_index(0)).collect()
    }

    pub async fn extreme(&self, table: &'static str, key: &'static str, function: fn(Expr) -> FunctionCall) -> Done {
        let select = Query::select()
            .expr(Expr::expr(function(Expr::col(key))).cast_as("UNSIGNED"))
            .from(table)
            .to_owned();
        let row = self.0.query_one(&select).await?;
        let found: Option<u64> = row.map_or(Ok(None), |row| row.try_get_by_index(0))?;
        Ok(found.unwrap_or(0))
    }

    pub async fn field<T: TryGetable>(
        &self,
        table: &'static str,
        column: &'static str,
        key: &'static str,
        id: u64,
    ) -> Done<Option<T>> {
        let select = Query::select()
            .column(column)
            .from(table)
            .and_where(Expr::col(key).eq(id))
            .to_owned();
        let row = self.0.query_one(&select).await?;
        row.map(|row| row.try_get_by_index(0)).transpose()
    }

    /// Inserts one row and returns the key that the server generated.
    pub async fn insert<const N: usize>(&self, table: &'static str, row: [(&'static str, Value); N]) -> Done {
        let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let mut insert = Query::insert();
        insert
            .into_table(Alias::new(table))
            .columns(columns)
            .values_panic(values.into_iter().map(Expr::value));
        Ok(self.0.execute(&insert).await?.last_insert_id())
    }

    pub async fn update(
        &self,
        table: &'static str,
        change: impl FnOnce(&mut UpdateStatement) -> &mut UpdateStatement,
    ) -> Done {
        let mut update = Query::update();
        update.table(table);
        Ok(self.0.execute(change(&mut update)).await?.rows_affected())
    }

    /// Deletes one row.
    pub async fn delete_one(&self, random: &mut Random, table: &'static str, key: &'static str) -> Done {
        let from = self.some_key(random, table, key).await?;
        let delete = Query::delete()
            .from_table(table)
            .and_where(Expr::col(key).gte(from))
            .order_by(key, Order::Asc)
            .limit(1)
            .to_owned();
        Ok(self.0.execute(&delete).await?.rows_affected())
    }
}
