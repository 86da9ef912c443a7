//! What can be declared: the star, its tables, what they are made of and looked up in. None of it reads or writes.

pub mod builder;
pub mod cell;
pub mod create_tables;
pub mod date_key;
pub(crate) mod day_totals;
pub mod digest;
pub mod dim_date;
pub mod fixed_point;
pub mod integer;
pub mod lookup;
mod mistakes;
pub(crate) mod packed_totals;
pub mod partition;
pub mod period;
pub mod personal;
pub mod rejection;
pub mod row;
pub mod scope;
pub mod source_record;
pub mod source_rows;
pub mod source_table;
pub mod star;
pub mod table;
pub mod totals;

pub use create_tables::CreateTables;
pub use dim_date::calendar_key;
pub use integer::Integer;
pub use lookup::{Lookup, Lookups};
pub use rejection::{ReasonCode, Rejection};
pub use source_table::SourceTable;
pub use star::{Calendar, Names, Star};
pub use table::{Table, When};
pub use totals::{Entry, Measure, Totals};
