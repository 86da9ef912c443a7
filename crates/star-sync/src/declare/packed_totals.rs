//! The totals of one page, packed: a load keeps those of each page, so they must take only a few bytes per row.

use crate::declare::day_totals::{DayAndGroup, DayTotals};
use crate::declare::totals::{Group, MOST_MEASURES, Total};

/// Totals ordered by group and day. Numbers are encoded in variable length, small ones in few bytes; dates are stored
/// as differences.
#[derive(Clone, Debug, Default)]
pub struct PackedTotals {
    /// Each group, and the number of days for which it has totals.
    groups: Vec<(Option<Group>, usize)>,
    /// The number of amounts stored for each total; all further amounts are 0.
    amounts: usize,
    bytes: Vec<u8>,
}

impl PackedTotals {
    /// Packs totals.
    pub(crate) fn new(totals: DayTotals) -> Self {
        let mut entries: Vec<(DayAndGroup, Total)> = totals.into_iter().collect();
        entries
            .sort_unstable_by(|((date, group), _), ((other_date, other), _)| (group, date).cmp(&(other, other_date)));
        let used = |total: &Total| {
            total
                .amounts
                .iter()
                .rposition(|amount| *amount != 0)
                .map_or(0, |last| last + 1)
        };
        let mut packed = Self {
            amounts: entries.iter().map(|(_, total)| used(total)).max().unwrap_or(0),
            ..Self::default()
        };
        let mut date_before = 0;
        for ((date, group), total) in entries {
            match packed.groups.last_mut() {
                Some((last, days)) if *last == group => *days += 1,
                _ => packed.groups.push((group, 1)),
            }
            packed.push(i64::from(date) - date_before);
            date_before = i64::from(date);
            packed.push(total.rows);
            for amount in &total.amounts[..packed.amounts] {
                packed.push(*amount);
            }
        }
        packed.bytes.shrink_to_fit();
        packed
    }

    /// Unpacks all totals.
    pub(crate) fn unpack(&self) -> DayTotals {
        let mut totals = DayTotals::new();
        let mut bytes = self.bytes.iter();
        let mut date = 0;
        for (group, days) in &self.groups {
            for _ in 0..*days {
                date += next(&mut bytes);
                let mut total = Total {
                    rows: next(&mut bytes),
                    amounts: [0; MOST_MEASURES],
                };
                for amount in &mut total.amounts[..self.amounts] {
                    *amount = next(&mut bytes);
                }
                totals.insert((i32::try_from(date).unwrap_or(0), group.clone()), total);
            }
        }
        totals
    }

    /// Appends a number as a zigzag varint: seven bits per byte, the lowest first.
    fn push(&mut self, number: i64) {
        let mut rest = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
        loop {
            let bits = (rest & 0x7F) as u8;
            rest >>= 7;
            if rest == 0 {
                return self.bytes.push(bits);
            }
            self.bytes.push(bits | 0x80);
        }
    }
}

fn next<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> i64 {
    let (mut number, mut shift) = (0_u64, 0);
    for byte in bytes {
        number |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        let total = |rows, first, second| Total {
            rows,
            amounts: [first, second, 0, 0],
        };
        let totals = DayTotals::from([
            ((20_050_524, Some(Group::Number(1))), total(3, 699, 0)),
            ((20_050_525, Some(Group::Number(1))), total(1, i64::MAX, i64::MIN)),
            ((20_050_524, Some(Group::Text("ö".into()))), total(i64::MAX, 0, -1)),
            ((0, None), total(0, 63, -64)),
        ]);
        assert_eq!(PackedTotals::new(totals.clone()).unpack(), totals);
        assert_eq!(PackedTotals::new(DayTotals::new()).unpack(), DayTotals::new());
    }

    #[test]
    fn a_day_of_one_row_takes_few_bytes() {
        let day = |day| {
            let total = Total {
                rows: 1,
                amounts: [499, 0, 0, 0],
            };
            ((20_050_500 + day, Some(Group::Number(2))), total)
        };
        let packed = PackedTotals::new((0..1_000).map(day).collect());
        assert!(packed.bytes.len() < 5_000, "{}", packed.bytes.len());
    }
}
