//! Writes rows from SQLite to Parquet files. Rows are streamed into files of a bounded size, so that memory use does
//! not depend on the size of a month.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, RecordBatch};
use bytes::Bytes;
use futures_util::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sea_orm::{DatabaseTransaction, DbErr, QueryResult, StreamTrait, TryGetable, Value};
use star_sync::declare::partition::Partition;
use star_sync::error::Doing;
use uuid::Uuid;

use crate::actions::{Add, MONTH, Stats};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::layout::{ColumnType, Layout};
use crate::log::now;
use crate::store::Lake;

/// Rows per batch of columns.
const ROWS_PER_BATCH: usize = 8 * 1024;
/// Rows per row group: they are compressed together, and readers skip whole groups.
const ROWS_PER_GROUP: usize = 128 * 1024;
/// Rows per file: a few dozen MB, which are held in memory until the file is written.
pub(crate) const ROWS_PER_FILE: usize = 1024 * 1024;
/// The partition value in folder names for rows without a date.
const NO_MONTH: &str = "__HIVE_DEFAULT_PARTITION__";

/// Writes the rows of a partition to files that no log entry names yet.
pub(crate) async fn write_partition(
    lake: &Lake,
    transaction: &DatabaseTransaction,
    layout: &Layout<'_>,
    partition: Partition,
) -> Result<Vec<Add>> {
    let doing = || format!("reading {} to publish it", layout.name);
    let mut rows = transaction.stream(&layout.select(partition)).await.target(doing)?;
    let mut files = Vec::new();
    let mut file = None;
    let mut batch = Batch::new(layout);
    let rows_of_test = failpoint::argument("lake-file-rows").and_then(|rows| rows.parse().ok());
    let rows_per_file = rows_of_test.unwrap_or(ROWS_PER_FILE);
    while let Some(row) = rows.try_next().await.target(doing)? {
        batch.add(&row).target(doing)?;
        if batch.rows == ROWS_PER_BATCH {
            let unfinished = File::continued(file.take(), layout)?;
            let unfinished = unfinished.add(&mut batch)?;
            if unfinished.rows >= rows_per_file {
                files.push(unfinished.write(lake, partition).await?);
            } else {
                file = Some(unfinished);
            }
        }
    }
    if batch.rows > 0 {
        file = Some(File::continued(file.take(), layout)?.add(&mut batch)?);
    }
    if let Some(file) = file {
        files.push(file.write(lake, partition).await?);
    }
    Ok(files)
}

/// Rows, stored by column.
struct Batch<'a> {
    layout: &'a Layout<'a>,
    columns: Vec<Vec<Value>>,
    rows: usize,
}

impl<'a> Batch<'a> {
    fn new(layout: &'a Layout<'a>) -> Self {
        let columns = layout.columns.iter();
        Self {
            layout,
            columns: columns.map(|_| Vec::with_capacity(ROWS_PER_BATCH)).collect(),
            rows: 0,
        }
    }

    fn add(&mut self, row: &QueryResult) -> std::result::Result<(), DbErr> {
        for (position, (cells, column)) in self.columns.iter_mut().zip(&self.layout.columns).enumerate() {
            cells.push(match column.column_type {
                ColumnType::Long => Value::BigInt(cell(row, position)?),
                ColumnType::Integer => Value::Int(cell(row, position)?),
                ColumnType::Text => Value::String(cell(row, position)?),
                ColumnType::Double | ColumnType::Decimal(_) => Value::Double(cell(row, position)?),
                ColumnType::Boolean => Value::Bool(cell(row, position)?),
                ColumnType::Date => Value::ChronoDate(cell(row, position)?),
            });
        }
        self.rows += 1;
        Ok(())
    }
}

fn cell<T: TryGetable>(row: &QueryResult, position: usize) -> std::result::Result<Option<T>, DbErr> {
    row.try_get_by_index(position)
}

/// A file that is being encoded in memory.
struct File<'a> {
    layout: &'a Layout<'a>,
    writer: ArrowWriter<Vec<u8>>,
    rows: usize,
    stats: Stats,
    sums: BTreeMap<String, i64>,
}

impl<'a> File<'a> {
    fn continued(file: Option<Self>, layout: &'a Layout<'a>) -> Result<Self> {
        if let Some(file) = file {
            return Ok(file);
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), layout.arrow_schema(), Some(properties));
        Ok(Self {
            layout,
            writer: writer.map_err(encoding(layout))?,
            rows: 0,
            stats: Stats {
                num_records: 0,
                min_values: BTreeMap::new(),
                max_values: BTreeMap::new(),
                null_count: BTreeMap::new(),
            },
            sums: BTreeMap::new(),
        })
    }

    /// Adds the rows of a batch to the file, and empties the batch.
    fn add(mut self, batch: &mut Batch<'_>) -> Result<Self> {
        let mut arrays = Vec::with_capacity(batch.columns.len());
        for (cells, column) in batch.columns.iter_mut().zip(&self.layout.columns) {
            note_stats(&mut self.stats, column.name, cells);
            arrays.push(match column.column_type {
                ColumnType::Decimal(decimals) => {
                    let amounts = whole_amounts(self.layout.name, column.name, decimals, cells)?;
                    *self.sums.entry(column.name.to_owned()).or_insert(0) += amounts.iter().flatten().sum::<i64>();
                    decimal_array(&amounts, column.column_type)
                }
                other => sea_orm_arrow::values_to_arrow_array(cells, &other.arrow()).map_err(encoding(self.layout))?,
            });
            cells.clear();
        }
        let rows = RecordBatch::try_new(self.layout.arrow_schema(), arrays).map_err(encoding(self.layout))?;
        self.writer.write(&rows).map_err(encoding(self.layout))?;
        self.rows += batch.rows;
        batch.rows = 0;
        Ok(self)
    }

    async fn write(self, lake: &Lake, partition: Partition) -> Result<Add> {
        let Self {
            layout,
            writer,
            rows,
            mut stats,
            sums,
        } = self;
        let content = writer.into_inner().map_err(encoding(layout))?;
        let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
        stats.num_records = i64::try_from(rows).unwrap_or(i64::MAX);
        let month = partition.month().map(|month| month.to_string());
        let name = format!("part-{}.zstd.parquet", Uuid::new_v4());
        let path = if layout.is_divided() {
            format!("{MONTH}={}/{name}", month.as_deref().unwrap_or(NO_MONTH))
        } else {
            name
        };
        lake.write(&lake.path(&format!("{}/{path}", layout.name)), Bytes::from(content))
            .await?;
        let tags = sums.into_iter().map(|(column, sum)| (column, Some(sum.to_string())));
        Ok(Add {
            path,
            partition_values: layout
                .is_divided()
                .then(|| (MONTH.to_owned(), month))
                .into_iter()
                .collect(),
            size,
            modification_time: now(),
            data_change: true,
            stats: Some(serde_json::to_string(&stats).expect("stats are made of texts and numbers")),
            tags: Some(tags.collect()),
        })
    }
}

fn encoding<E: std::error::Error + Send + Sync + 'static>(layout: &Layout<'_>) -> impl FnOnce(E) -> Error {
    let table = layout.name.to_owned();
    move |cause| Error::Encoding {
        table,
        cause: Box::new(cause),
    }
}

/// Records the minimum and maximum of an integer column, and the number of NULLs of any column.
fn note_stats(stats: &mut Stats, column: &'static str, cells: &[Value]) {
    let mut nulls = 0;
    let (mut least, mut largest) = (i64::MAX, i64::MIN);
    for cell in cells {
        match cell {
            Value::BigInt(Some(number)) => (least, largest) = (least.min(*number), largest.max(*number)),
            Value::Int(Some(number)) => {
                let number = i64::from(*number);
                (least, largest) = (least.min(number), largest.max(number));
            }
            Value::BigInt(None)
            | Value::Int(None)
            | Value::String(None)
            | Value::Double(None)
            | Value::Bool(None)
            | Value::ChronoDate(None) => nulls += 1,
            _ => {}
        }
    }
    *stats.null_count.entry(column.to_owned()).or_insert(0) += nulls;
    if least <= largest {
        let known = stats.min_values.entry(column.to_owned()).or_insert(least);
        *known = least.min(*known);
        let known = stats.max_values.entry(column.to_owned()).or_insert(largest);
        *known = largest.max(*known);
    }
}

/// The amounts of a column, as whole numbers of their smallest unit.
fn whole_amounts(table: &str, column: &'static str, decimals: u8, cells: &[Value]) -> Result<Vec<Option<i64>>> {
    let unfit = || Error::ValueUnfit {
        table: table.to_owned(),
        column,
        fits: format!("{decimals} digits behind the point"),
    };
    let amounts = cells.iter().map(|cell| match cell {
        Value::Double(Some(amount)) => whole_amount(*amount, decimals).map(Some).ok_or_else(unfit),
        _ => Ok(None),
    });
    amounts.collect()
}

/// An amount as a whole number of its smallest unit; none if it is not the REAL nearest to such a number.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "below 2^53 a REAL holds whole numbers exactly, and the result is compared"
)]
#[expect(clippy::float_cmp, reason = "it has to be exactly that REAL")]
fn whole_amount(amount: f64, decimals: u8) -> Option<i64> {
    const LARGEST: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    let scale = 10_f64.powi(i32::from(decimals));
    let whole = (amount * scale).round();
    (whole.abs() <= LARGEST && whole / scale == amount).then_some(whole as i64)
}

fn decimal_array(amounts: &[Option<i64>], column_type: ColumnType) -> ArrayRef {
    let amounts: Decimal128Array = amounts.iter().map(|amount| amount.map(i128::from)).collect();
    Arc::new(amounts.with_data_type(column_type.arrow()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_published_as_the_number_of_cents_that_it_is() {
        assert_eq!(whole_amount(6.99, 2), Some(699));
        assert_eq!(whole_amount(-11.1, 2), Some(-1110));
        assert_eq!(whole_amount(0.0, 2), Some(0));
        assert_eq!(whole_amount(6.999, 2), None);
        assert_eq!(whole_amount(f64::NAN, 2), None);
        assert_eq!(whole_amount(1e300, 2), None);
        let error = whole_amounts("fact_loan", "fee", 2, &[Value::Double(Some(0.001))]).unwrap_err();
        assert_eq!(error.code_name(), "LAKE_VALUE_UNFIT");
    }

    #[test]
    fn the_least_and_the_largest_number_of_a_file_are_noted() {
        let mut stats: Stats = serde_json::from_str(r#"{"numRecords":0}"#).unwrap();
        note_stats(&mut stats, "key", &[Value::Int(Some(7)), Value::Int(None)]);
        note_stats(&mut stats, "key", &[Value::Int(Some(-7))]);
        note_stats(&mut stats, "name", &[Value::String(None)]);
        assert_eq!((stats.min_values["key"], stats.max_values["key"]), (-7, 7));
        assert_eq!((stats.null_count["key"], stats.null_count["name"]), (1, 1));
        assert_eq!(stats.min_values.get("name"), None);
    }
}
