//! Lookups of the source that a snapshot's readers come to hold whole.
//!
//! A key that is asked for by itself costs as much as several rows of a table that is read in order. So the keys of a
//! page are asked for one by one until that has cost about as much as the whole table; then the lookup is read whole
//! and kept. Whatever a run turns out to need, this takes at most twice as long as the better of both.

use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use tokio::sync::Mutex;
use tracing::debug;

use crate::engine::declaration::integer::Key;
use crate::engine::declaration::lookup::{KeyMap, Lookup, Lookups};
use crate::engine::source_db::reader::SourceReader;
use crate::error::{Doing, Result};

/// Rows that are read in order in the time of one key that is asked for by itself (docs/performance.md).
const ROWS_A_KEY: u64 = 8;

/// What was asked so far, all in one snapshot, of each table's key.
#[derive(Default)]
pub struct WholeLookups(Mutex<Vec<Asked>>);

struct Asked {
    /// One of the lookups that are read from the same rows.
    of: &'static Lookup,
    keys: u64,
    rows_at_most: u64,
    held: Lookups,
}

impl WholeLookups {
    /// The maps of these lookups, which are read from the same rows, if they are held or worth it now that so many
    /// keys more are asked for; `load` reads them.
    pub async fn get(
        &self,
        lookups: &[&'static Lookup],
        keys: usize,
        source: &SourceReader,
        load: impl AsyncFnOnce() -> Result<Vec<KeyMap>>,
    ) -> Result<Option<Vec<Arc<KeyMap>>>> {
        // Locked while they are read: who asks for the same meanwhile would only read it a second time.
        let mut all = self.0.lock().await;
        if !all.iter().any(|asked| asked.of.is_read_with(lookups[0])) {
            all.push(Asked {
                of: lookups[0],
                keys: 0,
                rows_at_most: rows_at_most(lookups[0], source).await?,
                held: Lookups::default(),
            });
        }
        let asked = all.iter_mut().find(|asked| asked.of.is_read_with(lookups[0]));
        let asked = asked.expect("it was just put in, if it was not there");
        if lookups.iter().any(|lookup| asked.held.map(lookup).is_none()) {
            asked.keys += keys as u64;
            if asked.keys.saturating_mul(ROWS_A_KEY) < asked.rows_at_most {
                return Ok(None);
            }
            for (lookup, map) in lookups.iter().zip(load().await?) {
                debug!(table = lookup.table, column = lookup.value, "lookup held whole");
                asked.held.set(lookup, map);
            }
        }
        Ok(lookups.iter().map(|lookup| asked.held.shared(lookup)).collect())
    }
}

/// As many rows as lie between the lowest and the highest key: both are found without going through the table.
async fn rows_at_most(lookup: &Lookup, source: &SourceReader) -> Result<u64> {
    let doing = || format!("looking up the first and last {}", lookup.name);
    let select = Query::select()
        .expr(Expr::col(lookup.key).min())
        .expr(Expr::col(lookup.key).max())
        .from(lookup.table)
        .to_owned();
    let ends: Option<(Option<Key>, Option<Key>)> = match source.one(&select).await.source(doing)? {
        Some(row) => Some(row.try_get_many_by_index().source(doing)?),
        None => None,
    };
    Ok(match ends {
        Some((Some(first), Some(last))) => last.0.abs_diff(first.0).saturating_add(1),
        _ => 0,
    })
}
