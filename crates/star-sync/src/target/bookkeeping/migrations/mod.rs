//! The migrations that create the engine's own tables. They are applied automatically before a star's migrations.

use sea_orm_migration::MigrationTrait;

mod m20261128_000001_create_bookkeeping;

/// The engine's migrations, oldest first. A released migration is never changed.
///
/// A later migration that adds a table or a column which a load must fill sets `sync_state.last_synced` to NULL: then
/// every command requires a full load, which fills it.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(m20261128_000001_create_bookkeeping::Migration)]
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Schema, Statement};
    use sea_orm_migration::MigratorTraitSelf;

    use crate::target::bookkeeping::changed_partitions::sync_partition;
    use crate::target::bookkeeping::history::sync_run;
    use crate::target::bookkeeping::lookup_row_digests::sync_source_rows;
    use crate::target::bookkeeping::publication::sync_publication;
    use crate::target::bookkeeping::quarantine::sync_reject;
    use crate::target::bookkeeping::source_identity::sync_source;
    use crate::target::bookkeeping::state::sync_state;
    use crate::target::bookkeeping::success::sync_success;
    use crate::target::bookkeeping::target_table::sync_target_table;
    use crate::target::bookkeeping::verified_ranges::sync_verification;
    use crate::target::bookkeeping::watermark::sync_watermark;
    use crate::target::sqlite::version::Steps;
    use crate::test_star;

    /// Columns and keys of every table, as SQLite reports them, one per line.
    const SHAPE: &str = "SELECT m.name || '.' || c.name || ' ' || c.type || ' notnull=' || c.\"notnull\" || ' pk=' || c.pk \
                         FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                         WHERE m.type = 'table' AND m.name GLOB 'sync_*' ORDER BY 1";

    async fn shape(connection: &DatabaseConnection) -> Vec<String> {
        let select = Statement::from_string(connection.get_database_backend(), SHAPE);
        let lines = connection.query_all_raw(select).await.unwrap();
        lines.iter().map(|line| line.try_get_by_index(0).unwrap()).collect()
    }

    async fn create(connection: &DatabaseConnection, entity: impl EntityTrait) {
        let table = Schema::new(connection.get_database_backend()).create_table_from_entity(entity);
        connection.execute(&table).await.unwrap();
    }

    #[tokio::test]
    async fn the_migrated_tables_are_those_of_the_entities() {
        let migrated = test_star::empty_database().await;
        Steps(Vec::new).up(&migrated, None).await.unwrap();
        let by_entities = test_star::empty_database().await;
        create(&by_entities, sync_state::Entity).await;
        create(&by_entities, sync_target_table::Entity).await;
        create(&by_entities, sync_run::Entity).await;
        create(&by_entities, sync_watermark::Entity).await;
        create(&by_entities, sync_success::Entity).await;
        create(&by_entities, sync_verification::Entity).await;
        create(&by_entities, sync_source_rows::Entity).await;
        create(&by_entities, sync_reject::Entity).await;
        create(&by_entities, sync_source::Entity).await;
        create(&by_entities, sync_partition::Entity).await;
        create(&by_entities, sync_publication::Entity).await;
        assert_eq!(shape(&migrated).await, shape(&by_entities).await);
        Steps(Vec::new).down(&migrated, None).await.unwrap();
        assert_eq!(shape(&migrated).await, Vec::<String>::new());
    }
}
