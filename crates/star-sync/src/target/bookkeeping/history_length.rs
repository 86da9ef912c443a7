//! Keeps the history of runs short: a sync that runs for ever would fill the file with runs that found nothing.

use sea_orm::ActiveValue::{NotSet, Set, Unchanged};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::error::{Doing, Result};
use crate::target::bookkeeping::history::{self, Status, sync_run};
use crate::target::bookkeeping::watermark;

/// Takes the run before into the newest one, if neither of them changed anything. The newest keeps its id, which other
/// tables know; no row of the star was written by a run that changed nothing.
pub(crate) async fn merge_idle<C: ConnectionTrait>(connection: &C) -> Result<()> {
    let runs = history::last_runs(connection, 2).await?;
    let [run, before] = runs.as_slice() else {
        return Ok(());
    };
    if !is_idle(run) || !is_idle(before) || !are_alike(run, before) {
        return Ok(());
    }
    let merged = sync_run::ActiveModel {
        id: Unchanged(run.id),
        started: Set(before.started.clone()),
        rows_read: Set(run.rows_read + before.rows_read),
        runs: Set(run.runs + before.runs),
        command: NotSet,
        finished: NotSet,
        status: NotSet,
        rows_inserted: NotSet,
        rows_updated: NotSet,
        rows_deleted: NotSet,
        rows_rejected: NotSet,
        source_identity: NotSet,
        source_clock: NotSet,
    };
    let doing = || "merging runs that changed nothing".to_owned();
    sync_run::Entity::update(merged).exec(connection).await.target(doing)?;
    sync_run::Entity::delete_by_id(before.id)
        .exec(connection)
        .await
        .target(doing)?;
    watermark::merge(connection, before.id, run.id).await
}

/// Deletes all but the newest rows.
pub(crate) async fn keep_newest<C: ConnectionTrait>(connection: &C, rows: u64) -> Result<()> {
    let doing = || "shortening sync_run".to_owned();
    let oldest_kept: Option<i64> = sync_run::Entity::find()
        .select_only()
        .column(sync_run::Column::Id)
        .order_by_desc(sync_run::Column::Id)
        .offset(rows.saturating_sub(1))
        .limit(1)
        .into_tuple()
        .one(connection)
        .await
        .target(doing)?;
    if let Some(oldest) = oldest_kept {
        sync_run::Entity::delete_many()
            .filter(sync_run::Column::Id.lt(oldest))
            .exec(connection)
            .await
            .target(doing)?;
        watermark::forget_before(connection, oldest).await?;
    }
    Ok(())
}

fn is_idle(run: &sync_run::Model) -> bool {
    run.status == Status::Done.as_str() && run.rows_inserted + run.rows_updated + run.rows_deleted == 0
}

fn are_alike(one: &sync_run::Model, other: &sync_run::Model) -> bool {
    one.command == other.command
        && one.source_identity == other.source_identity
        && one.rows_rejected == other.rows_rejected
}
