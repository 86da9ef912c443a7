//! The history of runs: one row a run, kept for `status` and for whoever asks what wrote a row.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::error::{Doing, Error, Result};
use crate::target::bookkeeping::state::time_text;

pub mod sync_run {
    //! One row a run.
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    /// A run of `init`, `full-load`, `incremental` or `repair`. Times are UTC, by this machine's clock.
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
        /// The source's clock just before the snapshot that the run ended in.
        #[serde(skip)]
        pub source_clock: Option<String>,
        /// How many runs the row stands for: those that changed nothing are one row together.
        #[sea_orm(default_value = 1)]
        pub runs: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
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

    /// As `sync_run` has it.
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

/// Opens the history's row of a run that has begun then, by this machine's clock; returns its id.
pub async fn begin_run<C: ConnectionTrait>(
    connection: &C,
    command: &str,
    began: DateTime<Utc>,
    source_identity: &str,
) -> Result<i64> {
    let run = sync_run::ActiveModel {
        id: NotSet,
        command: Set(command.to_owned()),
        started: Set(time_text(began)),
        finished: Set(None),
        status: Set("running".to_owned()),
        rows_read: Set(0),
        rows_inserted: Set(0),
        rows_updated: Set(0),
        rows_deleted: Set(0),
        rows_rejected: Set(0),
        source_identity: Set(source_identity.to_owned()),
        source_clock: NotSet,
        runs: NotSet,
    };
    let inserted = sync_run::Entity::insert(run)
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(inserted.last_insert_id)
}

/// Adds to a run's row what one of its transactions does, in that transaction.
pub(crate) async fn add_counts<C: ConnectionTrait>(connection: &C, id: i64, counts: RunCounts) -> Result<()> {
    use sync_run::Column;
    let added = |column: Column, count: u64| Expr::col(column).add(signed(count));
    sync_run::Entity::update_many()
        .col_expr(Column::RowsRead, added(Column::RowsRead, counts.read))
        .col_expr(Column::RowsInserted, added(Column::RowsInserted, counts.inserted))
        .col_expr(Column::RowsUpdated, added(Column::RowsUpdated, counts.updated))
        .col_expr(Column::RowsDeleted, added(Column::RowsDeleted, counts.deleted))
        .col_expr(Column::RowsRejected, added(Column::RowsRejected, counts.rejected))
        .filter(Column::Id.eq(id))
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(())
}

/// Closes the history's row of a run. Without counts those stay that its transactions have added.
pub async fn finish_run<C: ConnectionTrait>(
    connection: &C,
    id: i64,
    status: Status,
    counts: Option<RunCounts>,
) -> Result<()> {
    let count = |of: fn(RunCounts) -> u64| counts.map_or(NotSet, |counts| Set(signed(of(counts))));
    let run = sync_run::ActiveModel {
        id: Set(id),
        command: NotSet,
        started: NotSet,
        finished: Set(Some(time_text(Utc::now()))),
        status: Set(status.as_str().to_owned()),
        rows_read: count(|counts| counts.read),
        rows_inserted: count(|counts| counts.inserted),
        rows_updated: count(|counts| counts.updated),
        rows_deleted: count(|counts| counts.deleted),
        rows_rejected: count(|counts| counts.rejected),
        source_identity: NotSet,
        source_clock: NotSet,
        runs: NotSet,
    };
    sync_run::Entity::update(run)
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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

/// The newest run of one of these commands that ended well.
pub async fn last_success_of<C: ConnectionTrait>(connection: &C, commands: &[&str]) -> Result<Option<sync_run::Model>> {
    sync_run::Entity::find()
        .filter(sync_run::Column::Command.is_in(commands.iter().copied()))
        .filter(sync_run::Column::Status.eq(Status::Done.as_str()))
        .order_by_desc(sync_run::Column::Id)
        .one(connection)
        .await
        .target(|| "reading sync_run".to_owned())
}

/// The newest run that changed rows of the star, while the history goes back that far; 0 where it does not.
pub(crate) async fn last_change<C: ConnectionTrait>(connection: &C) -> Result<i64> {
    use sync_run::Column;
    let changed = Expr::col(Column::RowsInserted)
        .add(Expr::col(Column::RowsUpdated))
        .add(Expr::col(Column::RowsDeleted));
    let newest: Option<Option<i64>> = sync_run::Entity::find()
        .select_only()
        .column_as(Column::Id.max(), "id")
        .filter(changed.gt(0))
        .into_tuple()
        .one(connection)
        .await
        .target(|| "reading sync_run".to_owned())?;
    Ok(newest.flatten().unwrap_or(0))
}

/// Notes the source's clock of a run, in the transaction that commits its rows.
pub(crate) async fn note_source_clock<C: ConnectionTrait>(connection: &C, id: i64, clock: DateTime<Utc>) -> Result<()> {
    sync_run::Entity::update_many()
        .col_expr(sync_run::Column::SourceClock, time_text(clock).into())
        .filter(sync_run::Column::Id.eq(id))
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(())
}

/// Says again that a run is under way.
pub(crate) async fn mark_running<C: ConnectionTrait>(connection: &C, id: i64) -> Result<()> {
    sync_run::Entity::update_many()
        .col_expr(sync_run::Column::Status, "running".into())
        .filter(sync_run::Column::Id.eq(id))
        .exec(connection)
        .await
        .target(|| "writing sync_run".to_owned())?;
    Ok(())
}

/// The run of this number, while the history goes back that far.
pub(crate) async fn find<C: ConnectionTrait>(connection: &C, id: i64) -> Result<Option<sync_run::Model>> {
    sync_run::Entity::find_by_id(id)
        .one(connection)
        .await
        .target(|| "reading sync_run".to_owned())
}
