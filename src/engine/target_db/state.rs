//! What the sync remembers in the target: markers, the history of runs, rejected rows. Entities and their access.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::engine::declaration::source_table::SourceTable;
use crate::error::{Doing, Error, Result};

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
        /// UPDATE_TIME then; NULL if it cannot prove that nothing has changed since.
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
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod sync_run {
    //! One row a run.
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    /// A run of `init`, `full-load` or `incremental`. Times are UTC, by this machine's clock.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
    #[sea_orm(table_name = "sync_run")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub command: String,
        pub started: String,
        pub finished: Option<String>,
        /// `running` (or killed), `done`, `differences`, `failed`, `stopped`.
        pub status: String,
        pub rows_read: i64,
        pub rows_inserted: i64,
        pub rows_updated: i64,
        pub rows_deleted: i64,
        /// Rows in sync_reject when the run ended.
        pub rows_rejected: i64,
        /// Server and schema.
        pub source_identity: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod sync_reject {
    //! One row a source row that could not be loaded.
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    /// A rejected row; it leaves when it loads.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
    #[sea_orm(table_name = "sync_reject")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_table: String,
        /// The source's primary key; its parts joined by commas, the page key first.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub reason: String,
        /// The run that found it.
        pub run_id: i64,
        /// The table of the parent that is not there, if that is the reason.
        pub missing_parent: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// A time as the sync tables keep it.
pub fn time_text(time: DateTime<Utc>) -> String {
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
pub async fn save<C: ConnectionTrait>(connection: &C, state: sync_state::Model) -> Result<()> {
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
pub fn is_loading(states: &States) -> bool {
    states.values().any(|state| state.load_marker.is_some())
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Done,
    Differences,
    Failed,
    Stopped,
}

impl Status {
    /// How a run ended that ended with this error.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Stopped => Self::Stopped,
            _ => Self::Failed,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Differences => "differences",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// Rows of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    pub read: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub rejected: u64,
}

/// Opens the history's row of a run; returns its id.
pub async fn begin_run<C: ConnectionTrait>(connection: &C, command: &str, source_identity: &str) -> Result<i64> {
    let run = sync_run::ActiveModel {
        id: NotSet,
        command: Set(command.to_owned()),
        started: Set(time_text(Utc::now())),
        finished: Set(None),
        status: Set("running".to_owned()),
        rows_read: Set(0),
        rows_inserted: Set(0),
        rows_updated: Set(0),
        rows_deleted: Set(0),
        rows_rejected: Set(0),
        source_identity: Set(source_identity.to_owned()),
    };
    let inserted = sync_run::Entity::insert(run)
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(inserted.last_insert_id)
}

/// Closes the history's row of a run.
pub async fn finish_run<C: ConnectionTrait>(connection: &C, id: i64, status: Status, counts: RunCounts) -> Result<()> {
    let signed = |count: u64| Set(i64::try_from(count).unwrap_or(i64::MAX));
    let run = sync_run::ActiveModel {
        id: Set(id),
        command: NotSet,
        started: NotSet,
        finished: Set(Some(time_text(Utc::now()))),
        status: Set(status.as_str().to_owned()),
        rows_read: signed(counts.read),
        rows_inserted: signed(counts.inserted),
        rows_updated: signed(counts.updated),
        rows_deleted: signed(counts.deleted),
        rows_rejected: signed(counts.rejected),
        source_identity: NotSet,
    };
    sync_run::Entity::update(run)
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(())
}

/// The newest runs, newest first.
pub async fn last_runs<C: ConnectionTrait>(connection: &C, count: u64) -> Result<Vec<sync_run::Model>> {
    sync_run::Entity::find()
        .order_by_desc(sync_run::Column::Id)
        .limit(count)
        .all(connection)
        .await
        .target(|| "reading sync_run".to_owned())
}

/// The newest run of a command.
pub async fn last_run_of<C: ConnectionTrait>(connection: &C, command: &str) -> Result<Option<sync_run::Model>> {
    sync_run::Entity::find()
        .filter(sync_run::Column::Command.eq(command))
        .order_by_desc(sync_run::Column::Id)
        .one(connection)
        .await
        .target(|| "reading sync_run".to_owned())
}

/// Says again that a run is under way.
pub async fn mark_running<C: ConnectionTrait>(connection: &C, id: i64) -> Result<()> {
    sync_run::Entity::update_many()
        .col_expr(sync_run::Column::Status, "running".into())
        .filter(sync_run::Column::Id.eq(id))
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(())
}
