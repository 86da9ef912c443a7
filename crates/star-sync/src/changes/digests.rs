//! Digests of key ranges, computed by the server. They show whether rows changed since they were verified, without
//! reading the rows.

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

/// Ranges per digest statement: enough that the latency of a remote server is negligible, few enough that one statement
/// stays short.
const RANGES_PER_STATEMENT: usize = 16;

/// The digest plans; `None` before the first load.
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

/// The digest plan of a table, over the columns that are read from its own source table; `None` before the first load,
/// and if the type of one of these columns has no digest.
pub(super) async fn plan(pass: &Pass<'_>, table: &Table) -> Result<Option<DigestPlan>> {
    let digesting = digesting(pass.context, &*pass.transaction).await?;
    Ok(digesting.and_then(|digesting| digesting.own(table)))
}

/// The digest of each of these key ranges in `source`.
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
