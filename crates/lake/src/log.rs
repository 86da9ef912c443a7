//! A table's log: reads the newest version of a table and commits the next one.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::Utc;
use object_store::path::Path;
use serde_json::json;

use crate::actions::{Action, Add, MetaData, Protocol, Remove, Txn};
use crate::checkpoint;
use crate::error::{Error, Result};
use crate::store::Lake;

/// Number of versions between two checkpoints.
const VERSIONS_PER_CHECKPOINT: i64 = 10;
/// Digits of a version in the log's file names.
const VERSION_DIGITS: usize = 20;

/// The state of a table at its newest version.
#[derive(Default)]
pub(crate) struct TableState {
    pub version: i64,
    pub protocol: Option<Protocol>,
    pub meta_data: Option<MetaData>,
    /// The current files of the table, by path.
    pub files: BTreeMap<String, Add>,
    /// Files that were removed from the table, by path.
    pub removed: BTreeMap<String, Remove>,
    pub txns: BTreeMap<String, Txn>,
    /// The application that wrote the newest entry; none if the entry does not name it.
    pub last_writer: Option<String>,
    /// The commit info of the newest entry.
    pub last_commit: Option<serde_json::Value>,
}

impl TableState {
    /// Applies an action to this state.
    pub(crate) fn apply(&mut self, action: Action) {
        if let Some(protocol) = action.protocol {
            self.protocol = Some(protocol);
        }
        if let Some(meta_data) = action.meta_data {
            self.meta_data = Some(meta_data);
        }
        if let Some(txn) = action.txn {
            self.last_writer = Some(txn.app_id.clone());
            self.txns.insert(txn.app_id.clone(), txn);
        }
        if let Some(add) = action.add {
            self.removed.remove(&add.path);
            self.files.insert(add.path.clone(), add);
        }
        if let Some(remove) = action.remove {
            self.files.remove(&remove.path);
            self.removed.insert(remove.path.clone(), remove);
        }
        if let Some(commit_info) = action.commit_info {
            self.last_commit = Some(commit_info);
        }
    }

    /// The number of rows of the table.
    pub(crate) fn rows(&self) -> i64 {
        self.files.values().map(Add::rows).sum()
    }

    /// The sums of the table's files, by column.
    pub(crate) fn sums(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for (column, sum) in self.files.values().flat_map(|file| file.tags.iter().flatten()) {
            let sum: i64 = sum.as_deref().and_then(|sum| sum.parse().ok()).unwrap_or(0);
            *sums.entry(column.clone()).or_insert(0) += sum;
        }
        sums
    }
}

/// The newest state of a table; none if the table does not exist.
pub(crate) async fn load(lake: &Lake, table: &str) -> Result<Option<TableState>> {
    let mut entries = BTreeMap::new();
    let mut checkpoint = None;
    for object in lake.list(&lake.path(&format!("{table}/_delta_log"))).await? {
        match file_of(object.location.filename().unwrap_or_default()) {
            Some((version, FileKind::Entry)) => {
                entries.insert(version, object.location);
            }
            Some((version, FileKind::Checkpoint))
                if checkpoint.as_ref().is_none_or(|(newest, _)| *newest < version) =>
            {
                checkpoint = Some((version, object.location));
            }
            _ => {}
        }
    }
    let Some((newest, _)) = entries.last_key_value() else {
        return Ok(None);
    };
    let damaged = |problem: String| Error::Damaged {
        lake: lake.name.clone(),
        table: table.to_owned(),
        problem,
    };
    let mut state = TableState {
        version: *newest,
        ..TableState::default()
    };
    let mut next = 0;
    if let Some((version, path)) = checkpoint {
        let content = lake.read(&path).await?;
        let content = content.ok_or_else(|| damaged(format!("{path} is gone")))?;
        let actions = checkpoint::read(content).map_err(|error| damaged(format!("{path}: {error}")))?;
        for action in actions {
            state.apply(action);
        }
        next = version + 1;
        // A checkpoint does not contain the writer of the newest version, so that entry is read too.
        if let Some(path) = entries.get(&version).filter(|_| version == state.version) {
            state.last_writer = None;
            apply_entry(lake, path, &mut state, &damaged).await?;
        }
    }
    for version in next..=state.version {
        let path = entries.get(&version);
        let path = path.ok_or_else(|| damaged(format!("version {version} is missing")))?;
        state.last_writer = None;
        apply_entry(lake, path, &mut state, &damaged).await?;
    }
    if state.meta_data.is_none() || state.protocol.is_none() {
        return Err(damaged("it has no metadata".to_owned()));
    }
    Ok(Some(state))
}

async fn apply_entry(
    lake: &Lake,
    path: &Path,
    state: &mut TableState,
    damaged: &impl Fn(String) -> Error,
) -> Result<()> {
    let content = lake.read(path).await?;
    let content = content.ok_or_else(|| damaged(format!("{path} is gone")))?;
    for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let action = serde_json::from_slice(line).map_err(|error| damaged(format!("{path}: {error}")))?;
        state.apply(action);
    }
    Ok(())
}

/// A log entry to be written.
pub(crate) struct Entry<'a> {
    pub table: &'a str,
    pub app_id: &'a str,
    pub run_id: i64,
    /// When that run began. Distinguishes it from a run with the same number in a restored target.
    pub run_started: &'a str,
    pub actions: Vec<Action>,
}

/// Writes the next version of a table atomically, and a checkpoint if one is due.
///
/// # Errors
/// `Conflict` if another program has already written that version.
pub(crate) async fn commit(lake: &Lake, before: Option<TableState>, entry: Entry<'_>) -> Result<TableState> {
    let version = before.as_ref().map_or(0, |state| state.version + 1);
    let timestamp = next_timestamp(before.as_ref());
    let mut state = before.unwrap_or_default();
    state.version = version;
    let mut actions = entry.actions;
    actions.push(
        Txn {
            app_id: entry.app_id.to_owned(),
            version: entry.run_id,
            last_updated: Some(now()),
        }
        .into(),
    );
    for action in &actions {
        state.apply(action.clone());
    }
    let commit_info = json!({
        "timestamp": timestamp,
        "operation": "PUBLISH",
        "operationParameters": {},
        "engineInfo": concat!("star-sync/", env!("CARGO_PKG_VERSION")),
        "run": entry.run_id,
        "runStarted": entry.run_started,
        "rows": state.rows(),
        "sums": state.sums(),
    });
    state.last_commit = Some(commit_info.clone());
    actions.insert(
        0,
        Action {
            commit_info: Some(commit_info),
            ..Action::default()
        },
    );
    let mut content = Vec::new();
    for action in &actions {
        serde_json::to_writer(&mut content, action).expect("actions are made of texts and numbers");
        content.push(b'\n');
    }
    let path = lake.path(&format!("{}/_delta_log/{}.json", entry.table, name_of(version)));
    if !lake.write_new(&path, Bytes::from(content)).await? {
        return Err(Error::Conflict {
            lake: lake.name.clone(),
            table: entry.table.to_owned(),
            version,
        });
    }
    if version > 0 && version % VERSIONS_PER_CHECKPOINT == 0 {
        checkpoint::write(lake, entry.table, &state).await?;
    }
    Ok(state)
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Entry,
    Checkpoint,
}

/// A version as it appears in the log's file names.
pub(crate) fn name_of(version: i64) -> String {
    format!("{version:0VERSION_DIGITS$}")
}

/// The version and the kind of a log file; none for the name of any other file.
pub(crate) fn file_of(name: &str) -> Option<(i64, FileKind)> {
    let (version, suffix) = name.split_once('.')?;
    let version = version.parse().ok().filter(|_| version.len() == VERSION_DIGITS)?;
    match suffix {
        "json" => Some((version, FileKind::Entry)),
        "checkpoint.parquet" => Some((version, FileKind::Checkpoint)),
        _ => None,
    }
}

/// The timestamp of the next entry. It is later than the last one even if the clock was set back, because readers use
/// it to decide which of two versions is newer.
pub(crate) fn next_timestamp(state: Option<&TableState>) -> i64 {
    let last_commit = state.and_then(|state| state.last_commit.as_ref());
    let last = last_commit.and_then(|commit| commit.get("timestamp")?.as_i64());
    last.map_or_else(now, |last| now().max(last + 1))
}

/// Milliseconds since 1970, the time format of the log.
pub(crate) fn now() -> i64 {
    Utc::now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_log_are_known_by_their_names() {
        assert_eq!(file_of("00000000000000000010.json"), Some((10, FileKind::Entry)));
        let checkpoint = format!("{}.checkpoint.parquet", name_of(20));
        assert_eq!(file_of(&checkpoint), Some((20, FileKind::Checkpoint)));
        for other in ["_last_checkpoint", "10.json", "00000000000000000010.json.tmp"] {
            assert_eq!(file_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_is_part_of_a_table_until_it_is_removed() {
        let add = Add {
            path: "month=200505/part.parquet".to_owned(),
            partition_values: BTreeMap::from([("month".to_owned(), Some("200505".to_owned()))]),
            size: 1,
            modification_time: 1,
            data_change: true,
            stats: Some(r#"{"numRecords":7}"#.to_owned()),
            tags: Some(BTreeMap::from([("amount".to_owned(), Some("699".to_owned()))])),
        };
        let mut state = TableState::default();
        state.apply(add.clone().into());
        assert_eq!((state.rows(), state.sums()["amount"]), (7, 699));
        assert_eq!(add.month(), Some("200505"));
        state.apply(add.removed(2).into());
        assert_eq!((state.rows(), state.removed.len()), (0, 1));
    }

    #[test]
    fn times_go_on_where_the_clock_was_set_back() {
        let ahead = now() + 1_000_000;
        let state = TableState {
            last_commit: Some(json!({ "timestamp": ahead })),
            ..TableState::default()
        };
        assert_eq!(next_timestamp(Some(&state)), ahead + 1);
        assert!((now() - next_timestamp(None)).abs() < 100_000);
    }
}
