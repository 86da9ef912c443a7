//! `incremental`: what is new or changed since the markers, then the comparison.

use super::Session;
use super::load::{self, Load};
use crate::cli::Incremental;
use crate::error::Result;

pub async fn run(session: &Session, arguments: &Incremental) -> Result<u8> {
    let load = Load::Incremental {
        dry_run: arguments.dry_run,
        verify_budget_seconds: arguments.verify_budget,
    };
    load::run(session, "incremental", load).await
}
