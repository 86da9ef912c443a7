//! `full-load`: everything, then the comparison.

use super::Session;
use super::load::{self, Load};
use crate::cli::FullLoad;
use crate::error::Result;

pub(crate) async fn run(session: &Session, arguments: &FullLoad) -> Result<u8> {
    load::run(
        session,
        "full-load",
        Load::Full {
            accept_source: arguments.accept_source,
        },
        None,
    )
    .await
}
