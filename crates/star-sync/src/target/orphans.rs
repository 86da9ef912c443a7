//! Deletes rows of bridges whose dimension row another program has deleted. A bridge is read in pages through its
//! dimension, so these rows are in no page, and no comparison finds them.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use tracing::warn;

use crate::declare::partition::Partition;
use crate::declare::star::Star;
use crate::declare::table::TargetPageKey;
use crate::error::{Doing, Result};
use crate::target::bookkeeping::changed_partitions;

/// Deletes these rows. Those that the source has are then inserted again like any missing row. Returns the number of
/// deleted rows by table.
pub(crate) async fn delete<C: ConnectionTrait>(
    star: &'static Star,
    connection: &C,
    run_id: i64,
) -> Result<Vec<(&'static str, u64)>> {
    let mut orphans = Vec::new();
    for table in star.tables() {
        let TargetPageKey::Through {
            dimension,
            surrogate_key,
            ..
        } = table.target_page_key
        else {
            continue;
        };
        let parents = Query::select().column(surrogate_key).from(dimension).to_owned();
        let delete = Query::delete()
            .from_table(table.name)
            .and_where(Expr::col(surrogate_key).not_in_subquery(parents))
            .to_owned();
        let deleted = connection.execute(&delete).await;
        let deleted = deleted.target(|| format!("deleting rows of {} without a parent", table.name))?;
        let rows = deleted.rows_affected();
        if rows > 0 {
            warn!(
                table = table.name,
                rows, "deleting rows whose parent another program deleted"
            );
            changed_partitions::note(connection, table.name, Partition::WHOLE, run_id).await?;
            orphans.push((table.name, rows));
        }
    }
    Ok(orphans)
}
