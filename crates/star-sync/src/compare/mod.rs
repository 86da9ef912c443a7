//! The comparison of source and target: row counts, totals, integrity, and every row. `validate` and the end of each
//! run use it.
//!
//! Nothing here writes. `figures` and `totals` make the checks, `integrity` searches for broken references, `rows` and
//! `deep` compare row by row, `findings` decides whether a mismatch is confirmed, and `verdict` summarises the result
//! in one stable code.

pub(crate) mod corrected_totals;
pub mod deep;
pub mod figures;
pub(crate) mod findings;
pub(crate) mod integrity;
pub(crate) mod rows;
pub(crate) mod source_totals;
pub mod totals;
pub mod verdict;
