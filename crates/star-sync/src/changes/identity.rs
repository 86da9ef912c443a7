//! Checks whether the source is the one that the target was loaded from. On another server, another schema under the
//! same URL, or a copy from yesterday, a run would delete all rows that this source lacks, and a comparison would be
//! meaningless.
//!
//! New indexes, columns and tables do not count as a change, nor does a deleted newest row.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;

use crate::changes::Context;
use crate::error::{Error, Result};
use crate::source::{Server, Source, column_type};
use crate::target::bookkeeping::source_identity::{self, SourceIdentity};
use crate::target::bookkeeping::state::{self, States};
use crate::target::bookkeeping::time;

/// A source clock that steps back by no more than this is a correction, not a restored backup.
const CLOCK_CORRECTION_SECONDS: i64 = 5;

/// Data types of the columns that are read, by `table.column`.
pub type SourceColumns = BTreeMap<String, String>;

/// The current identity of the source.
pub(crate) fn current(context: &Context<'_>) -> SourceIdentity {
    identity_of(&context.databases.source.server, context.source_columns)
}

fn identity_of(server: &Server, columns: &SourceColumns) -> SourceIdentity {
    SourceIdentity {
        server: server.id.clone(),
        schema: server.schema.clone(),
        // A changed length or precision does not make it another source.
        columns: columns
            .iter()
            .map(|(column, full_type)| (column.clone(), column_type::data_type(full_type).to_owned()))
            .collect(),
    }
}

/// Compares the source with the identity stored in the target.
///
/// # Errors
/// `SourceChanged` with all differences.
pub async fn check(source: &Source, columns: &SourceColumns, target: &impl ConnectionTrait) -> Result<()> {
    match evidence(source, columns, target).await? {
        evidence if evidence.is_empty() => Ok(()),
        evidence => Err(Error::SourceChanged { evidence }),
    }
}

/// Evidence that this is not the source that the target was loaded from; empty if it is the same, or if nothing was
/// loaded yet.
pub(crate) async fn evidence(
    source: &Source,
    columns: &SourceColumns,
    target: &impl ConnectionTrait,
) -> Result<Vec<String>> {
    let then = source_identity::load(target).await?;
    let states = state::load(target).await?;
    let clock = source.clock().await?;
    Ok(evidence_of(source, columns, clock, then.as_ref(), &states))
}

/// Like `evidence`, from values that were read before.
pub fn evidence_of(
    source: &Source,
    columns: &SourceColumns,
    clock: DateTime<Utc>,
    then: Option<&SourceIdentity>,
    states: &States,
) -> Vec<String> {
    let now = identity_of(&source.server, columns);
    let synced = states.iter().filter_map(|(_, state)| state.lifecycle.last_synced());
    differences(then, &now, synced.max(), clock)
}

fn differences(
    then: Option<&SourceIdentity>,
    now: &SourceIdentity,
    last_synced: Option<DateTime<Utc>>,
    clock: DateTime<Utc>,
) -> Vec<String> {
    let mut evidence = Vec::new();
    if let Some(then) = then {
        let mut compare = |what: &str, then: &str, now: &str| {
            if then != now {
                evidence.push(format!("the {what} was {then} and is {now}"));
            }
        };
        compare("server", &then.server, &now.server);
        compare("schema", &then.schema, &now.schema);
        for (column, data_type) in &then.columns {
            if let Some(found) = now.columns.get(column) {
                compare(&format!("column {column}"), data_type, found);
            }
        }
    }
    let correction = TimeDelta::seconds(CLOCK_CORRECTION_SECONDS);
    if let Some(last_synced) = last_synced.filter(|last_synced| clock + correction < *last_synced) {
        evidence.push(format!(
            "the source clock is {}, before the last run at {}",
            time::text(clock),
            time::text(last_synced)
        ));
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(server: &str, schema: &str, column: (&str, &str)) -> SourceIdentity {
        SourceIdentity {
            server: server.to_owned(),
            schema: schema.to_owned(),
            columns: BTreeMap::from([(column.0.to_owned(), column.1.to_owned())]),
        }
    }

    #[test]
    fn server_schema_types_and_a_clock_that_went_back_are_evidence() {
        let then = source("a", "library", ("book.length", "smallint"));
        let noon = DateTime::UNIX_EPOCH + TimeDelta::hours(12);
        let evidence = |now: &SourceIdentity, clock| differences(Some(&then), now, Some(noon), clock).len();
        assert_eq!(evidence(&then, noon), 0);
        // A column that is no longer read, or read for the first time, does not count as evidence.
        assert_eq!(evidence(&source("a", "library", ("book.title", "varchar")), noon), 0);
        assert_eq!(evidence(&source("b", "library", ("book.length", "smallint")), noon), 1);
        assert_eq!(evidence(&source("b", "other", ("book.length", "int")), noon), 3);
        assert_eq!(evidence(&then, noon - TimeDelta::seconds(5)), 0);
        assert_eq!(evidence(&then, noon - TimeDelta::seconds(6)), 1);
        assert!(differences(None, &then, None, noon).is_empty());
    }
}
