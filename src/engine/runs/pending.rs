//! What has changed in the source since the last sync, and so is no difference. Found by reading alone.
//!
//! Nothing of a table is pending that has not moved since: a row of it that differs does so for another reason. Rows
//! that are missing without a newer stamp are differences, too; rows that are gone from the source leave no stamp.

use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::Query;

use crate::engine::declaration::integer::Key;
use crate::engine::declaration::scope::{KEYS_A_STATEMENT, Scope};
use crate::engine::declaration::table::{Kind, Table};
use crate::engine::pipeline::flow::{Outcomes, Removed, TableOutcome};
use crate::engine::pipeline::plan::Intervals;
use crate::engine::runs::delta::{Delta, LookAt};
use crate::engine::runs::figures::Sides;
use crate::engine::runs::stale::Changes;
use crate::engine::runs::{Look, Mode};
use crate::engine::source_db::Snapshot;
use crate::engine::target_db::reject;
use crate::engine::target_db::state::{self, States};
use crate::error::{Doing, Result};

/// Page keys of rows that have changed since the last sync, by star table, ascending.
pub struct Pending(HashMap<&'static str, Keys>);

#[derive(Default)]
struct Keys {
    /// Without those that are rejected: they are explained already.
    changed: Vec<i64>,
    rejected: Vec<i64>,
}

/// Whether a source table has changed since the last sync.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    No,
    Yes,
    /// In the very second of the last sync, or the server does not know: it was restarted.
    Perhaps,
}

pub(super) fn since_last_sync(snapshot: &Snapshot, source_table: &str, states: &States) -> Moved {
    let (Some(state), Some(updated)) = (states.get(source_table), snapshot.update_time(source_table)) else {
        return Moved::Perhaps;
    };
    // A time that had settled at the last sync tells for certain.
    if let Some(settled) = &state.update_time {
        return if Some(settled) == snapshot.signature(source_table).as_ref() {
            Moved::No
        } else {
            Moved::Yes
        };
    }
    match state.observed_at.as_deref().and_then(state::parse_time) {
        // MariaDB would not tell of a transaction that was open then: a difference that is none is told, and none is hidden.
        Some(observed) if updated < observed => Moved::No,
        Some(observed) if updated > observed => Moved::Yes,
        _ => Moved::Perhaps,
    }
}

impl Pending {
    /// Looks for changed rows as an incremental run would, and takes each of them to have changed the star.
    pub async fn find(look: &Look<'_>, snapshot: &Snapshot, sides: &Sides<'_>, states: &States) -> Result<Self> {
        let mut deltas: HashMap<&'static str, Delta> = HashMap::new();
        for source_table in &look.star.sources {
            let look_at = LookAt {
                is_star_table: look.star.has_rows_of(source_table.name),
                counts_rows: false,
            };
            let state = states.get(source_table.name);
            let delta = if since_last_sync(snapshot, source_table.name, states) == Moved::No {
                Delta::default()
            } else {
                Delta::read(snapshot, source_table, state, Mode::Incremental, look_at).await?
            };
            deltas.insert(source_table.name, delta);
        }
        let mut outcomes = Outcomes::new();
        let mut removed = Removed::new();
        let mut pending = HashMap::new();
        for table in look.star.tables() {
            let changes = Changes {
                star: look.star,
                source: snapshot.reader(),
                target: sides.target.clone(),
                deltas: &deltas,
                outcomes: &outcomes,
                removed: &removed,
            };
            let mut changed = changes.stale_keys(table).await?;
            let mut deleted = Vec::new();
            let moved = since_last_sync(snapshot, table.source_table, states);
            if moved == Moved::Yes {
                // What the stamps do not explain of the row counts is rows that are gone.
                let stamped = added(table, sides, changed.iter().copied()).await?;
                let surplus = sides.rows(table, 0, None).await?.delta() + stamped;
                if surplus != 0 {
                    deleted = gone(look, snapshot, sides, table).await?;
                    changed.extend(&deleted);
                }
            }
            if table.kind == Kind::Dimension {
                removed.insert(table.name, deleted.iter().copied().collect());
            }
            changed.sort_unstable();
            changed.dedup();
            let mut rejected = reject::page_keys(&sides.target, table.source_table).await?;
            rejected.sort_unstable();
            let outcome = TableOutcome {
                changed: changed.clone(),
                republished: changed.clone(),
                deleted,
                ..TableOutcome::default()
            };
            outcomes.insert(table.name, outcome);
            changed.retain(|key| rejected.binary_search(key).is_err());
            pending.insert(table.name, Keys { changed, rejected });
        }
        Ok(Self(pending))
    }

    /// Whether a row is among them.
    pub fn holds(&self, table: &Table, key: i64) -> bool {
        self.0
            .get(table.name)
            .is_some_and(|keys| keys.changed.binary_search(&key).is_ok())
    }

    /// Whether a row is one of those that could not be loaded.
    pub fn is_rejected(&self, table: &Table, key: i64) -> bool {
        self.0
            .get(table.name)
            .is_some_and(|keys| keys.rejected.binary_search(&key).is_ok())
    }

    /// The rows of a table that have changed, but for the rejected ones.
    pub fn scopes(&self, table: &Table) -> Vec<Scope> {
        let changed = self.0.get(table.name).map_or(&[][..], |keys| &keys.changed);
        Scope::of_keys(changed.iter().copied(), KEYS_A_STATEMENT)
    }

    /// How many rows the next run adds to a table, or takes away.
    pub async fn rows(&self, table: &Table, sides: &Sides<'_>) -> Result<i64> {
        let keys = self.0.get(table.name).into_iter();
        let keys = keys.flat_map(|keys| keys.changed.iter().chain(&keys.rejected));
        added(table, sides, keys.copied()).await
    }
}

/// How many rows more the source holds of these keys than the target, which has the rejected ones told apart. The
/// keys of all rejected rows have to be among them.
async fn added(table: &Table, sides: &Sides<'_>, keys: impl Iterator<Item = i64>) -> Result<i64> {
    let mut rows = 0;
    for scope in Scope::of_keys(keys, KEYS_A_STATEMENT) {
        let part = sides.rows_of(table, &scope, 0, 0).await?;
        rows += part.source - part.target;
    }
    let rejected = sides.rejects.get(table.source_table).copied().unwrap_or(0);
    Ok(rows - i64::try_from(rejected).unwrap_or(i64::MAX))
}

/// The page keys of which the target holds more rows than the source.
async fn gone(look: &Look<'_>, snapshot: &Snapshot, sides: &Sides<'_>, table: &Table) -> Result<Vec<i64>> {
    let mut gone = Vec::new();
    let planner = look.planner(table, snapshot.reader(), sides.target.clone()).await?;
    let mut intervals = Intervals::new(table, planner, None);
    while let Some(scope) = intervals.next().await? {
        let mut more: BTreeMap<i64, i64> = BTreeMap::new();
        for key in target_keys(sides, table, &scope).await? {
            *more.entry(key).or_default() += 1;
        }
        for key in source_keys(snapshot, table, &scope).await? {
            *more.entry(key).or_default() -= 1;
        }
        gone.extend(more.into_iter().filter(|(_, more)| *more > 0).map(|(key, _)| key));
    }
    Ok(gone)
}

async fn source_keys(snapshot: &Snapshot, table: &Table, scope: &Scope) -> Result<Vec<i64>> {
    let doing = || format!("reading the keys of {}, {scope}", table.source_table);
    let select = Query::select()
        .expr(table.source_page_key())
        .from(table.source_table)
        .cond_where(scope.contains(&table.source_page_key()))
        .to_owned();
    let rows = snapshot.reader().all(&select).await.source(doing)?;
    rows.iter()
        .map(|row| row.try_get_by_index::<Key>(0).map(|key| key.0).source(doing))
        .collect()
}

async fn target_keys(sides: &Sides<'_>, table: &Table, scope: &Scope) -> Result<Vec<i64>> {
    let doing = || format!("reading the keys of {}, {scope}", table.name);
    let mut select = Query::select();
    table.from_target(select.expr(table.target_page_key()));
    select.cond_where(scope.contains(&table.target_page_key()));
    let rows = sides.target.all(&select).await.target(doing)?;
    rows.iter().map(|row| row.try_get_by_index(0).target(doing)).collect()
}
