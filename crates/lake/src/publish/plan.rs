//! Plans what a publication writes to each table, before anything is written.

use std::collections::BTreeSet;

use sea_orm::DatabaseTransaction;
use star_sync::declare::partition::Partition;
use star_sync::target::bookkeeping::changed_partitions;

use super::{Publisher, RUN_STARTED, started};
use crate::actions::Protocol;
use crate::error::{Error, Result};
use crate::layout::{Layout, left_out};
use crate::log::{self, TableState};
use crate::versions;

/// What to write to a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Nothing,
    Changed(BTreeSet<Partition>),
    /// All rows, in place of everything in the lake.
    All,
}

/// A table, its state in the lake, and what to write.
pub(super) struct Planned<'a> {
    pub layout: &'a Layout<'a>,
    pub state: Option<TableState>,
    pub plan: Plan,
}

impl Publisher<'_> {
    /// Plans all tables, and returns the state of `star_versions` too. Everything is checked before the first write, so
    /// that a lake that must not be written to stays unchanged, and one that is replaced by force is replaced as a
    /// whole.
    pub(super) async fn plans<'b>(
        &self,
        transaction: &DatabaseTransaction,
        layouts: &'b [Layout<'b>],
    ) -> Result<(Vec<Planned<'b>>, Option<TableState>)> {
        let mut tables = Vec::new();
        let mut states = Vec::new();
        for layout in layouts {
            states.push(log::load(self.request.lake, layout.name).await?);
        }
        self.check_personal(layouts, &states)?;
        for (layout, state) in layouts.iter().zip(states) {
            let plan = match self.plan(transaction, layout, state.as_ref()).await {
                Ok(_) if self.request.force => Plan::All,
                Ok(plan) => plan,
                Err(error) => {
                    let is_known = |state: &TableState| state.protocol.as_ref().is_some_and(Protocol::is_known);
                    if !self.request.force || !error.is_mended_by_force() || !state.as_ref().is_some_and(is_known) {
                        return Err(error);
                    }
                    Plan::All
                }
            };
            tables.push(Planned { layout, state, plan });
        }
        let versions = log::load(self.request.lake, versions::TABLE).await?;
        if let Some(state) = &versions
            && !self.request.force
        {
            self.check_writer(versions::TABLE, state)?;
        }
        Ok((tables, versions))
    }

    async fn plan(
        &self,
        transaction: &DatabaseTransaction,
        layout: &Layout<'_>,
        state: Option<&TableState>,
    ) -> Result<Plan> {
        let Some(state) = state else {
            return Ok(Plan::All);
        };
        let run = self.check_writer(layout.name, state)?;
        self.check_history(transaction, layout.name, state, run).await?;
        if state
            .meta_data
            .as_ref()
            .is_none_or(|meta_data| !layout.is_described_by(meta_data))
        {
            return Ok(Plan::All);
        }
        let mut changed = changed_partitions::changed_after(transaction, run).await?;
        Ok(changed.remove(layout.name).map_or(Plan::Nothing, Plan::Changed))
    }

    /// Refuses to write personal data to a lake that was published without it: forgetting an option once would disclose
    /// the data, and old versions would keep it.
    fn check_personal(&self, layouts: &[Layout<'_>], states: &[Option<TableState>]) -> Result<()> {
        let descriptions = states.iter().map(|state| state.as_ref()?.meta_data.as_ref());
        if !descriptions.clone().flatten().any(|found| !left_out(found).is_empty()) {
            return Ok(());
        }
        let personal = self.request.star.personal_columns();
        for (layout, meta_data) in layouts.iter().zip(descriptions) {
            let disclosed = layout.disclosed_columns(&personal, meta_data);
            if !disclosed.is_empty() {
                return Err(Error::Personal {
                    lake: self.request.lake.name.clone(),
                    table: layout.name.to_owned(),
                    columns: disclosed.join(", "),
                });
            }
        }
        Ok(())
    }

    /// The run that a table was published from. Fails if another target or program wrote to the table.
    pub(super) fn check_writer(&self, table: &str, state: &TableState) -> Result<i64> {
        let (lake, table) = (self.request.lake.name.clone(), table.to_owned());
        let Some(txn) = state.txns.get(&self.app_id) else {
            return Err(Error::OtherStar { lake, table });
        };
        if state.last_writer.as_ref() != Some(&self.app_id) {
            let version = state.version;
            return Err(Error::Changed { lake, table, version });
        }
        Ok(txn.version)
    }

    /// Fails if the lake has a run that this target does not have, or a different run with the same number.
    async fn check_history(
        &self,
        transaction: &DatabaseTransaction,
        table: &str,
        state: &TableState,
        run: i64,
    ) -> Result<()> {
        let published = state
            .last_commit
            .as_ref()
            .and_then(|commit| commit.get(RUN_STARTED)?.as_str());
        let is_other = match (started(transaction, run).await?, published) {
            (Some(ours), Some(published)) => ours != published,
            // The start times cannot be compared, for example because the history does not go back to this run. The run
            // is unknown if it is later than the last one that this target recorded as published.
            _ => Some(run) > self.source.publication.run_id,
        };
        if run > self.source.run_id || is_other {
            return Err(Error::Restored {
                lake: self.request.lake.name.clone(),
                table: table.to_owned(),
                run,
            });
        }
        Ok(())
    }
}
