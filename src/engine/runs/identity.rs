//! Whether the source is the one that the star was made from. Another server, another schema under the same URL, a
//! copy from yesterday: a run on it would delete what it has not, so it stops and asks first.
//!
//! New indexes, columns and tables are no change, nor is a newest row that has gone.

use chrono::TimeDelta;

use crate::engine::runs::Context;
use crate::engine::target_db::source_record::{self, SourceRecord};
use crate::engine::target_db::state::{self, States};
use crate::error::{Error, Result};

/// Clocks are set right by so much without anybody having gone back to an older copy.
const CLOCK_CORRECTION_SECONDS: i64 = 5;

/// The source as it is now.
pub fn record(context: &Context<'_>) -> SourceRecord {
    let server = &context.look.source.server;
    SourceRecord {
        server: server.id.clone(),
        schema: server.schema.clone(),
        columns: context.source_columns.clone(),
    }
}

/// Compares the source with what is remembered of it.
///
/// # Errors
/// `SourceChanged` with all that differs.
pub async fn check(context: &Context<'_>, states: &States) -> Result<()> {
    let mut evidence = Vec::new();
    let now = record(context);
    if let Some(then) = source_record::load(&context.target.writer).await? {
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
    let clock = context.look.source.clock().await?;
    let observed = states
        .values()
        .filter_map(|state| state.observed_at.as_deref().and_then(state::parse_time))
        .max();
    if let Some(observed) = observed.filter(|observed| clock + TimeDelta::seconds(CLOCK_CORRECTION_SECONDS) < *observed)
    {
        evidence.push(format!(
            "its clock stands at {}, before the last run at {}",
            state::time_text(clock),
            state::time_text(observed)
        ));
    }
    if evidence.is_empty() {
        Ok(())
    } else {
        Err(Error::SourceChanged { evidence })
    }
}
