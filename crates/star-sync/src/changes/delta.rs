//! What changed in a source table since its watermark, and how far the watermark advances then.

use std::cmp::{max, min};
use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use sea_orm::DbErr;
use sea_orm::sea_query::SelectStatement;
use tracing::warn;

use crate::changes::Mode;
use crate::declare::integer::Key;
use crate::declare::source_table::SourceTable;
use crate::error::{Doing, Result};
use crate::source::Snapshot;
use crate::source::open_work::{OpenWork, UNKNOWN_BEGIN};
use crate::target::bookkeeping::state::{Extent, Lifecycle, SourceState};
use crate::target::bookkeeping::time;

/// The rows of a source table that changed since its watermark.
#[derive(Default)]
pub(crate) struct Delta {
    /// Whether the table may have changed at all. If not, it was not read.
    pub moved: bool,
    /// Ascending.
    pub keys: Vec<i64>,
    /// Those of them that changed since the table was last synced, or do not tell when.
    pub recent: Vec<i64>,
    pub newest: Option<DateTime<Utc>>,
    /// How many rows the table has, where they were counted.
    pub rows: Option<i64>,
    /// Of a table that is no star table's own: how many rows it has, and their highest key.
    extent: Option<Extent>,
    /// Whether rows came or went that no time of change tells of: then everything made from the table is compared.
    pub is_unexplained: bool,
}

/// What the state after a run depends on beside the delta.
pub(crate) struct Advance<'a> {
    pub snapshot: &'a Snapshot,
    pub mode: Mode,
    pub overlap: TimeDelta,
    /// What the tables look like after everything was read.
    pub now: &'a HashMap<String, Option<String>>,
    /// What they looked like before the pages of this run were read, where that had settled; none if there were no pages.
    pub before_pages: Option<&'a HashMap<String, String>>,
    /// Rows that had to be gone through to find the delta.
    pub rows_scanned: Option<i64>,
    /// Rows of the target table made from it, if they were counted.
    pub target_rows: Option<i64>,
}

/// What is known of a table before it is looked at.
#[derive(Clone, Copy)]
pub(crate) struct LookAt {
    /// Whether a target table is made from it row by row.
    pub has_all: bool,
    /// Whether to ask for the number of rows first, which is as much work as looking for changes without an index.
    pub counts_rows: bool,
}

/// What one scan of a table tells.
#[derive(Clone, Copy, Debug)]
struct Scan {
    rows: i64,
    /// Rows with a time of change, and the newest of these times.
    stamped: i64,
    newest: Option<DateTime<Utc>>,
}

impl Delta {
    /// Reads which rows changed, unless the table's UPDATE_TIME proves that none did.
    pub(crate) async fn read(
        snapshot: &Snapshot,
        table: &SourceTable,
        state: Option<&SourceState>,
        mode: Mode,
        look_at: LookAt,
    ) -> Result<Self> {
        let settled = state.and_then(|state| state.settled_signature.clone());
        let now = snapshot.signature(table.name);
        if mode != Mode::ClosingFullLoad && now.is_some() && now == settled {
            return Ok(Self::default());
        }
        let since = match mode {
            Mode::Incremental | Mode::ClosingRepair => state.and_then(|state| state.watermark),
            Mode::ClosingFullLoad => state
                .and_then(|state| state.lifecycle.load())
                .map(|load| load.watermark),
        };
        let doing = || format!("reading what changed in {}", table.name);
        let select = table.changed_since(since);
        let mut delta = Self {
            moved: true,
            ..Self::default()
        };
        // Without an index either question goes through all rows: the first, which is short to answer, may do.
        let scanned = if look_at.counts_rows || !look_at.has_all {
            Some(Scan::read(snapshot, table).await?)
        } else {
            None
        };
        delta.rows = scanned.map(|scanned| scanned.rows);
        if scanned.is_none_or(|scanned| scanned.shows_changes_since(since)) {
            let last_synced = state.and_then(|state| state.lifecycle.last_synced());
            delta.read_keys(snapshot, &select, last_synced).await.source(doing)?;
        }
        if mode == Mode::ClosingFullLoad {
            delta.newest = match scanned {
                Some(scanned) => scanned.newest,
                None => newest(snapshot, table).await?,
            };
        }
        delta.keys.sort_unstable();
        delta.keys.dedup();
        if let Some(scanned) = scanned.filter(|_| !look_at.has_all) {
            let extent = Extent {
                rows: scanned.rows,
                highest_key: highest_key(snapshot, table).await?,
            };
            delta.is_unexplained = mode != Mode::ClosingFullLoad && !delta.explains(state, extent);
            delta.extent = Some(extent);
        }
        Ok(delta)
    }

    /// A bulk change may touch every row: they are streamed, and a key is all that is kept of each.
    async fn read_keys(
        &mut self,
        snapshot: &Snapshot,
        select: &SelectStatement,
        last_synced: Option<DateTime<Utc>>,
    ) -> std::result::Result<(), DbErr> {
        let reader = snapshot.reader();
        let mut rows = reader.stream(select).await?;
        while let Some(row) = rows.try_next().await? {
            let (Key(key), changed): (Key, Option<DateTime<Utc>>) = row.try_get_many_by_index()?;
            self.keys.push(key);
            if changed.is_none() || changed >= last_synced {
                self.recent.push(key);
            }
            self.newest = max(self.newest, changed);
        }
        Ok(())
    }

    /// The same, of the recent changes alone.
    #[must_use]
    pub(crate) fn of_recent(&self) -> Self {
        Self {
            moved: self.moved,
            keys: self.recent.clone(),
            ..Self::default()
        }
    }

    /// The delta of a table all of whose rows were looked at.
    pub(crate) fn surveyed(mut keys: Vec<i64>, newest: Option<DateTime<Utc>>) -> Self {
        keys.sort_unstable();
        Self {
            moved: true,
            keys,
            newest,
            ..Self::default()
        }
    }

    /// Whether the changed rows account for the number of rows. New rows have keys above all earlier ones; where a
    /// key was chosen by hand this errs on the side of comparing too much.
    fn explains(&self, state: Option<&SourceState>, extent: Extent) -> bool {
        let Some(before) = state.and_then(|state| state.extent) else {
            return false;
        };
        let new = self
            .keys
            .iter()
            .filter(|key| before.highest_key.is_none_or(|highest| **key > highest))
            .count();
        extent.rows == before.rows + i64::try_from(new).unwrap_or(i64::MAX)
    }

    /// The state of the table after a pass that brought this delta.
    ///
    /// The watermark is the newest change that was seen, but never beyond what is closed: what is younger may still get
    /// company in the same second, or from a transaction that has not committed yet.
    pub(crate) fn advance(&self, table: &SourceTable, before: SourceState, after: &Advance<'_>) -> SourceState {
        let snapshot = after.snapshot;
        let closed = snapshot.closed_until(after.overlap);
        let closes_load = after.mode == Mode::ClosingFullLoad;
        let watermark = before.watermark.filter(|_| !closes_load);
        let newest = max(self.newest, watermark);
        if newest.is_some_and(|newest| newest > snapshot.clock) {
            warn!(
                code = "TIMESTAMP_IN_FUTURE",
                table = table.name,
                "a last_update lies in the source's future; the watermark stays behind"
            );
        }
        let signature = match after.before_pages {
            None => snapshot.settled_signature(table.name, after.overlap),
            // What moved while the pages were read may have changed rows behind their back: the next run looks again.
            Some(before_pages) => snapshot
                .signature(table.name)
                .filter(|signature| before_pages.get(table.name) == Some(signature)),
        };
        // Rows of a table that was replaced meanwhile are not those of the table that was looked at.
        let settled_signature =
            signature.filter(|signature| after.now.get(table.name) == Some(&Some(signature.clone())));
        SourceState {
            lifecycle: Lifecycle::Loaded {
                last_synced: snapshot.clock,
            },
            // What counted as committed for good once does so for ever: a watermark never goes back.
            watermark: newest.map(|newest| {
                let advanced = min(newest, closed);
                watermark.map_or(advanced, |watermark| max(watermark, advanced))
            }),
            limited_by: newest.and_then(|newest| limited_by(newest, closed, snapshot)),
            settled_signature,
            extent: self.extent.or(before.extent),
            modified_run: before.modified_run,
            rows_scanned: if self.moved {
                after.rows_scanned
            } else {
                before.rows_scanned
            },
            target_rows: after.target_rows.or(before.target_rows),
            last_signature: snapshot.signature(table.name),
        }
    }
}

impl Scan {
    async fn read(snapshot: &Snapshot, table: &SourceTable) -> Result<Self> {
        let doing = || format!("looking through {}", table.name);
        let row = snapshot.reader().one(&table.scan()).await.source(doing)?;
        let (rows, stamped, newest) = match row {
            Some(row) => row.try_get_many_by_index().source(doing)?,
            None => (0, 0, None),
        };
        Ok(Self { rows, stamped, newest })
    }

    /// Whether any row has changed after `watermark`, or does not tell.
    fn shows_changes_since(&self, watermark: Option<DateTime<Utc>>) -> bool {
        self.stamped < self.rows || self.newest > watermark
    }
}

async fn highest_key(snapshot: &Snapshot, table: &SourceTable) -> Result<Option<i64>> {
    let doing = || format!("looking for the highest key of {}", table.name);
    let row = snapshot.reader().one(&table.highest_key()).await.source(doing)?;
    let key: Option<Key> = row.map_or(Ok(None), |row| row.try_get_by_index(0)).source(doing)?;
    Ok(key.map(|key| key.0))
}

/// Why a watermark is not the newest change that was seen; `None` if it is.
fn limited_by(newest: DateTime<Utc>, closed: DateTime<Utc>, snapshot: &Snapshot) -> Option<String> {
    if newest <= closed {
        return None;
    }
    if newest > snapshot.clock {
        return Some("a last_update in the future".to_owned());
    }
    // Work that has just begun is no reason: without it the safety lag would hold the watermark at the same place.
    let a_moment = TimeDelta::seconds(2);
    match snapshot.open_work {
        OpenWork::Seen {
            oldest: Some(oldest), ..
        } if oldest.since == UNKNOWN_BEGIN => {
            Some("a transaction without a connection (prepared, or recovered after a restart of the server)".to_owned())
        }
        OpenWork::Seen {
            oldest: Some(oldest), ..
        } if oldest.since + a_moment < snapshot.clock => Some(format!(
            "connection {}, open since {}",
            oldest.connection_id,
            time::text(oldest.since)
        )),
        _ => Some("the safety lag".to_owned()),
    }
}

async fn newest(snapshot: &Snapshot, table: &SourceTable) -> Result<Option<DateTime<Utc>>> {
    let doing = || format!("reading the newest change of {}", table.name);
    let row = snapshot.reader().one(&table.newest_change()).await.source(doing)?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0)).source(doing)
}
