//! The value of one cell in a digest, computed by the server in SQL and from decoded cells with the same result.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use rust_decimal::Decimal;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func};

use crate::declare::cell::Cell;
use crate::declare::source_table::Family;
use crate::source::column_type;

/// Values that can have more than 32 bits are taken modulo this: the largest prime of 31 bits.
const VALUES: i64 = 2_147_483_647;
/// The value for NULL: larger than that of any other cell.
pub(super) const NULL: i64 = 4_294_967_296;

/// A column that is part of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestColumn {
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) family: Family,
    /// Digits after the decimal point of a DECIMAL.
    scale: u32,
    /// Whether every value is an integer of at most 32 bits, as it is or in units of the last digit.
    is_narrow: bool,
    has_fractions_of_seconds: bool,
}

impl DigestColumn {
    /// A column with the full type that the source reports, such as `decimal(5,2)` or `datetime(6)`. A column whose
    /// type is unknown is digested like the widest of its family.
    pub fn new(table: &str, name: &str, family: Family, full_type: &str) -> Self {
        Self {
            table: table.to_owned(),
            name: name.to_owned(),
            family,
            scale: column_type::scale(full_type),
            is_narrow: column_type::is_narrow(full_type),
            has_fractions_of_seconds: column_type::has_fractions_of_seconds(full_type),
        }
    }

    pub(super) fn cell(&self) -> Expr {
        Expr::col((Alias::new(&self.table), Alias::new(&self.name)))
    }

    /// SQL for the column's value, as an integer of at most 33 bits.
    pub(super) fn value(&self) -> Expr {
        let cell = self.cell();
        let value = match self.family {
            Family::Integer | Family::Unsupported => self.number(cell),
            Family::Decimal => {
                let unit = format!("1{}", "0".repeat(self.scale as usize));
                self.number(cell.mul(Expr::cust(unit)))
            }
            // Day numbers are small and need no modulo.
            Family::Date => Func::cust("TO_DAYS").arg(cell).into(),
            Family::DateTime | Family::Timestamp => {
                let seconds: Expr = Func::cust("TO_SECONDS").arg(cell.clone()).into();
                let time = if self.has_fractions_of_seconds {
                    seconds.mul(1_000_000).add(Func::cust("MICROSECOND").arg(cell))
                } else {
                    seconds
                };
                modulo(time, VALUES)
            }
            Family::Text => {
                // The text as the driver receives it.
                let text = cell.cast_as("CHAR CHARACTER SET utf8mb4");
                modulo(Func::cust("CRC32").arg(text).into(), VALUES).cast_as("SIGNED")
            }
        };
        value.if_null(NULL)
    }

    fn number(&self, number: Expr) -> Expr {
        let number = if self.is_narrow { number } else { modulo(number, VALUES) };
        // The number may be unsigned.
        number.cast_as("SIGNED")
    }
}

pub(super) fn modulo(number: Expr, modulus: i64) -> Expr {
    Func::cust("MOD").args([number, modulus.into()]).into()
}

/// The value of a decoded cell, as an integer of at most 33 bits, with the sign of the cell: the same number as
/// [`DigestColumn::value`] in SQL.
#[inline]
pub(super) fn value(cell: &Cell, column: &DigestColumn) -> i64 {
    match (cell, column.family) {
        (Cell::Integer(number), Family::Decimal) => decimal(Decimal::from(*number), column),
        (Cell::Integer(number), _) if column.is_narrow => *number,
        (Cell::Integer(number), _) => number % VALUES,
        (Cell::Huge(number), Family::Decimal) => decimal(Decimal::from(*number), column),
        (Cell::Huge(number), _) => (number % VALUES.cast_unsigned()).cast_signed(),
        (Cell::Decimal(number), _) => decimal(*number, column),
        (Cell::Time(time), Family::Date) => days(time.date()),
        (Cell::Time(time), _) if column.has_fractions_of_seconds => microseconds(*time) % VALUES,
        (Cell::Time(time), _) => seconds(*time) % VALUES,
        (Cell::Text(text), _) => i64::from(crc32fast::hash(text.as_bytes())) % VALUES,
        // An unreadable cell is either a zero date, which the server's functions turn into NULL, or makes the digests
        // differ, so that the rows are read.
        (Cell::Null | Cell::Unreadable, _) => NULL,
    }
}

/// MySQL's TO_DAYS.
fn days(day: NaiveDate) -> i64 {
    i64::from(day.num_days_from_ce()) + 365
}

/// MySQL's TO_SECONDS.
fn seconds(time: NaiveDateTime) -> i64 {
    days(time.date()) * 86_400 + i64::from(time.num_seconds_from_midnight())
}

fn microseconds(time: NaiveDateTime) -> i64 {
    seconds(time) * 1_000_000 + i64::from(time.nanosecond() / 1_000)
}

fn decimal(mut number: Decimal, column: &DigestColumn) -> i64 {
    number.rescale(column.scale);
    let units = number.mantissa();
    let value = if column.is_narrow {
        units
    } else {
        units % i128::from(VALUES)
    };
    i64::try_from(value).unwrap_or(NULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_server() {
        let day = |year, month, day| days(NaiveDate::from_ymd_opt(year, month, day).unwrap());
        // From MySQL's manual.
        assert_eq!(day(1995, 5, 1), 728_779);
        assert_eq!(day(2007, 10, 7), 733_321);
        let time = NaiveDate::from_ymd_opt(2009, 11, 29)
            .unwrap()
            .and_hms_opt(13, 43, 32)
            .unwrap();
        assert_eq!(seconds(time), 63_426_721_412);
    }
}
