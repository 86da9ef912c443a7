//! A made-up star for unit tests: books, and loans of them.

use std::sync::LazyLock;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Query, SelectStatement};

use crate::declare::integer::Integer;
use crate::declare::table::{Calendar, Kind, Names, Star, Table};

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

/// The fact, which has one too.
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

/// The star, built once.
pub fn star() -> &'static Star {
    static STAR: LazyLock<Star> = LazyLock::new(|| Star {
        names: Names {
            program: "library-sync",
            source: "library",
            metrics_prefix: "library_sync",
            application_id: 1,
        },
        sources: vec![],
        phases: vec![vec![dim_book()], vec![fact_loan()]],
        calendar: Calendar {
            table: "dim_date",
            date_key: "date_key",
            columns: vec![],
            year: |_| vec![],
            source_years: vec![],
        },
        migrations: Vec::new,
    });
    &STAR
}

fn dim_book() -> Table {
    let select: fn() -> SelectStatement = || Query::select().column(("book", "book_id")).from("book").to_owned();
    Table::dimension::<dim_book::Entity>("dim_book", "book", "book_id", select, |row, _| {
        Ok(dim_book::ActiveModel {
            book_key: NotSet,
            book_id: Set(row.cell::<Integer>(0).map_or(0, |key| key.0)),
        })
    })
}

fn fact_loan() -> Table {
    let select: fn() -> SelectStatement = || Query::select().column(("loan", "loan_id")).from("loan").to_owned();
    Table {
        kind: Kind::Fact,
        ..Table::dimension::<fact_loan::Entity>("fact_loan", "loan", "loan_id", select, |row, _| {
            Ok(fact_loan::ActiveModel {
                loan_key: NotSet,
                loan_id: Set(row.cell::<Integer>(0).map_or(0, |key| key.0)),
            })
        })
    }
}
