//! The history of runs: one row for each run that wrote, failed or found a mismatch. It is shown by `status`, and shows
//! which run wrote a row of the star. Runs that changed nothing leave no row; their numbers are not reused.

use chrono::{DateTime, NaiveDateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{FromQueryResult, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::declare::star::Star;
use crate::error::{Doing, Error, Result};
use crate::target::bookkeeping::time::{self, stored};
use crate::target::bookkeeping::{success, verified_ranges};
use sync_run::{ActiveModel, Column, Entity};

pub(crate) mod sync_run {
    //! One row per run.
    use sea_orm::entity::prelude::*;

    use super::Status;

    /// A run of `init`, `full-load`, `incremental` or `repair`. Times are by this machine's clock.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_run")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub command: String,
        pub started: DateTime,
        pub finished: Option<DateTime>,
        pub status: Status,
        pub rows_read: i64,
        pub rows_inserted: i64,
        pub rows_updated: i64,
        pub rows_deleted: i64,
        /// Rows in sync_reject when the run ended.
        pub rows_rejected: i64,
        /// Server and schema.
        pub source_identity: String,
        /// The source's clock just before the last snapshot of the run.
        pub source_clock: Option<DateTime>,
        /// Source rows whose digest has not changed since they were last read.
        pub rows_verified_by_digest: i64,
        /// Bytes that the source sent; NULL if it does not report them, or if the run did not finish.
        pub bytes_received: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::None)", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The run has begun. A killed run keeps this status.
    Running,
    Done,
    /// Done, but its reconciliation found a mismatch.
    Mismatch,
    Failed,
    /// Stopped by Ctrl-C or SIGTERM.
    Stopped,
}

impl Status {
    /// The status of a run that ended with this error.
    pub fn from_error(error: &Error) -> Self {
        match error {
            Error::Stopped => Self::Stopped,
            _ => Self::Failed,
        }
    }

    /// The value in `sync_run`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Mismatch => "mismatch",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A run, as displayed.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult, Serialize)]
pub struct Run {
    pub id: i64,
    pub command: String,
    #[serde(serialize_with = "time::serialize")]
    pub started: DateTime<Utc>,
    #[serde(serialize_with = "time::serialize_option")]
    pub finished: Option<DateTime<Utc>>,
    pub status: Status,
    pub rows_read: i64,
    pub rows_inserted: i64,
    pub rows_updated: i64,
    pub rows_deleted: i64,
    #[sea_orm(from_alias = "rows_rejected")]
    pub rows_quarantined: i64,
    pub source_identity: String,
    pub rows_verified_by_digest: i64,
    pub bytes_received: Option<i64>,
    #[serde(skip)]
    pub(crate) source_clock: Option<DateTime<Utc>>,
}

/// Row counts of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    pub read: u64,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
    pub quarantined: u64,
    pub verified_by_digest: u64,
    /// Bytes that the source sent, if it reports them.
    pub bytes_received: Option<u64>,
}

fn writing() -> String {
    "writing sync_run".to_owned()
}

fn reading() -> String {
    "reading sync_run".to_owned()
}

/// Adds a run that began at `began`, by this machine's clock, to the history; returns its id.
pub async fn begin_run<C: ConnectionTrait>(
    connection: &C,
    command: &str,
    began: DateTime<Utc>,
    source_identity: &str,
) -> Result<i64> {
    let run = ActiveModel {
        id: NotSet,
        command: Set(command.to_owned()),
        started: Set(stored(began)),
        finished: Set(None),
        status: Set(Status::Running),
        rows_read: Set(0),
        rows_inserted: Set(0),
        rows_updated: Set(0),
        rows_deleted: Set(0),
        rows_rejected: Set(0),
        source_identity: Set(source_identity.to_owned()),
        source_clock: Set(None),
        rows_verified_by_digest: Set(0),
        bytes_received: Set(None),
    };
    let inserted = Entity::insert(run).exec(connection).await.target(writing)?;
    Ok(inserted.last_insert_id)
}

/// Adds the counts of one of a run's transactions to the run's row, in that transaction.
pub(crate) async fn add_counts<C: ConnectionTrait>(connection: &C, id: i64, counts: RunCounts) -> Result<()> {
    let added = |column: Column, count: u64| Expr::col(column).add(signed(count));
    Entity::update_many()
        .col_expr(Column::RowsRead, added(Column::RowsRead, counts.read))
        .col_expr(Column::RowsInserted, added(Column::RowsInserted, counts.inserted))
        .col_expr(Column::RowsUpdated, added(Column::RowsUpdated, counts.updated))
        .col_expr(Column::RowsDeleted, added(Column::RowsDeleted, counts.deleted))
        .col_expr(Column::RowsRejected, added(Column::RowsRejected, counts.quarantined))
        .filter(Column::Id.eq(id))
        .exec(connection)
        .await
        .target(writing)?;
    Ok(())
}

/// Closes the history's row of a run. Without counts, those that its transactions have added are kept.
pub async fn finish_run<C: ConnectionTrait>(
    connection: &C,
    id: i64,
    status: Status,
    counts: Option<RunCounts>,
) -> Result<()> {
    let count = |of: fn(RunCounts) -> u64| counts.map_or(NotSet, |counts| Set(signed(of(counts))));
    let run = ActiveModel {
        id: Set(id),
        finished: Set(Some(stored(Utc::now()))),
        status: Set(status),
        rows_read: count(|counts| counts.read),
        rows_inserted: count(|counts| counts.inserted),
        rows_updated: count(|counts| counts.updated),
        rows_deleted: count(|counts| counts.deleted),
        rows_rejected: count(|counts| counts.quarantined),
        rows_verified_by_digest: count(|counts| counts.verified_by_digest),
        bytes_received: Set(counts.and_then(|counts| counts.bytes_received).map(signed)),
        ..Default::default()
    };
    update(connection, run).await
}

/// Records the source's clock for a run, in the transaction that commits its rows.
pub(crate) async fn note_source_clock<C: ConnectionTrait>(connection: &C, id: i64, clock: DateTime<Utc>) -> Result<()> {
    let run = ActiveModel {
        id: Set(id),
        source_clock: Set(Some(stored(clock))),
        ..Default::default()
    };
    update(connection, run).await
}

/// Sets the status of a run to running again.
pub(crate) async fn mark_running<C: ConnectionTrait>(connection: &C, id: i64) -> Result<()> {
    let run = ActiveModel {
        id: Set(id),
        status: Set(Status::Running),
        ..Default::default()
    };
    update(connection, run).await
}

async fn update<C: ConnectionTrait>(connection: &C, run: ActiveModel) -> Result<()> {
    Entity::update(run).exec(connection).await.target(writing)?;
    Ok(())
}

/// Deletes the row of a run that changed nothing.
pub(crate) async fn remove<C: ConnectionTrait>(connection: &C, id: i64) -> Result<()> {
    Entity::delete_by_id(id).exec(connection).await.target(writing)?;
    Ok(())
}

/// Deletes all but the newest rows and the row of an unresolved mismatch. Returns the oldest of the newest rows.
pub(crate) async fn keep_newest<C: ConnectionTrait>(connection: &C, rows: u64) -> Result<Option<i64>> {
    let oldest_kept: Option<i64> = Entity::find()
        .select_only()
        .column(Column::Id)
        .order_by_desc(Column::Id)
        .offset(rows.saturating_sub(1))
        .limit(1)
        .into_tuple()
        .one(connection)
        .await
        .target(reading)?;
    if let Some(oldest) = oldest_kept {
        let unresolved = last_mismatch(connection).await?.map(|run| run.id);
        let older = Entity::delete_many()
            .filter(Column::Id.lt(oldest))
            .filter(Column::Id.is_not_in(unresolved));
        older.exec(connection).await.target(writing)?;
    }
    Ok(oldest_kept)
}

/// The newest runs, newest first.
pub async fn last_runs<C: ConnectionTrait>(connection: &C, count: u64) -> Result<Vec<Run>> {
    let newest = Entity::find().order_by_desc(Column::Id).limit(count);
    newest.into_model().all(connection).await.target(reading)
}

/// Number and start of the newest run in the history that may have changed the target. A successful run without changed
/// rows has changed something else, such as a view or the calendar; otherwise it would have left no row.
pub(crate) async fn last_change<C: ConnectionTrait>(connection: &C) -> Result<Option<(i64, NaiveDateTime)>> {
    let changed_rows = Expr::col(Column::RowsInserted)
        .add(Expr::col(Column::RowsUpdated))
        .add(Expr::col(Column::RowsDeleted));
    let newest = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Started])
        .filter(changed_rows.gt(0).or(Column::Status.eq(Status::Done)))
        .order_by_desc(Column::Id)
        .limit(1)
        .into_tuple();
    newest.one(connection).await.target(reading)
}

/// The newest run that found a mismatch, unless a later one has succeeded.
pub async fn last_mismatch<C: ConnectionTrait>(connection: &C) -> Result<Option<Run>> {
    let newest = Entity::find()
        .filter(Column::Status.eq(Status::Mismatch))
        .order_by_desc(Column::Id)
        .limit(1);
    let newest: Option<Run> = newest.into_model().one(connection).await.target(reading)?;
    let Some(run) = newest else {
        return Ok(None);
    };
    let successes = success::load(connection).await?;
    let is_over = successes.iter().any(|success| success.run_id > run.id);
    Ok((!is_over).then_some(run))
}

/// The last mismatch, if it is unresolved at the end of a run that found none. It is resolved once all key ranges that
/// differed were compared since. Finding none is not sufficient, because a run may have had nothing to compare.
pub(crate) async fn unresolved_mismatch<C: ConnectionTrait>(connection: &C, star: &Star) -> Result<Option<Run>> {
    let Some(run) = last_mismatch(connection).await? else {
        return Ok(None);
    };
    let since = run.source_clock.unwrap_or(run.started);
    let is_unresolved = verified_ranges::is_any_unverified_since(connection, star, since).await?;
    Ok(is_unresolved.then_some(run))
}

/// The run with this number, if the history still contains it.
pub async fn find<C: ConnectionTrait>(connection: &C, id: i64) -> Result<Option<Run>> {
    let run = Entity::find_by_id(id).into_model();
    run.one(connection).await.target(reading)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star;

    #[tokio::test]
    async fn the_number_of_a_run_that_left_no_row_is_not_used_again() {
        let connection = test_star::database_of(Entity).await;
        let began = DateTime::UNIX_EPOCH;
        let begin = async || begin_run(&connection, "incremental", began, "-").await.unwrap();
        let first = begin().await;
        finish_run(&connection, first, Status::Done, None).await.unwrap();
        let idle = begin().await;
        remove(&connection, idle).await.unwrap();
        assert!(begin().await > idle);
        let runs = last_runs(&connection, 10).await.unwrap();
        assert_eq!(
            runs.iter().map(|run| run.status).collect::<Vec<_>>(),
            [Status::Running, Status::Done]
        );
        assert_eq!((runs[1].id, runs[1].started), (first, began));
        assert_eq!(keep_newest(&connection, 1).await.unwrap(), Some(runs[0].id));
        assert_eq!(find(&connection, first).await.unwrap(), None);
        let status: String = test_star::figure(&connection, "SELECT status FROM sync_run").await;
        assert_eq!(status, Status::Running.as_str());
    }
}
