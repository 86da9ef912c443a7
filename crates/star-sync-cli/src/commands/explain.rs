//! `explain`: shows the lineage of one row and checks it against the source.

use star_sync::declare::table::Kind;
use star_sync::runs::explain;
use star_sync::source::check;
use star_sync::target::open_to_read;

use super::Session;
use crate::cli::Explain;
use crate::config::target_path;
use crate::error::{Code, Doing, Error, Result, exit_of};
use crate::output::explanation;

pub(crate) async fn run(session: &Session, arguments: &Explain) -> Result<u8> {
    let explained = || session.star().tables().filter(|table| table.kind != Kind::Bridge);
    let Some(table) = explained().find(|table| table.name == arguments.table) else {
        let names: Vec<&str> = explained().map(|table| table.name).collect();
        return Err(Error::setting(
            Code::NameUnknown,
            format!("there is no dimension or fact {}", arguments.table),
            format!("name one of {}", names.join(", ")),
        ));
    };
    let Some(row) = table.row_named(&arguments.key) else {
        return Err(Error::setting(
            Code::Usage,
            format!("{} is not a key of {}", arguments.key, table.name),
            format!(
                "give the values of {}, with commas between several",
                table.natural_key.join(", ")
            ),
        ));
    };
    let path = target_path(&session.global)?;
    let source = session.connect(1).await?;
    let source_columns = check::columns(&source, session.star()).await?;
    let target = open_to_read(&path, session.star(), 2).await?;
    let databases = session.databases(&source, target.clone());
    let explanation = explain::run(&databases, &source_columns, table, &row).await?;
    target.close().await.target(|| "closing the file".to_owned())?;
    let text = explanation::text(session.program.name(), &explanation);
    session
        .output
        .result("explain", session.seconds(), &explanation, &text)?;
    Ok(exit_of(explanation.verdict.code.is_mismatch()))
}
