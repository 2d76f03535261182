//! Who is alive: workers come, go, and are rescued.

use deadpool_postgres::Object;
use tokio_postgres::Client;

use crate::db::DbError;
use crate::model::message::Priority;

/// Registers a worker whose session holds the advisory lock `worker_id`.
///
/// # Errors
///
/// When the call failed.
pub async fn register_worker(
    client: &Client,
    worker_id: i64,
    host: &str,
    priorities: &[Priority],
) -> Result<(), DbError> {
    let numbers: Vec<i16> = priorities.iter().map(|p| p.number()).collect();
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    client
        .execute(
            "select postroad.register_worker($1, $2, $3, $4, $5)",
            &[
                &worker_id,
                &host,
                &pid,
                &env!("CARGO_PKG_VERSION"),
                &numbers,
            ],
        )
        .await?;
    Ok(())
}

/// Says that a worker is alive; false when it was taken for dead.
///
/// # Errors
///
/// When the call failed.
pub async fn heartbeat(client: &Client, worker_id: i64) -> Result<bool, DbError> {
    Ok(client
        .query_one("select postroad.heartbeat($1)", &[&worker_id])
        .await?
        .try_get(0)?)
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

/// Workers that look dead now.
///
/// # Errors
///
/// When the call failed.
pub async fn dead_workers(client: &Object) -> Result<Vec<i64>, DbError> {
    let rows = client
        .query("select * from postroad.dead_workers()", &[])
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Takes a dead worker's leases; how many messages they had.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn rescue(client: &Object, worker_id: i64) -> Result<i32, DbError> {
    Ok(client
        .query_one("select postroad.rescue($1)", &[&worker_id])
        .await?
        .try_get(0)?)
}
