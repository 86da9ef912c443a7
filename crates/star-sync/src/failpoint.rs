//! Named places at which tests kill the program, to see that nothing is lost there.
//!
//! Without the feature `failpoints` of the crate `fail`, which only tests turn on, nothing of this is compiled in.
//! Where it is, `FAILPOINTS="before-commit=return"` makes the program die there on the spot, and
//! `FAILPOINTS="before-batch-commit=3*off->return"` when it comes there for the fourth time.

/// Dies here if a test wants it, without running any more code of ours, as if killed.
pub(crate) fn pass(name: &'static str) {
    let _ = name;
    fail::fail_point!(name, |_| std::process::abort());
}

/// Whether a test wants this fault, `FAILPOINTS="page-cut=return(fact_loan)"`, in this table.
pub(crate) fn is_set(name: &'static str, table: &str) -> bool {
    argument(name).is_some_and(|wanted| wanted == table)
}

/// Waits here if a test wants it, `FAILPOINTS="pages-held=return(a/path)"`: makes the file and goes on when it is gone.
pub(crate) async fn hold(name: &'static str) {
    if let Some(path) = argument(name) {
        let _ = std::fs::write(&path, "");
        while std::path::Path::new(&path).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// The column that a test wants a fault in, of this table: `FAILPOINTS="row-mapped-wrong=return(fact_loan.fee)"`.
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
