//! The keys of a lookup that one statement reads, and the statement.

use std::fmt;
use std::sync::Arc;

use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, Query, SelectStatement};

use crate::declare::key_range::KeyRange;
use crate::declare::lookup::{Lookup, LookupKey};

/// The keys of a lookup that one statement reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupKeys {
    All,
    Numbers(KeyRange),
    Texts(Vec<Arc<str>>),
}

impl LookupKeys {
    /// The key range as a condition on `key`.
    pub(crate) fn contains(&self, key: &Expr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Numbers(key_range) => key_range.contains(key),
            Self::Texts(texts) => key.clone().is_in(texts.iter().map(|text| &**text)).into_condition(),
        }
    }

    /// Key ranges that contain a set of keys, and possibly numbers between them.
    pub(crate) fn around<'a>(
        keys: impl IntoIterator<Item = &'a LookupKey>,
        size: usize,
        size_of_range: usize,
    ) -> Vec<Self> {
        let mut texts: Vec<Arc<str>> = Vec::new();
        let mut numbers = Vec::new();
        for key in keys {
            match key {
                LookupKey::Number(number) => numbers.push(*number),
                LookupKey::Text(text) => texts.push(Arc::clone(text)),
            }
        }
        texts.sort_unstable();
        let numbers = KeyRange::around_keys(numbers, size, size_of_range);
        let texts = texts.chunks(size).map(|texts| Self::Texts(texts.to_vec()));
        numbers.into_iter().map(Self::Numbers).chain(texts).collect()
    }
}

impl fmt::Display for LookupKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(formatter, "all keys"),
            Self::Numbers(key_range) => key_range.fmt(formatter),
            Self::Texts(texts) => write!(formatter, "{} keys", texts.len()),
        }
    }
}

/// Selects the keys in `key_range` and the value of each of these lookups, which are read from the same rows.
pub(crate) fn select_values(lookups: &[&Lookup], key_range: &LookupKeys) -> SelectStatement {
    let mut select = Query::select();
    for lookup in lookups.iter().take(1) {
        select.column(lookup.key).from(lookup.table);
        select.cond_where(key_range.contains(&Expr::col(lookup.key)));
    }
    select.columns(lookups.iter().map(|lookup| lookup.value));
    select
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_of_both_kinds_are_named_in_one_condition_each() {
        use crate::test_star::dim_book::Column;
        let lookup = Lookup::in_target("book", Column::BookId, Column::BookKey);
        let keys = HashSet::from([LookupKey::Text("b".into()), LookupKey::Text("a".into())]);
        let key_ranges = LookupKeys::around(&keys, 10, 10);
        let sql = |key_range| select_values(&[&lookup], key_range).to_string(sea_orm::sea_query::SqliteQueryBuilder);
        assert_eq!(
            key_ranges.iter().map(sql).collect::<Vec<_>>(),
            [r#"SELECT "book_id", "book_key" FROM "dim_book" WHERE "book_id" IN ('a', 'b')"#]
        );
        assert_eq!(
            sql(&LookupKeys::All),
            r#"SELECT "book_id", "book_key" FROM "dim_book" WHERE TRUE"#
        );
    }
}
