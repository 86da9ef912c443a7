//! A seeded table as a value: its layout, its indexes and foreign keys, and the function that generates its rows.

use sea_orm::Value;
use sea_orm::sea_query::{
    Alias, ColumnDef, Expr, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index, IndexCreateStatement,
    Table, TableCreateStatement,
};

use super::world::World;

/// Declared in `tables`. The columns are in the order of the values that `row` returns.
pub struct SeedTable {
    pub name: &'static str,
    pub rows: u64,
    /// Generates row `number`, counted from 0.
    pub row: fn(&World, u64) -> Vec<Value>,
    pub columns: Vec<&'static str>,
    /// Columns and primary key. Everything else is added after the rows, which is several times faster.
    pub create: TableCreateStatement,
    pub indexes: Vec<IndexCreateStatement>,
    /// The name and the column of a spatial index, which the query builder does not support.
    pub spatial_index: Option<(&'static str, &'static str)>,
    pub foreign_keys: Vec<ForeignKeyCreateStatement>,
}

impl SeedTable {
    pub fn new(name: &'static str, rows: u64, row: fn(&World, u64) -> Vec<Value>) -> Self {
        Self {
            name,
            rows,
            row,
            columns: Vec::new(),
            create: Table::create()
                .table(name)
                .engine("InnoDB")
                .character_set("utf8mb4")
                .to_owned(),
            indexes: Vec::new(),
            spatial_index: None,
            foreign_keys: Vec::new(),
        }
    }

    pub fn column(mut self, name: &'static str, define: impl FnOnce(&mut ColumnDef) -> &mut ColumnDef) -> Self {
        let mut column = ColumnDef::new(name);
        self.create.col(define(&mut column).take());
        self.columns.push(name);
        self
    }

    /// `last_update`, which the server maintains.
    pub fn last_update(self) -> Self {
        self.column("last_update", |column| stamped(column).not_null())
    }

    /// The same for the two tables that allow NULL in it.
    pub fn nullable_last_update(self) -> Self {
        self.column("last_update", |column| stamped(column).null())
    }

    pub fn primary_key<const N: usize>(mut self, columns: [&'static str; N]) -> Self {
        self.create.primary_key(index_of(columns).primary());
        self
    }

    pub fn index<const N: usize>(mut self, name: &'static str, columns: [&'static str; N]) -> Self {
        self.indexes.push(index_of(columns).name(name).table(self.name).take());
        self
    }

    pub fn unique<const N: usize>(mut self, name: &'static str, columns: [&'static str; N]) -> Self {
        self.indexes
            .push(index_of(columns).name(name).table(self.name).unique().take());
        self
    }

    pub fn full_text<const N: usize>(mut self, name: &'static str, columns: [&'static str; N]) -> Self {
        self.indexes
            .push(index_of(columns).name(name).table(self.name).full_text().take());
        self
    }

    pub fn spatial(mut self, name: &'static str, column: &'static str) -> Self {
        self.spatial_index = Some((name, column));
        self
    }

    /// A reference to a parent's column; the parent cannot be deleted while it is referenced.
    pub fn foreign_key(self, name: &str, column: &str, parent: &'static str, parent_column: &str) -> Self {
        self.reference(name, [column, parent, parent_column], ForeignKeyAction::Restrict)
    }

    /// A reference that becomes NULL when the parent is deleted.
    pub fn loose_foreign_key(self, name: &str, column: &str, parent: &'static str, parent_column: &str) -> Self {
        self.reference(name, [column, parent, parent_column], ForeignKeyAction::SetNull)
    }

    fn reference(
        mut self,
        name: &str,
        [column, parent, parent_column]: [&str; 3],
        on_delete: ForeignKeyAction,
    ) -> Self {
        self.foreign_keys.push(
            ForeignKey::create()
                .name(name)
                .from(self.name, Alias::new(column))
                .to(Alias::new(parent), Alias::new(parent_column))
                .on_delete(on_delete)
                .on_update(ForeignKeyAction::Cascade)
                .take(),
        );
        self
    }
}

fn index_of<const N: usize>(columns: [&'static str; N]) -> IndexCreateStatement {
    let mut index = Index::create();
    for column in columns {
        index.col(column);
    }
    index
}

fn stamped(column: &mut ColumnDef) -> &mut ColumnDef {
    column
        .timestamp()
        .default(Expr::current_timestamp())
        .extra("ON UPDATE CURRENT_TIMESTAMP")
}

/// The integer types of keys.
#[derive(Clone, Copy)]
pub enum KeyType {
    TinyUnsigned,
    Small,
    SmallUnsigned,
    MediumUnsigned,
    Integer,
}

impl KeyType {
    /// The type in the official layout, or INT UNSIGNED if it could not hold four times the rows.
    pub fn define(self, column: &mut ColumnDef, rows: u64) -> &mut ColumnDef {
        let fits = |highest: u64| rows * 4 <= highest;
        match self {
            Self::TinyUnsigned if fits(255) => column.tiny_unsigned(),
            Self::Small if fits(32_767) => column.small_integer(),
            Self::SmallUnsigned if fits(65_535) => column.small_unsigned(),
            Self::MediumUnsigned if fits(16_777_215) => column.custom("MEDIUMINT UNSIGNED"),
            Self::Integer if fits(2_147_483_647) => column.integer(),
            _ => column.unsigned(),
        }
    }
}
