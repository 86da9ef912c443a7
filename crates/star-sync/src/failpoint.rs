//! Named places at which tests abort the program, to check that nothing is lost, or inject a fault, to check that it is
//! detected.
//!
//! They are compiled in only with the feature `failpoints` of the crate `fail`, which only tests enable. Then
//! `FAILPOINTS="before-commit=return"` aborts the program at that place, and `FAILPOINTS="before-commit=3*off->return"`
//! when it is reached for the fourth time.

/// Aborts the process if a test has set this failpoint.
pub(crate) fn pass(name: &'static str) {
    let _ = name;
    fail::fail_point!(name, |_| std::process::abort());
}

/// Whether a test has set this fault for this table: `FAILPOINTS="page-cut=return(fact_loan)"`.
pub(crate) fn is_set(name: &'static str, table: &str) -> bool {
    argument(name).is_some_and(|wanted| wanted == table)
}

/// Waits here if a test has set this failpoint, `FAILPOINTS="pages-held=return(a/path)"`: creates the file and
/// continues when it is deleted.
pub(crate) async fn hold(name: &'static str) {
    if let Some(path) = argument(name) {
        let _ = std::fs::write(&path, "");
        while std::path::Path::new(&path).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// The column of this table in which a test injects a fault: `FAILPOINTS="row-mapped-wrong=return(fact_loan.fee)"`.
pub(crate) fn column(name: &'static str, table: &str) -> Option<String> {
    let wanted = argument(name)?;
    let (of_table, column) = wanted.split_once('.')?;
    (of_table == table).then(|| column.to_owned())
}

fn argument(name: &'static str) -> Option<String> {
    let _ = name;
    fail::fail_point!(name, |argument| argument);
    None
}
