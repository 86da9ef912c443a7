//! Named places at which tests kill the program, to see that nothing is lost there.
//!
//! Without the feature `failpoints` of the crate `fail`, which only tests turn on, nothing of this is compiled in. Where
//! it is, `FAILPOINTS="before-commit=return"` makes the program die there on the spot, and
//! `FAILPOINTS="before-batch-commit=3*off->return"` when it comes there for the fourth time.

/// Dies here if a test wants it, without running any more code of ours, as if killed.
pub(crate) fn pass(name: &'static str) {
    let _ = name;
    fail::fail_point!(name, |_| std::process::abort());
}
