//! `incremental`: applies changes since the watermarks and reconciles with the source.

use super::load::{self, Load};
use super::{Session, copy, forever};
use crate::cli::Incremental;
use crate::error::Result;

pub(crate) async fn run(session: &Session, arguments: &Incremental) -> Result<u8> {
    let load = Load::Incremental {
        dry_run: arguments.dry_run,
        verify_budget: arguments.verify_budget,
    };
    copy::check(session.star(), &arguments.copy)?;
    #[cfg(feature = "lake")]
    super::publish::check_settings(session, &arguments.publish)?;
    match arguments.interval() {
        Some(every) => forever::run(session, arguments, every, load).await,
        None => load::run(session, "incremental", load, Some(&arguments.copy)).await,
    }
}
