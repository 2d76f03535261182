//! Who is alive: workers come, go, and are rescued.

use std::time::SystemTime;

use deadpool_postgres::Object;
use tokio_postgres::Client;

use crate::db::DbError;
use crate::model::message::Priority;

/// Registers a worker whose session holds the advisory lock `worker_id`; the database's time.
///
/// # Errors
///
/// When the call failed.
pub async fn register_worker(
    client: &Client,
    worker_id: i64,
    host: &str,
    priorities: &[Priority],
) -> Result<SystemTime, DbError> {
    let numbers: Vec<i16> = priorities.iter().map(|p| p.number()).collect();
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let row = client
        .query_one(
            "select clock_timestamp(), postroad.register_worker($1, $2, $3, $4, $5)",
            &[
                &worker_id,
                &host,
                &pid,
                &env!("CARGO_PKG_VERSION"),
                &numbers,
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Says that a worker is alive; the database's time, or none when it was taken for dead.
///
/// # Errors
///
/// When the call failed.
pub async fn heartbeat(client: &Client, worker_id: i64) -> Result<Option<SystemTime>, DbError> {
    let query = "select case when postroad.heartbeat($1) then clock_timestamp() end";
    Ok(client.query_one(query, &[&worker_id]).await?.try_get(0)?)
}

/// Says that a worker stopped.
///
/// # Errors
///
/// When the call failed.
pub async fn unregister_worker(client: &Client, worker_id: i64) -> Result<(), DbError> {
    client
        .execute("select postroad.unregister_worker($1)", &[&worker_id])
        .await?;
    Ok(())
}

/// What a look at a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenWorker {
    /// The worker.
    pub worker_id: i64,
    /// Its advisory lock is free.
    pub is_gone: bool,
    /// Its last heartbeat, as text of Postgres.
    pub heartbeat_at: Option<String>,
    /// By the database's clock that is too long ago, or has not been yet.
    pub is_silent: bool,
}

/// All workers, as they look now.
///
/// # Errors
///
/// When the call failed.
pub async fn look_at_workers(client: &Object) -> Result<Vec<SeenWorker>, DbError> {
    let query =
        "select worker_id, is_gone, heartbeat_at::text, is_silent from postroad.look_at_workers()";
    let statement = client.prepare_cached(query).await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(SeenWorker {
                worker_id: row.try_get(0)?,
                is_gone: row.try_get(1)?,
                heartbeat_at: row.try_get(2)?,
                is_silent: row.try_get(3)?,
            })
        })
        .collect()
}

/// Takes a dead worker's leases, if its lock is free or its heartbeat is this one still; how many messages they had.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn rescue(
    client: &Object,
    worker_id: i64,
    heartbeat_at: Option<&str>,
) -> Result<i32, DbError> {
    Ok(client
        .query_one(
            "select postroad.rescue($1, $2::text::timestamptz)",
            &[&worker_id, &heartbeat_at],
        )
        .await?
        .try_get(0)?)
}
