//! A migration step that creates tables as their entities describe them.

use sea_orm::sea_query::{IndexCreateStatement, TableCreateStatement};
use sea_orm::{DbBackend, DbErr, EntityTrait, Schema};
use sea_orm_migration::prelude::{Table, async_trait};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// The first migration of a star: creates a table for each entity, in order, with the unique index over a natural key
/// of several columns (`#[sea_orm(unique_key = "natural")]` on each of them). Secondary indexes are not created here: a
/// first load is faster without them and creates them when it ends.
///
/// The tables follow the entities. Once a program is in use, its migrations are frozen: a change of an entity needs a
/// migration of its own, and this one is replaced by one that lists the columns as they were.
///
/// ```
/// use sea_orm_migration::MigrationTrait;
/// use star_sync::declare::{CreateTables, dim_date};
///
/// fn steps() -> Vec<Box<dyn MigrationTrait>> {
///     vec![Box::new(CreateTables::new("m20261128_000001_create_star").table(dim_date::Entity))]
/// }
/// # assert_eq!(steps()[0].name(), "m20261128_000001_create_star");
/// ```
pub struct CreateTables {
    name: &'static str,
    tables: Vec<TableCreateStatement>,
    indexes: Vec<IndexCreateStatement>,
}

impl CreateTables {
    /// A migration of this name. The target records the names of applied migrations; they are applied in the order in
    /// which they are listed.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            tables: Vec::new(),
            indexes: Vec::new(),
        }
    }

    /// Adds the table of this entity. A table has to come after those that it refers to.
    #[must_use]
    pub fn table<E: EntityTrait>(mut self, entity: E) -> Self {
        let schema = Schema::new(DbBackend::Sqlite);
        let indexes = schema.create_index_from_entity(entity).into_iter();
        self.indexes.extend(indexes.filter(IndexCreateStatement::is_unique_key));
        self.tables.push(schema.create_table_from_entity(entity));
        self
    }
}

impl MigrationName for CreateTables {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTables {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in &self.tables {
            manager.create_table(table.clone()).await?;
        }
        for index in &self.indexes {
            manager.create_index(index.clone()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let names = self
            .tables
            .iter()
            .rev()
            .filter_map(TableCreateStatement::get_table_name);
        for name in names {
            manager.drop_table(Table::drop().table(name.clone()).to_owned()).await?;
        }
        Ok(())
    }
}
