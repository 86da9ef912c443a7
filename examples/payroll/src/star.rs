//! Declares how the star's tables are filled: text, date and composite keys, no calendar, and no timestamps.

use std::sync::LazyLock;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use rust_decimal::Decimal;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::RelationTrait;
use sea_orm::sea_query::{Expr, ExprTrait};
use star_sync::declare::{
    Entry, Integer, Lookup, Lookups, Measure, Rejection, Table, Totals, calendar_key, fixed_point,
};
use star_sync::source_record;

use crate::entities::{dim_country, dim_department, dim_employee, fact_assignment, fact_full_time, fact_grade};
use crate::source::{assignment, country, department, employee, grade};

/// code to country_key.
static COUNTRY: LazyLock<Lookup> =
    LazyLock::new(|| Lookup::in_target("a country", dim_country::Column::Code, dim_country::Column::CountryKey));

/// dept_no to department_key.
static DEPARTMENT: LazyLock<Lookup> = LazyLock::new(|| {
    use dim_department::Column::{DepartmentKey, DeptNo};
    Lookup::in_target("department", DeptNo, DepartmentKey)
});

/// dept_no to whether the department is closed: a lookup in a source table without an integer key.
static IS_CLOSED: LazyLock<Lookup> = LazyLock::new(|| {
    use department::Column::{DeptNo, IsClosed};
    Lookup::in_source("department", DeptNo, IsClosed)
});

/// emp_no to employee_key.
static EMPLOYEE: LazyLock<Lookup> = LazyLock::new(|| {
    Lookup::in_target(
        "employee",
        dim_employee::Column::EmpNo,
        dim_employee::Column::EmployeeKey,
    )
});

source_record! {
    struct Country of country::Entity {
        code: String = country::Column::Code,
        name: String = country::Column::Name,
    }
}

source_record! {
    struct Department of department::Entity {
        dept_no: String = department::Column::DeptNo,
        name: String = department::Column::Name,
        is_closed: bool = department::Column::IsClosed,
    }
}

source_record! {
    struct Employee of employee::Entity {
        emp_no: Integer = employee::Column::EmpNo,
        name: String = employee::Column::Name,
        born: Option<NaiveDate> = employee::Column::Born,
        country: Option<String> = employee::Column::Country,
        tax_country: Option<String> = employee::Column::TaxCountry,
    }
}

source_record! {
    struct Assignment of assignment::Entity {
        emp_no: Integer = assignment::Column::EmpNo,
        dept_no: String = assignment::Column::DeptNo,
        from_date: NaiveDate = assignment::Column::FromDate,
        hours: Option<Decimal> = assignment::Column::Hours,
        until: Option<NaiveDate> = assignment::Column::Until,
        approved_by: Option<Integer> = assignment::Column::ApprovedBy,
    }
}

source_record! {
    struct Grade of grade::Entity {
        code: String = grade::Column::Code,
        country: String = grade::Column::Country,
        salary: Decimal = grade::Column::Salary,
    }
}

/// All tables of the star.
pub fn tables() -> Vec<Table> {
    vec![
        Table::dimension::<dim_country::Entity, Country>(|country, _| {
            Ok(dim_country::ActiveModel {
                country_key: NotSet,
                code: Set(country.code),
                name: Set(country.name),
                run_id: NotSet,
            })
        }),
        Table::dimension::<dim_department::Entity, Department>(|department, _| {
            Ok(dim_department::ActiveModel {
                department_key: NotSet,
                dept_no: Set(department.dept_no),
                name: Set(department.name),
                is_closed: Set(department.is_closed),
                run_id: NotSet,
            })
        }),
        Table::dimension::<dim_employee::Entity, _>(employee)
            .looks_up(&COUNTRY, employee::Column::Country)
            .looks_up(&COUNTRY, employee::Column::TaxCountry)
            .personal([dim_employee::Column::Name, dim_employee::Column::Born]),
        assignments(),
        full_time(),
        grades(),
    ]
}

fn employee(employee: Employee, lookups: &Lookups) -> Result<dim_employee::ActiveModel, Rejection> {
    let country = employee.country.map(|code| lookups.find(&COUNTRY, &code));
    Ok(dim_employee::ActiveModel {
        employee_key: NotSet,
        emp_no: Set(employee.emp_no.0),
        name: Set(employee.name),
        born: Set(employee.born),
        country_key: Set(country.transpose()?),
        tax_country_key: Set(employee.tax_country.and_then(|code| lookups.get(&COUNTRY, &code))),
        run_id: NotSet,
    })
}

/// Hours with three decimals.
const HOURS: Measure = Measure {
    name: "thousandths_of_hours",
    label: "hours",
    decimals: 3,
};

fn assignments() -> Table {
    use fact_assignment::Column;
    Table::fact::<fact_assignment::Entity, Assignment>(|row, lookups| {
        let hours = row.hours.map(|hours| fixed_point::real(hours, HOURS.decimals, "hours"));
        Ok(fact_assignment::ActiveModel {
            assignment_key: NotSet,
            emp_no: Set(row.emp_no.0),
            employee_key: Set(lookups.find(&EMPLOYEE, row.emp_no)?),
            department_key: Set(lookups.find(&DEPARTMENT, &row.dept_no)?),
            is_closed: Set(lookups.find(&IS_CLOSED, &row.dept_no)? != 0),
            dept_no: Set(row.dept_no),
            from_date: Set(row.from_date),
            hours: Set(hours.transpose()?),
            approver_key: Set(row.approved_by.and_then(|approver| lookups.get(&EMPLOYEE, approver))),
            run_id: NotSet,
        })
    })
    .keyed_by([
        (Column::EmpNo, assignment::Column::EmpNo),
        (Column::DeptNo, assignment::Column::DeptNo),
        (Column::FromDate, assignment::Column::FromDate),
    ])
    .looks_up(&EMPLOYEE, assignment::Column::EmpNo)
    .looks_up(&EMPLOYEE, assignment::Column::ApprovedBy)
    .looks_up(&DEPARTMENT, assignment::Column::DeptNo)
    .looks_up(&IS_CLOSED, assignment::Column::DeptNo)
    .totals(
        Totals::of(|row: Assignment, _: &Lookups| {
            let hours = row.hours.and_then(|hours| fixed_point::whole(hours, HOURS.decimals));
            Entry::default().in_group(Some(row.dept_no)).adds([hours.unwrap_or(0)])
        })
        .grouped_by(
            "department",
            dim_department::Column::DeptNo,
            [fact_assignment::Relation::Department.def()],
        )
        .sum(HOURS, || fixed_point::whole_of_real(Column::Hours, HOURS.decimals)),
    )
}

/// A second fact from the same source table, with a subset of its rows.
fn full_time() -> Table {
    use fact_full_time::Column;
    Table::fact::<fact_full_time::Entity, Assignment>(|row, lookups| {
        Ok(fact_full_time::ActiveModel {
            full_time_key: NotSet,
            emp_no: Set(row.emp_no.0),
            employee_key: Set(lookups.find(&EMPLOYEE, row.emp_no)?),
            dept_no: Set(row.dept_no),
            from_date: Set(row.from_date),
            until_key: Set(row.until.map(midnight).map(calendar_key).transpose()?),
            run_id: NotSet,
        })
    })
    .keyed_by([
        (Column::EmpNo, assignment::Column::EmpNo),
        (Column::DeptNo, assignment::Column::DeptNo),
        (Column::FromDate, assignment::Column::FromDate),
    ])
    .only(|| Expr::col((assignment::Entity, assignment::Column::Hours)).gte(20))
    .looks_up(&EMPLOYEE, assignment::Column::EmpNo)
    .totals(
        Totals::of(|row: Assignment, _: &Lookups| Entry::default().on(row.until.map(midnight)))
            .dated(assignment::Column::Until, Column::UntilKey),
    )
}

fn midnight(day: NaiveDate) -> NaiveDateTime {
    day.and_time(NaiveTime::MIN)
}

fn grades() -> Table {
    use fact_grade::Column;
    Table::fact::<fact_grade::Entity, Grade>(|row, lookups| {
        Ok(fact_grade::ActiveModel {
            grade_key: NotSet,
            country_key: Set(lookups.find(&COUNTRY, &row.country)?),
            code: Set(row.code),
            country: Set(row.country),
            salary: Set(fixed_point::real(row.salary, 2, "salary")?),
            run_id: NotSet,
        })
    })
    .keyed_by([
        (Column::Code, grade::Column::Code),
        (Column::Country, grade::Column::Country),
    ])
    .looks_up(&COUNTRY, grade::Column::Country)
    .totals(Totals::of(|_: Grade, _: &Lookups| Entry::default()))
}
