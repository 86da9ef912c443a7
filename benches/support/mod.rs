//! What the benches stand on: a source to load from, the measured run of a program, the floors, and plots.

pub mod floors;
pub mod measure;
pub mod plot;
pub mod source;
