//! Digests: the server and the program compute the same number from the same rows.

use proptest::test_runner::{TestCaseError, TestRunner};
use proptest::{prop_assert_eq, prop_oneof};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use star_sync::declare::digest::Digest;
use star_sync::declare::source_rows::SourceRows;
use star_sync::declare::source_table::Family;
use star_sync::source::digest::{DigestColumn, DigestPlan};

use crate::harness::{Sandbox, server};

/// A column of every type that is read: its name, its definition, how it is read, and its full type.
const COLUMNS: [(&str, &str, Family, &str); 21] = [
    ("id", "BIGINT NOT NULL PRIMARY KEY", Family::Integer, "bigint"),
    ("tiny", "TINYINT", Family::Integer, "tinyint"),
    ("small", "SMALLINT UNSIGNED", Family::Integer, "smallint"),
    ("whole", "INT", Family::Integer, "int"),
    ("large", "BIGINT", Family::Integer, "bigint"),
    ("huge", "BIGINT UNSIGNED", Family::Integer, "bigint"),
    ("a_year", "YEAR", Family::Integer, "year"),
    ("flag", "BIT(1)", Family::Integer, "bit"),
    ("amount", "DECIMAL(12,2)", Family::Decimal, "decimal(12,2)"),
    ("fraction", "DECIMAL(20,9)", Family::Decimal, "decimal(20,9)"),
    ("count", "DECIMAL(18,0)", Family::Decimal, "decimal(18,0)"),
    ("day", "DATE", Family::Date, "date"),
    ("moment", "DATETIME(6)", Family::DateTime, "datetime(6)"),
    ("stamp", "TIMESTAMP(3) NULL", Family::Timestamp, "timestamp(3)"),
    ("text", "VARCHAR(40) CHARACTER SET utf8mb4", Family::Text, "varchar"),
    ("latin", "CHAR(20) CHARACTER SET latin1", Family::Text, "char"),
    ("choice", "ENUM('a','ö','long one')", Family::Text, "enum"),
    ("natural", "INT UNSIGNED", Family::Integer, "int"),
    ("price", "DECIMAL(9,2)", Family::Decimal, "decimal(9,2)"),
    ("second", "DATETIME", Family::DateTime, "datetime"),
    ("unknown", "DATETIME", Family::DateTime, ""),
];

/// Extreme values of each column, in column order, as SQL.
const EXTREMES: [&[&str]; 20] = [
    &["NULL", "-128", "127", "0", "-1"],
    &["NULL", "0", "65535"],
    &["NULL", "-2147483648", "2147483647", "-1"],
    &[
        "NULL",
        "-9223372036854775808",
        "9223372036854775807",
        "-65521",
        "4294967291",
    ],
    &["NULL", "0", "18446744073709551615", "9223372036854775808"],
    &["NULL", "1901", "2155", "2026"],
    &["NULL", "b'0'", "b'1'"],
    &["NULL", "-9999999999.99", "9999999999.99", "0.00", "-0.01"],
    &["NULL", "-99999999999.999999999", "99999999999.999999999", "0.000000001"],
    &["NULL", "-999999999999999999", "999999999999999999", "7"],
    &["NULL", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'"],
    &[
        "NULL",
        "'1000-01-01 00:00:00.000001'",
        "'9999-12-31 23:59:59.999999'",
        "'2005-05-24 22:53:30'",
    ],
    &[
        "NULL",
        "'1970-01-01 00:00:01'",
        "'2038-01-19 03:14:07.999'",
        "'2006-02-15 05:03:42'",
    ],
    &["NULL", "''", "'Ångström'", "'漢字 🎬'", "'trailing '", "'a\\0b'"],
    &["NULL", "''", "'caf\u{e9}'", "'x'"],
    &["NULL", "'a'", "'ö'", "'long one'"],
    &["NULL", "0", "4294967295", "2147483648"],
    &["NULL", "-9999999.99", "9999999.99", "0.01"],
    &["NULL", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"],
    &["NULL", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"],
];

fn plan(seed: u64) -> DigestPlan {
    DigestPlan::new(columns(), seed).unwrap()
}

/// The plan of a table without an integer key.
fn whole_plan(seed: u64) -> DigestPlan {
    DigestPlan::of_whole_table(columns(), seed).unwrap()
}

fn columns() -> Vec<DigestColumn> {
    COLUMNS
        .map(|(name, _, family, full_type)| DigestColumn::new("odd", name, family, full_type))
        .to_vec()
}

/// A session with the settings of a run that affect values.
async fn connect(sandbox: &Sandbox) -> DatabaseConnection {
    let mut options = ConnectOptions::new(server().administrator_url(sandbox.schema()));
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await.unwrap();
    connection.execute_unprepared("SET time_zone = '+00:00'").await.unwrap();
    connection
}

/// The digest of the rows in this key range, from both sides.
async fn digests(connection: &DatabaseConnection, plan: &DigestPlan, keys: (i64, i64)) -> [Digest; 2] {
    let condition = Expr::col("id").between(keys.0, keys.1);
    let select = plan.select_digest(0).and_where(condition.clone()).to_owned();
    let mut told = SourceRows::default();
    told.add(&connection.query_one(&select).await.unwrap().unwrap())
        .unwrap();
    let select = plan.select_rows().and_where(condition).to_owned();
    let mut rows = SourceRows::default();
    for row in connection.query_all(&select).await.unwrap() {
        rows.add(&row).unwrap();
    }
    let (_, told) = DigestPlan::digest_in(told.iter().next().unwrap()).unwrap();
    [told.digest, plan.of_rows(&rows)]
}

fn table() -> (Sandbox, tokio::runtime::Runtime) {
    let sandbox = Sandbox::empty();
    let definitions = COLUMNS.map(|(name, definition, ..)| format!("`{name}` {definition}"));
    sandbox.change(&[&format!("CREATE TABLE odd ({})", definitions.join(", "))]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    (sandbox, runtime)
}

#[test]
fn both_sides_make_the_same_digest_of_values_of_every_type() {
    let (sandbox, runtime) = table();
    let connection = runtime.block_on(connect(&sandbox));
    let keys = [i64::MIN, -65_522, -65_521, -1, 0, 1, 65_520, 65_521, 65_522, i64::MAX];
    let keys = keys.into_iter().chain(1_010..1_060);
    let rows = keys.enumerate().map(|(row, key)| {
        let values = EXTREMES.map(|values| values[row % values.len()]);
        format!("({key}, {})", values.join(", "))
    });
    sandbox.change(&[&format!(
        "INSERT INTO odd VALUES {}",
        rows.collect::<Vec<_>>().join(", ")
    )]);
    for seed in [0, 1, u64::MAX] {
        for plan in [plan(seed), whole_plan(seed)] {
            let [server, ours] = runtime.block_on(digests(&connection, &plan, (i64::MIN, i64::MAX)));
            assert_eq!(server.rows, 60);
            assert_eq!(ours, server, "seed {seed}");
        }
    }
    let [server, ours] = runtime.block_on(digests(&connection, &plan(1), (500, 600)));
    assert_eq!((server, ours), (Digest::default(), Digest::default()));
}

#[test]
fn both_sides_make_the_same_digest_of_any_rows() {
    let (sandbox, runtime) = table();
    let connection = runtime.block_on(connect(&sandbox));
    let mut runner = TestRunner::new(proptest::test_runner::Config {
        cases: 40,
        failure_persistence: None,
        ..Default::default()
    });
    let row = (
        prop_oneof![proptest::num::i64::ANY, -200_000_i64..200_000],
        proptest::num::i32::ANY,
        proptest::num::u64::ANY,
        -999_999_999_i64..999_999_999,
        0_i64..253_402_300_799,
        "[ -~äß漢]{0,12}",
    );
    let rows = proptest::collection::vec(row, 1..30);
    let outcome = runner.run(&(rows, proptest::num::u64::ANY), |(rows, seed)| {
        let values = rows.iter().map(|(key, whole, huge, amount, seconds, text)| {
            let text = text.replace('\\', "\\\\").replace('\'', "''");
            format!(
                "({key}, {}, {}, {whole}, {key}, {huge}, NULL, b'1', {amount} / 100, {amount} / 1000000, {amount}, \
                 DATE('0001-01-01' + INTERVAL {seconds} SECOND), '1970-01-01' + INTERVAL {seconds} DIV 10 SECOND, NULL, \
                 '{text}', NULL, NULL, {}, {} / 100, '1970-01-01' + INTERVAL {seconds} SECOND, NULL)",
                whole % 128,
                huge % 65_536,
                huge % 4_294_967_296,
                amount % 1_000_000_000,
            )
        });
        sandbox.change(&[
            "DELETE FROM odd",
            &format!("REPLACE INTO odd VALUES {}", values.collect::<Vec<_>>().join(", ")),
        ]);
        for plan in [plan(seed), whole_plan(seed)] {
            let [server, ours] = runtime.block_on(digests(&connection, &plan, (i64::MIN, i64::MAX)));
            prop_assert_eq!(ours, server);
        }
        Ok::<_, TestCaseError>(())
    });
    outcome.unwrap();
}

#[test]
fn what_cancels_out_in_a_sum_changes_the_digest() {
    let (sandbox, runtime) = table();
    let connection = runtime.block_on(connect(&sandbox));
    let rows = (1..=50).map(|key| format!("({key}, {key}, 100 + {key} % 7, 'row {}')", key % 10));
    let rows = rows.collect::<Vec<_>>().join(", ");
    sandbox.change(&[&format!("INSERT INTO odd (id, whole, amount, text) VALUES {rows}")]);
    let digest =
        || [plan(5), whole_plan(5)].map(|plan| runtime.block_on(digests(&connection, &plan, (i64::MIN, i64::MAX)))[0]);
    let mut seen = vec![digest()];
    for change in [
        // Two rows exchange a value, or two columns of a row.
        "UPDATE odd SET amount = CASE id WHEN 3 THEN 104 ELSE 103 END WHERE id IN (3, 4)",
        "UPDATE odd SET text = CASE id WHEN 11 THEN 'row 2' ELSE 'row 1' END WHERE id IN (11, 12)",
        "UPDATE odd SET whole = 100, amount = 7 WHERE id = 7",
        // One row gains what another loses.
        "UPDATE odd SET amount = amount + IF(id = 20, 1, -1) WHERE id IN (20, 21)",
        "UPDATE odd SET text = NULL WHERE id = 30",
        "UPDATE odd SET id = 51 WHERE id = 50",
        "DELETE FROM odd WHERE id = 51",
    ] {
        sandbox.change(&[change]);
        let after = digest();
        let is_new = |digest: usize| seen.iter().all(|before: &[Digest; 2]| before[digest] != after[digest]);
        assert!(is_new(0) && is_new(1), "{change}");
        seen.push(after);
    }
}

/// Changes that leave sums over the rows unchanged, even sums weighted by the key or by the key's remainder.
#[test]
fn what_cancels_out_in_weighted_sums_changes_the_digest_of_every_target() {
    let (sandbox, runtime) = table();
    let connection = runtime.block_on(connect(&sandbox));
    let rows = (1..=50)
        .map(|key| format!("({key}, {key} % 4, 100 + {key} % 7)"))
        .collect::<Vec<_>>()
        .join(", ");
    sandbox.change(&[&format!(
        "INSERT INTO odd (id, whole, amount) VALUES {rows}, (65531, 9, 500)"
    )]);
    let digests = || -> Vec<Digest> {
        let plans = (0..50).flat_map(|seed| [plan(seed), whole_plan(seed)]);
        let digest = |plan| runtime.block_on(digests(&connection, &plan, (i64::MIN, i64::MAX)))[0];
        plans.map(digest).collect()
    };
    let mut before = digests();
    for change in [
        "UPDATE odd SET amount = amount + IF(id = 12, -0.02, 0.01) WHERE id IN (11, 12, 13)",
        "UPDATE odd SET whole = whole + IF(id IN (21, 24), 1, -1) WHERE id BETWEEN 21 AND 24",
        "UPDATE odd SET whole = whole + CASE id WHEN 31 THEN 1 WHEN 32 THEN -3 WHEN 33 THEN 3 ELSE -1 END \
         WHERE id BETWEEN 31 AND 34",
        // Their keys have the same remainder modulo 65,521.
        "UPDATE odd SET whole = IF(id = 10, 9, 2) WHERE id IN (10, 65531)",
    ] {
        sandbox.change(&[change]);
        let after = digests();
        let same = before.iter().zip(&after).filter(|(before, after)| before == after);
        assert_eq!(same.count(), 0, "{change}");
        before = after;
    }
}

#[test]
fn a_key_range_that_has_come_to_hold_many_rows_is_cut() {
    let sandbox = Sandbox::new();
    sandbox.change(&[
        "CREATE TABLE kept AS SELECT * FROM payment WHERE payment_id BETWEEN 2001 AND 3000",
        "DELETE FROM payment WHERE payment_id BETWEEN 2001 AND 3000",
    ]);
    let small_pages = |command: &str| sandbox.run(&[command, "--batch-size", "100"]).succeeds();
    sandbox.run(&["init"]).succeeds();
    small_pages("full-load");
    // The row counts in the digests of all ranges.
    let rows = "SELECT CAST(SUBSTR(digest, 1, INSTR(digest, ':') - 1) AS INTEGER) AS rows FROM sync_verification \
                WHERE target_table = 'fact_payment'";
    let largest = || {
        sandbox
            .figure(&format!("SELECT MAX(rows) FROM ({rows})"))
            .parse::<u64>()
            .unwrap()
    };
    let loaded = largest();
    assert!(loaded <= 200, "{loaded}");
    sandbox.change(&["INSERT INTO payment SELECT * FROM kept"]);
    small_pages("incremental");
    for payment in ["1", "2"] {
        sandbox.change(&[&format!(
            "UPDATE payment SET amount = amount + 1 WHERE payment_id = {payment}"
        )]);
        sandbox.wait_until_at_rest();
        small_pages("incremental");
        sandbox.assert_star_equals_source();
    }
    assert!(largest() <= loaded, "{}", largest());
    assert_eq!(
        sandbox.figure(&format!("SELECT SUM(rows) FROM ({rows})")),
        sandbox.figure("SELECT COUNT(*) FROM fact_payment")
    );
}
