//! One function per SQL function that Rust calls.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::DbError;
use super::types::JsonText;
use crate::model::event::EventType;
use crate::model::health::{Calls, Change, Shared};
use crate::model::message::{Channel, Priority};

/// A row of `claim`.
#[derive(Debug)]
pub struct ClaimedRow {
    /// Its id.
    pub message_id: Uuid,
    /// Attempts made so far.
    pub attempts_made: i16,
    /// Absent: send it.
    pub verdict: Option<String>,
    /// The pause that parks it.
    pub pause_id: Option<i64>,
    /// The names as the record has them; absent when the record is gone.
    pub channel: Option<String>,
    /// See `channel`.
    pub message_type: Option<String>,
    /// See `channel`.
    pub recipient: Option<String>,
    /// Shared content, to be fetched.
    pub content_id: Option<Uuid>,
    /// The tenant.
    pub tenant_id: Option<i64>,
    /// The caller's choice.
    pub ip_pool: Option<String>,
    /// The caller's choice.
    pub gateway: Option<String>,
    /// Its own content, where it has one.
    pub content: Content,
}

/// The content of a message or of a bulk send, as stored.
#[derive(Debug, Default)]
pub struct Content {
    /// Subject.
    pub subject: Option<String>,
    /// Plain text.
    pub body: Option<String>,
    /// HTML.
    pub html: Option<String>,
    /// JSON.
    pub data: Option<JsonText>,
    /// JSON.
    pub options: Option<JsonText>,
}

impl Content {
    fn from_row(row: &Row, first: usize) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            subject: row.try_get(first)?,
            body: row.try_get(first + 1)?,
            html: row.try_get(first + 2)?,
            data: row.try_get(first + 3)?,
            options: row.try_get(first + 4)?,
        })
    }

    /// Bytes that it holds.
    pub fn size_bytes(&self) -> usize {
        let text = [&self.subject, &self.body, &self.html];
        let json = [&self.data, &self.options];
        text.iter()
            .map(|t| t.as_ref().map_or(0, String::len))
            .sum::<usize>()
            + json
                .iter()
                .map(|j| j.as_ref().map_or(0, |j| j.0.len()))
                .sum::<usize>()
    }
}

/// Claims up to `max_count` messages under `lease_id`, which the caller made.
///
/// # Errors
///
/// On any, call [`release`]: the claim may have been committed. SQLSTATE `PR010`: the worker must register anew.
pub async fn claim(
    client: &Object,
    priority: Priority,
    lease_id: Uuid,
    worker_id: i64,
    max_count: i32,
    max_kb: i32,
) -> Result<Vec<ClaimedRow>, DbError> {
    let statement = client
        .prepare_cached(
            "select message_id, attempt, verdict, pause_id, channel, message_type, recipient, content_id, tenant_id, \
             ip_pool, gateway, subject, body, html, data, options from postroad.claim($1, $2, $3, $4, $5)",
        )
        .await?;
    let rows = client
        .query(
            &statement,
            &[
                &priority.number(),
                &lease_id,
                &worker_id,
                &max_count,
                &max_kb,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ClaimedRow {
                message_id: row.try_get(0)?,
                attempts_made: row.try_get(1)?,
                verdict: row.try_get(2)?,
                pause_id: row.try_get(3)?,
                channel: row.try_get(4)?,
                message_type: row.try_get(5)?,
                recipient: row.try_get(6)?,
                content_id: row.try_get(7)?,
                tenant_id: row.try_get(8)?,
                ip_pool: row.try_get(9)?,
                gateway: row.try_get(10)?,
                content: Content::from_row(row, 11)?,
            })
        })
        .collect()
}

/// Shared contents by id; one that is gone has none.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn fetch_contents(
    client: &Object,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, Content)>, DbError> {
    let statement = client
        .prepare_cached("select content_id, subject, body, html, data, options from postroad.fetch_contents($1)")
        .await?;
    let rows = client.query(&statement, &[&ids]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, Content::from_row(row, 1)?)))
        .collect()
}

/// What became of one claimed message.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The lease under which it was claimed.
    pub lease_id: Uuid,
    /// Its id.
    pub message_id: Uuid,
    /// The event that records it.
    pub event_type: EventType,
    /// The attempt that ended, from 1.
    pub attempt: i16,
    /// The gateway that had it last.
    pub gateway: Option<String>,
    /// The provider's id.
    pub external_id: Option<String>,
    /// Why it was not sent.
    pub reason: Option<&'static str>,
    /// The provider's own code and words.
    pub detail: Option<JsonText>,
    /// Another attempt after so long.
    pub retry_after: Option<Duration>,
    /// Whether this attempt counts.
    pub counted: bool,
    /// Parked until this pause is resumed.
    pub pause_id: Option<i64>,
}

impl Outcome {
    /// An outcome with nothing but its event.
    pub const fn new(
        lease_id: Uuid,
        message_id: Uuid,
        event_type: EventType,
        attempt: i16,
    ) -> Self {
        Self {
            lease_id,
            message_id,
            event_type,
            attempt,
            gateway: None,
            external_id: None,
            reason: None,
            detail: None,
            retry_after: None,
            counted: true,
            pause_id: None,
        }
    }
}

/// Records outcomes, and ends the leases in `finished`.
///
/// # Errors
///
/// When the call failed; call it again with the same outcomes, as often as it takes.
pub async fn complete(
    client: &Object,
    outcomes: &[Outcome],
    finished: &[Uuid],
) -> Result<(), DbError> {
    /// A column; empty when it is null throughout, which spares Postgres the work.
    fn column<'a, T>(
        outcomes: &'a [Outcome],
        value: impl Fn(&'a Outcome) -> Option<T>,
    ) -> Vec<Option<T>> {
        if outcomes.iter().any(|outcome| value(outcome).is_some()) {
            outcomes.iter().map(value).collect()
        } else {
            Vec::new()
        }
    }
    let statement = client
        .prepare_cached(
            "select postroad.complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .await?;
    let lease_ids: Vec<Uuid> = outcomes.iter().map(|o| o.lease_id).collect();
    let message_ids: Vec<Uuid> = outcomes.iter().map(|o| o.message_id).collect();
    let event_types: Vec<&str> = outcomes.iter().map(|o| o.event_type.as_str()).collect();
    let attempts: Vec<i16> = outcomes.iter().map(|o| o.attempt).collect();
    let gateways = column(outcomes, |o| o.gateway.as_deref());
    let external_ids = column(outcomes, |o| o.external_id.as_deref());
    let reasons = column(outcomes, |o| o.reason);
    let details = column(outcomes, |o| o.detail.as_ref());
    let retry_seconds = column(outcomes, |o| o.retry_after.map(|delay| delay.as_secs_f64()));
    let counted: Vec<bool> = if retry_seconds.is_empty() {
        Vec::new()
    } else {
        outcomes.iter().map(|o| o.counted).collect()
    };
    let pause_ids = column(outcomes, |o| o.pause_id);
    client
        .execute(
            &statement,
            &[
                &lease_ids,
                &message_ids,
                &event_types,
                &attempts,
                &gateways,
                &external_ids,
                &reasons,
                &details,
                &retry_seconds,
                &counted,
                &pause_ids,
                &finished,
            ],
        )
        .await?;
    Ok(())
}

/// Records that messages with `on_unknown` hold are about to be sent.
///
/// # Errors
///
/// When the call failed: none of them may be sent. It may be called again.
pub async fn intend(
    client: &Object,
    lease_ids: &[Uuid],
    message_ids: &[Uuid],
) -> Result<(), DbError> {
    let statement = client
        .prepare_cached("select postroad.intend($1, $2)")
        .await?;
    client
        .execute(&statement, &[&lease_ids, &message_ids])
        .await?;
    Ok(())
}

/// Gives back the messages of a lease that have no event of it, uncounted; how many.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn release(client: &Object, lease_id: Uuid) -> Result<i32, DbError> {
    let statement = client.prepare_cached("select postroad.release($1)").await?;
    Ok(client
        .query_one(&statement, &[&lease_id])
        .await?
        .try_get(0)?)
}

/// Gives back messages that were not sent, uncounted, each with its lease, whose rest stays; how many.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn hand_back(
    client: &Object,
    lease_ids: &[Uuid],
    message_ids: &[Uuid],
) -> Result<i32, DbError> {
    let statement = client
        .prepare_cached("select postroad.hand_back($1, $2)")
        .await?;
    Ok(client
        .query_one(&statement, &[&lease_ids, &message_ids])
        .await?
        .try_get(0)?)
}

/// Whether a pool may claim, as far as P1's depth goes.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn gate_is_open(
    client: &Object,
    priority: Priority,
    p1_gate: i64,
) -> Result<bool, DbError> {
    let statement = client
        .prepare_cached("select postroad.gate_is_open($1, $2)")
        .await?;
    Ok(client
        .query_one(&statement, &[&priority.number(), &p1_gate])
        .await?
        .try_get(0)?)
}

/// What all nodes know of gateways.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn routing_state(client: &Object) -> Result<Vec<Shared>, DbError> {
    let statement = client
        .prepare_cached(
            "select gateway, is_paused, is_open, open_ms, weight from postroad.routing_state()",
        )
        .await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Shared {
                gateway: row.try_get(0)?,
                is_paused: row.try_get(1)?,
                is_open: row.try_get(2)?,
                open_for: Duration::from_millis(
                    row.try_get::<_, Option<i64>>(3)?
                        .unwrap_or(0)
                        .unsigned_abs(),
                ),
                weight: row.try_get::<_, Option<i32>>(4)?.map(i32::unsigned_abs),
            })
        })
        .collect()
}

/// Tells all nodes of a breaker's change.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn report_breaker(
    client: &Object,
    gateway: &str,
    change: Change,
    worker_id: Option<i64>,
) -> Result<(), DbError> {
    let (is_open, cause, open_ms) = match change {
        Change::Opened(cause, open_for) => (
            true,
            Some(cause.as_str()),
            i64::try_from(open_for.as_millis()).unwrap_or(i64::MAX),
        ),
        Change::Closed => (false, None, 0),
    };
    let statement = client
        .prepare_cached("select postroad.report_breaker($1, $2, $3, $4, $5)")
        .await?;
    client
        .execute(
            &statement,
            &[&gateway, &is_open, &cause, &open_ms, &worker_id],
        )
        .await?;
    Ok(())
}

/// Whether this node is the one to probe a gateway.
///
/// # Errors
///
/// When the call failed.
pub async fn take_probe(client: &Object, gateway: &str) -> Result<bool, DbError> {
    let statement = client
        .prepare_cached("select postroad.take_probe($1)")
        .await?;
    Ok(client
        .query_one(&statement, &[&gateway])
        .await?
        .try_get(0)?)
}

/// Adds the calls of the last seconds to the figures.
///
/// # Errors
///
/// When the call failed: called again, it might count twice.
pub async fn add_gateway_calls(
    client: &Object,
    counted: &[(String, Channel, Calls)],
) -> Result<(), DbError> {
    let gateways: Vec<&str> = counted
        .iter()
        .map(|(gateway, _, _)| gateway.as_str())
        .collect();
    let channels: Vec<&str> = counted
        .iter()
        .map(|(_, channel, _)| channel.as_str())
        .collect();
    let sent: Vec<i64> = counted.iter().map(|(_, _, calls)| calls.sent).collect();
    let failed: Vec<i64> = counted.iter().map(|(_, _, calls)| calls.failed).collect();
    let latencies = serde_json::json!(
        counted
            .iter()
            .map(|(_, _, calls)| calls.latencies)
            .collect::<Vec<_>>()
    );
    let reasons: Vec<Option<&str>> = counted.iter().map(|(_, _, calls)| calls.reason).collect();
    let statement = client
        .prepare_cached("select postroad.add_gateway_calls($1, $2, $3, $4, $5, $6)")
        .await?;
    client
        .execute(
            &statement,
            &[&gateways, &channels, &sent, &failed, &latencies, &reasons],
        )
        .await?;
    Ok(())
}

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

/// What a worker knows of its gateways.
#[derive(Clone, Debug, Default)]
pub struct Announced {
    /// Each channel's gateways, first choice first.
    pub gateways: Vec<(Channel, Vec<String>)>,
    /// What else decides, as `register_routing` takes it: routes by message type, IP pools, prices.
    pub rules: serde_json::Value,
}

/// Tells which gateways serve which channels, and by what they are chosen.
///
/// # Errors
///
/// When the call failed.
pub async fn register_gateways(client: &Client, announced: &Announced) -> Result<(), DbError> {
    let (mut names, mut channels, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for (channel, of_channel) in &announced.gateways {
        for (position, name) in (1_i16..).zip(of_channel) {
            names.push(name.as_str());
            channels.push(channel.as_str());
            positions.push(position);
        }
    }
    client
        .execute(
            "select postroad.register_gateways($1, $2, $3)",
            &[&names, &channels, &positions],
        )
        .await?;
    client
        .execute("select postroad.register_routing($1)", &[&announced.rules])
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
