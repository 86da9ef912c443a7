//! The star's tables.

/// One country.
pub mod dim_country {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dim_country")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub country_key: i64,
        #[sea_orm(unique)]
        pub code: String,
        pub name: String,
        #[sea_orm(default_value = 0)]
        pub run_id: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// One department.
pub mod dim_department {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dim_department")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub department_key: i64,
        #[sea_orm(unique)]
        pub dept_no: String,
        pub name: String,
        pub is_closed: bool,
        #[sea_orm(default_value = 0)]
        pub run_id: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// One employee; `country_key` is NULL if the source has no country.
pub mod dim_employee {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dim_employee")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub employee_key: i64,
        #[sea_orm(unique)]
        pub emp_no: i64,
        pub name: String,
        pub born: Option<Date>,
        pub country_key: Option<i64>,
        /// A second reference to the same dimension; also NULL if the country does not exist.
        pub tax_country_key: Option<i64>,
        #[sea_orm(default_value = 0)]
        pub run_id: i64,
        #[sea_orm(belongs_to, relation_enum = "Country", from = "country_key", to = "country_key")]
        pub country: HasOne<super::dim_country::Entity>,
        #[sea_orm(
            belongs_to,
            relation_enum = "TaxCountry",
            from = "tax_country_key",
            to = "country_key"
        )]
        pub tax_country: HasOne<super::dim_country::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// One assignment.
pub mod fact_assignment {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "fact_assignment")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub assignment_key: i64,
        #[sea_orm(unique_key = "natural")]
        pub emp_no: i64,
        #[sea_orm(unique_key = "natural")]
        pub dept_no: String,
        #[sea_orm(unique_key = "natural")]
        pub from_date: Date,
        pub employee_key: i64,
        pub department_key: i64,
        /// NULL if unknown.
        pub hours: Option<f64>,
        /// Whether the department is closed.
        pub is_closed: bool,
        /// A second reference to an employee; also NULL if the employee does not exist.
        pub approver_key: Option<i64>,
        #[sea_orm(default_value = 0)]
        pub run_id: i64,
        #[sea_orm(belongs_to, relation_enum = "Employee", from = "employee_key", to = "employee_key")]
        pub employee: HasOne<super::dim_employee::Entity>,
        #[sea_orm(belongs_to, relation_enum = "Approver", from = "approver_key", to = "employee_key")]
        pub approver: HasOne<super::dim_employee::Entity>,
        #[sea_orm(
            belongs_to,
            relation_enum = "Department",
            from = "department_key",
            to = "department_key"
        )]
        pub department: HasOne<super::dim_department::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// One assignment of 20 hours or more: a subset of the rows of fact_assignment.
pub mod fact_full_time {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "fact_full_time")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub full_time_key: i64,
        #[sea_orm(unique_key = "natural")]
        pub emp_no: i64,
        #[sea_orm(unique_key = "natural")]
        pub dept_no: String,
        #[sea_orm(unique_key = "natural")]
        pub from_date: Date,
        /// The day on which the assignment ends; NULL if it is open-ended.
        pub until_key: Option<i32>,
        pub employee_key: i64,
        #[sea_orm(default_value = 0)]
        pub run_id: i64,
        #[sea_orm(belongs_to, relation_enum = "Employee", from = "employee_key", to = "employee_key")]
        pub employee: HasOne<super::dim_employee::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The salary of a grade.
pub mod fact_grade {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "fact_grade")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub grade_key: i64,
        #[sea_orm(unique_key = "natural")]
        pub code: String,
        #[sea_orm(unique_key = "natural")]
        pub country: String,
        pub country_key: i64,
        pub salary: f64,
        #[sea_orm(default_value = 0)]
        pub run_id: i64,
        #[sea_orm(belongs_to, relation_enum = "Country", from = "country_key", to = "country_key")]
        pub in_country: HasOne<super::dim_country::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
