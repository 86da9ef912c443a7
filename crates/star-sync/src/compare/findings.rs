//! The differences that one validation pass finds, by table, in a form that the next pass can confirm.

use std::collections::{BTreeMap, BTreeSet};

use crate::declare::totals::Group;

/// The differences of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Page keys of rows that differ and are neither pending nor quarantined, ascending.
    pub keys: Vec<i64>,
    /// Figures that differ, for differences that no row shows.
    pub figures: BTreeSet<DifferingFigure>,
}

/// A figure that differs, and by how much.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DifferingFigure {
    pub measure: &'static str,
    pub group: Option<Group>,
    pub date_key: Option<i32>,
    pub delta: i64,
}

impl DifferingFigure {
    /// A figure of a whole table.
    pub(crate) fn of_table(measure: &'static str, delta: i64) -> Self {
        Self {
            measure,
            group: None,
            date_key: None,
            delta,
        }
    }
}

impl Finding {
    /// Whether part of it was found before. Rows take precedence: on a busy source the same figure may differ because
    /// of another row.
    fn is_confirmed_by(&self, earlier: &Self) -> bool {
        if self.keys.is_empty() || earlier.keys.is_empty() {
            !self.figures.is_disjoint(&earlier.figures)
        } else {
            self.keys.iter().any(|key| earlier.keys.binary_search(key).is_ok())
        }
    }
}

/// The findings of all tables; empty if both sides match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings(BTreeMap<&'static str, Finding>);

impl Findings {
    pub(crate) fn add(&mut self, table: &'static str, finding: Finding) {
        self.0.insert(table, finding);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tables that differ.
    pub(crate) fn tables(&self) -> Vec<&'static str> {
        self.0.keys().copied().collect()
    }

    /// The rows of a table that differ.
    pub(crate) fn keys(&self, table: &str) -> &[i64] {
        self.0.get(table).map_or(&[], |finding| &finding.keys)
    }

    /// Whether each table that differs also differed before, at least partly in the same rows or figures.
    pub(crate) fn are_confirmed_by(&self, earlier: &Self) -> bool {
        self.0.iter().all(|(table, finding)| {
            earlier
                .0
                .get(table)
                .is_some_and(|earlier| finding.is_confirmed_by(earlier))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(of: &[(&'static str, &[i64], i64)]) -> Findings {
        let mut findings = Findings::default();
        for (table, keys, delta) in of {
            let finding = Finding {
                keys: keys.to_vec(),
                figures: BTreeSet::from([DifferingFigure::of_table("rows", *delta)]),
            };
            findings.add(table, finding);
        }
        findings
    }

    #[test]
    fn a_mismatch_is_confirmed_by_the_same_row_and_not_by_the_same_figure() {
        let confirmed = |earlier: &[_], now: &[_]| findings(now).are_confirmed_by(&findings(earlier));
        assert!(confirmed(&[("fine", &[1, 7], 2)], &[("fine", &[7], 1)]));
        assert!(!confirmed(&[("fine", &[1], 1)], &[("fine", &[7], 1)]));
        // Without rows the figure decides.
        assert!(confirmed(&[("fine", &[], 1)], &[("fine", &[], 1)]));
        assert!(!confirmed(&[("fine", &[], 1)], &[("fine", &[], 2)]));
        assert!(confirmed(&[("fine", &[], 1)], &[("fine", &[7], 1)]));
        // Every table that differs has to be confirmed, and one that no longer differs need not be.
        assert!(!confirmed(
            &[("fine", &[7], 1)],
            &[("fine", &[7], 1), ("loan", &[7], 1)]
        ));
        assert!(confirmed(&[("fine", &[7], 1), ("loan", &[7], 1)], &[("fine", &[7], 1)]));
    }
}
