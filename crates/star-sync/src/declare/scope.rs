//! Which rows of a table one unit of work is about, named by their page key.
//!
//! A scope is authoritative: what the source has in it the target must have, and nothing else.

use std::fmt;

use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait};

/// Keys that one statement names: more would make it too long for a server to plan well.
pub const KEYS_A_STATEMENT: usize = 1_000;
/// So many keys that follow one another are named by the first and the last: a server takes many times longer to plan
/// for each of them than to read them in order.
const KEYS_OF_A_RUN: usize = 64;

/// One unit of reading, comparing and writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every key in (after, upto]; `None` leaves that end open.
    Range { after: Option<i64>, upto: Option<i64> },
    /// Just these keys, ascending.
    Keys(Vec<i64>),
}

impl Scope {
    pub const ALL: Scope = Scope::Range {
        after: None,
        upto: None,
    };

    /// The scope as a condition on `key`.
    pub fn contains(&self, key: &Expr) -> Condition {
        match self {
            Scope::Range { after, upto } => Condition::all()
                .add_option(after.map(|after| key.clone().gt(after)))
                .add_option(upto.map(|upto| key.clone().lte(upto))),
            Scope::Keys(keys) => {
                let (runs, others): (Vec<_>, Vec<_>) = keys
                    .chunk_by(|one, next| one.checked_add(1) == Some(*next))
                    .partition(|run| run.len() >= KEYS_OF_A_RUN);
                let others: Vec<i64> = others.concat();
                let any = runs.iter().fold(Condition::any(), |any, run| {
                    any.add(key.clone().between(run[0], run[run.len() - 1]))
                });
                any.add_option((runs.is_empty() || !others.is_empty()).then(|| key.clone().is_in(others)))
                    // The highest key stands for all beyond it, too: see `integer::Key`.
                    .add_option((keys.last() == Some(&i64::MAX)).then(|| key.clone().gt(i64::MAX)))
            }
        }
    }

    /// Whether a key belongs to the scope.
    pub fn holds(&self, key: i64) -> bool {
        match self {
            Scope::Range { after, upto } => {
                after.is_none_or(|after| key > after) && upto.is_none_or(|upto| key <= upto)
            }
            Scope::Keys(keys) => keys.binary_search(&key).is_ok(),
        }
    }

    /// Whether it is a range that ends before `key`.
    pub fn ends_before(&self, key: i64) -> bool {
        matches!(self, Scope::Range { upto: Some(upto), .. } if *upto < key)
    }

    /// (after, upto) of a range; a set of keys has no ends to speak of.
    pub fn ends(&self) -> (Option<i64>, Option<i64>) {
        match self {
            Scope::Range { after, upto } => (*after, *upto),
            Scope::Keys(_) => (None, None),
        }
    }

    /// Cuts a set of keys into scopes of at most `size` keys.
    pub fn of_keys(keys: impl IntoIterator<Item = i64>, size: usize) -> Vec<Scope> {
        let mut keys: Vec<i64> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.chunks(size).map(|chunk| Scope::Keys(chunk.to_vec())).collect()
    }

    /// Scopes that hold a set of keys, and maybe others: of at most `size` keys, or a range where so many as
    /// `size_of_range` lie close together. A server finds a range much faster, and brings few that nobody asked for.
    pub fn around_keys(keys: impl IntoIterator<Item = i64>, size: usize, size_of_range: usize) -> Vec<Scope> {
        let mut keys: Vec<i64> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        keys.chunks(size_of_range)
            .flat_map(|chunk| match (chunk.first(), chunk.last()) {
                (Some(first), Some(last)) if last.abs_diff(*first) < 2 * chunk.len() as u64 => vec![Scope::Range {
                    after: Some(first.saturating_sub(1)),
                    upto: Some(*last),
                }],
                _ => Scope::of_keys(chunk.iter().copied(), size),
            })
            .collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Range { after, upto } => {
                let end = |end: &Option<i64>| end.map_or("..".to_owned(), |key| key.to_string());
                write!(formatter, "keys ({}, {}]", end(after), end(upto))
            }
            Scope::Keys(keys) => match (keys.first(), keys.last()) {
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
            Scope::of_keys([5, 1, 3, 1], 2),
            [Scope::Keys(vec![1, 3]), Scope::Keys(vec![5])]
        );
    }

    #[test]
    fn around_keys_that_lie_close_together_there_is_a_range() {
        let around = |keys: &[i64]| Scope::around_keys(keys.iter().copied(), 1_000, 10_000);
        let range = Scope::Range {
            after: Some(6),
            upto: Some(11),
        };
        assert_eq!(around(&[11, 7, 8, 10]), [range]);
        assert_eq!(around(&[7, 8, 100]), [Scope::Keys(vec![7, 8, 100])]);
        assert_eq!(around(&[i64::MIN, i64::MAX]).len(), 1);
        assert_eq!(around(&[]), []);
    }

    fn condition(keys: impl IntoIterator<Item = i64>) -> String {
        let scope = Scope::Keys(keys.into_iter().collect());
        let select = Query::select()
            .column("id")
            .from("t")
            .cond_where(scope.contains(&Expr::col("id")))
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
        let scope = Scope::Range {
            after: Some(7),
            upto: None,
        };
        assert_eq!(scope.to_string(), "keys (7, ..]");
    }
}
