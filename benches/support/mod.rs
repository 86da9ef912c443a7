//! What the benches stand on: a source to load from, the measured run of a program, what both sides hold, the floors,
//! and how results are shown.
#![allow(
    dead_code,
    reason = "every bench is compiled with all of it, and none uses all of it"
)]

pub mod changes;
pub mod digests;
pub mod facts;
pub mod figures;
pub mod floors;
pub mod lines;
pub mod loaded;
pub mod measure;
pub mod plot;
pub mod reading;
pub mod server_sql;
pub mod source;
