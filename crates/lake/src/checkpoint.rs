//! Checkpoints: the state of a log at a version as one Parquet file, so that readers need not read every entry.
//!
//! The actions are serialized as the log's JSON, which Arrow converts to columns and back.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::writer::LineDelimited;
use arrow::json::{ReaderBuilder, WriterBuilder};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use crate::actions::Action;
use crate::error::{Error, Result};
use crate::log::{self, FileKind, TableState, file_of, name_of, now};
use crate::store::Lake;

/// The file that names the newest checkpoint.
pub(crate) const LAST_CHECKPOINT: &str = "_last_checkpoint";
/// How long checkpoints list removed files, and how long old versions can be read.
pub(crate) const RETENTION_DAYS: i64 = 30;
const MILLISECONDS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
/// Actions per batch of rows.
const ACTIONS_PER_BATCH: usize = 4096;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Writes the checkpoint of a version and then the file that points to it. Deletes entries that are older than the
/// retention and covered by a checkpoint.
pub(crate) async fn write(lake: &Lake, table: &str, state: &TableState) -> Result<()> {
    let oldest = now() - RETENTION_DAYS * MILLISECONDS_PER_DAY;
    let actions = actions_of(state, oldest);
    let encoded = encode(&actions).map_err(|cause| Error::Encoding {
        table: table.to_owned(),
        cause,
    })?;
    let file = |name: &str| lake.path(&format!("{table}/_delta_log/{name}"));
    let name = format!("{}.checkpoint.parquet", name_of(state.version));
    lake.write(&file(&name), Bytes::from(encoded)).await?;
    let note = json!({ "version": state.version, "size": actions.len() });
    lake.write(&file(LAST_CHECKPOINT), Bytes::from(note.to_string()))
        .await?;
    forget(lake, table, oldest).await
}

/// Deletes the log files before the newest checkpoint that is older than `oldest`.
async fn forget(lake: &Lake, table: &str, oldest: i64) -> Result<()> {
    let objects = lake.list(&lake.path(&format!("{table}/_delta_log"))).await?;
    let files = objects.iter().filter_map(|object| {
        let (version, kind) = file_of(object.location.filename()?)?;
        Some((version, kind, object))
    });
    let files: Vec<_> = files.collect();
    let covered = files
        .iter()
        .filter(|(_, kind, object)| *kind == FileKind::Checkpoint && object.last_modified.timestamp_millis() < oldest)
        .map(|(version, ..)| *version)
        .max();
    for (version, _, object) in &files {
        if covered.is_some_and(|covered| *version < covered) {
            lake.delete(&object.location).await?;
        }
    }
    Ok(())
}

fn actions_of(state: &TableState, oldest: i64) -> Vec<Action> {
    let protocol = state.protocol.clone().map(Action::from);
    let meta_data = state.meta_data.clone().map(Action::from);
    let txns = state.txns.values().cloned().map(Action::from);
    let adds = state.files.values().map(|add| {
        let mut add = add.clone();
        add.data_change = false;
        add.into()
    });
    let removed = state.removed.values();
    let removes = removed
        .filter(|remove| remove.deletion_timestamp.is_some_and(|time| time >= oldest))
        .map(|remove| {
            let mut remove = remove.clone();
            remove.data_change = false;
            remove.into()
        });
    protocol
        .into_iter()
        .chain(meta_data)
        .chain(txns)
        .chain(adds)
        .chain(removes)
        .collect()
}

fn encode(actions: &[Action]) -> std::result::Result<Vec<u8>, Failure> {
    let schema = schema();
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema))
        .with_batch_size(ACTIONS_PER_BATCH)
        .build_decoder()?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None)?;
    for actions in actions.chunks(ACTIONS_PER_BATCH) {
        decoder.serialize(actions)?;
        if let Some(batch) = decoder.flush()? {
            writer.write(&batch)?;
        }
    }
    Ok(writer.into_inner()?)
}

/// Reads the actions of a checkpoint.
pub(crate) fn read(content: Bytes) -> std::result::Result<Vec<Action>, Failure> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(content)?.build()?;
    let mut actions = Vec::new();
    for batch in reader {
        let batch: RecordBatch = batch?;
        // The map has an entry for a partition without a value too, whose value is NULL.
        let writer = WriterBuilder::new().with_explicit_nulls(true);
        let mut lines = writer.build::<_, LineDelimited>(Vec::new());
        lines.write(&batch)?;
        lines.finish()?;
        let lines = serde_json::Deserializer::from_reader(Cursor::new(lines.into_inner()));
        for action in lines.into_iter::<Action>() {
            actions.push(action?);
        }
    }
    Ok(actions)
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let integer = |name: &str| Field::new(name, DataType::Int32, true);
    let boolean = |name: &str| Field::new(name, DataType::Boolean, true);
    let group = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(Fields::from(fields)), true);
    let map = |name: &str| {
        let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), text("value")]);
        let entries = Field::new("key_value", DataType::Struct(entry), false);
        Field::new(name, DataType::Map(Arc::new(entries), false), true)
    };
    let list = Field::new("element", DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        group(
            "protocol",
            vec![integer("minReaderVersion"), integer("minWriterVersion")],
        ),
        group(
            "metaData",
            vec![
                text("id"),
                group("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                Field::new("partitionColumns", DataType::List(Arc::new(list)), true),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        group("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        group(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                boolean("dataChange"),
                text("stats"),
                map("tags"),
            ],
        ),
        group(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                boolean("dataChange"),
                boolean("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
            ],
        ),
    ]))
}

/// The time `age` before now, in milliseconds since 1970.
pub(crate) fn before_now(age: std::time::Duration) -> i64 {
    log::now() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::actions::{Add, Format, MetaData, Protocol, Txn};

    #[test]
    fn a_checkpoint_says_what_the_log_has_said() {
        let add = Add {
            path: "month=200505/part.parquet".to_owned(),
            partition_values: BTreeMap::from([("month".to_owned(), Some("200505".to_owned()))]),
            size: 9,
            modification_time: 1,
            data_change: true,
            stats: Some("{}".to_owned()),
            tags: None,
        };
        let dateless = Add {
            path: "part.parquet".to_owned(),
            partition_values: BTreeMap::from([("month".to_owned(), None)]),
            ..add.clone()
        };
        let meta_data = MetaData {
            id: "id".to_owned(),
            format: Format {
                provider: "parquet".to_owned(),
                options: BTreeMap::new(),
            },
            schema_string: "{}".to_owned(),
            partition_columns: vec!["month".to_owned()],
            configuration: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            created_time: Some(1),
        };
        let txn = Txn {
            app_id: "app".to_owned(),
            version: 7,
            last_updated: None,
        };
        let mut state = TableState::default();
        let gone = Add {
            path: "gone".to_owned(),
            ..add.clone()
        };
        for action in [
            Protocol::ours().into(),
            meta_data.clone().into(),
            txn.clone().into(),
            add.clone().into(),
            dateless.clone().into(),
            gone.removed(5).into(),
            gone.removed(50).into(),
        ] {
            state.apply(action);
        }
        let mut again = TableState::default();
        let encoded = encode(&actions_of(&state, 10)).unwrap();
        for action in read(Bytes::from(encoded)).unwrap() {
            again.apply(action);
        }
        assert_eq!(again.protocol, Some(Protocol::ours()));
        assert_eq!(again.meta_data, Some(meta_data));
        assert_eq!(again.txns["app"], txn);
        assert_eq!(
            again.files["month=200505/part.parquet"].partition_values,
            add.partition_values
        );
        assert_eq!(again.files["part.parquet"].partition_values, dateless.partition_values);
        assert_eq!(again.removed.len(), 1);
        assert_eq!(actions_of(&state, 100).len(), 5);
    }
}
