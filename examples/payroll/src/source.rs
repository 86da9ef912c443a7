//! The payroll's tables, with the columns that are read.

use star_sync::declare::SourceTable;

/// A country, keyed by its code.
pub mod country {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "country")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub name: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A department, keyed by its code.
pub mod department {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "department")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub dept_no: String,
        pub name: String,
        pub is_closed: bool,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// An employee.
pub mod employee {
    use sea_orm::entity::prelude::*;
    use star_sync::declare::Integer;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "employee")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub emp_no: Integer,
        pub name: String,
        pub born: Option<Date>,
        pub country: Option<String>,
        pub tax_country: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The hours of one employee in one department, from a date on.
pub mod assignment {
    use sea_orm::entity::prelude::*;
    use star_sync::declare::Integer;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "assignment")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub emp_no: Integer,
        #[sea_orm(primary_key, auto_increment = false)]
        pub dept_no: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub from_date: Date,
        pub hours: Option<Decimal>,
        pub until: Option<Date>,
        pub approved_by: Option<Integer>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The salary of a grade in a country.
pub mod grade {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "grade")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub country: String,
        pub salary: Decimal,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// All source tables. Those that are keyed by codes are read whole.
pub fn tables() -> Vec<SourceTable> {
    vec![
        SourceTable::read_whole::<country::Entity>(),
        SourceTable::read_whole::<department::Entity>(),
        SourceTable::of::<employee::Entity>(employee::Column::EmpNo),
        SourceTable::of::<assignment::Entity>(assignment::Column::EmpNo),
        SourceTable::read_whole::<grade::Entity>(),
    ]
}
