//! Synchronises a SQLite star schema with an operational MySQL or MariaDB database. The star is declared as a value, a
//! [`Star`](declare::Star); the engine contains no table of any source.
//!
//! ```text
//!          MySQL                                                             SQLite
//!  ┌───────────────────┐  jobs  ┌─────────┐ pages ┌───────────┐ batches ┌────────────┐
//!  │ planner: key      │ ─────▶ │ readers │ ────▶ │ transform │ ──────▶ │ the writer │
//!  │ ranges            │        │ × N     │       │ (rayon)   │         │            │
//!  └───────────────────┘        └─────────┘       └───────────┘         └────────────┘
//! ```
//!
//! A target table is declared as a value, too ([`declare::Table`]): full load, incremental run, repair and validation
//! use the same declaration. The module [`declare`] contains what a program declares; the crate `star-sync-cli` turns
//! the declarations into a command-line program.
//!
//! # A star of one dimension
//!
//! ```
//! use sea_orm::ActiveValue::{NotSet, Set};
//! use sea_orm_migration::MigrationTrait;
//! use star_sync::declare::{CreateTables, Integer, Lookups, Names, Rejection, SourceTable, Star, Table};
//! use star_sync::source_record;
//!
//! /// A source table, with the columns that are read.
//! mod book {
//!     use sea_orm::entity::prelude::*;
//!     use star_sync::declare::Integer;
//!
//!     #[sea_orm::model]
//!     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
//!     #[sea_orm(table_name = "book")]
//!     pub struct Model {
//!         #[sea_orm(primary_key, auto_increment = false)]
//!         pub book_id: Integer,
//!         pub title: String,
//!         pub updated_at: DateTimeUtc,
//!     }
//!
//!     impl ActiveModelBehavior for ActiveModel {}
//! }
//!
//! /// The dimension that is made from it.
//! mod dim_book {
//!     use sea_orm::entity::prelude::*;
//!
//!     #[sea_orm::model]
//!     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
//!     #[sea_orm(table_name = "dim_book")]
//!     pub struct Model {
//!         /// The surrogate key, which SQLite assigns.
//!         #[sea_orm(primary_key)]
//!         pub book_key: i64,
//!         /// The natural key.
//!         #[sea_orm(unique)]
//!         pub book_id: i64,
//!         pub title: String,
//!     }
//!
//!     impl ActiveModelBehavior for ActiveModel {}
//! }
//!
//! source_record! {
//!     struct Book of book::Entity {
//!         book_id: Integer = book::Column::BookId,
//!         title: String = book::Column::Title,
//!     }
//! }
//!
//! fn map(book: Book, _: &Lookups) -> Result<dim_book::ActiveModel, Rejection> {
//!     Ok(dim_book::ActiveModel {
//!         book_key: NotSet,
//!         book_id: Set(book.book_id.0),
//!         title: Set(book.title),
//!     })
//! }
//!
//! fn migrations() -> Vec<Box<dyn MigrationTrait>> {
//!     vec![Box::new(CreateTables::new("m20261128_000001_create_star").table(dim_book::Entity))]
//! }
//!
//! fn star() -> Star {
//!     let names = Names {
//!         program: "library-sync",
//!         source: "library",
//!         metrics_prefix: "library_sync",
//!         application_id: 0x4C69_6272,
//!     };
//!     let sources = vec![
//!         SourceTable::of::<book::Entity>(book::Column::BookId).changed_at(book::Column::UpdatedAt),
//!     ];
//!     let tables = vec![Table::dimension::<dim_book::Entity, _>(map)];
//!     Star::new(names, sources, tables, None, migrations)
//! }
//!
//! fn main() {
//!     assert_eq!(star().mistakes(), Vec::<String>::new());
//! }
//! ```
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | `runs` | whole runs: full load, incremental, repair, validate, explain |
//! | `changes` | change detection, and applying the changes |
//! | `compare` | counts, totals, integrity, and the comparison of every row |
//! | `pipeline` | readers, the transform stage, the writer |
//! | `target` | the SQLite file, and the bookkeeping in it |
//! | `source` | MySQL: connections, snapshots, the check of the schema |
//! | `declare` | what can be declared: the star, its tables, lookups, keys |
//!
//! A module imports only modules below it in this list; `source` and `target` do not import each other. The remaining
//! modules stand outside it: `error` (may import from `target` and `source` what it reports), `metrics` (from `target`
//! only), `sql` (statements that the ORM cannot express), `stop` (the request to end early) and `failpoint` (where
//! tests abort the program). A test in `rules` checks this.

pub mod changes;
pub mod compare;
pub mod declare;
pub mod error;
pub(crate) mod failpoint;
pub mod metrics;
pub mod pipeline;
#[cfg(test)]
mod rules;
pub mod runs;
pub mod source;
pub(crate) mod sql;
pub mod stop;
pub mod target;
#[cfg(test)]
mod test_star;

pub use error::{Error, Result};
