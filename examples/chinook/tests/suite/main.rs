//! Tests the engine with another schema, by comparing the star with plain SQL on a real server.

mod tables;
#[path = "../../../testing/mod.rs"]
mod testing;

use std::os::unix::process::ExitStatusExt;

use testing::{Example, Sandbox};

static CHINOOK: Example = Example {
    name: "chinook",
    program: env!("CARGO_BIN_EXE_chinook-sync"),
    source: include_str!("../../shop.sql"),
    tables: tables::TABLES,
};

/// SIGABRT: the signal with which a failpoint ends the program.
const ABORTED: Option<i32> = Some(6);

#[test]
fn a_full_load_brings_every_row() {
    let shop = Sandbox::loaded(&CHINOOK);
    shop.assert_star_equals_source();
    assert_eq!(shop.run(&["init"]).ends_with(0).code, 0);
}

#[test]
fn new_changed_and_deleted_rows_arrive_without_any_timestamp() {
    let shop = Sandbox::loaded(&CHINOOK);
    shop.change(&[
        "UPDATE Artist SET Name = 'Another' WHERE ArtistId = 3",
        "UPDATE Customer SET Country = 'France', SupportRepId = 3 WHERE CustomerId IN (4, 5)",
        "UPDATE Invoice SET InvoiceDate = '2030-02-03 04:05:06', CustomerId = 9 WHERE InvoiceId = 17",
        "UPDATE InvoiceLine SET Quantity = Quantity + 7 WHERE InvoiceLineId = 42",
        "DELETE FROM InvoiceLine WHERE InvoiceLineId BETWEEN 100 AND 120",
        "DELETE FROM PlaylistTrack WHERE PlaylistId = 2",
        "DELETE FROM Playlist WHERE PlaylistId = 2",
        "INSERT INTO Customer VALUES (41, 'New', 'One', NULL, 'Norway', 'new@example.com', NULL)",
        "INSERT INTO Invoice VALUES (501, 41, '2025-06-07 08:09:10', 'Norway', 0)",
        "INSERT INTO InvoiceLine VALUES (5000, 501, 7, 0.99, 2), (5001, 501, 8, 1.99, 1)",
        "UPDATE Employee SET HireDate = '2003-05-06 00:00:00' WHERE EmployeeId = 3",
    ]);
    shop.run(&["incremental"]).ends_with(0);
    shop.assert_star_equals_source();
    shop.run(&["validate", "--all", "--deep", "--no-pending"]).ends_with(0);
}

/// The totals of a validation that match on both sides, each as `country|measure|figure`.
fn totals(validation: &serde_json::Value) -> Vec<String> {
    let figures = validation["totals"].as_array().unwrap().iter();
    let agreeing = figures.filter(|figure| figure["source"] == figure["target"]);
    let text = |figure: &serde_json::Value| {
        let country = figure["group"].as_str().unwrap_or("-");
        let measure = figure["measure"].as_str().unwrap();
        format!("{country}|{measure}|{}", figure["source"])
    };
    let mut totals: Vec<String> = agreeing.map(text).collect();
    totals.sort_unstable();
    totals
}

/// The same totals in plain SQL.
fn expected_totals(shop: &Sandbox, condition: &str) -> Vec<String> {
    let of = |measure: &str, sum: &str| {
        format!(
            "SELECT CONCAT_WS('|', COALESCE(Country, '-'), '{measure}', CAST({sum} AS SIGNED)) FROM InvoiceLine \
             JOIN Invoice USING (InvoiceId) JOIN Customer USING (CustomerId) WHERE {condition} GROUP BY Country"
        )
    };
    let measures = [
        ("rows", "COUNT(*)"),
        ("quantity", "SUM(Quantity)"),
        ("cents", "SUM(UnitPrice * Quantity) * 100"),
    ];
    let mut totals: Vec<String> = measures
        .iter()
        .flat_map(|(measure, sum)| shop.source(&of(measure, sum)))
        .collect();
    totals.sort_unstable();
    totals
}

#[test]
fn totals_are_compared_by_country_with_both_sums() {
    let shop = Sandbox::loaded(&CHINOOK);
    shop.settle();
    let validation = shop.run(&["validate", "--all", "--json"]).ends_with(0).json();
    assert_eq!(totals(&validation), expected_totals(&shop, "TRUE"));
    shop.tamper("UPDATE fact_invoice_line SET quantity = quantity + 1 WHERE invoice_line_id = 8");
    let validation = shop.run(&["validate", "--all", "--json"]).ends_with(1).json();
    assert_eq!(validation["verdict"]["code"], "MISMATCH");
    let day = shop.star("SELECT date FROM fact_invoice_line JOIN dim_date USING (date_key) WHERE invoice_line_id = 8");
    shop.run(&["validate", "--from", &day[0], "--to", &day[0]]).ends_with(1);
    shop.run(&["repair"]).ends_with(0);
    shop.run(&["validate", "--all", "--deep"]).ends_with(0);
    shop.assert_star_equals_source();
}

#[test]
fn a_full_load_of_one_table_writes_what_differs_in_it_and_in_what_refers_to_it() {
    let shop = Sandbox::loaded(&CHINOOK);
    shop.settle();
    shop.tamper("UPDATE dim_customer SET country = 'Nowhere' WHERE customer_id = 4");
    shop.tamper("DELETE FROM fact_invoice_line WHERE invoice_line_id = 8");
    shop.run(&["full-load", "--table", "dim_customer"]).ends_with(0);
    shop.assert_star_equals_source();
}

#[test]
fn a_period_is_one_of_the_invoices_dates() {
    let shop = Sandbox::loaded(&CHINOOK);
    let run = shop.run(&["validate", "--from", "2022-01-01", "--to", "2022-03-31", "--json"]);
    let expected = expected_totals(&shop, "InvoiceDate >= '2022-01-01' AND InvoiceDate < '2022-04-01'");
    assert_eq!(totals(&run.ends_with(0).json()), expected);
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let shop = Sandbox::new(&CHINOOK);
    shop.run(&["init"]).ends_with(0);
    let mut command = shop.command(&["full-load", "--batch-size", "50"]);
    let died = command
        .env("FAILPOINTS", "before-commit=1*off->return")
        .output()
        .unwrap();
    assert_eq!(died.status.signal(), ABORTED, "{died:?}");
    shop.run(&["full-load"]).ends_with(0);
    shop.assert_star_equals_source();
    shop.change(&["UPDATE InvoiceLine SET Quantity = 5 WHERE InvoiceLineId % 7 = 0"]);
    let mut command = shop.command(&["incremental"]);
    let died = command.env("FAILPOINTS", "before-commit=return").output().unwrap();
    assert_eq!(died.status.signal(), ABORTED, "{died:?}");
    shop.run(&["incremental"]).ends_with(0);
    shop.assert_star_equals_source();
}

#[test]
fn a_customer_who_moves_during_a_load_takes_the_totals_along() {
    let shop = Sandbox::new(&CHINOOK);
    shop.run(&["init"]).ends_with(0);
    let held = shop.star_file().with_file_name("held");
    let mut command = shop.command(&["full-load"]);
    command.env("FAILPOINTS", format!("pages-held=return({})", held.display()));
    let mut load = command.spawn().unwrap();
    while !held.exists() {
        assert!(load.try_wait().unwrap().is_none(), "it has ended before");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    shop.change(&["UPDATE Customer SET Country = 'Nowhere' WHERE CustomerId = 4"]);
    std::fs::remove_file(held).unwrap();
    assert!(load.wait().unwrap().success());
    shop.assert_star_equals_source();
}

#[test]
fn surrogate_keys_survive_quarantine() {
    let shop = Sandbox::loaded(&CHINOOK);
    let keys = || shop.star("SELECT invoice_line_id || ':' || invoice_line_key FROM fact_invoice_line ORDER BY 1");
    let before = keys();
    shop.change(&[
        "SET FOREIGN_KEY_CHECKS = 0",
        "DELETE FROM Customer WHERE CustomerId = 6",
    ]);
    shop.run(&["incremental"]).ends_with(0);
    let rejected = shop.star("SELECT DISTINCT code FROM sync_reject");
    assert_eq!(rejected, ["MISSING_PARENT"]);
    assert!(keys().len() < before.len());
    shop.change(&["INSERT INTO Customer VALUES (6, 'Back', 'Again', NULL, 'Chile', 'back@example.com', 2)"]);
    shop.run(&["incremental"]).ends_with(0);
    assert_eq!(keys(), before);
    shop.assert_star_equals_source();
}

#[test]
fn a_row_is_explained() {
    let shop = Sandbox::loaded(&CHINOOK);
    let explained = shop
        .run(&["explain", "fact_invoice_line", "42", "--json"])
        .ends_with(0)
        .json();
    let text = explained.to_string();
    assert!(text.contains("Invoice"), "{text}");
}

#[test]
fn the_star_is_published_as_delta_tables_and_a_moved_invoice_with_it() {
    let shop = Sandbox::loaded(&CHINOOK);
    let lake = shop.star_file().with_file_name("lake");
    let publish = |more: &[&str]| {
        let run = shop.run(&[&["publish", "--json", "--lake", lake.to_str().unwrap()], more].concat());
        run.ends_with(0).json()
    };
    publish(&[]);
    shop.change(&["UPDATE Invoice SET InvoiceDate = '2030-02-03 04:05:06' WHERE InvoiceId = 17"]);
    shop.run(&["incremental"]).ends_with(0);
    let published = publish(&[]);
    let tables = published["tables"].as_array().unwrap();
    let lines = tables
        .iter()
        .find(|table| table["table"] == "fact_invoice_line")
        .unwrap();
    let months = lines["partitions"].as_array().unwrap();
    assert_eq!((months.len(), months[1].as_i64()), (2, Some(203_002)), "{published}");
    let check = publish(&["--check"]);
    assert_eq!(check["mismatches"], 0, "{check}");
    assert!(check["checks"].as_u64() > Some(0), "{check}");
}
