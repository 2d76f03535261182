//! Makes the days ahead, drops those past retention. A lock that is not to be had at once is tried for later.

use std::time::Duration;

use tokio_postgres::Client;

use super::Settings;
use crate::db::{DbError, calls, events, inbox};

/// lock_not_available: somebody uses the table.
const BUSY: &str = "55P03";

/// Tries in one round; each waits 100 ms for its locks at most.
const TRIES: u32 = 5;

pub(super) async fn keep_up(client: &Client, settings: &Settings) -> Result<(), DbError> {
    while let Some(count @ 1..) =
        tried(|| calls::create_partitions(client, settings.partitions_ahead)).await?
    {
        tracing::info!(count, "partitions made");
    }
    while let Some(count @ 1..) =
        tried(|| calls::drop_partitions(client, settings.retention.0)).await?
    {
        tracing::info!(count, "a day past retention dropped");
    }
    while calls::purge_idempotency_keys(client).await? > 0 {}
    while calls::purge_reports(client).await? > 0 {}
    while events::purge(client, settings.retention.0).await? > 0 {}
    while inbox::purge_webhooks(client, settings.webhook_retention.0).await? > 0 {}
    Ok(())
}

/// `None` when the locks were not to be had: the next round tries again.
async fn tried<F: Future<Output = Result<i32, DbError>>>(
    mut call: impl FnMut() -> F,
) -> Result<Option<i32>, DbError> {
    for attempt in 1..=TRIES {
        match call().await {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.code() == Some(BUSY) => {
                tokio::time::sleep(Duration::from_millis(50) * attempt).await;
            }
            Err(error) => return Err(error),
        }
    }
    tracing::info!("partitions are in use; they are kept up in the next round");
    Ok(None)
}
