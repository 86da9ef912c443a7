//! `full-load`: loads all tables, or one table and those that depend on it, and reconciles with the source.

use super::Session;
use super::load::{self, Load};
use crate::cli::FullLoad;
use crate::error::Result;

pub(crate) async fn run(session: &Session, arguments: &FullLoad) -> Result<u8> {
    let table = arguments.table.as_deref().and_then(|name| session.star().table(name));
    let load = match table {
        Some(_) => Load::Repair { table, dry_run: false },
        None => Load::Full {
            accept_source: arguments.accept_source,
        },
    };
    load::run(session, "full-load", load, None).await
}
