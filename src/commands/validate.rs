//! `validate`: counts, totals and integrity of both sides over a period.

use super::Session;
use crate::cli::{DEFAULT_DAYS, Validate};
use crate::config::target_path;
use crate::engine::runs::Context;
use crate::engine::runs::validate::{self, Asked};
use crate::engine::runs::verify::Measure;
use crate::engine::target_db::{ForeignKeys, Target};
use crate::error::{EXIT_DIFFERENCES, Error, Result};
use crate::output::human;
use crate::{metrics, sakila};

pub async fn run(session: &Session, arguments: &Validate) -> Result<u8> {
    let asked = match (arguments.all, arguments.from.zip(arguments.to)) {
        (true, _) => Asked::All,
        (false, Some((from, to))) if from > to => {
            return Err(Error::setting(
                "--from lies after --to",
                "give the earlier day with --from; both days belong to the period",
            ));
        }
        (false, Some((from, to))) => Asked::Between(from, to),
        (false, None) => Asked::Days(arguments.days.unwrap_or(DEFAULT_DAYS)),
    };
    let path = target_path(&session.global)?;
    let source = session.connect().await?;
    let target = Target::open(&path, ForeignKeys::Enforced, 1).await?;
    let context = Context {
        star: sakila::star(),
        source: &source,
        target: &target,
        workers: session.workers(),
        batch_size: session.global.batch_size,
        progress: session.progress.clone(),
        stop: session.stop.clone(),
    };
    let result = validate::run(&context, asked, arguments.tolerance).await;
    let closed = target.close().await;
    let validation = result?;
    closed?;
    for figure in validate::deltas(&validation) {
        let measure = match figure.measure {
            Measure::Rows => "rows",
            Measure::Cents => "cents",
        };
        metrics::validation_delta(figure.table, measure, figure.store_id, figure.delta());
    }
    let seconds = session.seconds();
    let text = human::validation(&validation, seconds);
    session.output.result("validate", seconds, &validation, &text);
    Ok(if validation.equal { 0 } else { EXIT_DIFFERENCES })
}
