//! Records which partitions of the star's tables changed, and in which run, in the transaction that commits the rows,
//! so that a publication knows what to rewrite. A row that is deleted, or that moves to another month, is also recorded
//! for its old partition.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::declare::partition::Partition;
use crate::error::{Doing, Result};
use sync_partition::{ActiveModel, Column, Entity};

pub(crate) mod sync_partition {
    //! One row per partition; they are never deleted.
    use sea_orm::entity::prelude::*;

    /// A partition of a table that has, or had, rows.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_partition")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub target_table: String,
        /// A month as YYYYMM; 0 for a table that is not partitioned, and for rows without a date.
        #[sea_orm(primary_key, auto_increment = false)]
        pub partition: i32,
        /// The run that last changed a row of the partition.
        pub last_run: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Partitions by table.
pub type Partitions = BTreeMap<String, BTreeSet<Partition>>;

/// Partitions whose rows a run has changed; some are already recorded.
#[derive(Default)]
pub(crate) struct ChangedPartitions {
    noted: BTreeSet<(&'static str, Partition)>,
    pending: BTreeSet<(&'static str, Partition)>,
}

impl ChangedPartitions {
    pub(crate) fn add(&mut self, table: &'static str, partitions: impl IntoIterator<Item = Partition>) {
        let partitions = partitions.into_iter().map(|partition| (table, partition));
        self.pending
            .extend(partitions.filter(|partition| !self.noted.contains(partition)));
    }

    /// Records the pending partitions, in the transaction that changes their rows.
    pub(crate) async fn note<C: ConnectionTrait>(&mut self, connection: &C, run_id: i64) -> Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        for (table, partition) in &pending {
            note(connection, table, *partition, run_id).await?;
        }
        self.noted.append(&mut pending);
        Ok(())
    }
}

/// Records that a run has changed rows of a partition.
pub async fn note<C: ConnectionTrait>(connection: &C, table: &str, partition: Partition, run_id: i64) -> Result<()> {
    let row = ActiveModel {
        target_table: Set(table.to_owned()),
        partition: Set(partition.number()),
        last_run: Set(run_id),
    };
    let again = OnConflict::columns([Column::TargetTable, Column::Partition])
        .update_column(Column::LastRun)
        .to_owned();
    Entity::insert(row)
        .on_conflict(again)
        .exec_without_returning(connection)
        .await
        .target(|| format!("recording a partition of {table}"))?;
    Ok(())
}

/// The newest run that changed rows of the star; 0 if none has.
pub async fn last_run<C: ConnectionTrait>(connection: &C) -> Result<i64> {
    let newest: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(Column::LastRun.max(), "last_run")
        .into_tuple()
        .one(connection)
        .await
        .target(|| "reading sync_partition".to_owned())?;
    Ok(newest.flatten().unwrap_or(0))
}

/// The partitions that runs after this one have changed; run 0 returns all.
pub async fn changed_after<C: ConnectionTrait>(connection: &C, run_id: i64) -> Result<Partitions> {
    let rows = Entity::find()
        .filter(Column::LastRun.gt(run_id))
        .all(connection)
        .await
        .target(|| "reading sync_partition".to_owned())?;
    let mut partitions = Partitions::new();
    for row in rows {
        let partition = Partition::from_number(row.partition);
        partitions.entry(row.target_table).or_default().insert(partition);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star;

    #[tokio::test]
    async fn a_partition_is_known_by_the_run_that_changed_it_last() {
        let connection = test_star::database_of(Entity).await;
        let (may, june) = (Partition::of_date(20_050_524), Partition::of_date(20_050_601));
        let mut changed = ChangedPartitions::default();
        changed.add("fact_loan", [may, june]);
        changed.add("dim_book", [Partition::WHOLE]);
        changed.note(&connection, 1).await.unwrap();
        let mut changed = ChangedPartitions::default();
        changed.add("fact_loan", [june]);
        changed.note(&connection, 2).await.unwrap();
        changed.add("fact_loan", [june]);
        assert!(changed.pending.is_empty());

        let after = async |run| {
            let changed = changed_after(&connection, run).await.unwrap();
            let numbers = changed.into_iter().flat_map(|(table, partitions)| {
                let numbered = partitions.into_iter().map(Partition::number);
                numbered.map(move |number| (table.clone(), number))
            });
            numbers.collect::<Vec<_>>()
        };
        let loan = |number| ("fact_loan".to_owned(), number);
        let book = ("dim_book".to_owned(), 0);
        assert_eq!(after(0).await, [book, loan(200_505), loan(200_506)]);
        assert_eq!(after(1).await, [loan(200_506)]);
        assert_eq!(after(2).await, []);
        assert_eq!(last_run(&connection).await.unwrap(), 2);
    }
}
