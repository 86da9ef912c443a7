//! The Delta log actions that this crate writes: <https://github.com/delta-io/delta/blob/master/PROTOCOL.md>.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The partition column of a fact that is partitioned by month.
pub(crate) const MONTH: &str = "month";

/// The table property that lists the personal columns that are left out.
pub(crate) const META_WITHOUT: &str = "star_sync.pseudonymized";

/// The protocol versions that every Delta reader and writer supports.
pub(crate) const READER_VERSION: i32 = 1;
pub(crate) const WRITER_VERSION: i32 = 2;

/// One line of a log entry: exactly one field is set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Action {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<MetaData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn: Option<Txn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<Add>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<Remove>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetaData {
    pub id: String,
    pub format: Format,
    pub schema_string: String,
    pub partition_columns: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub configuration: BTreeMap<String, String>,
    pub created_time: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    pub provider: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub options: BTreeMap<String, String>,
}

/// How far an application has come in a table. `version` is its own counter: here the number of the published run, not
/// the table's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    pub app_id: String,
    pub version: i64,
    pub last_updated: Option<i64>,
}

/// A file that is part of the table from this entry on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    pub path: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_values: BTreeMap<String, Option<String>>,
    pub size: i64,
    pub modification_time: i64,
    pub data_change: bool,
    pub stats: Option<String>,
    /// The file's contribution to the table's sums, as text.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, Option<String>>>,
}

/// A file that is no longer part of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    pub path: String,
    pub deletion_timestamp: Option<i64>,
    pub data_change: bool,
    pub extended_file_metadata: Option<bool>,
    #[serde(default)]
    pub partition_values: Option<BTreeMap<String, Option<String>>>,
    pub size: Option<i64>,
}

/// Statistics of the rows of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    pub num_records: i64,
    #[serde(default)]
    pub min_values: BTreeMap<String, i64>,
    #[serde(default)]
    pub max_values: BTreeMap<String, i64>,
    #[serde(default)]
    pub null_count: BTreeMap<String, i64>,
}

impl MetaData {
    pub(crate) fn has_column(&self, name: &str) -> bool {
        let schema: serde_json::Value = serde_json::from_str(&self.schema_string).unwrap_or_default();
        let fields = schema["fields"].as_array();
        fields.is_some_and(|fields| fields.iter().any(|field| field["name"] == name))
    }
}

/// Checkpoints have NULL in place of absent maps.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Add {
    /// The value of the file's partition, as it is in the log.
    pub(crate) fn month(&self) -> Option<&str> {
        self.partition_values.get(MONTH).and_then(Option::as_deref)
    }

    /// The number of rows; 0 if it is unknown.
    pub(crate) fn rows(&self) -> i64 {
        let stats = self.stats.as_deref().map(serde_json::from_str::<Stats>);
        stats
            .and_then(std::result::Result::ok)
            .map_or(0, |stats| stats.num_records)
    }

    /// The action that removes this file from the table.
    pub(crate) fn removed(&self, milliseconds: i64) -> Remove {
        Remove {
            path: self.path.clone(),
            deletion_timestamp: Some(milliseconds),
            data_change: true,
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition_values.clone()),
            size: Some(self.size),
        }
    }
}

impl Protocol {
    pub(crate) fn ours() -> Self {
        Self {
            min_reader_version: READER_VERSION,
            min_writer_version: WRITER_VERSION,
        }
    }

    /// Whether this crate can write to a table with this protocol.
    pub(crate) fn is_known(&self) -> bool {
        self.min_reader_version <= READER_VERSION && self.min_writer_version <= WRITER_VERSION
    }
}

impl From<Add> for Action {
    fn from(add: Add) -> Self {
        Self {
            add: Some(add),
            ..Self::default()
        }
    }
}

impl From<Remove> for Action {
    fn from(remove: Remove) -> Self {
        Self {
            remove: Some(remove),
            ..Self::default()
        }
    }
}

impl From<Txn> for Action {
    fn from(txn: Txn) -> Self {
        Self {
            txn: Some(txn),
            ..Self::default()
        }
    }
}

impl From<MetaData> for Action {
    fn from(meta_data: MetaData) -> Self {
        Self {
            meta_data: Some(meta_data),
            ..Self::default()
        }
    }
}

impl From<Protocol> for Action {
    fn from(protocol: Protocol) -> Self {
        Self {
            protocol: Some(protocol),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_program_s_checkpoint_leaves_empty_is_read() {
        let add = r#"{"path": "part.parquet", "partitionValues": null, "size": 1, "modificationTime": 1,
            "dataChange": true, "stats": null, "tags": null}"#;
        assert!(serde_json::from_str::<Add>(add).unwrap().partition_values.is_empty());
        let meta_data = r#"{"id": "id", "format": {"provider": "parquet", "options": null}, "schemaString": "{}",
            "partitionColumns": [], "configuration": null, "createdTime": null}"#;
        assert!(
            serde_json::from_str::<MetaData>(meta_data)
                .unwrap()
                .configuration
                .is_empty()
        );
    }
}
