//! Rows on their way from the source to the target: what a mapping is given, what it returns, and why it may not.

use sea_orm::sea_query::ColumnType;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, PrimaryKeyTrait,
    QueryResult, TryGetable, TryGetableMany, Value,
};
use sea_orm::{DbErr, RuntimeErr};
use sqlx::{Column as _, Row, TypeInfo};

use super::lookup::Lookups;
use crate::engine::declaration::rejection::Rejection;

/// Maps a source row to the cells of a target row and adds them to those of the rows before; none of a rejected row.
pub type RowMap = Box<dyn Fn(&SourceRow<'_>, &Lookups, &mut Vec<Value>) -> Result<(), Rejection> + Send + Sync>;

/// One row that was read from the source.
pub struct SourceRow<'a>(pub &'a QueryResult);

/// A natural key of up to two integers; the second is 0 where there is one.
pub type NaturalKey = [i64; 2];

/// The column that says which run last wrote a row. The writer fills it; it is no part of what is compared.
pub const RUN_COLUMN: &str = "run_id";

/// A column of the target and how its cells are read back for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub cell_type: CellType,
    pub nullable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellType {
    BigInteger,
    Integer,
    Text,
    Real,
    Boolean,
}

/// Columns of a table, by their positions: bit n is set for the nth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Columns(u64);

impl Columns {
    pub const ALL: Self = Self(u64::MAX);

    /// The columns in which two rows differ.
    pub fn that_differ(one: &[Value], other: &[Value]) -> Self {
        let bits = one.iter().zip(other).enumerate();
        Self(bits.fold(0, |bits, (position, (one, other))| {
            bits | u64::from(one != other) << position
        }))
    }

    pub fn contains(self, position: usize) -> bool {
        self.0 >> position & 1 == 1
    }
}

/// Where a column stands in a list of an entity's columns.
pub fn position<C: IdenStatic>(columns: &[C], column: C) -> usize {
    columns
        .iter()
        .position(|listed| listed.as_str() == column.as_str())
        .expect("declarations list the columns that they name; a test sees to it")
}

/// The columns of an entity that a mapping fills, in order: all but a surrogate key and the run's.
pub fn columns_of<E: EntityTrait>() -> Vec<Column> {
    written::<E>()
        .map(|column| {
            let definition = column.def();
            Column {
                name: column.as_str(),
                cell_type: match definition.get_column_type() {
                    ColumnType::BigInteger => CellType::BigInteger,
                    ColumnType::Double => CellType::Real,
                    ColumnType::Boolean => CellType::Boolean,
                    ColumnType::String(_) => CellType::Text,
                    _ => CellType::Integer,
                },
                nullable: definition.is_null(),
            }
        })
        .collect()
}

fn written<E: EntityTrait>() -> impl Iterator<Item = E::Column> {
    let surrogate = <E::PrimaryKey as PrimaryKeyTrait>::auto_increment();
    E::Column::iter()
        .filter(move |column| !(surrogate && E::PrimaryKey::from_column(*column).is_some()))
        .filter(|column| column.as_str() != RUN_COLUMN)
}

/// Whether an entity's rows say which run last wrote them.
pub fn notes_its_run<E: EntityTrait>() -> bool {
    E::Column::iter().any(|column| column.as_str() == RUN_COLUMN)
}

/// Turns a typed mapping into one over cells. A mapping returns a whole `ActiveModel`, every field written out:
/// the compiler then proves that every column is filled.
pub fn mapped_by<E, F>(map: F) -> RowMap
where
    E: EntityTrait,
    F: Fn(&SourceRow<'_>, &Lookups) -> Result<E::ActiveModel, Rejection> + Send + Sync + 'static,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    let columns: Vec<E::Column> = written::<E>().collect();
    Box::new(move |row, lookups, cells| {
        let mut model = map(row, lookups)?;
        cells.extend(columns.iter().map(|column| cell(model.take(*column))));
        Ok(())
    })
}

/// The cells of a whole model, for rows that are generated.
pub fn cells_of<E>(mut model: E::ActiveModel) -> Vec<Value>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    written::<E>().map(|column| cell(model.take(column))).collect()
}

fn cell(value: ActiveValue<Value>) -> Value {
    match value {
        ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
        ActiveValue::NotSet => unreachable!("a mapping sets every column but the surrogate key and the run's"),
    }
}

impl SourceRow<'_> {
    /// Which column it was, and whether it is empty; the driver's own words may hold the value.
    fn unreadable(&self, error: &DbErr) -> String {
        let (column, is_null) = match error {
            DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
                sqlx::Error::ColumnDecode { index, .. } => (index.parse().ok(), false),
                _ => (None, false),
            },
            // All that the ORM tells of a NULL where none may be is a sentence that ends with the column's position.
            DbErr::Type(sentence) => (sentence.rsplit(' ').next().and_then(|index| index.parse().ok()), true),
            DbErr::TryIntoErr { .. } => (self.invalid_text(), false),
            _ => (None, false),
        };
        let name = column.and_then(|index: usize| self.0.column_names().into_iter().nth(index));
        match (column, name) {
            // To the driver a zero date is NULL.
            (Some(column), Some(name)) if is_null && self.is_date(column) => format!("{name} is NULL, or a zero date"),
            (_, Some(name)) if is_null => format!("{name} is NULL"),
            (_, Some(name)) => format!("{name} cannot be read"),
            (_, None) => "a column cannot be read".to_owned(),
        }
    }

    fn is_date(&self, column: usize) -> bool {
        let row = self.0.try_as_mysql_row();
        row.and_then(|row| row.columns().get(column))
            .is_some_and(|column| matches!(column.type_info().name(), "DATETIME" | "TIMESTAMP"))
    }

    /// The first text that is no UTF-8.
    fn invalid_text(&self) -> Option<usize> {
        let is_invalid = |column: &usize| {
            let text = self.0.try_get_by_index::<Option<String>>(*column);
            matches!(text, Err(DbErr::TryIntoErr { .. }))
        };
        (0..self.0.column_names().len()).find(is_invalid)
    }

    /// The row's columns, in the order of the table's select.
    pub fn read<T: TryGetableMany>(&self) -> Result<T, Rejection> {
        self.0
            .try_get_many_by_index()
            .map_err(|error| Rejection::invalid(self.unreadable(&error)))
    }

    /// One column; nothing for NULL and for what cannot be read as a `T`, such as a date that is none.
    pub fn cell<T: TryGetable>(&self, column: usize) -> Option<T> {
        self.0.try_get_by_index::<Option<T>>(column).ok().flatten()
    }
}

/// The number in an integer cell; keys and date keys are never NULL where this is asked.
pub fn integer(cell: &Value) -> i64 {
    match cell {
        Value::BigInt(Some(number)) => *number,
        Value::Int(Some(number)) => i64::from(*number),
        _ => unreachable!("declarations name integer columns only as keys"),
    }
}
