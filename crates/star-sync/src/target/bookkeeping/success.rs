//! When each command last succeeded, whether or not it changed anything: runs that changed nothing leave no row in the
//! history.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult};

use crate::error::{Doing, Result};
use crate::target::bookkeeping::time::stored;
use sync_success::{ActiveModel, Column, Entity};

pub(crate) mod sync_success {
    //! One row per command.
    use sea_orm::entity::prelude::*;

    /// The last run of a command that finished without a mismatch. Times are by this machine's clock.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_success")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub command: String,
        pub finished: DateTime,
        /// The run, which need not have a row in sync_run.
        pub run_id: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How far the clocks of the machine that syncs and the machine that checks may differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// The command that loads everything.
pub(crate) const FULL_LOAD: &str = "full-load";

/// A command, and when it last succeeded.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Success {
    pub command: String,
    pub finished: DateTime<Utc>,
    pub(crate) run_id: i64,
}

/// Records that this run of a command succeeded, and when.
pub(crate) async fn note<C: ConnectionTrait>(
    connection: &C,
    command: &str,
    finished: DateTime<Utc>,
    run_id: i64,
) -> Result<()> {
    let row = ActiveModel {
        command: Set(command.to_owned()),
        finished: Set(stored(finished)),
        run_id: Set(run_id),
    };
    let newest = OnConflict::column(Column::Command)
        .update_columns([Column::Finished, Column::RunId])
        .to_owned();
    let written = Entity::insert(row)
        .on_conflict(newest)
        .exec_without_returning(connection);
    written.await.target(|| "writing sync_success".to_owned())?;
    Ok(())
}

/// When the newest run succeeded: the one with the highest number, even if the clock was changed meanwhile.
pub fn newest(successes: &[Success]) -> Option<DateTime<Utc>> {
    let newest = successes.iter().max_by_key(|success| success.run_id);
    newest.map(|success| success.finished)
}

/// The last success of each command.
pub async fn load<C: ConnectionTrait>(connection: &C) -> Result<Vec<Success>> {
    let successes = Entity::find().into_model().all(connection).await;
    successes.target(|| "reading sync_success".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star;

    #[tokio::test]
    async fn the_newest_success_of_each_command_is_kept() {
        let connection = test_star::database_of(Entity).await;
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        for (command, seconds) in [("full-load", 1), ("incremental", 2), ("incremental", 3)] {
            note(&connection, command, time(seconds), seconds).await.unwrap();
        }
        let loaded = load(&connection).await.unwrap();
        let finished = loaded
            .iter()
            .map(|success| (success.command.as_str(), success.finished, success.run_id));
        assert_eq!(
            finished.collect::<Vec<_>>(),
            [("full-load", time(1), 1), ("incremental", time(3), 3)]
        );
    }
}
