//! What the webhook server calls: requests are stored, then read.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio_postgres::{Client, GenericClient, Transaction};

use super::DbError;
use super::types::JsonText;

/// A verified request that is to be stored.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its endpoint's name.
    pub gateway: String,
    /// What tells a repeated delivery.
    pub delivery_key: String,
    /// What is good for one delivery.
    pub replay_key: Option<String>,
    /// Its query.
    pub query: Option<String>,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Bytes,
}

/// What became of an [`Arrival`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Stored; it waits to be read.
    Stored {
        /// With others.
        batch_id: i64,
        /// Its own id.
        inbox_id: i64,
        /// By the database's clock.
        received_at: SystemTime,
    },
    /// It was there.
    Duplicate,
    /// Its replay key was used by another one.
    Replayed,
}

/// Stores requests, and says of each what became of it.
///
/// # Errors
///
/// The database does not answer, or refuses. Then it is not known whether they are stored; call again.
pub async fn store_webhooks(client: &Client, arrivals: &[&Arrival]) -> Result<Vec<Kept>, DbError> {
    fn column<'a, T>(arrivals: &[&'a Arrival], of: impl Fn(&'a Arrival) -> T) -> Vec<T> {
        arrivals.iter().map(|arrival| of(arrival)).collect()
    }
    let query = "select verdict, batch_id, inbox_id, received_at from postroad.store_webhooks($1, $2, $3, $4, $5, $6)";
    let rows = client
        .query(
            query,
            &[
                &column(arrivals, |a| a.gateway.as_str()),
                &column(arrivals, |a| a.delivery_key.as_str()),
                &column(arrivals, |a| a.replay_key.as_deref()),
                &column(arrivals, |a| a.query.as_deref()),
                &column(arrivals, |a| a.content_type.as_deref()),
                &column(arrivals, |a| a.body.as_ref()),
            ],
        )
        .await?;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        kept.push(match row.try_get::<_, &str>(0)? {
            "stored" => Kept::Stored {
                batch_id: row.try_get(1)?,
                inbox_id: row.try_get(2)?,
                received_at: row.try_get(3)?,
            },
            "duplicate" => Kept::Duplicate,
            _ => Kept::Replayed,
        });
    }
    Ok(kept)
}

/// A stored request that waits to be read.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its id.
    pub inbox_id: i64,
    /// As stored.
    pub query: Option<String>,
    /// As stored.
    pub content_type: Option<String>,
    /// As stored.
    pub body: Bytes,
    /// When it came.
    pub received_at: SystemTime,
}

/// A batch of them.
#[derive(Debug)]
pub struct WaitingBatch {
    /// Its id.
    pub batch_id: i64,
    /// The endpoint's name.
    pub gateway: String,
    /// Its requests.
    pub requests: Vec<Waiting>,
}

/// Takes the oldest batch of these endpoints that waits for at least `min_age`, locked until the transaction ends.
///
/// # Errors
///
/// The database does not answer, or refuses.
pub async fn take_webhooks(
    transaction: &Transaction<'_>,
    gateways: &[&str],
    min_age: Duration,
) -> Result<Option<WaitingBatch>, DbError> {
    let query = "select batch_id, gateway, inbox_id, query, content_type, body, received_at \
                 from postroad.take_webhooks($1, make_interval(secs => $2))";
    let rows = transaction
        .query(query, &[&gateways, &min_age.as_secs_f64()])
        .await?;
    let mut batch: Option<WaitingBatch> = None;
    for row in rows {
        let taken = match &mut batch {
            Some(taken) => taken,
            None => batch.insert(WaitingBatch {
                batch_id: row.try_get(0)?,
                gateway: row.try_get(1)?,
                requests: Vec::new(),
            }),
        };
        taken.requests.push(Waiting {
            inbox_id: row.try_get(2)?,
            query: row.try_get(3)?,
            content_type: row.try_get(4)?,
            body: row.try_get::<_, Vec<u8>>(5)?.into(),
            received_at: row.try_get(6)?,
        });
    }
    Ok(batch)
}

/// Records the events of batches of one endpoint (a JSON array), and of their requests that could not be read the
/// reason; ends the batches. False when others ended them before: then nothing is recorded.
///
/// # Errors
///
/// The database does not answer, or an event cannot be recorded.
pub async fn finish_webhooks(
    client: &impl GenericClient,
    gateway: &str,
    batch_ids: &[i64],
    events: String,
    unread: &[(i64, String)],
) -> Result<bool, DbError> {
    let (ids, why): (Vec<i64>, Vec<&str>) =
        unread.iter().map(|(id, why)| (*id, why.as_str())).unzip();
    let query = "select postroad.finish_webhooks($1, $2, $3, $4, $5)";
    let events = JsonText(events);
    let row = client
        .query_one(query, &[&gateway, &batch_ids, &events, &ids, &why])
        .await?;
    Ok(row.try_get(0)?)
}

/// Makes each request of these batches one of its own.
///
/// # Errors
///
/// The database does not answer, or refuses.
pub async fn split_webhooks(client: &impl GenericClient, batch_ids: &[i64]) -> Result<(), DbError> {
    let query = "select postroad.split_webhooks($1)";
    client.query_one(query, &[&batch_ids]).await?;
    Ok(())
}

/// Deletes some requests past retention; how many.
///
/// # Errors
///
/// The database does not answer, or refuses.
pub async fn purge_webhooks(client: &Client, retention: Duration) -> Result<i32, DbError> {
    let query = "select postroad.purge_webhooks(make_interval(secs => $1))";
    let row = client.query_one(query, &[&retention.as_secs_f64()]).await?;
    Ok(row.try_get(0)?)
}
