//! Tests text, date and composite keys by comparing the star with plain SQL on a real server.

#[path = "../../../testing/mod.rs"]
mod testing;

use std::time::{Duration, Instant};
use std::{fs, thread};

use testing::{Example, Sandbox};

static PAYROLL: Example = Example {
    name: "payroll",
    program: env!("CARGO_BIN_EXE_payroll-sync"),
    source: include_str!("../../payroll.sql"),
    tables: &[
        (
            "dim_country",
            "SELECT CONCAT_WS('|', code, name) FROM country",
            "SELECT concat_ws('|', code, name) FROM dim_country",
        ),
        (
            "dim_department",
            "SELECT CONCAT_WS('|', dept_no, name, is_closed) FROM department",
            "SELECT concat_ws('|', dept_no, name, is_closed) FROM dim_department",
        ),
        (
            "dim_employee",
            "SELECT CONCAT_WS('|', emp_no, e.name, COALESCE(born, '-'), COALESCE(country, '-'), COALESCE(c.code, '-')) \
             FROM employee e LEFT JOIN country c ON c.code = tax_country",
            "SELECT concat_ws('|', emp_no, e.name, coalesce(born, '-'), coalesce(c.code, '-'), coalesce(t.code, '-')) \
             FROM dim_employee e LEFT JOIN dim_country c ON c.country_key = e.country_key \
             LEFT JOIN dim_country t ON t.country_key = tax_country_key",
        ),
        (
            "fact_assignment",
            "SELECT CONCAT_WS('|', a.emp_no, dept_no, from_date, COALESCE(ROUND(hours * 1000), '-'), is_closed, \
             COALESCE(e.emp_no, '-')) \
             FROM assignment a JOIN department USING (dept_no) LEFT JOIN employee e ON e.emp_no = approved_by",
            "SELECT concat_ws('|', e.emp_no, d.dept_no, from_date, coalesce(CAST(round(hours * 1000) AS INTEGER), '-'), \
             f.is_closed, coalesce(a.emp_no, '-')) \
             FROM fact_assignment f JOIN dim_employee e USING (employee_key) JOIN dim_department d USING (department_key) \
             LEFT JOIN dim_employee a ON a.employee_key = approver_key \
             WHERE f.emp_no = e.emp_no AND f.dept_no = d.dept_no",
        ),
        (
            "fact_full_time",
            "SELECT CONCAT_WS('|', emp_no, dept_no, from_date, COALESCE(DATE_FORMAT(until, '%Y%m%d'), '-')) \
             FROM assignment WHERE hours >= 20",
            "SELECT concat_ws('|', e.emp_no, dept_no, from_date, coalesce(until_key, '-')) \
             FROM fact_full_time f JOIN dim_employee e USING (employee_key) WHERE f.emp_no = e.emp_no",
        ),
        (
            "fact_grade",
            "SELECT CONCAT_WS('|', code, country, ROUND(salary * 100)) FROM grade",
            "SELECT concat_ws('|', g.code, c.code, CAST(round(salary * 100) AS INTEGER)) \
             FROM fact_grade g JOIN dim_country c USING (country_key) WHERE g.country = c.code",
        ),
    ],
};

/// Every surrogate key of the facts, with its natural key.
fn keys(payroll: &Sandbox) -> Vec<String> {
    payroll.star(
        "SELECT concat_ws('|', assignment_key, emp_no, dept_no, from_date) FROM fact_assignment \
         UNION ALL SELECT concat_ws('|', 'full', full_time_key, emp_no, dept_no, from_date) FROM fact_full_time \
         UNION ALL SELECT concat_ws('|', grade_key, code, country) FROM fact_grade ORDER BY 1",
    )
}

#[test]
fn tables_with_keys_of_every_kind_load_and_stay_as_they_are() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.assert_star_equals_source();
    let before = keys(&payroll);
    payroll.run(&["full-load"]).ends_with(0);
    assert_eq!(keys(&payroll), before);
    payroll.run(&["validate", "--all", "--deep"]).ends_with(0);
}

#[test]
fn rows_with_keys_of_every_kind_come_change_and_go() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.change(&[
        "UPDATE country SET name = 'Osterreich' WHERE code = 'AT'",
        "INSERT INTO country VALUES ('DE', 'Germany')",
        "UPDATE employee SET country = 'DE', born = '1999-12-31' WHERE emp_no IN (1, 2, 3)",
        "INSERT INTO department VALUES ('d-4', 'New', FALSE)",
        "UPDATE assignment SET dept_no = 'd-4' WHERE emp_no = 10 AND from_date < '2024-01-01'",
        "UPDATE assignment SET from_date = from_date + INTERVAL 1 DAY WHERE emp_no = 11",
        "UPDATE assignment SET hours = 0.125 WHERE emp_no = 12 AND from_date = '2024-06-01'",
        "DELETE FROM assignment WHERE emp_no BETWEEN 20 AND 25 AND dept_no = 'd-1'",
        // One row enters the second fact of the table, others leave it.
        "UPDATE assignment SET hours = 30 WHERE emp_no = 13 AND from_date = '2024-06-01'",
        "UPDATE assignment SET hours = 3 WHERE emp_no > 190 AND from_date < '2024-01-01'",
        "DELETE FROM department WHERE dept_no = 'D-3'",
        "DELETE FROM assignment WHERE dept_no = 'D-3'",
        "UPDATE grade SET salary = 1.25 WHERE code = 'A' AND country = 'BR'",
        "DELETE FROM grade WHERE code = 'B'",
        "INSERT INTO grade VALUES ('C', 'DE', 7)",
    ]);
    payroll.run(&["incremental"]).ends_with(0);
    payroll.assert_star_equals_source();
    payroll
        .run(&["validate", "--all", "--deep", "--no-pending"])
        .ends_with(0);
}

#[test]
fn tables_without_an_integer_key_are_verified_by_a_digest_of_all_their_rows() {
    let payroll = Sandbox::loaded(&PAYROLL);
    let without_digest = "SELECT target_table FROM sync_verification WHERE digest IS NULL";
    assert!(payroll.star(without_digest).is_empty());
    payroll.change(&[
        "CREATE TABLE other LIKE department",
        "INSERT INTO other SELECT dept_no, name, dept_no <> 'd-1' FROM department",
        "ALTER TABLE department PARTITION BY KEY (dept_no) PARTITIONS 1",
    ]);
    payroll.settle();
    // Keeps the number of rows, and UPDATE_TIME need not advance.
    payroll.change(&["ALTER TABLE department EXCHANGE PARTITION p0 WITH TABLE other"]);
    payroll.run(&["incremental"]).ends_with(0);
    payroll.assert_star_equals_source();
    // Simulates silent changes of rows since their table was last read: of a country, and of a department that is
    // looked up.
    payroll.settle();
    payroll.tamper("UPDATE sync_verification SET digest = '2:7' WHERE target_table = 'dim_country'");
    payroll.tamper("UPDATE dim_country SET name = 'Elsewhere' WHERE code = 'AT'");
    payroll.tamper("UPDATE sync_source_rows SET digest = '2:7' WHERE source_table = 'department'");
    payroll.tamper("UPDATE fact_assignment SET is_closed = 1 - is_closed WHERE dept_no = 'd-2'");
    payroll.run(&["incremental"]).ends_with(0);
    payroll.assert_star_equals_source();
    assert!(payroll.star(without_digest).is_empty());
}

#[test]
fn totals_without_days_are_compared_by_group_in_their_unit() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.settle();
    let validation = payroll.run(&["validate", "--json"]).ends_with(0).json();
    let of = |measure: &str| {
        let figures = validation["totals"].as_array().unwrap().iter();
        let figures = figures.filter(|figure| figure["measure"] == measure && figure["table"] == "fact_assignment");
        let text = |figure: &serde_json::Value| format!("{}|{}", figure["group"].as_str().unwrap(), figure["target"]);
        let mut found: Vec<String> = figures.map(text).collect();
        found.sort_unstable();
        found
    };
    let expected = |sum: &str| {
        let select = format!("SELECT CONCAT_WS('|', dept_no, CAST({sum} AS SIGNED)) FROM assignment GROUP BY dept_no");
        let mut expected = payroll.source(&select);
        expected.sort_unstable();
        expected
    };
    assert_eq!(of("thousandths_of_hours"), expected("SUM(hours) * 1000"));
    assert_eq!(of("rows"), expected("COUNT(*)"));
    payroll.tamper("UPDATE fact_assignment SET hours = hours + 0.001 WHERE emp_no = 5 AND dept_no = 'd-1'");
    payroll.run(&["validate"]).ends_with(1);
    payroll.tamper("DELETE FROM fact_grade WHERE code = 'B'");
    payroll.tamper("DELETE FROM fact_full_time WHERE emp_no = 100");
    payroll.run(&["repair"]).ends_with(0);
    payroll.run(&["validate"]).ends_with(0);
    payroll.assert_star_equals_source();
}

#[test]
fn two_columns_hold_keys_of_one_dimension() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.settle();
    // With pages of one row, the keys of one column are not those of the other.
    payroll.change(&[
        "UPDATE assignment SET approved_by = 190 WHERE emp_no = 4",
        "UPDATE employee SET tax_country = 'BR' WHERE emp_no = 12",
    ]);
    let incremental = ["incremental", "--verify-budget", "0", "--batch-size", "1"];
    payroll.run(&incremental).ends_with(0);
    payroll.assert_star_equals_source();
    assert!(payroll.star("SELECT key FROM sync_reject").is_empty());
}

#[test]
fn a_row_that_was_loaded_without_its_parent_gets_it_when_it_comes() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.settle();
    let approved = "SELECT CAST(COUNT(*) AS TEXT) FROM fact_assignment JOIN dim_employee a ON a.employee_key = approver_key \
                    WHERE a.emp_no = 999";
    assert_eq!(payroll.star(approved), ["0"]);
    for parent in [
        "INSERT INTO employee VALUES (999, 'New boss', NULL, 'AT', NULL)",
        "INSERT INTO country VALUES ('XX', 'Elsewhere')",
    ] {
        payroll.change(&[parent]);
        payroll.run(&["incremental", "--verify-budget", "0"]).ends_with(0);
    }
    assert_ne!(payroll.star(approved), ["0"]);
    payroll.assert_star_equals_source();
}

#[test]
fn totals_of_rows_without_a_day_are_compared_by_runs() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.settle();
    // The sums reveal a mapping error.
    payroll.change(&["UPDATE assignment SET hours = hours + 1 WHERE emp_no = 5 AND from_date = '2024-06-01'"]);
    let mut wrong = payroll.command(&["incremental", "--verify-budget", "0"]);
    let wrong = wrong
        .env("FAILPOINTS", "row-mapped-wrong=return(fact_assignment.hours)")
        .status();
    assert_eq!(wrong.unwrap().code(), Some(1));
    payroll.run(&["repair"]).ends_with(0);
    // Changes during a load cause no mismatch at its end.
    let held = payroll.star_file().with_file_name("held");
    let mut load = payroll.command(&["full-load"]);
    let mut load = load
        .env("FAILPOINTS", format!("pages-held=return({})", held.display()))
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !held.exists() {
        assert!(began.elapsed() < Duration::from_mins(5), "it does not get so far");
        thread::sleep(Duration::from_millis(50));
    }
    payroll.change(&[
        "UPDATE assignment SET hours = hours + 1 WHERE emp_no = 5 AND from_date = '2024-06-01'",
        "UPDATE assignment SET until = NULL, hours = 30 WHERE emp_no = 6",
    ]);
    fs::remove_file(held).unwrap();
    assert!(load.wait().unwrap().success());
    payroll.assert_star_equals_source();
}

#[test]
fn a_row_returns_from_quarantine_under_its_key_whatever_its_natural_key_is() {
    let payroll = Sandbox::loaded(&PAYROLL);
    let before = keys(&payroll);
    payroll.change(&[
        "DELETE FROM department WHERE dept_no = 'd-1'",
        "DELETE FROM country WHERE code = 'CA'",
        "DELETE FROM employee WHERE emp_no = 7",
    ]);
    payroll.run(&["incremental"]).ends_with(0);
    let waiting = payroll.star("SELECT key FROM sync_reject WHERE source_table = 'grade'");
    assert_eq!(waiting, [r"C\,1,CA"]);
    // Quarantined rows are not mismatches; the other rows of the same employees are compared all the same.
    payroll.run(&["validate", "--no-pending"]).ends_with(0);
    payroll.run(&["full-load"]).ends_with(0);
    payroll.change(&[
        "INSERT INTO department VALUES ('d-1', 'Sales again', FALSE)",
        "INSERT INTO country VALUES ('CA', 'Canada again')",
        "INSERT INTO employee VALUES (7, 'Back', NULL, 'CA', NULL)",
    ]);
    payroll.run(&["incremental"]).ends_with(0);
    assert_eq!(keys(&payroll), before);
    payroll.assert_star_equals_source();
}

#[test]
fn a_row_is_explained_by_its_key_whatever_its_type() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.settle();
    let explain = |table: &str, key: &str| {
        let explained = payroll.run(&["explain", table, key, "--json"]);
        let report = explained.json();
        (explained.code, report["verdict"]["code"].clone(), report)
    };
    let (code, verdict, report) = explain("dim_country", "AT");
    assert_eq!((code, verdict), (0, "ROW_OK".into()));
    assert_eq!(report["target_row"]["name"], "Austria");
    let (code, verdict, _) = explain("dim_employee", "150");
    assert_eq!((code, verdict), (0, "ROW_OK".into()));
    // A row of an employee with several rows, and a row of a table that is read whole.
    for (table, column, key, damaged) in [
        ("fact_assignment", "hours", "150,d-2,2024-06-01", "150,d-2,2025-01-01"),
        ("fact_grade", "salary", "A,AT", r"C\,1,CA"),
    ] {
        let of_damaged = "emp_no = 150 AND from_date = '2025-01-01'";
        let condition = if table == "fact_grade" {
            "code = 'C,1'"
        } else {
            of_damaged
        };
        payroll.tamper(&format!("UPDATE {table} SET {column} = 7 WHERE {condition}"));
        let (code, verdict, report) = explain(table, key);
        assert_eq!((code, verdict), (0, "ROW_OK".into()), "{report}");
        assert_ne!(report["target_row"][column], "7", "{report}");
        let (code, verdict, report) = explain(table, damaged);
        assert_eq!((code, verdict), (1, "ROW_MISMATCH".into()), "{report}");
        assert_eq!(report["target_row"][column], "7", "{report}");
        assert_eq!(report["difference"]["key"], damaged, "{report}");
    }
    let (code, verdict, _) = explain("fact_grade", "D,AT");
    assert_eq!((code, verdict), (0, "ROW_ABSENT".into()));
    payroll.change(&["DELETE FROM country WHERE code = 'CA'"]);
    payroll.run(&["incremental"]).ends_with(0);
    let (code, verdict, report) = explain("fact_grade", r"C\,1,CA");
    assert_eq!((code, verdict), (0, "ROW_QUARANTINED".into()), "{report}");
    for key in ["150", "x,d-2,2024-06-01", "150,d-2,2024-06-01,7"] {
        payroll.run(&["explain", "fact_assignment", key]).ends_with(2);
    }
}

#[test]
fn a_load_of_two_tables_from_one_that_is_killed_goes_on_in_each() {
    let payroll = Sandbox::new(&PAYROLL);
    payroll.run(&["init"]).ends_with(0);
    for commits in [1, 2] {
        let mut command = payroll.command(&["full-load", "--batch-size", "20"]);
        let died = command
            .env("FAILPOINTS", format!("before-commit={commits}*off->return"))
            .output();
        assert!(!died.unwrap().status.success());
    }
    payroll.run(&["full-load"]).ends_with(0);
    payroll.assert_star_equals_source();
    let resumed = payroll.star("SELECT CAST(COUNT(loaded_up_to) AS TEXT) FROM sync_target_table");
    assert_eq!(resumed, ["0"]);
}

#[test]
fn a_text_that_the_server_takes_for_equal_is_another_key() {
    let payroll = Sandbox::loaded(&PAYROLL);
    payroll.change(&["UPDATE employee SET country = 'at' WHERE emp_no = 4"]);
    payroll.run(&["incremental"]).ends_with(0);
    assert_eq!(
        payroll.star("SELECT code FROM sync_reject WHERE source_table = 'employee'"),
        ["MISSING_PARENT"]
    );
    payroll.change(&["UPDATE employee SET country = 'AT' WHERE emp_no = 4"]);
    payroll.run(&["incremental"]).ends_with(0);
    payroll.assert_star_equals_source();
}

#[test]
fn a_copy_leaves_out_what_the_star_declares_as_personal() {
    let payroll = Sandbox::loaded(&PAYROLL);
    let copy = payroll.star_file().with_file_name("readers.db");
    let rows = |sql: &str| -> Vec<String> {
        let copy = rusqlite::Connection::open(&copy).unwrap();
        let mut statement = copy.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    payroll.run(&["copy", "readers.db"]).ends_with(0);
    for (table, _, star) in PAYROLL.tables {
        assert_eq!(rows(star), payroll.star(star), "{table}");
    }
    payroll
        .run(&["copy", "readers.db", "--without", "personal"])
        .ends_with(0);
    let employees = "SELECT concat_ws('|', emp_no, name, coalesce(born, '-')) FROM dim_employee ORDER BY emp_no";
    let expected = "SELECT CONCAT_WS('|', emp_no, CONCAT('name ', emp_no), '-') FROM employee ORDER BY emp_no";
    assert_eq!(rows(employees), payroll.source(expected));
    payroll.run(&["copy", "readers.db", "--without", "salary"]).ends_with(2);
}
