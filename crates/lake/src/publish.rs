//! Publishes the changes in the star since the last publication to the lake, table by table, each one atomically.

mod plan;

use std::collections::BTreeSet;

use chrono::Utc;
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use serde::Serialize;
use star_sync::declare::partition::Partition;
use star_sync::declare::personal::PersonalColumn;
use star_sync::declare::star::Star;
use star_sync::error::Doing;
use star_sync::target::Target;
use star_sync::target::bookkeeping::changed_partitions::{self, Partitions};
use star_sync::target::bookkeeping::history;
use star_sync::target::bookkeeping::publication::{self, Publication};
use star_sync::target::bookkeeping::{state, time};
use tracing::debug;
use uuid::Uuid;

use crate::actions::{Action, Add, Protocol};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::layout::{self, Layout};
use crate::log::{self, Entry, TableState};
use crate::rows;
use crate::store::Lake;
use crate::vacuum::is_data_file;
use crate::versions::{self, TableVersion};
use plan::{Plan, Planned};

/// The key of a log entry's commit info that holds the start time of its run.
pub(crate) const RUN_STARTED: &str = "runStarted";

/// What to publish, and where to.
pub struct Request<'a> {
    pub star: &'a Star,
    /// Locked by this process, so that no run changes it during the publication.
    pub target: &'a Target,
    pub lake: &'a Lake,
    /// Personal columns to leave out.
    pub without: &'a [PersonalColumn],
    /// Publish despite a mismatch, and replace what another target or program has written.
    pub force: bool,
}

/// What was published.
#[derive(Debug, Serialize)]
pub struct Report {
    pub lake: String,
    /// The run that the lake now reflects.
    pub run_id: i64,
    /// Whether the lake reflected that run already.
    pub up_to_date: bool,
    pub partitions: usize,
    pub rows: i64,
    pub files: usize,
    pub bytes: i64,
    pub tables: Vec<PublishedTable>,
}

/// A table of the lake after a publication.
#[derive(Debug, Serialize)]
pub struct PublishedTable {
    pub table: &'static str,
    pub version: i64,
    /// The partitions that were written, as months; 0 for the whole of a table without partitions.
    pub partitions: Vec<i32>,
    /// Rows that were written.
    pub rows: i64,
    pub files: usize,
    pub bytes: i64,
}

/// Publishes what changed since the lake's last publication. Killed anywhere, it can be run again.
///
/// # Errors
/// What keeps the lake from being written, or this target from writing to it. Readers see the last publication then, or for
/// some tables already this one.
pub async fn run(request: &Request<'_>) -> Result<Report> {
    let mistakes = layout::mistakes(&layout::tables(request.star, request.without));
    if !mistakes.is_empty() {
        return Err(star_sync::Error::DeclarationInvalid { mistakes }.into());
    }
    request.lake.log_in().await?;
    let transaction = request.target.readers.begin().await;
    let transaction = transaction.target(|| "beginning to publish".to_owned())?;
    let source = Source::read(request, &transaction).await?;
    let publication = Publisher {
        request,
        app_id: format!("{}/{}", request.star.names.program, source.publication.writer),
        source,
    };
    let report = publication.run(&transaction).await?;
    let ended = transaction.rollback().await;
    ended.target(|| "ending the publication".to_owned())?;
    failpoint::pass("before-publication-noted");
    let publication = Publication {
        run_id: Some(report.run_id),
        published: Some(Utc::now()),
        ..publication.source.publication
    };
    publication::save(&request.target.writer, &publication).await?;
    Ok(report)
}

/// What the target says.
struct Source {
    run_id: i64,
    run_started: String,
    publication: Publication,
}

impl Source {
    async fn read(request: &Request<'_>, transaction: &DatabaseTransaction) -> Result<Self> {
        check_star(transaction, request.force).await?;
        let known = publication::load(transaction).await?;
        let known = known
            .into_iter()
            .find(|publication| publication.lake == request.lake.name);
        let publication = if let Some(publication) = known {
            publication
        } else {
            let publication = Publication {
                lake: request.lake.name.clone(),
                writer: Uuid::new_v4().simple().to_string(),
                run_id: None,
                published: None,
            };
            check_place(request).await?;
            publication
        };
        let run_id = changed_partitions::last_run(transaction).await?;
        Ok(Self {
            run_id,
            run_started: started(transaction, run_id).await?.unwrap_or_default(),
            publication,
        })
    }
}

/// Refuses a star that is not loaded, or, without `force`, one with a mismatch that no run has resolved.
///
/// # Errors
/// That.
pub async fn check_star(target: &impl ConnectionTrait, force: bool) -> Result<()> {
    let states = state::load(target).await?;
    if !states.is_loaded() || states.is_loading() {
        return Err(star_sync::Error::NotLoaded.into());
    }
    if !force && history::last_mismatch(target).await?.is_some() {
        return Err(Error::Mismatch);
    }
    Ok(())
}

/// When a run began; none if the history does not go back that far.
async fn started(transaction: &DatabaseTransaction, run_id: i64) -> Result<Option<String>> {
    let run = history::find(transaction, run_id).await?;
    Ok(run.map(|run| time::text(run.started)))
}

/// Refuses a location that contains anything other than tables of this star. A folder with the name of a table counts
/// as one if it has a log, or contains only data files of a killed publication.
async fn check_place(request: &Request<'_>) -> Result<()> {
    let ours: BTreeSet<&str> = layout::tables(request.star, &[])
        .iter()
        .map(|table| table.name)
        .chain([versions::TABLE])
        .collect();
    let names = request.lake.names().await?;
    for found in names.into_iter().filter(|name| !name.starts_with('.')) {
        let is_ours = ours.contains(found.as_str())
            && (log::load(request.lake, &found).await?.is_some()
                || holds_data_files_alone(request.lake, &found).await?);
        if !is_ours {
            return Err(Error::Foreign {
                lake: request.lake.name.clone(),
                found,
            });
        }
    }
    Ok(())
}

async fn holds_data_files_alone(lake: &Lake, folder: &str) -> Result<bool> {
    let files = lake.list(&lake.path(folder)).await?;
    Ok(files.iter().all(|file| is_data_file(file.location.as_ref())))
}

struct Publisher<'a> {
    request: &'a Request<'a>,
    app_id: String,
    source: Source,
}

impl Publisher<'_> {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<Report> {
        let all = changed_partitions::changed_after(transaction, 0).await?;
        let mut report = Report {
            lake: self.request.lake.name.clone(),
            run_id: self.source.run_id,
            up_to_date: false,
            partitions: 0,
            rows: 0,
            files: 0,
            bytes: 0,
            tables: Vec::new(),
        };
        let mut table_versions = Vec::new();
        let layouts = layout::tables(self.request.star, self.request.without);
        let (tables, versions) = self.plans(transaction, &layouts).await?;
        if self.source.publication.run_id.is_none() {
            // Before anything is written under this name.
            publication::save(&self.request.target.writer, &self.source.publication).await?;
        }
        for planned in tables {
            let layout = planned.layout;
            let (state, table) = self.table(transaction, planned, &all).await?;
            report.partitions += table.partitions.len();
            report.rows += table.rows;
            report.files += table.files;
            report.bytes += table.bytes;
            table_versions.push(TableVersion {
                table: layout.name,
                version: state.version,
                rows: state.rows(),
                sums: state.sums(),
            });
            report.tables.push(table);
            failpoint::pass("lake-table-committed");
        }
        failpoint::pass("lake-tables-committed");
        let is_unchanged = report.partitions == 0;
        report.up_to_date = self.note_versions(versions, &table_versions, is_unchanged).await?;
        Ok(report)
    }

    /// Publishes one table.
    async fn table(
        &self,
        transaction: &DatabaseTransaction,
        planned: Planned<'_>,
        all: &Partitions,
    ) -> Result<(TableState, PublishedTable)> {
        let Planned { layout, state, plan } = planned;
        let lake = self.request.lake;
        let mut table = PublishedTable {
            table: layout.name,
            version: 0,
            partitions: Vec::new(),
            rows: 0,
            files: 0,
            bytes: 0,
        };
        let (partitions, state) = match (&plan, state) {
            (Plan::Nothing, Some(state)) => {
                table.version = state.version;
                return Ok((state, table));
            }
            (Plan::Changed(partitions), state) => (partitions.clone(), state),
            (Plan::All | Plan::Nothing, state) => {
                let mut partitions = all.get(layout.name).cloned().unwrap_or_default();
                if !layout.is_divided() {
                    partitions.insert(Partition::WHOLE);
                }
                (partitions, state)
            }
        };
        failpoint::pass("before-lake-files");
        let mut added = Vec::new();
        for partition in &partitions {
            let files = rows::write_partition(lake, transaction, layout, *partition).await?;
            debug!(
                table = layout.name,
                partition = partition.number(),
                files = files.len(),
                "partition written"
            );
            added.extend(files);
        }
        failpoint::pass("lake-files-written");
        failpoint::hold("lake-files-held").await;
        table.partitions = partitions.iter().map(|partition| partition.number()).collect();
        table.rows = added.iter().map(Add::rows).sum();
        table.files = added.len();
        table.bytes = added.iter().map(|add| add.size).sum();
        let actions = actions(layout, state.as_ref(), &plan, added);
        let state = log::commit(lake, state, self.entry(layout.name, actions)).await?;
        table.version = state.version;
        debug!(
            table = layout.name,
            version = table.version,
            rows = table.rows,
            "table published"
        );
        Ok((state, table))
    }

    fn entry<'b>(&'b self, table: &'b str, actions: Vec<Action>) -> Entry<'b> {
        Entry {
            table,
            app_id: &self.app_id,
            run_id: self.source.run_id,
            run_started: &self.source.run_started,
            actions,
        }
    }

    /// Adds this publication to `star_versions`, unless it is there already. Returns whether it was.
    async fn note_versions(
        &self,
        state: Option<TableState>,
        table_versions: &[TableVersion],
        is_unchanged: bool,
    ) -> Result<bool> {
        let lake = self.request.lake;
        let run_id = self.source.run_id;
        let noted = state.as_ref().map(|state| self.check_writer(versions::TABLE, state));
        if is_unchanged && matches!(noted, Some(Ok(run)) if run == run_id) {
            return Ok(true);
        }
        let published = log::next_timestamp(state.as_ref());
        let mut actions = versions::write(lake, state.as_ref(), run_id, published, table_versions).await?;
        if state.is_none() {
            actions.extend([Protocol::ours().into(), versions::meta_data().into()]);
        }
        log::commit(lake, state, self.entry(versions::TABLE, actions)).await?;
        Ok(false)
    }
}

/// The actions that replace the files of the planned partitions with new ones.
fn actions(layout: &Layout<'_>, state: Option<&TableState>, plan: &Plan, added: Vec<Add>) -> Vec<Action> {
    let mut actions = Vec::new();
    let meta_data = state.and_then(|state| state.meta_data.as_ref());
    if meta_data.is_none() {
        actions.push(Protocol::ours().into());
    }
    if meta_data.is_none_or(|meta_data| !layout.is_described_by(meta_data)) {
        let mut new = layout.meta_data();
        if let Some(meta_data) = meta_data {
            new.id.clone_from(&meta_data.id);
        }
        actions.push(new.into());
    }
    let is_replaced = |file: &Add| match plan {
        Plan::Nothing => false,
        Plan::All => true,
        Plan::Changed(partitions) => {
            let month = file.month().and_then(|month| month.parse().ok()).unwrap_or(0);
            partitions.iter().any(|partition| partition.number() == month)
        }
    };
    let files = state.into_iter().flat_map(|state| state.files.values());
    let now = log::next_timestamp(state);
    actions.extend(
        files
            .filter(|file| is_replaced(file))
            .map(|file| file.removed(now).into()),
    );
    actions.extend(added.into_iter().map(Action::from));
    actions
}
