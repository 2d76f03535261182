//! Upkeep: due messages, floors, partitions, what is forgotten, what an operator must look at.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Client;

use crate::db::DbError;
use crate::model::message::Priority;

/// Moves due messages into the queue: how many, and from where to look next (as text of Postgres).
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn promote_due(
    client: &Object,
    priority: Priority,
    after: &str,
    max_count: i32,
) -> Result<(i32, Option<String>), DbError> {
    let statement = client
        .prepare_cached("select promoted, reached::text from postroad.promote_due($1, $2::text::timestamptz, $3)")
        .await?;
    let row = client
        .query_one(&statement, &[&priority.number(), &after, &max_count])
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// What the server's clock says, in seconds since 1970.
///
/// # Errors
///
/// When the call failed.
pub async fn clock(client: &Client) -> Result<f64, DbError> {
    let query = "select extract(epoch from clock_timestamp())::double precision";
    Ok(client.query_one(query, &[]).await?.try_get(0)?)
}

/// The server's clock was put back: moves what waits by the one before it; how much that was.
///
/// # Errors
///
/// When the call failed: what it moved is as it was.
pub async fn follow_clock(client: &Client, back: Duration) -> Result<i32, DbError> {
    let query = "select postroad.follow_clock(make_interval(secs => $1))";
    let seconds = back.as_secs_f64();
    Ok(client.query_one(query, &[&seconds]).await?.try_get(0)?)
}

/// Where the sequences are, and who may still write below that.
#[derive(Clone, Debug)]
pub struct Enqueuers {
    candidates: Vec<i64>,
    enqueuers: Vec<String>,
}

/// First half of advancing the floors.
///
/// # Errors
///
/// When the call failed.
pub async fn note_enqueuers(client: &Client) -> Result<Enqueuers, DbError> {
    let row = client
        .query_one(
            "select candidates, enqueuers from postroad.note_enqueuers()",
            &[],
        )
        .await?;
    Ok(Enqueuers {
        candidates: row.try_get(0)?,
        enqueuers: row.try_get(1)?,
    })
}

/// Second half: false while one of the noted enqueuers is open.
///
/// # Errors
///
/// When the call failed.
pub async fn advance_floors(client: &Client, noted: &Enqueuers) -> Result<bool, DbError> {
    let row = client
        .query_one(
            "select postroad.advance_floors($1, $2)",
            &[&noted.candidates, &noted.enqueuers],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Sets floors and sequences from the rows.
///
/// # Errors
///
/// When the call failed.
pub async fn reset_floors(client: &Client) -> Result<(), DbError> {
    client
        .execute("select postroad.reset_floors()", &[])
        .await?;
    Ok(())
}

/// Makes partitions ahead; how many.
///
/// # Errors
///
/// When the call failed; SQLSTATE `55P03` (a lock was not to be had): call it again.
pub async fn create_partitions(client: &Client, days_ahead: i32) -> Result<i32, DbError> {
    Ok(client
        .query_one("select postroad.create_partitions($1)", &[&days_ahead])
        .await?
        .try_get(0)?)
}

/// Drops the oldest day past retention, if any; how many.
///
/// # Errors
///
/// As [`create_partitions`].
pub async fn drop_partitions(client: &Client, retention: Duration) -> Result<i32, DbError> {
    let seconds = retention.as_secs_f64();
    Ok(client
        .query_one(
            "select postroad.drop_partitions(make_interval(secs => $1))",
            &[&seconds],
        )
        .await?
        .try_get(0)?)
}

/// Forgets idempotency keys past their 7 days; how many.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn purge_idempotency_keys(client: &Client) -> Result<i32, DbError> {
    Ok(client
        .query_one("select postroad.purge_idempotency_keys()", &[])
        .await?
        .try_get(0)?)
}

/// Forgets what reported events left behind and nothing counts any more; how many rows.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn purge_reports(client: &Client) -> Result<i32, DbError> {
    Ok(client
        .query_one("select postroad.purge_reports()", &[])
        .await?
        .try_get(0)?)
}

/// What an operator must look at, a sentence each.
///
/// # Errors
///
/// When the call failed.
pub async fn alarms(client: &Client) -> Result<Vec<String>, DbError> {
    let rows = client.query("select * from postroad.alarms()", &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Sessions that hold an advisory lock of ours and are no workers, a sentence each.
///
/// # Errors
///
/// When the call failed.
pub async fn misheld_keys(client: &Client) -> Result<Vec<String>, DbError> {
    let query = "select * from postroad.misheld_keys()";
    let rows = client.query(query, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Brings the rates and latencies of `channel_health` up to date.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn refresh_channel_health(client: &Client) -> Result<(), DbError> {
    client
        .execute("select postroad.refresh_channel_health()", &[])
        .await?;
    Ok(())
}
