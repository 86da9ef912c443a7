//! The deep comparison: compares every row of the star with the source, without writing.
//!
//! Pages are compared in parallel, each in its own statement. Rows that seem to differ are re-read in one snapshot
//! before they are reported. Changes since the last sync are pending and do not count as differences.

use std::collections::HashMap;

use serde::Serialize;
use tracing::info;

use crate::compare::rows::RowComparison;
use crate::declare::key_range::{KEYS_PER_PAGE, KeyRange};
use crate::declare::period::Period;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::databases::Databases;
use crate::pipeline::flow::{Difference, TableOutcomes};
use crate::pipeline::pages::Pages;
use crate::pipeline::write::WriteMode;

/// The differences of one table.
#[derive(Clone, Debug, Serialize)]
pub struct TableDifferences {
    pub table: &'static str,
    /// Source rows that were compared.
    pub compared: u64,
    /// Rows that the target lacks.
    pub missing: u64,
    /// Rows that only the target has.
    pub extra: u64,
    /// Rows that differ in a column.
    pub different: u64,
    /// Rows that seemed to differ, but have changed in the source since the last sync.
    pub pending: u64,
    /// The first rows that differ.
    pub examples: Vec<Difference>,
    /// Page keys of all rows that differ, ascending.
    #[serde(skip)]
    pub keys: Vec<i64>,
}

impl TableDifferences {
    pub(crate) fn is_equal(&self) -> bool {
        self.missing + self.extra + self.different == 0
    }
}

/// Rows that seem to differ when each page is read in its own statement: their page keys and the number of compared
/// rows, by target table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suspects(HashMap<&'static str, (Vec<i64>, u64)>);

impl Suspects {
    /// Compares all pages.
    pub(crate) async fn find(databases: &Databases<'_>, period: &Period) -> Result<Self> {
        let pages = Pages {
            digesting: None,
            databases,
            is_target_empty: false,
            mode: WriteMode::CompareOnly,
            run_id: 0,
            loaded_up_to: HashMap::new(),
            period: period.clone(),
        };
        Ok(Self::new(pages.run().await?.outcomes))
    }

    fn new(outcomes: TableOutcomes) -> Self {
        let suspects = outcomes.into_iter().map(|(table, outcome)| {
            let mut keys = outcome.changed;
            keys.sort_unstable();
            keys.dedup();
            (table, (keys, outcome.counts.read))
        });
        Self(suspects.collect())
    }

    /// The rows that were confirmed to differ, with the number of compared rows.
    pub(crate) fn confirmed(tables: &[TableDifferences]) -> Self {
        let confirmed = tables
            .iter()
            .map(|table| (table.table, (table.keys.clone(), table.compared)));
        Self(confirmed.collect())
    }
}

/// Why a row that seems to differ does not count as a difference.
pub(crate) enum KnownCause {
    Pending,
    Quarantined,
}

/// Compares the suspects again, in one snapshot.
pub(crate) async fn recheck(
    suspects: &Suspects,
    mut rows: RowComparison<'_>,
    tables: impl Iterator<Item = &'static Table>,
    known_cause: impl Fn(&Table, i64) -> Option<KnownCause>,
) -> Result<Vec<TableDifferences>> {
    let mut differences = Vec::new();
    for table in tables {
        let (suspects, compared) = suspects.0.get(table.name).cloned().unwrap_or_default();
        let mut keys = Vec::new();
        let mut pending = 0;
        for key in suspects {
            match known_cause(table, key) {
                None => keys.push(key),
                Some(KnownCause::Pending) => pending += 1,
                Some(KnownCause::Quarantined) => {}
            }
        }
        let key_ranges = KeyRange::of_keys(keys, KEYS_PER_PAGE);
        rows.look_up_facts(table, &key_ranges).await?;
        let found = rows.compare(table, key_ranges, Period::All).await?;
        let mut examples = found.differences;
        examples.sort_by(|one, other| one.key.cmp(&other.key));
        examples.truncate(rows.described);
        info!(table = table.name, rows = compared, "compared row by row");
        differences.push(TableDifferences {
            table: table.name,
            compared,
            missing: found.counts.inserted,
            extra: found.counts.deleted,
            different: found.counts.updated,
            pending,
            examples,
            // If rows were only quarantined, none differs.
            keys: if found.counts.inserted + found.counts.deleted + found.counts.updated == 0 {
                Vec::new()
            } else {
                found.changed
            },
        });
    }
    Ok(differences)
}
