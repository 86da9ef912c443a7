//! Both databases, opened for reading, and the settings for reading them: batch size, workers, progress, stop request.

use std::sync::Arc;

use sea_orm::DatabaseConnection;

use crate::declare::star::Star;
use crate::declare::table::Table;
use crate::error::Result;
use crate::pipeline::plan::Planner;
use crate::pipeline::progress::Progress;
use crate::source::Source;
use crate::source::reader::SourceReader;
use crate::stop::Stop;
use crate::target::TargetReader;

/// Both databases, opened for reading; nothing is written through this.
pub struct Databases<'a> {
    pub star: &'static Star,
    pub source: &'a Source,
    /// The committed state of the target.
    pub readers: DatabaseConnection,
    /// The number of source pages that are read at the same time, each on its own connection.
    pub workers: usize,
    /// Rows per page, which are also the rows per batch.
    pub batch_size: u64,
    pub progress: Arc<Progress>,
    pub stop: Stop,
}

impl Databases<'_> {
    /// Divides a table into key ranges of one page each, by the rows that these readers see.
    pub(crate) async fn planner(&self, table: &Table, source: SourceReader, target: TargetReader) -> Result<Planner> {
        let estimated_rows = self.source.estimated_rows(&source).await?;
        Ok(Planner {
            source,
            target,
            estimated_rows: estimated_rows.get(table.source_table).copied().unwrap_or(0),
            rows: self.batch_size,
        })
    }
}
