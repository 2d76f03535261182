//! The functions by which events are counted, announced and posted.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use deadpool_postgres::Object;
use tokio_postgres::Client;

use super::DbError;
use crate::model::secret::Secret;

/// Counts the next events; how many.
///
/// # Errors
///
/// When the call failed: nothing was counted, and it may be called again.
pub async fn count(client: &Object) -> Result<i64, DbError> {
    let statement = client
        .prepare_cached("select postroad.count_events()")
        .await?;
    Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
}

/// Notifies listeners of events since a snapshot; returns the next one.
///
/// # Errors
///
/// When the call failed; it may be called again with the same snapshot.
pub async fn notice(client: &Object, since: Option<&str>) -> Result<String, DbError> {
    let statement = client
        .prepare_cached("select postroad.notice_events($1)")
        .await?;
    Ok(client.query_one(&statement, &[&since]).await?.try_get(0)?)
}

/// Brings the indexes of events up to date; the pages that fill slowly too with `old_days`, gaps too with `all`.
///
/// # Errors
///
/// When the call failed: `55P03` when a table was in use.
pub async fn summarize(client: &Object, old_days: bool, all: bool) -> Result<i32, DbError> {
    let statement = client
        .prepare_cached("select postroad.summarize_events($1, $2)")
        .await?;
    let row = client.query_one(&statement, &[&old_days, &all]).await?;
    Ok(row.try_get(0)?)
}

/// Forgets what is older than `retention` beside the partitions; how much.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn purge(client: &Client, retention: Duration) -> Result<i32, DbError> {
    let row = client
        .query_one(
            "select postroad.purge_events(make_interval(secs => $1))",
            &[&retention.as_secs_f64()],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Puts the next events into the outbox of endpoints; how many it read.
///
/// # Errors
///
/// When the call failed: nothing was read, and it may be called again.
pub async fn dispatch(client: &Object) -> Result<i32, DbError> {
    let statement = client
        .prepare_cached("select postroad.dispatch_events()")
        .await?;
    Ok(client.query_one(&statement, &[]).await?.try_get(0)?)
}

/// One event on its way to an endpoint.
pub struct Delivery {
    /// Its id here.
    pub delivery_id: i64,
    /// Whose it is.
    pub endpoint_id: i64,
    /// Where it is posted.
    pub url: String,
    /// What signs, the current one first.
    pub secrets: Vec<Secret>,
    /// The same at every attempt.
    pub webhook_id: String,
    /// What is posted, byte for byte.
    pub payload: String,
    /// Attempts made so far.
    pub attempts: i16,
    /// From when on what is due next to its endpoint is looked for.
    pub reached: SystemTime,
}

/// Takes deliveries that are due, at most `max_each` of an endpoint less its `busy` ones; they are due again after `hold`.
/// Of the endpoints in `after` it looks from what their last one [`reached`](Delivery::reached).
///
/// # Errors
///
/// When the call failed; what it may have taken is due again after `hold`.
pub async fn claim(
    client: &Object,
    max_each: i32,
    busy: &[i64],
    hold: Duration,
    after: &BTreeMap<i64, SystemTime>,
) -> Result<Vec<Delivery>, DbError> {
    let statement = client
        .prepare_cached(
            "select delivery_id, endpoint_id, url, secrets, webhook_id, payload, attempts, reached \
             from postroad.claim_webhooks($1, $2, make_interval(secs => $3), $4, $5)",
        )
        .await?;
    let (known, after): (Vec<i64>, Vec<SystemTime>) = after.iter().unzip();
    let rows = client
        .query(
            &statement,
            &[&max_each, &busy, &hold.as_secs_f64(), &known, &after],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let secrets: Vec<String> = row.try_get(3)?;
            Ok(Delivery {
                delivery_id: row.try_get(0)?,
                endpoint_id: row.try_get(1)?,
                url: row.try_get(2)?,
                secrets: secrets.iter().map(|s| s.as_str().into()).collect(),
                webhook_id: row.try_get(4)?,
                payload: row.try_get(5)?,
                attempts: row.try_get(6)?,
                reached: row.try_get(7)?,
            })
        })
        .collect()
}

/// Records an attempt: `status` of the answer, `error` unless it succeeded, when it is tried again.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn complete(
    client: &Object,
    delivery_id: i64,
    status: Option<i32>,
    error: Option<&str>,
    retry_after: Option<Duration>,
    disable_after: Duration,
) -> Result<(), DbError> {
    let statement = client
        .prepare_cached(
            "select postroad.complete_webhook($1, $2, $3, $4, make_interval(secs => $5))",
        )
        .await?;
    let retry = retry_after.map(|delay| delay.as_secs_f64());
    let disable = disable_after.as_secs_f64();
    client
        .execute(
            &statement,
            &[&delivery_id, &status, &error, &retry, &disable],
        )
        .await?;
    Ok(())
}
