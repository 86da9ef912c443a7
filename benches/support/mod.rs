//! Support for the benches: sources, measured runs of the program, counts and sums of both sides, floors, and output of
//! results.
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
