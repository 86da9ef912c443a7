//! The reader: reads one key range from the source and the target, and the lookups that its rows need.

use sea_orm::sea_query::{Alias, Expr};
use tracing::debug;

use crate::declare::lookup::Lookups;
use crate::declare::period::Period;
use crate::error::{Doing, Result};
use crate::failpoint;
use crate::pipeline::flow::{Job, Late, Page};
use crate::pipeline::lookup::LookupSource;
use crate::pipeline::page_digest::PageDigestPlans;
use crate::source::reader::SourceReader;
use crate::target::TargetReader;
use crate::target::sqlite::row_text;

/// The databases and lookups that a reader reads.
#[derive(Clone)]
pub struct Reader {
    pub source: SourceReader,
    pub target: TargetReader,
    pub lookups: LookupPlan,
    pub period: Period,
    /// How to compute the digests and totals of pages, by table; empty if they are not needed.
    pub digest_plans: PageDigestPlans,
}

/// How lookups are filled.
#[derive(Clone)]
pub enum LookupPlan {
    /// Completely, before the first page: for runs that read every row, and to verify many key ranges.
    Complete(Lookups),
    /// For each page, with only the keys that it refers to.
    ByKey(LookupSource),
}

impl Reader {
    /// Reads both sides of one key range, and fills the lookups of its rows.
    pub async fn read(&self, job: Job) -> Result<Page> {
        let table = job.table;
        let digest_plan = self.digest_plans.get(table.name).cloned();
        let more = digest_plan.iter().flat_map(|plan| &plan.more);
        let select = (table.select)()
            .exprs(more.map(|column| Expr::col((Alias::new(&column.table), column.name))))
            .cond_where(job.key_range.contains(&table.source_page_key()))
            .cond_where(table.source_rows())
            .cond_where(table.source_in(&self.period))
            .to_owned();
        let doing = || format!("reading {}, {}", table.source_table, job.key_range);
        let mut rows = self.source.rows(&select).await.source(doing)?;
        if digest_plan.is_some() && failpoint::is_set("page-cut", table.name) {
            rows.lose_last();
        }
        let select = row_text::select(table)
            .cond_where(job.key_range.contains(&table.target_page_key()))
            .cond_where(table.target_in(&self.period))
            .to_owned();
        let target_rows = self
            .target
            .text(&select)
            .await
            .target(|| format!("reading {}, {}", table.name, job.key_range))?;
        let (lookups, late, are_lookups_current) = match &self.lookups {
            LookupPlan::Complete(lookups) => (lookups.clone(), Late::new(), false),
            LookupPlan::ByKey(source) => {
                let (lookups, late) = source.of_page(&table.lookups, &rows).await?;
                (lookups, late, true)
            }
        };
        // No span around the reader, because the driver would enter it at each row.
        debug!(table = table.name, key_range = %job.key_range, rows = rows.len(), "page read");
        Ok(Page {
            job,
            rows,
            target_rows,
            lookups,
            late,
            are_lookups_current,
            digest_plan,
        })
    }
}
