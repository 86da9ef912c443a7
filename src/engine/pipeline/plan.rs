//! Cuts a table into key intervals by walking the key's index, so that gaps and skew do not matter.

use std::cmp::min;

use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::engine::declaration::scope::Scope;
use crate::engine::declaration::table::Table;
use crate::engine::target_db::TargetReader;
use crate::error::{Doing, Result};

/// The intervals of one table, one after the other. Together they cover every key there is or could be.
pub struct Intervals<'a> {
    table: &'a Table,
    source: DatabaseConnection,
    target: TargetReader,
    rows: u64,
    after: Option<i64>,
    finished: bool,
}

impl<'a> Intervals<'a> {
    /// Intervals behind `after` that hold about `rows` rows each, in the source and in the target.
    pub fn new(
        table: &'a Table,
        source: DatabaseConnection,
        target: TargetReader,
        rows: u64,
        after: Option<i64>,
    ) -> Self {
        Self {
            table,
            source,
            target,
            rows,
            after,
            finished: false,
        }
    }

    /// The next interval; the last one is open at its end.
    pub async fn next(&mut self) -> Result<Option<Scope>> {
        if self.finished {
            return Ok(None);
        }
        // The target's keys count too: where the source lost many rows the target still has them.
        let upto = match (self.source_boundary().await?, self.target_boundary().await?) {
            (Some(source), Some(target)) => Some(min(source, target)),
            (source, target) => source.or(target),
        };
        let scope = Scope::Range {
            after: self.after,
            upto,
        };
        self.after = upto;
        self.finished = upto.is_none();
        Ok(Some(scope))
    }

    async fn source_boundary(&self) -> Result<Option<i64>> {
        let doing = || format!("planning the pages of {}", self.table.source_table);
        let mut select = Query::select();
        select.from(self.table.source_table);
        let select = self.boundary(select, &self.table.source_page_key());
        let row = self.source.query_one(&select).await.source(doing)?;
        row.map(|row| {
            row.try_get_by_index::<crate::engine::declaration::integer::Integer>(0)
                .map(|key| key.0)
        })
        .transpose()
        .source(doing)
    }

    async fn target_boundary(&self) -> Result<Option<i64>> {
        let doing = || format!("planning the pages of {}", self.table.name);
        let mut select = Query::select();
        self.table.from_target(&mut select);
        let select = self.boundary(select, &self.table.target_page_key());
        let rows = self.target.all(&select).await.target(doing)?;
        rows.first()
            .map(|row| row.try_get_by_index(0))
            .transpose()
            .target(doing)
    }

    /// The key of the row that fills an interval.
    fn boundary(&self, mut select: SelectStatement, key: &Expr) -> SelectStatement {
        if let Some(after) = self.after {
            select.and_where(key.clone().gt(after));
        }
        select
            .expr(key.clone())
            .order_by_expr(key.clone(), Order::Asc)
            .offset(self.rows - 1)
            .limit(1)
            .to_owned()
    }
}
