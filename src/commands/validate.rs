//! `validate`: counts, totals and integrity of both sides over a period.

use super::{AGAIN, Session};
use crate::cli::{DEFAULT_DAYS, Validate};
use crate::config::target_path;
use crate::engine::runs::figures::Measure;
use crate::engine::runs::validate::{self, Asked, Request, Validation};
use crate::engine::source_db::check;
use crate::engine::target_db::history::Status;
use crate::engine::target_db::open_to_read;
use crate::error::{Code, Doing, EXIT_DIFFERENCES, Error, Result};
use crate::output;
use crate::{metrics, sakila};

pub async fn run(session: &Session, arguments: &Validate) -> Result<u8> {
    let compared = session.persistently(async |attempt| {
        let compared = attempt.watched("validate", compare(attempt, arguments), Validation::status);
        attempt.unless_stopped(AGAIN, compared).await
    });
    let validation = compared.await?;
    let seconds = session.seconds();
    let text = output::validation::text(&validation, seconds);
    session.output.result("validate", seconds, &validation, &text)?;
    Ok(if validation.equal { 0 } else { EXIT_DIFFERENCES })
}

/// One of many: only what differs is printed.
pub async fn repeated(session: &Session, arguments: &Validate) -> Result<Status> {
    let compared = session.unless_stopped(AGAIN, compare(session, arguments));
    let validation = session.watched("validate", compared, Validation::status).await?;
    let seconds = session.seconds();
    let text = output::validation::line(&validation, seconds);
    session.output.result("validate", seconds, &validation, &text)?;
    Ok(validation.status())
}

async fn compare(session: &Session, arguments: &Validate) -> Result<Validation> {
    let asked = match (arguments.all, arguments.from.zip(arguments.to)) {
        (true, _) => Asked::All,
        (false, Some((from, to))) if from > to => {
            return Err(Error::setting(
                Code::PeriodInvalid,
                "--from lies after --to",
                "give the earlier day with --from; both days belong to the period",
            ));
        }
        (false, Some((from, to))) => Asked::Between(from, to),
        (false, None) => match arguments.from {
            Some(from) => Asked::Since(from),
            None => Asked::Days(arguments.days.unwrap_or(DEFAULT_DAYS)),
        },
    };
    let path = target_path(&session.global)?;
    let source = if arguments.deep {
        session.connect_readers().await?
    } else {
        session.connect(1).await?
    };
    check::columns(&source, sakila::star()).await?;
    let target = open_to_read(&path, session.global.workers + 1).await?;
    let validation = validate::run(Request {
        look: session.look(&source, target.clone()),
        asked,
        tolerance: arguments.tolerance,
        deep: arguments.deep.then_some(arguments.limit),
    })
    .await?;
    target.close().await.target(|| "closing the file".to_owned())?;
    for figure in validate::deltas(&validation) {
        let measure = match figure.measure {
            Measure::Rows => "rows",
            Measure::Cents => "cents",
        };
        metrics::validation_delta(figure.table, measure, figure.store_id, figure.delta());
    }
    Ok(validation)
}
