//! `validate`: compares counts, totals and integrity of source and target over a period.

use star_sync::metrics;
use star_sync::runs::validate::{self, Request, RequestedPeriod, Validation};
use star_sync::source::check;
use star_sync::target::bookkeeping::history::Status;
use star_sync::target::open_to_read;

use super::Session;
use crate::cli::{DEFAULT_DAYS, Validate};
use crate::config::target_path;
use crate::error::{Code, Doing, Error, Result, exit_of};
use crate::output;

pub(crate) async fn run(session: &Session, arguments: &Validate) -> Result<u8> {
    let compared = session.persistently(async |attempt| {
        let compared = attempt.watched("validate", compare(attempt, arguments), Validation::status);
        attempt.unless_stopped(compared).await
    });
    let validation = compared.await?;
    let seconds = session.seconds();
    let text = output::validation::text(session.program.name(), &validation, seconds);
    session.output.result("validate", seconds, &validation, &text)?;
    Ok(exit_of(validation.verdict.is_mismatch()))
}

/// One of many validations: prints only mismatches.
pub(crate) async fn repeated(session: &Session, arguments: &Validate) -> Result<Status> {
    let compared = session.unless_stopped(compare(session, arguments));
    let validation = session.watched("validate", compared, Validation::status).await?;
    let seconds = session.seconds();
    let text = output::validation::line(session.program.name(), &validation);
    session.output.result("validate", seconds, &validation, &text)?;
    Ok(validation.status())
}

async fn compare(session: &Session, arguments: &Validate) -> Result<Validation> {
    let period = match (arguments.all, arguments.from, arguments.to) {
        (true, ..) => RequestedPeriod::All,
        (false, Some(from), Some(to)) if from > to => {
            return Err(Error::setting(
                Code::PeriodInvalid,
                "--from lies after --to",
                "give the earlier day with --from; both days belong to the period",
            ));
        }
        (false, Some(from), Some(to)) => RequestedPeriod::Between(from, to),
        (false, Some(from), None) => RequestedPeriod::Since(from),
        (false, None, _) => RequestedPeriod::Days(arguments.days.unwrap_or(DEFAULT_DAYS)),
    };
    let path = target_path(&session.global)?;
    let source = if arguments.deep {
        session.connect_readers().await?
    } else {
        session.connect(1).await?
    };
    let source_columns = check::columns(&source, session.star()).await?;
    let target = open_to_read(&path, session.star(), session.threads.target_readers).await?;
    let validation = validate::run(Request {
        databases: session.databases(&source, target.clone()),
        source_columns: &source_columns,
        period,
        tolerance: arguments.tolerance,
        deep: arguments.deep.then_some(arguments.limit),
        no_pending: arguments.no_pending,
        accepts_source: arguments.accept_source,
    })
    .await?;
    target.close().await.target(|| "closing the file".to_owned())?;
    session.live.validated(&validation);
    let deltas = validate::deltas(&validation).map(|figure| (figure.labels("validate"), figure.delta()));
    metrics::validation_deltas("validate", deltas, false);
    Ok(validation)
}
