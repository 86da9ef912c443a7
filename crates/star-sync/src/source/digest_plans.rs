//! The digested columns of the declared tables: for a target table, the source columns that it is made of; for a
//! lookup, its key and its values.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::sea_query::{Condition, Expr, ExprTrait};

use crate::declare::lookup::Lookup;
use crate::declare::source_record::SelectedColumn;
use crate::declare::source_table::{SourceColumn, SourceTable};
use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::source::digest::{DigestColumn, DigestPlan};

/// Builds digest plans.
#[derive(Clone)]
pub(crate) struct DigestPlans {
    pub star: &'static Star,
    /// The types of the source's columns, by `table.column`.
    pub types: Arc<BTreeMap<String, String>>,
    /// The seed of the multipliers, different in each target.
    pub seed: u64,
}

impl DigestPlans {
    /// Digests the columns of a table's own source table that it is made of. Columns that other tables are joined by
    /// are included even if they are not read: they determine which rows are joined.
    pub(crate) fn own(&self, table: &Table) -> Option<DigestPlan> {
        let own = |column: &&SelectedColumn| column.table == table.source_table;
        let mut columns: Vec<SelectedColumn> = table.selected.iter().filter(own).cloned().collect();
        let declared = self
            .star
            .source(table.source_table)
            .map_or(&[][..], |source| &source.columns);
        for SourceColumn { name, family } in declared {
            if table.joins_by(name) && columns.iter().all(|column| column.name != *name) {
                columns.push(SelectedColumn {
                    table: table.source_table.to_owned(),
                    name,
                    family: *family,
                });
            }
        }
        self.plan(table, columns.iter())
    }

    /// Digests all columns that a page of a table selects, including those of joined tables, followed by `more`. The
    /// newest change timestamp is selected with the digest.
    pub(crate) fn page(&self, table: &Table, more: &[SelectedColumn]) -> Option<DigestPlan> {
        table.page_key?;
        let mut plan = self.plan(table, table.selected.iter().chain(more))?;
        plan.joins.clone_from(&table.joins);
        if let Some(source) = self.star.source(table.source_table) {
            plan.change_time = source.change_time();
        }
        Some(plan)
    }

    /// Digests all columns of a source table that are read.
    pub(crate) fn source_table(&self, table: &SourceTable) -> Option<DigestPlan> {
        let is_key = |column: &&SourceColumn| Some(column.name) == table.key;
        let (mut columns, others): (Vec<_>, Vec<_>) = table.columns.iter().partition(is_key);
        columns.extend(others);
        let column = |column: &SourceColumn| {
            self.column(&SelectedColumn {
                table: table.name.to_owned(),
                name: column.name,
                family: column.family,
            })
        };
        let columns = columns.into_iter().map(column).collect();
        match table.key {
            Some(_) => DigestPlan::new(columns, self.seed),
            None => DigestPlan::of_whole_table(columns, self.seed),
        }
    }

    fn plan<'b>(&self, table: &Table, columns: impl Iterator<Item = &'b SelectedColumn>) -> Option<DigestPlan> {
        let columns = columns.map(|column| self.column(column)).collect();
        let mut plan = match table.page_key {
            Some(_) => DigestPlan::new(columns, self.seed)?,
            None => DigestPlan::of_whole_table(columns, self.seed)?,
        };
        plan.only = table.source_rows();
        Some(plan)
    }

    fn column(&self, column: &SelectedColumn) -> DigestColumn {
        let name = format!("{}.{}", column.table, column.name);
        let full_type = self.types.get(&name).map_or("", String::as_str);
        DigestColumn::new(&column.table, column.name, column.family, full_type)
    }

    /// Digests the columns that the lookups of one table are filled from. `None` if its key is not an integer.
    pub(crate) fn lookups(&self, lookups: &[&Lookup]) -> Option<DigestPlan> {
        let first = lookups.first()?;
        let source = self.star.source(first.table)?;
        let names = [first.key].into_iter().chain(lookups.iter().map(|lookup| lookup.value));
        let column = |name| {
            let column = source.columns.iter().find(|column| column.name == name)?;
            Some(self.column(&SelectedColumn {
                table: source.name.to_owned(),
                name: column.name,
                family: column.family,
            }))
        };
        let mut plan = DigestPlan::new(names.map(column).collect::<Option<_>>()?, self.seed)?;
        // Lookups read the same rows.
        plan.only = Condition::all().add(Expr::col((source.name, first.key)).is_not_null());
        Some(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star;

    #[test]
    fn what_a_table_is_made_of_is_digested() {
        let types = BTreeMap::from([("loan.loan_id".to_owned(), "bigint".to_owned())]);
        let digesting = DigestPlans {
            star: test_star::star(),
            types: Arc::new(types),
            seed: 1,
        };
        let table = test_star::star().table("fact_loan").unwrap();
        let names = |plan: DigestPlan| {
            let columns = plan.columns().iter();
            columns.map(|column| column.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(digesting.own(table).unwrap()), ["loan_id"]);
        // The joined book is part of a row, whether its key is read or not.
        let mut joining = test_star::tables().remove(1);
        joining.joins.push(test_star::loan_to_book());
        assert_eq!(names(digesting.own(&joining).unwrap()), ["loan_id", "book_id"]);
        let more = SelectedColumn {
            table: "loan".to_owned(),
            name: "book_id",
            family: crate::declare::source_table::Family::Integer,
        };
        assert_eq!(names(digesting.page(table, &[more]).unwrap()), ["loan_id", "book_id"]);
    }
}
