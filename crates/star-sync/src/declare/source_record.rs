//! Source records: a struct with the columns that a mapping reads of one source row, its select and its decoding.

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ColumnTrait, EntityName, EntityTrait, RelationDef};

use crate::declare::rejection::Rejection;
use crate::declare::source_rows::SourceRow;
use crate::declare::source_table::Family;

/// The columns that a mapping reads of one source row; made by [`source_record!`](crate::source_record).
pub trait SourceRecord: Sized + 'static {
    /// The table whose rows become rows of the target, one to one.
    type Entity: EntityTrait;

    /// Selects the columns, unfiltered.
    fn select() -> SelectStatement;

    /// The columns, in the order of the select.
    fn columns() -> Vec<SelectedColumn>;

    /// The joins that the select makes, in order.
    fn joins() -> Vec<RelationDef>;

    /// Decodes a row of the select.
    ///
    /// # Errors
    /// If a required column is NULL, or a column cannot be read as its field's type.
    fn read(row: SourceRow<'_>) -> Result<Self, Rejection>;
}

/// A column of the source, by table and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedColumn {
    pub table: String,
    pub name: &'static str,
    pub family: Family,
}

impl SelectedColumn {
    pub fn new(column: impl ColumnTrait) -> Self {
        Self {
            table: column.entity_name().to_string(),
            name: column.as_str(),
            family: Family::from_column_type(column.def().get_column_type()),
        }
    }
}

/// The position of a column among those that a record reads.
///
/// # Errors
/// The column's name with its table, if it is not among them.
pub(crate) fn position_of(columns: &[SelectedColumn], column: impl ColumnTrait) -> Result<usize, String> {
    let wanted = SelectedColumn::new(column);
    let position = columns.iter().position(|column| *column == wanted);
    position.ok_or_else(|| format!("{}.{}", wanted.table, wanted.name))
}

/// The tables that a record joins, including those that it joins only to reach others.
pub(crate) fn joined_of<R: SourceRecord>() -> Vec<&'static str> {
    let own = R::Entity::default();
    let mut joined: Vec<&'static str> = Vec::new();
    for relation in R::joins() {
        let table: &'static str = relation.to_tbl.sea_orm_table().to_string().leak();
        if table != own.table_name() && !joined.contains(&table) {
            joined.push(table);
        }
    }
    joined
}

/// Declares the columns that a mapping reads of a source row, as a struct: each field with its type and the column that
/// fills it. The columns of the source's primary key come first, beginning with the page key. `joins [...]` lists the
/// relations to other tables; they are LEFT JOINs, which keep rows whose parent is missing.
///
/// A field of type `Option` is `None` for NULL. NULL in any other field quarantines the row, so columns of a joined
/// table are `Option` unless the parent is required.
///
/// ```
/// use star_sync::declare::integer::Integer;
/// use star_sync::source_record;
/// # mod album {
/// #     use sea_orm::entity::prelude::*;
/// #     use star_sync::declare::integer::Integer;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "Album")]
/// #     pub struct Model {
/// #         #[sea_orm(primary_key, auto_increment = false, column_name = "AlbumId")]
/// #         pub album_id: Integer,
/// #         #[sea_orm(column_name = "Title")]
/// #         pub title: String,
/// #     }
/// #     #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
///
/// source_record! {
///     /// An album.
///     pub struct Album of album::Entity {
///         album_id: Integer = album::Column::AlbumId,
///         title: String = album::Column::Title,
///     }
/// }
/// ```
#[macro_export]
macro_rules! source_record {
    (
        $(#[$about:meta])*
        $visibility:vis struct $record:ident of $entity:ty {
            $($(#[$about_field:meta])* $field:ident: $type:ty = $column:expr,)+
        }
        $(joins [$($relation:expr),+ $(,)?])?
    ) => {
        $(#[$about])*
        #[allow(clippy::struct_field_names, reason = "fields are named for columns")]
        $visibility struct $record {
            $($(#[$about_field])* $field: $type,)+
        }

        impl $crate::declare::source_record::SourceRecord for $record {
            type Entity = $entity;

            fn select() -> sea_orm::sea_query::SelectStatement {
                use sea_orm::{EntityTrait, QuerySelect, QueryTrait};
                let mut select = <$entity as EntityTrait>::find().select_only();
                $(select = select.column($column);)+
                for relation in Self::joins() {
                    select = select.join(sea_orm::JoinType::LeftJoin, relation);
                }
                select.into_query()
            }

            fn columns() -> Vec<$crate::declare::source_record::SelectedColumn> {
                vec![$($crate::declare::source_record::SelectedColumn::new($column),)+]
            }

            fn joins() -> Vec<sea_orm::RelationDef> {
                #[allow(unused_imports, reason = "only a record with joins names relations")]
                use sea_orm::RelationTrait;
                vec![$($($relation.def(),)+)?]
            }

            fn read(
                row: $crate::declare::source_rows::SourceRow<'_>,
            ) -> Result<Self, $crate::declare::rejection::Rejection> {
                // Fields are evaluated in the order in which they are written.
                let mut positions = 0..;
                Ok(Self {
                    $($field: row.required(positions.next().unwrap_or_default())?,)+
                })
            }
        }
    };
}
