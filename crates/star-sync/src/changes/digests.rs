//! Digests of key ranges: whether the source's rows are those of the run that verified a range, without reading them.

use std::collections::BTreeMap;

use crate::changes::pass::Pass;
use crate::declare::scope::Scope;
use crate::declare::source_record::SelectedColumn;
use crate::declare::table::Table;
use crate::error::{Doing, Result};
use crate::source::check;
use crate::source::digest::{Digest, DigestColumn, DigestPlan};
use crate::target::bookkeeping::source_record;
use crate::target::bookkeeping::verification::VerificationRange;

/// Ranges that one statement digests: so long that the way to a far server does not count, so short that a run can end
/// between two of them.
pub(super) const RANGES_A_STATEMENT: usize = 16;

/// How the rows that a table is made of are digested: the columns of its own source table that are read. Nothing if that has
/// no integer key, or before the first load.
pub(super) async fn plan(pass: &Pass<'_>, table: &Table) -> Result<Option<DigestPlan>> {
    if table.page_key.is_none() {
        return Ok(None);
    }
    let seed = source_record::digest_seed(&*pass.transaction).await?;
    let columns = columns(table, pass.context.source_columns);
    Ok(seed.and_then(|seed| DigestPlan::new(table.source_table, columns, seed)))
}

fn columns(table: &Table, types: &BTreeMap<String, String>) -> Vec<DigestColumn> {
    let own = table
        .selected
        .iter()
        .filter(|column| column.table == table.source_table);
    let digested = |column: &SelectedColumn| DigestColumn {
        name: column.name.to_owned(),
        family: column.family,
        scale: types
            .get(&format!("{}.{}", column.table, column.name))
            .map_or(0, |full_type| check::scale(full_type)),
    };
    own.map(digested).collect()
}

/// The digests that these ranges have in the pass's snapshot.
pub(super) async fn of_ranges(
    pass: &Pass<'_>,
    table: &Table,
    plan: &DigestPlan,
    ranges: &[VerificationRange],
) -> Result<Vec<Digest>> {
    let doing = || format!("digesting {}", table.source_table);
    let mut digests = Vec::with_capacity(ranges.len());
    for ranges in ranges.chunks(RANGES_A_STATEMENT) {
        let scopes: Vec<Scope> = ranges.iter().map(VerificationRange::scope).collect();
        let Some(select) = plan.select_digests(&scopes) else {
            continue;
        };
        let mut found = BTreeMap::new();
        for row in pass.source().rows(&select).await.source(doing)?.iter() {
            let (label, digest) = DigestPlan::digest_in(row).source(doing)?;
            found.insert(label, digest);
        }
        digests.extend(found.into_values());
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made_up;

    #[test]
    fn the_columns_that_a_table_reads_of_its_own_source_table_are_digested() {
        let table = made_up::star().table("fact_loan").unwrap();
        let types = BTreeMap::from([("loan.loan_id".to_owned(), "bigint".to_owned())]);
        let columns = columns(table, &types);
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["loan_id"]);
    }
}
