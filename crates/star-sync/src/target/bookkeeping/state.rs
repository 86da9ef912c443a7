//! The state of each source table: how far it is loaded, its watermark, and the signatures that show whether it was
//! modified since.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel};

use crate::declare::source_table::SourceTable;
use crate::error::{Doing, Result};
use crate::target::bookkeeping::target_table::{self, TargetTableState};
use crate::target::bookkeeping::time::stored;
use sync_state::{ActiveModel, Entity, Model};

pub(crate) mod sync_state {
    //! One row per source table.
    use sea_orm::entity::prelude::*;

    /// The state of one source table. Times are by the source's clock.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_state")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_table: String,
        /// The watermark.
        pub last_updated: Option<DateTime>,
        pub last_synced: Option<DateTime>,
        pub newest_change: Option<DateTime>,
        pub limited_by: Option<String>,
        pub load_watermark: Option<DateTime>,
        pub modified_run: Option<i64>,
        pub verified_run: Option<i64>,
        pub rows_scanned: Option<i64>,
        pub row_count: Option<i64>,
        pub highest_key: Option<i64>,
        pub settled_signature: Option<String>,
        pub last_signature: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The state of one source table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceState {
    pub lifecycle: Lifecycle,
    /// All committed rows with a change timestamp up to this time have been loaded or quarantined; `None` for a table
    /// without change timestamps or rows, or before the first full load.
    pub watermark: Option<DateTime<Utc>>,
    /// The newest change timestamp found.
    pub newest_change: Option<DateTime<Utc>>,
    /// The reason why the watermark trails the newest change; `None` if it does not.
    pub limited_by: Option<String>,
    /// The last run that found the table modified: key ranges that earlier runs verified must be verified again.
    pub modified_run: Option<i64>,
    /// The last run that verified the whole table by its stored rows; `None` for a table without stored rows.
    pub verified_run: Option<i64>,
    /// Rows that the last search for changes had to scan; `None` if there was no search yet.
    pub rows_scanned: Option<i64>,
    /// The row count and the highest key at the last sync. `None` before the first load, and for a table with
    /// `Star::has_all_of`, for which comparing row counts is sufficient.
    pub extent: Option<Extent>,
    /// The signature of the table at the last sync (while a load is unfinished: before its first page): values of
    /// `information_schema`, above all UPDATE_TIME. `None` if the same signature later does not guarantee that the
    /// table was not modified.
    pub settled_signature: Option<String>,
    /// The same signature, even if it does not guarantee that.
    pub last_signature: Option<String>,
}

/// How far a source table is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifecycle {
    /// No load has begun, or none since a migration that requires a full load. This is the state after `init`.
    #[default]
    NeverLoaded,
    /// A full load has begun, and its catch-up pass has not committed: it is running, or was interrupted. Set for all
    /// tables when the load starts. A star that was loaded before (`last_synced`) can still be validated.
    Loading {
        /// The catch-up pass applies the changes since then.
        load_watermark: DateTime<Utc>,
        last_synced: Option<DateTime<Utc>>,
    },
    /// A full load has finished. Set by the commit of every run; `last_synced` is the time of its snapshot.
    Loaded { last_synced: DateTime<Utc> },
}

/// How many rows a table has, and their highest key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub rows: i64,
    pub highest_key: Option<i64>,
}

impl Lifecycle {
    /// When a run last brought the table up to date, by the source's clock.
    pub fn last_synced(self) -> Option<DateTime<Utc>> {
        match self {
            Self::NeverLoaded => None,
            Self::Loading { last_synced, .. } => last_synced,
            Self::Loaded { last_synced } => Some(last_synced),
        }
    }

    /// The watermark of the unfinished load.
    pub fn load_watermark(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Loading { load_watermark, .. } => Some(load_watermark),
            Self::NeverLoaded | Self::Loaded { .. } => None,
        }
    }

    /// The name as printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverLoaded => "never_loaded",
            Self::Loading { .. } => "loading",
            Self::Loaded { .. } => "loaded",
        }
    }

    fn from_row(row: &Model) -> Self {
        let last_synced = row.last_synced.map(|time| time.and_utc());
        match (row.load_watermark, last_synced) {
            (Some(load_watermark), last_synced) => Self::Loading {
                load_watermark: load_watermark.and_utc(),
                last_synced,
            },
            (None, Some(last_synced)) => Self::Loaded { last_synced },
            (None, None) => Self::NeverLoaded,
        }
    }
}

impl From<Model> for SourceState {
    fn from(row: Model) -> Self {
        Self {
            lifecycle: Lifecycle::from_row(&row),
            watermark: row.last_updated.map(|time| time.and_utc()),
            newest_change: row.newest_change.map(|time| time.and_utc()),
            limited_by: row.limited_by,
            modified_run: row.modified_run,
            verified_run: row.verified_run,
            rows_scanned: row.rows_scanned,
            extent: row.row_count.map(|rows| Extent {
                rows,
                highest_key: row.highest_key,
            }),
            settled_signature: row.settled_signature,
            last_signature: row.last_signature,
        }
    }
}

impl SourceState {
    /// Whether the table was verified after its last modification.
    pub(crate) fn is_verified(&self) -> bool {
        self.verified_run.is_some() && self.verified_run >= self.modified_run
    }

    fn into_row(self, source_table: &str) -> Model {
        Model {
            source_table: source_table.to_owned(),
            last_updated: self.watermark.map(stored),
            last_synced: self.lifecycle.last_synced().map(stored),
            newest_change: self.newest_change.map(stored),
            limited_by: self.limited_by,
            load_watermark: self.lifecycle.load_watermark().map(stored),
            modified_run: self.modified_run,
            verified_run: self.verified_run,
            rows_scanned: self.rows_scanned,
            row_count: self.extent.map(|extent| extent.rows),
            highest_key: self.extent.and_then(|extent| extent.highest_key),
            settled_signature: self.settled_signature,
            last_signature: self.last_signature,
        }
    }
}

/// The states of all source tables and of the target tables.
#[derive(Clone, Debug, Default)]
pub struct States {
    sources: HashMap<String, SourceState>,
    targets: HashMap<String, TargetTableState>,
}

impl States {
    pub fn get(&self, source_table: &str) -> Option<&SourceState> {
        self.sources.get(source_table)
    }

    /// The state of a target table.
    pub fn target(&self, table: &str) -> TargetTableState {
        self.targets.get(table).copied().unwrap_or_default()
    }

    /// Row count minus that after the last run. 0 while a full load is unfinished, because it changes the row count.
    pub(crate) fn unexpected_rows(&self, table: &str, rows: i64) -> i64 {
        if self.is_loading() {
            return 0;
        }
        self.target(table).rows.map_or(0, |left| rows - left)
    }

    /// The page key up to which an unfinished load has loaded each target table that it has begun.
    pub(crate) fn loaded_up_to(&self) -> HashMap<String, i64> {
        let loaded = self.targets.iter();
        let loaded = loaded.filter_map(|(table, state)| Some((table.clone(), state.loaded_up_to?)));
        loaded.collect()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut SourceState)> {
        self.sources.iter_mut().map(|(table, state)| (table.as_str(), state))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &SourceState)> {
        self.sources.iter().map(|(table, state)| (table.as_str(), state))
    }

    /// Whether a full load has finished, and no migration has required another one since.
    pub fn is_loaded(&self) -> bool {
        let mut states = self.sources.values();
        !self.sources.is_empty() && states.all(|state| state.lifecycle.last_synced().is_some())
    }

    /// Whether a full load has begun and not finished: its changes so far have not reached every table.
    pub fn is_loading(&self) -> bool {
        let mut states = self.sources.values();
        states.any(|state| state.lifecycle.load_watermark().is_some())
    }
}

impl FromIterator<(String, SourceState)> for States {
    fn from_iter<T: IntoIterator<Item = (String, SourceState)>>(states: T) -> Self {
        Self {
            sources: states.into_iter().collect(),
            targets: HashMap::new(),
        }
    }
}

/// Inserts a row for each source table that has none yet. Returns how many were inserted.
pub async fn fill<C: ConnectionTrait>(connection: &C, tables: &[SourceTable]) -> Result<usize> {
    let known = load(connection).await?;
    let missing: Vec<_> = tables
        .iter()
        .filter(|table| known.get(table.name).is_none())
        .map(|table| ActiveModel {
            source_table: Set(table.name.to_owned()),
            ..Default::default()
        })
        .collect();
    let count = missing.len();
    if count > 0 {
        Entity::insert_many(missing)
            .exec_without_returning(connection)
            .await
            .target(|| "filling sync_state".to_owned())?;
    }
    Ok(count)
}

/// The states of all tables.
pub async fn load<C: ConnectionTrait>(connection: &C) -> Result<States> {
    let rows = Entity::find().all(connection).await;
    let rows = rows.target(|| "reading sync_state".to_owned())?.into_iter();
    let states: States = rows.map(|row| (row.source_table.clone(), row.into())).collect();
    Ok(States {
        targets: target_table::load(connection).await?,
        ..states
    })
}

/// Updates the row of a table, which must exist.
pub(crate) async fn save<C: ConnectionTrait>(connection: &C, source_table: &str, state: SourceState) -> Result<()> {
    let row = state.into_row(source_table).into_active_model().reset_all();
    Entity::update(row)
        .exec(connection)
        .await
        .target(|| format!("writing the watermark of {source_table}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star::{self, time};

    fn state(lifecycle: Lifecycle) -> SourceState {
        SourceState {
            lifecycle,
            ..SourceState::default()
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let load_watermark = time(90);
        for lifecycle in [
            Lifecycle::NeverLoaded,
            Lifecycle::Loading {
                load_watermark,
                last_synced: None,
            },
            Lifecycle::Loading {
                load_watermark,
                last_synced: Some(time(50)),
            },
            Lifecycle::Loaded { last_synced: time(100) },
        ] {
            let written = SourceState {
                watermark: Some(time(40)),
                extent: Some(Extent {
                    rows: 3,
                    highest_key: None,
                }),
                modified_run: Some(9),
                ..state(lifecycle)
            };
            assert_eq!(SourceState::from(written.clone().into_row("loan")), written);
        }
    }

    #[test]
    fn a_star_is_loaded_once_every_table_was_and_loading_while_any_is() {
        let load_watermark = time(90);
        let loaded = Lifecycle::Loaded { last_synced: time(1) };
        let first_load = Lifecycle::Loading {
            load_watermark,
            last_synced: None,
        };
        let another_load = Lifecycle::Loading {
            load_watermark,
            last_synced: Some(time(1)),
        };
        for (lifecycles, is_loaded, is_loading) in [
            (&[][..], false, false),
            (&[Lifecycle::NeverLoaded], false, false),
            (&[first_load, first_load], false, true),
            (&[another_load, another_load], true, true),
            (&[loaded, loaded], true, false),
            // A migration has added a table that a load has to fill.
            (&[loaded, Lifecycle::NeverLoaded], false, false),
        ] {
            let states = lifecycles.iter().enumerate();
            let states: States = states.map(|(name, of)| (name.to_string(), state(*of))).collect();
            assert_eq!((states.is_loaded(), states.is_loading()), (is_loaded, is_loading));
        }
    }

    #[tokio::test]
    async fn a_watermark_is_stored_as_people_read_it() {
        let connection = test_star::database_of(Entity).await;
        test_star::create(&connection, target_table::sync_target_table::Entity).await;
        fill(&connection, &test_star::star().sources).await.unwrap();
        assert_eq!(fill(&connection, &test_star::star().sources).await.unwrap(), 0);
        let noon = SourceState {
            watermark: Some(time(12 * 3600)),
            ..SourceState::default()
        };
        save(&connection, "loan", noon.clone()).await.unwrap();
        assert_eq!(load(&connection).await.unwrap().get("loan"), Some(&noon));
        let select = "SELECT last_updated FROM sync_state WHERE source_table = 'loan'";
        let text: String = test_star::figure(&connection, select).await;
        assert_eq!(text, "1970-01-01 12:00:00");
    }
}
