//! A star for unit tests: books and their loans.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait, RelationDef, Schema, Statement,
    TryGetable,
};

use crate::declare::integer::Integer;
use crate::declare::lookup::Lookup;
use crate::declare::source_table::SourceTable;
use crate::declare::star::{Names, Star};
use crate::declare::table::Table;
use crate::source_record;

/// The dimension, which has a surrogate key.
pub mod dim_book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dim_book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub book_key: i64,
        #[sea_orm(unique)]
        pub book_id: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The fact, which has a surrogate key, too.
pub mod fact_loan {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "fact_loan")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub loan_key: i64,
        #[sea_orm(unique)]
        pub loan_id: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Declares a source table with its key and keys of other tables.
macro_rules! source_entity {
    ($module:ident, $table:literal, $key:ident $(, $other:ident)*) => {
        /// A source table.
        pub mod $module {
            use sea_orm::entity::prelude::*;

            use crate::declare::integer::Integer;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub $key: Integer,
                $(pub $other: Integer,)*
            }

            #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

source_entity!(book, "book", book_id);
source_entity!(loan, "loan", loan_id, book_id);

source_record! {
    struct Book of book::Entity {
        book_id: Integer = book::Column::BookId,
    }
}

source_record! {
    struct Loan of loan::Entity {
        loan_id: Integer = loan::Column::LoanId,
    }
}

/// book_id to book_key.
pub static BOOK: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("book", dim_book::Column::BookId, dim_book::Column::BookKey));

/// The star, built once.
pub fn star() -> &'static Star {
    static STAR: LazyLock<Star> = LazyLock::new(|| star_of(tables()));
    &STAR
}

/// A star of these tables.
pub fn star_of(tables: Vec<Table>) -> Star {
    let names = Names {
        program: "library-sync",
        source: "library",
        metrics_prefix: "library_sync",
        application_id: 1,
    };
    let sources = vec![
        SourceTable::of::<book::Entity>(book::Column::BookId),
        SourceTable::of::<loan::Entity>(loan::Column::LoanId),
    ];
    Star::new(names, sources, tables, None, Vec::new)
}

/// The tables of the star: a dimension and a fact.
pub fn tables() -> Vec<Table> {
    vec![
        Table::dimension::<dim_book::Entity, Book>(|book, _| {
            Ok(dim_book::ActiveModel {
                book_key: NotSet,
                book_id: Set(book.book_id.0),
            })
        }),
        Table::fact::<fact_loan::Entity, Loan>(|loan, _| {
            Ok(fact_loan::ActiveModel {
                loan_key: NotSet,
                loan_id: Set(loan.loan_id.0),
            })
        }),
    ]
}

/// The join of a loan with its book, which the star does not declare.
pub fn loan_to_book() -> RelationDef {
    let join = loan::Entity::belongs_to(book::Entity);
    join.from(loan::Column::BookId).to(book::Column::BookId).into()
}

/// The mistakes of the star after `change` of its tables, one per line.
pub fn mistakes_of(change: impl FnOnce(&mut Vec<Table>)) -> String {
    let mut tables = tables();
    change(&mut tables);
    star_of(tables).mistakes().join("\n")
}

/// The time `seconds` after 1970-01-01 00:00 UTC.
pub fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// A database in memory.
pub async fn empty_database() -> DatabaseConnection {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    Database::connect(options).await.unwrap()
}

/// A database in memory with one empty table.
pub async fn database_of(entity: impl EntityTrait) -> DatabaseConnection {
    let connection = empty_database().await;
    create(&connection, entity).await;
    connection
}

/// Creates a table.
pub async fn create(connection: &DatabaseConnection, entity: impl EntityTrait) {
    let table = Schema::new(connection.get_database_backend()).create_table_from_entity(entity);
    connection.execute(&table).await.unwrap();
}

/// The only cell of a query's result.
pub async fn figure<T: TryGetable>(connection: &DatabaseConnection, sql: &str) -> T {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}
