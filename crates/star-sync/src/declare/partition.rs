//! The partitions in which a table is published: a fact by the month of its totals' date, any other table as a whole.

use crate::declare::table::{Kind, Table};

/// How a table is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioning {
    /// The table is one partition.
    Whole,
    /// One partition per month of this column, which holds date keys (YYYYMMDD).
    ByMonth { date_column: &'static str },
}

/// A part of a table that is published as a unit: a month as YYYYMM, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(i32);

impl Partition {
    /// All rows of a table that is not partitioned.
    pub const WHOLE: Self = Self(0);
    /// The rows of a fact that have no date.
    pub(crate) const WITHOUT_DATE: Self = Self(0);

    /// The month of a date key.
    pub(crate) fn of_date(date_key: i32) -> Self {
        Self(date_key / 100)
    }

    /// The partition with this stored number.
    pub(crate) fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The number under which the partition is stored.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The month; `None` for 0.
    pub fn month(self) -> Option<i32> {
        (self.0 != 0).then_some(self.0)
    }

    /// The lowest and the highest possible date key of the month.
    pub fn date_keys(self) -> Option<(i32, i32)> {
        self.month().map(|month| (month * 100, month * 100 + 99))
    }
}

impl Table {
    /// How the table is partitioned: by month if it is a fact whose totals have days, otherwise not at all.
    pub fn partitioning(&self) -> Partitioning {
        match self.dates() {
            Some(dates) if self.kind == Kind::Fact => Partitioning::ByMonth {
                date_column: dates.target,
            },
            _ => Partitioning::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_star;

    #[test]
    fn a_partition_is_the_month_of_a_date_key() {
        let may = Partition::of_date(20_050_524);
        assert_eq!((may.month(), may.number()), (Some(200_505), 200_505));
        assert_eq!(may.date_keys(), Some((20_050_500, 20_050_599)));
        assert_eq!(Partition::from_number(200_505), may);
        assert_eq!(Partition::WITHOUT_DATE.month(), None);
    }

    #[test]
    fn a_table_whose_totals_have_no_days_is_not_divided() {
        for table in test_star::star().tables() {
            assert_eq!(table.partitioning(), Partitioning::Whole, "{}", table.name);
        }
    }
}
