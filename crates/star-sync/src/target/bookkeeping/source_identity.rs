//! The source identity: server, schema, and types of the columns that are read.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::error::{Doing, Result};

pub(crate) mod sync_source {
    //! One row.
    use sea_orm::entity::prelude::*;

    /// The source that the star was loaded from.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sync_source")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        /// The server's own identifier, which is independent of its address.
        pub server: String,
        pub schema: String,
        /// Every column that is read, as `table.column type`, one per line.
        pub columns: String,
        /// The seed of the digests' multipliers, different in each target.
        pub digest_seed: i64,
        /// Every column that the read tables had when the last full load began, read or not, as `table.column`, one per
        /// line.
        pub table_columns: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

const ID: i32 = 1;

/// The identity of a source, current or stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceIdentity {
    pub server: String,
    pub schema: String,
    /// Data types by `table.column`.
    pub columns: BTreeMap<String, String>,
}

/// The source identity, if any load has begun.
pub async fn load<C: ConnectionTrait>(connection: &C) -> Result<Option<SourceIdentity>> {
    let doing = || "reading sync_source".to_owned();
    let row = sync_source::Entity::find_by_id(ID)
        .one(connection)
        .await
        .target(doing)?;
    Ok(row.map(|row| SourceIdentity {
        server: row.server,
        schema: row.schema,
        columns: row
            .columns
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(column, data_type)| (column.to_owned(), data_type.to_owned()))
            .collect(),
    }))
}

/// The seed of the digests' multipliers, once a load has begun.
pub(crate) async fn digest_seed<C: ConnectionTrait>(connection: &C) -> Result<Option<u64>> {
    let row = sync_source::Entity::find_by_id(ID).one(connection).await;
    let row = row.target(|| "reading sync_source".to_owned())?;
    Ok(row.map(|row| row.digest_seed.cast_unsigned()))
}

/// An unpredictable number.
fn random() -> i64 {
    RandomState::new().hash_one(0).cast_signed()
}

/// Stores the identity of the source that the star is loaded from.
pub(crate) async fn save<C: ConnectionTrait>(connection: &C, record: SourceIdentity) -> Result<()> {
    use sync_source::Column;
    let columns: Vec<String> = record
        .columns
        .iter()
        .map(|(column, data_type)| format!("{column} {data_type}"))
        .collect();
    let row = sync_source::ActiveModel {
        id: Set(ID),
        server: Set(record.server),
        schema: Set(record.schema),
        columns: Set(columns.join("\n")),
        // Only for a new row: an existing row keeps its seed.
        digest_seed: Set(random()),
        table_columns: Set(None),
    };
    sync_source::Entity::insert(row)
        .on_conflict(
            OnConflict::column(Column::Id)
                .update_columns([Column::Server, Column::Schema, Column::Columns])
                .to_owned(),
        )
        .exec_without_returning(connection)
        .await
        .target(|| "writing sync_source".to_owned())?;
    Ok(())
}

/// Stores every column of the tables that are read, for [`ColumnChanges`].
pub(crate) async fn note_table_columns<C: ConnectionTrait>(connection: &C, columns: &BTreeSet<String>) -> Result<()> {
    use sync_source::Column;
    let lines: Vec<&str> = columns.iter().map(String::as_str).collect();
    sync_source::Entity::update_many()
        .col_expr(Column::TableColumns, Expr::value(lines.join("\n")))
        .filter(Column::Id.eq(ID))
        .exec(connection)
        .await
        .target(|| "writing sync_source".to_owned())?;
    Ok(())
}

/// Every column that the read tables had when the last full load began, as `table.column`.
pub async fn table_columns<C: ConnectionTrait>(connection: &C) -> Result<Option<BTreeSet<String>>> {
    let row = sync_source::Entity::find_by_id(ID).one(connection).await;
    let row = row.target(|| "reading sync_source".to_owned())?;
    let lines = row.and_then(|row| row.table_columns);
    Ok(lines.map(|lines| lines.lines().map(str::to_owned).collect()))
}

/// Columns that were added to or removed from the source's tables since the last full load. They do not change the
/// source identity: the columns that are read are checked before every run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ColumnChanges {
    /// As `table.column`.
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

impl ColumnChanges {
    /// From the columns of the last full load and the current ones.
    pub fn between(then: &BTreeSet<String>, now: &BTreeSet<String>) -> Self {
        Self {
            added: now.difference(then).cloned().collect(),
            removed: then.difference(now).cloned().collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_added_and_removed_by_name() {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let then = columns(&["book.id", "book.title"]);
        let changes = ColumnChanges::between(&then, &columns(&["book.id", "book.name", "book.pages"]));
        assert_eq!(changes.added, ["book.name", "book.pages"]);
        assert_eq!(changes.removed, ["book.title"]);
        assert!(ColumnChanges::between(&then, &then).is_empty());
    }
}
