//! Whether both sides are equal: row counts, totals, integrity, and the comparison of every row.
//!
//! Everything here reads and never writes. `figures` and `totals` make the checks, `soundness` looks for broken
//! references, `rows` and `deep` compare row by row, `findings` decides whether a mismatch is confirmed, and `verdict`
//! sums all of it up in one stable code.

pub mod deep;
pub mod figures;
pub(crate) mod findings;
pub(crate) mod moved_totals;
pub(crate) mod rows;
pub mod soundness;
pub mod totals;
pub mod verdict;
