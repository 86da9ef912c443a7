//! Key ranges: the rows, by page key, that one unit of work covers.
//!
//! A key range is authoritative: in it the target must have exactly the rows of the source.

use std::fmt;

use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait};

/// The most keys that one statement lists, except that of a page: a server cannot plan a longer one well.
pub(crate) const KEYS_PER_STATEMENT: usize = 1_000;
/// The most keys of a page that is a set of keys, for the same reason: one statement lists them.
pub(crate) const KEYS_PER_PAGE: usize = 2_000;
/// At least this many consecutive keys are written as a range: a server takes many times longer to plan for each of
/// them than to read them in order.
const KEYS_OF_A_RUN: usize = 64;

/// One unit of reading, comparing and writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRange {
    /// All keys in (after, up_to]; `None` leaves that end open.
    Between { after: Option<i64>, up_to: Option<i64> },
    /// Exactly these keys, ascending.
    Keys(Vec<i64>),
}

impl KeyRange {
    pub const ALL: KeyRange = KeyRange::Between {
        after: None,
        up_to: None,
    };

    /// The key range as a condition on `key`.
    pub fn contains(&self, key: &Expr) -> Condition {
        match self {
            KeyRange::Between { after, up_to } => Condition::all()
                .add_option(after.map(|after| key.clone().gt(after)))
                .add_option(up_to.map(|up_to| key.clone().lte(up_to))),
            KeyRange::Keys(keys) => {
                let (runs, others): (Vec<_>, Vec<_>) = keys
                    .chunk_by(|one, next| one.checked_add(1) == Some(*next))
                    .partition(|run| run.len() >= KEYS_OF_A_RUN);
                let others: Vec<i64> = others.concat();
                let any = runs.iter().fold(Condition::any(), |any, run| {
                    any.add(key.clone().between(run[0], run[run.len() - 1]))
                });
                any.add_option((runs.is_empty() || !others.is_empty()).then(|| key.clone().is_in(others)))
                    // `i64::MAX` also represents all larger keys: see `integer::Key`.
                    .add_option((keys.last() == Some(&i64::MAX)).then(|| key.clone().gt(i64::MAX)))
            }
        }
    }

    /// These keys, in any order, as a condition on `key`.
    pub(crate) fn is_one_of(key: &Expr, keys: &[i64]) -> Condition {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        KeyRange::Keys(keys).contains(key)
    }

    /// Whether a key belongs to the key range.
    pub fn holds(&self, key: i64) -> bool {
        match self {
            KeyRange::Between { after, up_to } => {
                after.is_none_or(|after| key > after) && up_to.is_none_or(|up_to| key <= up_to)
            }
            KeyRange::Keys(keys) => keys.binary_search(&key).is_ok(),
        }
    }

    /// Whether this is a range that ends before `key`.
    pub(crate) fn ends_before(&self, key: i64) -> bool {
        matches!(self, KeyRange::Between { up_to: Some(up_to), .. } if *up_to < key)
    }

    /// (after, up_to) of a range; (None, None) for a set of keys.
    pub fn ends(&self) -> (Option<i64>, Option<i64>) {
        match self {
            KeyRange::Between { after, up_to } => (*after, *up_to),
            KeyRange::Keys(_) => (None, None),
        }
    }

    /// Divides a set of keys into key ranges of at most `size` keys.
    pub(crate) fn of_keys(keys: impl IntoIterator<Item = i64>, size: usize) -> Vec<KeyRange> {
        let mut keys: Vec<i64> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.chunks(size).map(|chunk| KeyRange::Keys(chunk.to_vec())).collect()
    }

    /// Key ranges that contain a set of keys, and possibly others: sets of at most `size` keys, or a range around up to
    /// `size_of_range` of them if they lie close together (fewer than two keys of the range per wanted key). A server
    /// reads a range much faster, and returns few rows that are not needed.
    pub(crate) fn around_keys(keys: impl IntoIterator<Item = i64>, size: usize, size_of_range: usize) -> Vec<KeyRange> {
        let mut keys: Vec<i64> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.chunks(size_of_range)
            .flat_map(|chunk| match (chunk.first(), chunk.last()) {
                (Some(first), Some(last)) if last.abs_diff(*first) < 2 * chunk.len() as u64 => {
                    vec![KeyRange::Between {
                        after: first.checked_sub(1),
                        up_to: Some(*last),
                    }]
                }
                _ => KeyRange::of_keys(chunk.iter().copied(), size),
            })
            .collect()
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyRange::Between { after, up_to } => {
                let end = |end: &Option<i64>| end.map_or("..".to_owned(), |key| key.to_string());
                write!(formatter, "keys ({}, {}]", end(after), end(up_to))
            }
            KeyRange::Keys(keys) => match (keys.first(), keys.last()) {
                (Some(first), Some(last)) => {
                    write!(formatter, "{} keys from {first} to {last}", keys.len())
                }
                _ => write!(formatter, "no keys"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{MysqlQueryBuilder, Query};

    use super::*;

    #[test]
    fn keys_are_sorted_deduplicated_and_cut() {
        assert_eq!(
            KeyRange::of_keys([5, 1, 3, 1], 2),
            [KeyRange::Keys(vec![1, 3]), KeyRange::Keys(vec![5])]
        );
    }

    #[test]
    fn around_keys_that_lie_close_together_there_is_a_range() {
        let around = |keys: &[i64]| KeyRange::around_keys(keys.iter().copied(), 1_000, 10_000);
        let range = KeyRange::Between {
            after: Some(6),
            up_to: Some(11),
        };
        assert_eq!(around(&[11, 7, 8, 10]), [range]);
        assert_eq!(around(&[7, 8, 100]), [KeyRange::Keys(vec![7, 8, 100])]);
        assert_eq!(around(&[i64::MIN, i64::MAX]).len(), 1);
        assert!(around(&[i64::MIN, i64::MIN + 1])[0].holds(i64::MIN));
        assert_eq!(around(&[]), []);
    }

    fn condition(keys: impl IntoIterator<Item = i64>) -> String {
        let key_range = KeyRange::Keys(keys.into_iter().collect());
        let select = Query::select()
            .column("id")
            .from("t")
            .cond_where(key_range.contains(&Expr::col("id")))
            .to_string(MysqlQueryBuilder);
        select.split_once(" WHERE ").unwrap().1.to_owned()
    }

    #[test]
    fn keys_that_follow_one_another_are_named_by_the_first_and_the_last() {
        assert_eq!(condition(1..=100), "`id` BETWEEN 1 AND 100");
        assert_eq!(
            condition((1..=64).chain([66, 68]).chain(-200..=-100)),
            "(`id` BETWEEN 1 AND 64) OR (`id` BETWEEN -200 AND -100) OR `id` IN (66, 68)"
        );
        assert_eq!(condition([7, 8, 9]), "`id` IN (7, 8, 9)");
        assert_eq!(condition([]), "1 = 2");
        let last = i64::MAX - 63..=i64::MAX;
        assert_eq!(
            condition(last),
            "(`id` BETWEEN 9223372036854775744 AND 9223372036854775807) OR `id` > 9223372036854775807"
        );
    }

    #[test]
    fn a_range_names_its_open_ends() {
        let key_range = KeyRange::Between {
            after: Some(7),
            up_to: None,
        };
        assert_eq!(key_range.to_string(), "keys (7, ..]");
    }
}
