//! `full-load`: everything, then the comparison.

use super::Session;
use super::load::{self, Load};
use crate::error::Result;

pub async fn run(session: &Session) -> Result<u8> {
    load::run(session, "full-load", Load::Full).await
}
