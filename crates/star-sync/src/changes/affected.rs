//! Affected rows: the rows of a target table that may be outdated because other rows changed.

use std::collections::HashSet;

use futures_util::TryStreamExt;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};

use crate::changes::detect::SourceChangesByTable;
use crate::declare::integer::Key;
use crate::declare::key_range::{KEYS_PER_STATEMENT, KeyRange};
use crate::declare::lookup::{LookupKeys, Side};
use crate::declare::star::Star;
use crate::declare::table::{Kind, Table, TargetPageKey, WHOLE_TABLE, When};
use crate::error::{Doing, Result};
use crate::pipeline::flow::{Removed, TableOutcome, TableOutcomes};
use crate::source::reader::SourceReader;
use crate::target::TargetReader;
use crate::target::bookkeeping::quarantine;

/// Searches for affected rows, given the changes of a pass so far.
pub(crate) struct AffectedSearch<'a> {
    pub star: &'static Star,
    pub source: SourceReader,
    pub target: TargetReader,
    /// By source table. A table without an entry has no changes.
    pub source_changes: &'a SourceChangesByTable,
    /// The outcomes of the tables that were applied before.
    pub outcomes: &'a TableOutcomes,
    pub removed: &'a Removed,
    /// Whether to re-read all quarantined rows, not only those to which known changes point. Reasons of the callers:
    /// `outcomes` does not contain the changes of the pages of a load or repair; verification may have used lookups
    /// that were out of date; the search for pending changes includes quarantined rows.
    pub retries_all: bool,
}

impl AffectedSearch<'_> {
    /// The page keys of all rows of `table` that may be outdated, unordered and with duplicates.
    pub(crate) async fn affected_keys(&self, table: &Table) -> Result<Vec<i64>> {
        let mut keys = self.changed_in(table.source_table).to_vec();
        for source in table.joined.iter().filter_map(|name| self.star.source(name)) {
            let affected = |changed: &[i64]| {
                let mut select = (table.select)();
                select.clear_selects().expr(table.source_page_key());
                if let Some(key) = source.key {
                    select.cond_where(KeyRange::is_one_of(&Expr::col((source.name, key)), changed));
                }
                select
            };
            self.add_affected(&mut keys, affected, self.changed_in(source.name))
                .await?;
        }
        for source in &table.affected_by {
            if let Some(affected) = &source.affected
                && !self.is_without_key(source.source_table)
            {
                let changed = self.changed_in(source.source_table);
                self.add_affected(&mut keys, &**affected, changed).await?;
            }
        }
        // For tables without an integer key it is unknown which rows changed: all rows are affected, whatever is
        // declared.
        let affected_by = table.affected_by.iter().map(|source| source.source_table);
        let needed = table.lookups.iter().map(|used| used.lookup);
        let needed = needed.filter(|lookup| lookup.side == Side::Source);
        let mut without_key: Vec<&str> = affected_by.chain(needed.map(|lookup| lookup.table)).collect();
        without_key.retain(|name| self.is_without_key(name) && !self.changed_in(name).is_empty());
        if let Some(name) = without_key.first() {
            let all = |_: &[i64]| {
                Query::select()
                    .expr(table.source_page_key())
                    .from(table.source_table)
                    .to_owned()
            };
            self.add_affected(&mut keys, all, self.changed_in(name)).await?;
        }
        self.add_without_parent(&mut keys, table).await?;
        for followed in &table.follows {
            if let Some(outcome) = self.outcomes.get(followed.fact) {
                let changed = match followed.when {
                    When::LookupChanged => outcome.lookup_changed.clone(),
                    When::Deleted => outcome.deleted.iter().map(|row| row.page_key).collect(),
                };
                self.add_affected(&mut keys, followed.affected, &changed).await?;
            }
        }
        if let TargetPageKey::Through { dimension, .. } = table.target_page_key
            && let Some(outcome) = self.outcomes.get(dimension)
        {
            // If the key of a dimension row changed, a cascade has changed its bridge rows without a new change
            // timestamp.
            keys.extend(&outcome.changed);
        }
        if table.page_key.is_none() && self.has_changed_parent(table) {
            keys.push(WHOLE_TABLE);
        }
        self.add_pointing_to_removed(&mut keys, table).await?;
        keys.extend(self.quarantined(table).await?);
        // Rows that the pages of a full load did not find in the source are compared again in the snapshot.
        let removed = self.removed.get(table.name).into_iter().flatten();
        keys.extend(removed.map(|row| row.page_key));
        Ok(keys)
    }

    /// Whether a source table has no integer key.
    fn is_without_key(&self, source_table: &str) -> bool {
        let source = self.star.source(source_table);
        source.is_some_and(|source| source.key.is_none())
    }

    fn has_changed_parent(&self, table: &Table) -> bool {
        let outcomes = table
            .references
            .iter()
            .filter_map(|reference| self.outcomes.get(reference.parent.as_str()));
        outcomes.into_iter().any(|outcome| !outcome.changed.is_empty())
    }

    /// The quarantined rows to re-read, because they, the rows they are made from, or their parents may have changed.
    /// If no source table of `table` was modified, only rows whose parent may have been added are re-read.
    async fn quarantined(&self, table: &Table) -> Result<Vec<i64>> {
        let mut sources = self.star.sources.iter().map(|source| source.name);
        if self.retries_all || sources.any(|name| table.is_made_from(name) && self.is_modified(name)) {
            return quarantine::page_keys(&self.target, table).await;
        }
        let doing = || format!("reading the quarantined rows of {}", table.source_table);
        let lookups = table.lookups.iter().map(|used| used.lookup);
        // A quarantined row records its missing parent by the name of the lookup that did not find it.
        let parents: HashSet<&str> = lookups
            .filter(|lookup| lookup.side == Side::Target)
            .filter(|lookup| {
                let outcome = self.outcomes.get(lookup.table);
                // An earlier run may have added the parent after it had processed these rows.
                let dimension = self.star.table(lookup.table);
                outcome.is_some_and(|outcome| !outcome.changed.is_empty())
                    || dimension.is_some_and(|dimension| self.is_modified(dimension.source_table))
            })
            .map(|lookup| lookup.name)
            .collect();
        if parents.is_empty() {
            return Ok(Vec::new());
        }
        let rows = quarantine::missing_parents(&self.target, table, &KeyRange::ALL).await;
        let rows = rows.target(doing)?.into_iter();
        let waits = |parent: &Option<String>| parent.as_deref().is_some_and(|parent| parents.contains(parent));
        Ok(rows.filter(|(_, parent)| waits(parent)).map(|(key, _)| key).collect())
    }

    fn is_modified(&self, source_table: &str) -> bool {
        self.source_changes
            .get(source_table)
            .is_some_and(|changes| changes.is_modified)
    }

    fn changed_in(&self, source_table: &str) -> &[i64] {
        self.source_changes
            .get(source_table)
            .map_or(&[], |changes| &changes.keys)
    }

    async fn add_affected(
        &self,
        keys: &mut Vec<i64>,
        affected: impl Fn(&[i64]) -> SelectStatement,
        changed: &[i64],
    ) -> Result<()> {
        let doing = || "searching for dependent rows".to_owned();
        let mut before = None;
        for chunk in changed.chunks(KEYS_PER_STATEMENT) {
            let select = affected(chunk);
            // Some declarations select the same rows whichever keys changed.
            if before.as_ref() == Some(&select) {
                continue;
            }
            let mut rows = self.source.stream(&select).await.source(doing)?;
            while let Some(row) = rows.try_next().await.source(doing)? {
                keys.push(row.try_get_by_index::<Key>(0).source(doing)?.0);
            }
            before = Some(select);
        }
        Ok(())
    }

    /// Adds rows that refer to a new row of a dimension and may have been loaded without it: rows with a nullable
    /// reference are not quarantined.
    async fn add_without_parent(&self, keys: &mut Vec<i64>, table: &Table) -> Result<()> {
        let doing = || format!("searching {} for rows without a parent", table.name);
        for reference in &table.references {
            let has_new = |outcome: &TableOutcome| !outcome.lookup_changed.is_empty();
            let parent = self.star.table(&reference.parent);
            let is_dimension = parent.is_some_and(|parent| parent.kind == Kind::Dimension);
            // Tables without such a lookup get the parent's key from rows that they follow.
            let mut lookups = table.lookups.iter().map(|used| used.lookup);
            let looks_up = lookups.any(|lookup| lookup.side == Side::Target && lookup.table == reference.parent);
            if !is_dimension
                || !looks_up
                || !table.is_nullable(reference.column)
                || !self.outcomes.get(reference.parent.as_str()).is_some_and(has_new)
            {
                continue;
            }
            let mut select = Query::select();
            table.add_target_tables(select.expr(table.target_page_key()));
            select.and_where(Expr::col((Alias::new(table.name), reference.column)).is_null());
            for row in self.target.all(&select).await.target(doing)? {
                keys.push(row.try_get_by_index(0).target(doing)?);
            }
        }
        Ok(())
    }

    /// Adds rows that refer to a dimension row to be deleted. They are searched in the target, because a cascade may
    /// already have changed their keys in the source.
    async fn add_pointing_to_removed(&self, keys: &mut Vec<i64>, table: &Table) -> Result<()> {
        let doing = || format!("searching {} for rows without a parent", table.name);
        for reference in &table.references {
            let parent = self.star.table(&reference.parent);
            let (Some(parent), Some(removed)) = (parent, self.removed.get(reference.parent.as_str())) else {
                continue;
            };
            let Some(natural_key) = parent.natural_key.first() else {
                continue;
            };
            let removed = removed.iter().map(|row| &row.natural_key);
            for key_range in LookupKeys::around(removed, KEYS_PER_STATEMENT, KEYS_PER_STATEMENT) {
                let gone = Query::select()
                    .column(Alias::new(&reference.parent_column))
                    .from(parent.name)
                    .cond_where(key_range.contains(&Expr::col(*natural_key)))
                    .to_owned();
                let mut select = Query::select();
                table.add_target_tables(select.expr(table.target_page_key()));
                let column = Expr::col((Alias::new(table.name), reference.column));
                select.and_where(column.in_subquery(gone));
                for row in self.target.all(&select).await.target(doing)? {
                    keys.push(row.try_get_by_index(0).target(doing)?);
                }
            }
        }
        Ok(())
    }
}
