//! `star_versions`: one row per table and publication, which records the versions of all tables that belong together.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use uuid::Uuid;

use crate::actions::{Action, Add, MetaData};
use crate::error::{Error, Result};
use crate::layout;
use crate::log::{TableState, now};
use crate::store::Lake;

pub(crate) const TABLE: &str = "star_versions";
/// The number of files from which on they are merged into one.
const MOST_FILES: usize = 32;

/// A table at one of its versions.
pub(crate) struct TableVersion {
    pub table: &'static str,
    pub version: i64,
    pub rows: i64,
    /// Sums by column, as whole numbers of the smallest unit.
    pub sums: BTreeMap<String, i64>,
}

pub(crate) fn meta_data() -> MetaData {
    let columns = [
        ("run_id", "long"),
        ("table_name", "string"),
        ("version", "long"),
        ("rows", "long"),
        ("sums", "string"),
        ("published_at", "timestamp"),
    ];
    let columns = columns.into_iter().map(|(name, delta)| (name, delta.to_owned()));
    layout::meta_data(columns, false, &[])
}

fn schema() -> SchemaRef {
    let field = |name, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("run_id", DataType::Int64),
        field("table_name", DataType::Utf8),
        field("version", DataType::Int64),
        field("rows", DataType::Int64),
        field("sums", DataType::Utf8),
        field(
            "published_at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
    ]))
}

/// Writes the rows of a publication (`published` is in milliseconds) and returns the actions that add them to the
/// table. If the table has many files, merges them into one.
pub(crate) async fn write(
    lake: &Lake,
    before: Option<&TableState>,
    run_id: i64,
    published: i64,
    versions: &[TableVersion],
) -> Result<Vec<Action>> {
    let mut batches = vec![rows(run_id, published, versions).map_err(encoding)?];
    let mut actions = Vec::new();
    let files = before.iter().flat_map(|state| state.files.values());
    let files: Vec<&Add> = files.collect();
    if files.len() >= MOST_FILES {
        for file in files {
            let path = lake.path(&format!("{TABLE}/{}", file.path));
            let content = lake.read(&path).await?.ok_or_else(|| Error::Damaged {
                lake: lake.name.clone(),
                table: TABLE.to_owned(),
                problem: format!("{path} is gone"),
            })?;
            batches.extend(read(content).map_err(encoding)?);
            actions.push(file.removed(published).into());
        }
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let content = encode(&batches).map_err(encoding)?;
    let path = format!("part-{}.parquet", Uuid::new_v4());
    let add = Add {
        path: path.clone(),
        partition_values: BTreeMap::new(),
        size: i64::try_from(content.len()).unwrap_or(i64::MAX),
        modification_time: now(),
        data_change: true,
        stats: Some(format!("{{\"numRecords\":{rows}}}")),
        tags: None,
    };
    lake.write(&lake.path(&format!("{TABLE}/{path}")), Bytes::from(content))
        .await?;
    actions.push(add.into());
    Ok(actions)
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn encoding(cause: Failure) -> Error {
    Error::Encoding {
        table: TABLE.to_owned(),
        cause,
    }
}

fn rows(run_id: i64, published: i64, versions: &[TableVersion]) -> std::result::Result<RecordBatch, Failure> {
    let sums = versions.iter().map(|version| serde_json::to_string(&version.sums));
    let sums = sums.collect::<std::result::Result<Vec<_>, _>>()?;
    let times = vec![published * 1_000; versions.len()];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![run_id; versions.len()])),
        Arc::new(
            versions
                .iter()
                .map(|version| Some(version.table))
                .collect::<StringArray>(),
        ),
        Arc::new(versions.iter().map(|version| version.version).collect::<Int64Array>()),
        Arc::new(versions.iter().map(|version| version.rows).collect::<Int64Array>()),
        Arc::new(StringArray::from(sums)),
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

fn encode(batches: &[RecordBatch]) -> std::result::Result<Vec<u8>, Failure> {
    let mut writer = ArrowWriter::try_new(Vec::new(), schema(), None)?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

fn read(content: Bytes) -> std::result::Result<Vec<RecordBatch>, Failure> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(content)?.build()?;
    Ok(reader.collect::<std::result::Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_small_files_become_one_with_all_rows() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().to_str().unwrap()).unwrap();
        let mut state = TableState::default();
        let files = i64::try_from(MOST_FILES).unwrap();
        for run_id in 0..=files {
            let version = TableVersion {
                table: "dim_book",
                version: run_id,
                rows: 1,
                sums: BTreeMap::from([("fee".to_owned(), 699)]),
            };
            let actions = write(&lake, Some(&state), run_id, 0, &[version]).await.unwrap();
            for action in actions {
                state.apply(action);
            }
        }
        assert_eq!(state.files.len(), 1);
        assert_eq!(state.rows(), files + 1);
    }
}
