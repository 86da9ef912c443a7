//! What the sync remembers of each source table: the marker, and what tells whether it has moved since.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait};

use crate::declare::source_table::SourceTable;
use crate::error::{Doing, Result};

pub mod sync_state {
    //! One row a source table.
    use sea_orm::entity::prelude::*;

    /// What is known of one source table. Times are UTC, `YYYY-MM-DD HH:MM:SS`, by the source's clock.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_state")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_table: String,
        /// The marker: rows changed up to here are in the star.
        pub last_updated: Option<String>,
        /// The clock when the table was last found in step; NULL before the first full load has finished.
        pub observed_at: Option<String>,
        /// What `information_schema` told of the table then, UPDATE_TIME above all; NULL if that cannot tell that the
        /// table has not been modified since.
        pub update_time: Option<String>,
        /// Rows then, and their highest key; kept of tables that are no star table's own.
        pub row_count: Option<i64>,
        pub highest_key: Option<i64>,
        /// Where the closing pass of an unfinished full load has to begin.
        pub load_marker: Option<String>,
        /// Page keys up to here are loaded by an unfinished full load.
        pub loaded_upto: Option<i64>,
        /// What keeps the marker from the newest change that was seen; NULL if nothing does.
        pub held_back_by: Option<String>,
        /// The last run that found the table moved: ranges proven before it are no longer proven.
        pub moved_run: Option<i64>,
        /// Rows that the last look for changes had to go through; NULL if it never looked.
        pub rows_scanned: Option<i64>,
        /// Rows of the target table made from it, as the last run left them; NULL of a source table without one.
        pub target_rows: Option<i64>,
        /// What the table looked like then, whether or not that can prove anything.
        pub signature_seen: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A time as the sync tables keep it.
pub(crate) fn time_text(time: DateTime<Utc>) -> String {
    time.format(TIME_FORMAT).to_string()
}

/// A time that `time_text` wrote.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, TIME_FORMAT)
        .ok()
        .map(|time| time.and_utc())
}

/// Makes a row for each source table that has none yet. Returns how many were made.
pub async fn fill<C: ConnectionTrait>(connection: &C, tables: &[SourceTable]) -> Result<usize> {
    let known = load(connection).await?;
    let missing: Vec<_> = tables
        .iter()
        .filter(|table| !known.contains_key(table.name))
        .map(|table| sync_state::ActiveModel {
            source_table: Set(table.name.to_owned()),
            last_updated: Set(None),
            observed_at: Set(None),
            update_time: Set(None),
            row_count: Set(None),
            highest_key: Set(None),
            load_marker: Set(None),
            loaded_upto: Set(None),
            held_back_by: Set(None),
            moved_run: Set(None),
            rows_scanned: Set(None),
            target_rows: Set(None),
            signature_seen: Set(None),
        })
        .collect();
    let count = missing.len();
    if count > 0 {
        sync_state::Entity::insert_many(missing)
            .exec_without_returning(connection)
            .await
            .target(|| "filling sync_state".to_owned())?;
    }
    Ok(count)
}

/// sync_state, by source table.
pub type States = HashMap<String, sync_state::Model>;

/// All of sync_state.
pub async fn load<C: ConnectionTrait>(connection: &C) -> Result<States> {
    Ok(sync_state::Entity::find()
        .all(connection)
        .await
        .target(|| "reading sync_state".to_owned())?
        .into_iter()
        .map(|state| (state.source_table.clone(), state))
        .collect())
}

/// Writes one row of sync_state.
pub(crate) async fn save<C: ConnectionTrait>(connection: &C, state: sync_state::Model) -> Result<()> {
    use sync_state::Column;
    let table = state.source_table.clone();
    let model = sync_state::ActiveModel {
        source_table: Set(state.source_table),
        last_updated: Set(state.last_updated),
        observed_at: Set(state.observed_at),
        update_time: Set(state.update_time),
        row_count: Set(state.row_count),
        highest_key: Set(state.highest_key),
        load_marker: Set(state.load_marker),
        loaded_upto: Set(state.loaded_upto),
        held_back_by: Set(state.held_back_by),
        moved_run: Set(state.moved_run),
        rows_scanned: Set(state.rows_scanned),
        target_rows: Set(state.target_rows),
        signature_seen: Set(state.signature_seen),
    };
    sync_state::Entity::insert(model)
        .on_conflict(
            OnConflict::column(Column::SourceTable)
                .update_columns([
                    Column::LastUpdated,
                    Column::ObservedAt,
                    Column::UpdateTime,
                    Column::RowCount,
                    Column::HighestKey,
                    Column::LoadMarker,
                    Column::LoadedUpto,
                    Column::HeldBackBy,
                    Column::MovedRun,
                    Column::RowsScanned,
                    Column::TargetRows,
                    Column::SignatureSeen,
                ])
                .to_owned(),
        )
        .exec_without_returning(connection)
        .await
        .target(|| format!("writing the marker of {table}"))?;
    Ok(())
}

/// Whether a full load has ever finished.
pub fn is_loaded(states: &States) -> bool {
    !states.is_empty() && states.values().all(|state| state.observed_at.is_some())
}

/// Whether a full load has begun and not finished: what it has changed so far has not reached every table.
pub(crate) fn is_loading(states: &States) -> bool {
    states.values().any(|state| state.load_marker.is_some())
}
