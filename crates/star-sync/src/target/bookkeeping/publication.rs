//! The lakes that the star is published to, each with its last publication.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, QueryOrder};
use serde::Serialize;

use crate::error::{Doing, Result};
use crate::target::bookkeeping::changed_partitions;
use crate::target::bookkeeping::time::{self, stored};
use crate::target::sqlite::pragma;
use sync_publication::{ActiveModel, Column, Entity};

pub(crate) mod sync_publication {
    //! One row per lake.
    use sea_orm::entity::prelude::*;

    /// A lake and its last publication.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_publication")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub lake: String,
        /// Distinguishes this star's publications from those of other programs and stars.
        pub writer: String,
        /// The run whose data the lake contains; NULL until the first publication has finished.
        pub run_id: Option<i64>,
        pub published: Option<DateTime>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A lake and its last publication.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult, Serialize)]
pub struct Publication {
    pub lake: String,
    #[serde(skip)]
    pub writer: String,
    /// The run whose data the lake contains, once a publication has finished.
    pub run_id: Option<i64>,
    #[serde(serialize_with = "time::serialize_option")]
    pub published: Option<DateTime<Utc>>,
}

/// All lakes, sorted by name.
pub async fn load<C: ConnectionTrait>(connection: &C) -> Result<Vec<Publication>> {
    let lakes = Entity::find().order_by_asc(Column::Lake);
    let lakes = lakes.into_model().all(connection).await;
    lakes.target(|| "reading sync_publication".to_owned())
}

/// How many partitions have changed since the publication.
pub async fn backlog<C: ConnectionTrait>(connection: &C, publication: &Publication) -> Result<usize> {
    let changed = changed_partitions::changed_after(connection, publication.run_id.unwrap_or(0)).await?;
    Ok(changed.values().map(std::collections::BTreeSet::len).sum())
}

/// Stores a lake and its last publication. This must survive a power failure, because the lake's files refer to the
/// writer from then on.
pub async fn save<C: ConnectionTrait>(connection: &C, publication: &Publication) -> Result<()> {
    let doing = || "writing sync_publication".to_owned();
    connection
        .execute_unprepared(pragma::SYNCHRONOUS_FULL)
        .await
        .target(doing)?;
    let row = ActiveModel {
        lake: Set(publication.lake.clone()),
        writer: Set(publication.writer.clone()),
        run_id: Set(publication.run_id),
        published: Set(publication.published.map(stored)),
    };
    let again = OnConflict::column(Column::Lake)
        .update_columns([Column::Writer, Column::RunId, Column::Published])
        .to_owned();
    Entity::insert(row)
        .on_conflict(again)
        .exec_without_returning(connection)
        .await
        .target(doing)?;
    connection
        .execute_unprepared(pragma::SYNCHRONOUS_NORMAL)
        .await
        .target(doing)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::partition::Partition;
    use crate::target::bookkeeping::changed_partitions::sync_partition;
    use crate::test_star;

    #[tokio::test]
    async fn the_backlog_of_a_lake_is_what_changed_since_its_own_publication() {
        let connection = test_star::database_of(Entity).await;
        test_star::create(&connection, sync_partition::Entity).await;
        let lake = |lake: &str, run_id| Publication {
            lake: lake.to_owned(),
            writer: "-".to_owned(),
            run_id,
            published: run_id.map(|_| DateTime::UNIX_EPOCH),
        };
        for publication in [lake("near", Some(1)), lake("far", None), lake("near", Some(2))] {
            save(&connection, &publication).await.unwrap();
        }
        for (month, run) in [(20_050_501, 1), (20_050_601, 2), (20_050_701, 3)] {
            let partition = Partition::of_date(month);
            changed_partitions::note(&connection, "fact_loan", partition, run)
                .await
                .unwrap();
        }
        let lakes = load(&connection).await.unwrap();
        assert_eq!(lakes, [lake("far", None), lake("near", Some(2))]);
        assert_eq!(backlog(&connection, &lakes[0]).await.unwrap(), 3);
        assert_eq!(backlog(&connection, &lakes[1]).await.unwrap(), 1);
    }
}
