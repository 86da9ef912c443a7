//! `incremental`: what is new or changed since the markers, then the comparison.

use super::Session;
use super::load::{self, Load};
use crate::error::Result;

pub async fn run(session: &Session) -> Result<u8> {
    load::run(session, "incremental", Load::Incremental).await
}
