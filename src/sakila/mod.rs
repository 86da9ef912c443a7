//! Sakila's declarations: the source's tables, the star's tables, and nothing of how they are moved.

use std::sync::LazyLock;

use crate::engine::declaration::table::Star;

pub mod source;
pub mod source_lookups;
pub mod star;

/// The star, built once.
pub fn star() -> &'static Star {
    static STAR: LazyLock<Star> = LazyLock::new(|| Star {
        sources: source::tables(),
        phases: star::phases(),
        calendar: star::dim_date::calendar(),
    });
    &STAR
}
