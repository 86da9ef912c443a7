//! Rows on their way to the target: the result of mapping a source row, and the conversion of typed columns to cells.

use std::cmp::Ordering;

use sea_orm::sea_query::ColumnType;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, PrimaryKeyTrait,
    Value,
};

use crate::declare::lookup::{LookupKey, Lookups};
use crate::declare::rejection::Rejection;
use crate::declare::source_rows::SourceRow;

/// Maps a source row and appends the cells of its target row to those of earlier rows; appends none if it is rejected.
pub(crate) type RowMap = Box<dyn Fn(SourceRow<'_>, &Lookups, &mut Vec<Value>) -> Result<(), Rejection> + Send + Sync>;

/// A target row, by its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRow {
    pub page_key: i64,
    /// The cells of its natural key.
    pub natural_key: Vec<Value>,
}

/// The column with the run that last wrote a row. The writer fills it; it is not compared.
pub const RUN_COLUMN: &str = "run_id";

/// A column of the target and how its cells are read back for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub cell_type: CellType,
    pub nullable: bool,
}

/// The type of a column of the star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellType {
    BigInteger,
    Integer,
    Text,
    Real,
    Boolean,
    /// A day, which SQLite stores as text.
    Date,
    /// A declared type that cannot be compared and written; the check before every run names the column.
    Unsupported,
}

/// Columns of a table, by their positions: bit n is set for the nth. The last bit stands for all columns from its
/// position on; in a table that wide these are overwritten together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Columns(u64);

impl Columns {
    const LAST_BIT: usize = u64::BITS as usize - 1;
    pub const ALL: Self = Self(u64::MAX);

    /// The columns in which two rows differ.
    pub(crate) fn that_differ(one: &[Value], other: &[Value]) -> Self {
        let bits = one.iter().zip(other).enumerate();
        Self(bits.fold(0, |bits, (position, (one, other))| {
            bits | u64::from(one != other) << position.min(Self::LAST_BIT)
        }))
    }

    pub fn contains(self, position: usize) -> bool {
        self.0 >> position.min(Self::LAST_BIT) & 1 == 1
    }
}

/// The columns of an entity that a mapping fills, in order: all except the surrogate key and `run_id`.
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
                    ColumnType::String(_) | ColumnType::Text => CellType::Text,
                    ColumnType::Date => CellType::Date,
                    ColumnType::Integer => CellType::Integer,
                    _ => CellType::Unsupported,
                },
                nullable: definition.is_null(),
            }
        })
        .collect()
}

/// The column whose values SQLite assigns, if the entity has one.
pub(crate) fn surrogate_key_of<E: EntityTrait>() -> Option<&'static str> {
    let is_assigned = <E::PrimaryKey as PrimaryKeyTrait>::auto_increment();
    E::Column::iter()
        .find(|column| is_assigned && E::PrimaryKey::from_column(*column).is_some())
        .map(|column| column.as_str())
}

fn written<E: EntityTrait>() -> impl Iterator<Item = E::Column> {
    let surrogate = <E::PrimaryKey as PrimaryKeyTrait>::auto_increment();
    E::Column::iter()
        .filter(move |column| !(surrogate && E::PrimaryKey::from_column(*column).is_some()))
        .filter(|column| column.as_str() != RUN_COLUMN)
}

/// Whether an entity has a column with the run that last wrote a row.
pub(crate) fn notes_its_run<E: EntityTrait>() -> bool {
    E::Column::iter().any(|column| column.as_str() == RUN_COLUMN)
}

/// Turns a typed mapping into one that appends cells. A mapping returns a whole `ActiveModel` with every field written
/// out, so that the compiler checks that every column is filled.
pub(crate) fn mapped_by<E: EntityTrait>(
    map: impl Fn(SourceRow<'_>, &Lookups) -> Result<E::ActiveModel, Rejection> + Send + Sync + 'static,
) -> RowMap {
    let columns: Vec<E::Column> = written::<E>().collect();
    Box::new(move |row, lookups, cells| {
        let mut model = map(row, lookups)?;
        cells.extend(columns.iter().map(|column| cell(model.take(*column))));
        Ok(())
    })
}

/// The cells of a whole model, for rows that are generated.
pub(crate) fn cells_of<E: EntityTrait>(mut model: E::ActiveModel) -> Vec<Value> {
    written::<E>().map(|column| cell(model.take(column))).collect()
}

fn cell(value: ActiveValue<Value>) -> Value {
    match value {
        ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
        ActiveValue::NotSet => unreachable!("a mapping sets every column but the surrogate key and the run's"),
    }
}

/// A cell as text for users; `None` for NULL.
pub fn text(cell: &Value) -> Option<String> {
    match cell {
        Value::BigInt(number) => number.map(|number| number.to_string()),
        Value::Int(number) => number.map(|number| number.to_string()),
        Value::Double(number) => number.map(|number| number.to_string()),
        Value::Bool(flag) => flag.map(|flag| i32::from(flag).to_string()),
        Value::String(text) => text.clone(),
        Value::ChronoDate(day) => day.map(|day| day.to_string()),
        _ => unreachable!("the star has cells of no other type"),
    }
}

/// The cells of a key as one text.
pub(crate) fn key_text<'a>(cells: impl IntoIterator<Item = &'a Value>) -> String {
    joined_key(cells.into_iter().map(|cell| text(cell).unwrap_or_default()))
}

/// The parts of a key as one text: joined by commas; commas within a part are escaped by a backslash.
pub(crate) fn joined_key(parts: impl IntoIterator<Item = String>) -> String {
    let escaped = |part: String| part.replace('\\', r"\\").replace(',', r"\,");
    let mut parts: Vec<String> = parts.into_iter().collect();
    if parts.len() == 1 {
        return parts.remove(0);
    }
    parts.into_iter().map(escaped).collect::<Vec<_>>().join(",")
}

/// Splits a key that [`joined_key`] joined; a key of one column is returned unchanged.
pub(crate) fn parts_of_key(key: &str, columns: usize) -> Vec<String> {
    if columns == 1 {
        return vec![key.to_owned()];
    }
    let mut parts = vec![String::new()];
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => parts.push(String::new()),
            '\\' => parts.last_mut().expect("there is one").extend(characters.next()),
            other => parts.last_mut().expect("there is one").push(other),
        }
    }
    parts
}

/// A cell as a part of a key.
pub(crate) fn key_part(cell: &Value) -> LookupKey {
    match cell {
        Value::BigInt(Some(number)) => LookupKey::Number(*number),
        Value::Int(Some(number)) => LookupKey::Number(i64::from(*number)),
        cell => LookupKey::Text(text(cell).unwrap_or_default().into()),
    }
}

/// The order of two parts of keys. Parts of the same column have the same type.
pub(crate) fn order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::BigInt(one), Value::BigInt(other)) => one.cmp(other),
        (Value::Int(one), Value::Int(other)) => one.cmp(other),
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::ChronoDate(one), Value::ChronoDate(other)) => one.cmp(other),
        // Other cells occur only if another program has written them.
        (one, other) => (type_rank(one), text(one)).cmp(&(type_rank(other), text(other))),
    }
}

fn type_rank(cell: &Value) -> u8 {
    match cell {
        Value::BigInt(_) | Value::Int(_) => 0,
        Value::ChronoDate(_) => 1,
        _ => 2,
    }
}

/// The number in an integer cell. It is called only for keys and date keys that are not NULL.
pub fn integer(cell: &Value) -> i64 {
    match cell {
        Value::BigInt(Some(number)) => *number,
        Value::Int(Some(number)) => i64::from(*number),
        _ => unreachable!("declarations name integer columns only as keys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_several_parts_are_one_text_that_tells_them_apart() {
        let joined = |parts: &[&str]| joined_key(parts.iter().map(|part| (*part).to_owned()));
        assert_eq!(joined(&["7", "Engineer", "1986-06-26"]), "7,Engineer,1986-06-26");
        assert_eq!(joined(&["a,b"]), "a,b");
        assert_ne!(joined(&["a,", "b"]), joined(&["a", ",b"]));
        assert_ne!(joined(&[r"a\", "b"]), joined(&["a", r"\b"]));
        for parts in [
            &["a,b"][..],
            &["7", "Engineer", "1986-06-26"],
            &["a,", ",b"],
            &[r"a\", r"\,b"],
            &["", ""],
        ] {
            assert_eq!(parts_of_key(&joined(parts), parts.len()), parts);
        }
    }

    #[test]
    fn columns_that_differ_are_overwritten_however_wide_the_table_is() {
        for width in [1, 63, 64, 65, 130, 200] {
            let row: Vec<Value> = vec![0.into(); width];
            for changed in 0..width {
                let mut other = row.clone();
                other[changed] = 1.into();
                let columns = Columns::that_differ(&row, &other);
                assert!(columns.contains(changed), "column {changed} of {width}");
                let others = (0..width.min(63)).filter(|position| *position != changed);
                assert!(
                    others.into_iter().all(|position| !columns.contains(position)),
                    "{changed} of {width}"
                );
                assert!((0..width).all(|position| Columns::ALL.contains(position)));
            }
            let equal = Columns::that_differ(&row, &row);
            assert!((0..width).all(|position| !equal.contains(position)));
        }
    }
}
