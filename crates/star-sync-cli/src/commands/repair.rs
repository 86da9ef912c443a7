//! `repair`: compares every row with the source and writes those that differ.

use super::Session;
use super::load::{self, Load};
use crate::cli::Repair;
use crate::error::Result;

pub(crate) async fn run(session: &Session, arguments: &Repair) -> Result<u8> {
    let load = Load::Repair {
        table: None,
        dry_run: arguments.dry_run,
    };
    load::run(session, "repair", load, None).await
}
