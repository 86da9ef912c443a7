//! The reader: fetches one scope from the source, what the target holds of it, and the lookups its rows need.

use sea_orm::sea_query::{Alias, Expr};
use tracing::debug;

use crate::declare::lookup::Lookups;
use crate::declare::period::Period;
use crate::error::{Doing, Result};
use crate::failpoint;
use crate::pipeline::flow::{Job, Late, Page};
use crate::pipeline::lookups::LookupSource;
use crate::pipeline::page_sums::SumPlans;
use crate::source::reader::SourceReader;
use crate::target::TargetReader;
use crate::target::sqlite::held;

/// What a reader reads from.
#[derive(Clone)]
pub struct Reader {
    pub source: SourceReader,
    pub target: TargetReader,
    pub lookups: LookupPlan,
    pub period: Period,
    /// How pages are added up, of the tables of which they are.
    pub sums: SumPlans,
}

/// How lookups come to be filled.
#[derive(Clone)]
pub enum LookupPlan {
    /// Whole, before the first page: for loads that touch every row anyway.
    Loaded(Lookups),
    /// For each page just the keys that it refers to.
    ByKey(LookupSource),
}

impl Reader {
    /// Reads both sides of one scope, and fills what its rows look up.
    pub async fn read(&self, job: Job) -> Result<Page> {
        let table = job.table;
        let sums = self.sums.get(table.name).cloned();
        let more = sums.iter().flat_map(|plan| &plan.more);
        let select = (table.select)()
            .exprs(more.map(|column| Expr::col((Alias::new(&column.table), column.name))))
            .cond_where(job.scope.contains(&table.source_page_key()))
            .cond_where(table.source_rows())
            .cond_where(table.source_in(&self.period))
            .to_owned();
        let doing = || format!("reading {}, {}", table.source_table, job.scope);
        let mut rows = self.source.rows(&select).await.source(doing)?;
        if sums.is_some() && failpoint::is_set("page-cut", table.name) {
            rows.lose_last();
        }
        let select = held::select(table)
            .cond_where(job.scope.contains(&table.target_page_key()))
            .cond_where(table.target_in(&self.period))
            .to_owned();
        let held = self
            .target
            .text(&select)
            .await
            .target(|| format!("reading {}, {}", table.name, job.scope))?;
        let (lookups, late, are_lookups_current) = match &self.lookups {
            LookupPlan::Loaded(lookups) => (lookups.clone(), Late::new(), false),
            LookupPlan::ByKey(source) => {
                let (lookups, late) = source.of_page(&table.needs, &rows).await?;
                (lookups, late, true)
            }
        };
        // No span around the reader: the driver would enter it at each row.
        debug!(table = table.name, scope = %job.scope, rows = rows.len(), "page read");
        Ok(Page {
            job,
            rows,
            held,
            lookups,
            late,
            are_lookups_current,
            sums,
        })
    }
}
