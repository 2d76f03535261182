//! What a pool calls: messages are claimed, and come to an end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::DbError;
use crate::db::types::JsonText;
use crate::model::event::EventType;
use crate::model::message::{Channel, MessageType, Priority};

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
    /// What it is counted by.
    pub category: Arc<Category>,
    /// Absent when the record is gone.
    pub recipient: Option<String>,
    /// Shared content, to be fetched.
    pub content_id: Option<Uuid>,
    /// The caller's choice.
    pub ip_pool: Option<String>,
    /// The caller's choice.
    pub gateway: Option<String>,
    /// Its own content, where it has one.
    pub content: Content,
}

/// What events of a message are counted by, beside their type and gateway: as its record says, and nothing when that is gone.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Category {
    /// The channel.
    pub channel: Option<Channel>,
    /// The type.
    pub message_type: Option<MessageType>,
    /// The source, as the caller named it.
    pub source_type: Option<String>,
    /// The tenant.
    pub tenant_id: Option<i64>,
}

impl Category {
    /// That of a row of `claim`; the one before it when they are the same, as they are throughout a campaign.
    fn of(row: &Row, last: &mut Arc<Self>) -> Result<Arc<Self>, tokio_postgres::Error> {
        let name = |index| row.try_get::<_, Option<&str>>(index);
        let (channel, message_type, source_type) = (name(4)?, name(5)?, name(16)?);
        let (channel, message_type) = (
            channel.and_then(|name| name.parse().ok()),
            message_type.and_then(|name| name.parse().ok()),
        );
        let tenant_id = row.try_get(8)?;
        let is_same = last.channel == channel
            && last.message_type == message_type
            && last.source_type.as_deref() == source_type
            && last.tenant_id == tenant_id;
        if !is_same {
            *last = Arc::new(Self {
                channel,
                message_type,
                source_type: source_type.map(str::to_owned),
                tenant_id,
            });
        }
        Ok(Arc::clone(last))
    }
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
             ip_pool, gateway, subject, body, html, data, options, source_type from postroad.claim($1, $2, $3, $4, $5)",
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
    let mut category = Arc::default();
    rows.iter()
        .map(|row| {
            Ok(ClaimedRow {
                message_id: row.try_get(0)?,
                attempts_made: row.try_get(1)?,
                verdict: row.try_get(2)?,
                pause_id: row.try_get(3)?,
                category: Category::of(row, &mut category)?,
                recipient: row.try_get(6)?,
                content_id: row.try_get(7)?,
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
    /// What it is counted by.
    pub category: Arc<Category>,
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
    pub fn new(
        lease_id: Uuid,
        message_id: Uuid,
        category: Arc<Category>,
        event_type: EventType,
        attempt: i16,
    ) -> Self {
        Self {
            lease_id,
            message_id,
            category,
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

/// How many outcomes are to be counted as the same, as `complete` takes them.
fn tallies(outcomes: &[Outcome]) -> serde_json::Value {
    const DAY: u64 = 86_400;
    let mut counts = HashMap::<_, (Uuid, u32)>::new();
    for outcome in outcomes {
        let made = outcome.message_id.get_timestamp();
        let key = (
            &*outcome.category,
            outcome.event_type,
            outcome.gateway.as_deref(),
            made.map(|at| at.to_unix().0 / DAY),
        );
        counts.entry(key).or_insert((outcome.message_id, 0)).1 += 1;
    }
    let tallies = counts.into_iter().map(
        |((category, event_type, gateway, _), (message_id, events))| {
            serde_json::json!({
                "message_id": message_id,
                "events": events,
                "channel": category.channel.map(Channel::as_str),
                "gateway": gateway,
                "message_type": category.message_type.map(MessageType::as_str),
                "source_type": category.source_type,
                "tenant_id": category.tenant_id,
                "event_type": event_type.as_str(),
            })
        },
    );
    tallies.collect()
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
            "select postroad.complete($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
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
    let tallies = tallies(outcomes);
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
                &tallies,
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
