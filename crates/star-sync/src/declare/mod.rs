//! Declarations: the star, its tables, the source rows that they are made of, lookups and totals. Nothing here reads or
//! writes a database.
//!
//! | to declare | use |
//! |---|---|
//! | the star | [`Star`], [`Names`], [`Calendar`] |
//! | a table of the source | [`SourceTable`] |
//! | the columns that a mapping reads of a source row | [`source_record!`](crate::source_record), [`Integer`] |
//! | a table of the star | [`Table::dimension`], [`Table::bridge`], [`Table::fact`] |
//! | a key that is looked up | [`Lookup`], [`Lookups`] |
//! | a row that cannot be loaded | [`Rejection`], [`ReasonCode`] |
//! | date keys and DECIMAL amounts | [`calendar_key`], [`fixed_point`] |
//! | totals that source and target are reconciled by | [`Totals`], [`Measure`], [`Entry`] |
//! | the migration that creates the tables | [`CreateTables`] |

mod builder;
pub(crate) mod cell;
mod create_tables;
pub mod date_key;
pub(crate) mod day_totals;
pub mod digest;
pub mod dim_date;
pub mod fixed_point;
pub mod integer;
pub mod key_range;
pub mod lookup;
mod mistakes;
pub(crate) mod packed_totals;
pub mod partition;
pub mod period;
pub mod personal;
pub mod rejection;
pub mod row;
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
