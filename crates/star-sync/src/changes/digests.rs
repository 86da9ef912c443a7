//! Digests of key ranges: whether the source's rows are those of the run that verified a range, without reading them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::changes::Context;
use crate::changes::pass::Pass;
use crate::declare::key_range::KeyRange;
use crate::declare::table::Table;
use crate::error::{Doing, Result};
use crate::source::digest::{DigestPlan, RangeDigest};
use crate::source::digest_plans::DigestPlans;
use crate::source::reader::SourceReader;
use crate::target::bookkeeping::source_identity;

/// Ranges that one statement digests: so long that the way to a far server does not count, so short that a run can end
/// between two of them.
const RANGES_PER_STATEMENT: usize = 16;

/// The digest plans, once a load has begun.
pub(crate) async fn digesting(
    context: &Context<'_>,
    connection: &impl sea_orm::ConnectionTrait,
) -> Result<Option<DigestPlans>> {
    let seed = source_identity::digest_seed(connection).await?;
    Ok(seed.map(|seed| DigestPlans {
        star: context.databases.star,
        types: Arc::new(context.source_columns.clone()),
        seed,
    }))
}

/// How the rows that a table is made of are digested: the columns of its own source table that are read. Nothing before
/// the first load.
pub(super) async fn plan(pass: &Pass<'_>, table: &Table) -> Result<Option<DigestPlan>> {
    let digesting = digesting(pass.context, &*pass.transaction).await?;
    Ok(digesting.and_then(|digesting| digesting.own(table)))
}

/// The digest that `source` has of each of these key ranges.
pub(super) async fn of_key_ranges(
    source: &SourceReader,
    plan: &DigestPlan,
    key_ranges: &[KeyRange],
) -> Result<Vec<RangeDigest>> {
    let doing = || format!("digesting {}", plan.columns()[0].table);
    let mut digests = Vec::with_capacity(key_ranges.len());
    for key_ranges in key_ranges.chunks(RANGES_PER_STATEMENT) {
        let Some(select) = plan.select_digests(key_ranges) else {
            continue;
        };
        let mut found = BTreeMap::new();
        for row in source.rows(&select).await.source(doing)?.iter() {
            let (label, digest) = DigestPlan::digest_in(row).source(doing)?;
            found.insert(label, digest);
        }
        digests.extend(found.into_values());
    }
    Ok(digests)
}
