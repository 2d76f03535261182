//! Events that come from outside.

use deadpool_postgres::Object;

use super::DbError;
use super::types::JsonText;

/// Records events of `gateway`: an array in JSON, as `postroad.record_events` has it. Returns how many were new.
///
/// # Errors
///
/// The database does not answer, or refuses. Then it is not known whether they are recorded; call again.
pub async fn record_events(
    client: &Object,
    gateway: &str,
    events: &JsonText,
) -> Result<i32, DbError> {
    let statement = client
        .prepare_cached("select postroad.record_events($1, $2)")
        .await?;
    let row = client.query_one(&statement, &[&gateway, events]).await?;
    Ok(row.try_get(0)?)
}
