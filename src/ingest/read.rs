//! Reads stored requests into events. Those that this process stored come from its memory; those that another one left
//! behind, or that are to be read again, from the inbox.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_postgres::Client;

use super::events;
use super::link::Link;
use crate::db::inbox::{self, Waiting, WaitingBatch};
use crate::db::{Database, DbError};
use crate::gateway::endpoints::Endpoints;
use crate::gateway::source::{self, Unreadable};

/// What is kept in memory to be read, in bytes of bodies; beyond that it is read from the inbox.
const MEMORY: usize = 64 * 1024 * 1024;

/// Batches from memory whose events are recorded together.
const TOGETHER: usize = 16;

/// How often the inbox is looked through, and how old a batch is by then that nobody reads from memory.
const LOOK: Duration = Duration::from_secs(2);
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// How long one round through the inbox may keep what is in memory waiting.
const ROUND: Duration = Duration::from_millis(500);

/// How long the recording of one batch may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the reader what was stored.
pub(super) struct Stored {
    sender: mpsc::UnboundedSender<WaitingBatch>,
    bytes: Arc<AtomicUsize>,
}

/// What is to be read from memory.
pub(super) struct FreshRequests {
    receiver: mpsc::UnboundedReceiver<WaitingBatch>,
    bytes: Arc<AtomicUsize>,
}

pub(super) fn fresh() -> (Stored, FreshRequests) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    let stored = Stored {
        sender,
        bytes: Arc::clone(&bytes),
    };
    (stored, FreshRequests { receiver, bytes })
}

impl Stored {
    /// Hands a batch over, unless too much waits already: the inbox has it.
    pub(super) fn tell(&self, batch: WaitingBatch) {
        let size = size(&batch);
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > MEMORY {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            return;
        }
        let _ = self.sender.send(batch);
    }
}

/// With what is around the bodies.
fn size(batch: &WaitingBatch) -> usize {
    let sizes = batch
        .requests
        .iter()
        .map(|request| request.body.len() + 500);
    sizes.sum()
}

/// Reads until the sender is gone and all is read.
pub(super) async fn run(database: Database, endpoints: Arc<Endpoints>, mut fresh: FreshRequests) {
    let mut reader = Reader {
        link: Link::new(database),
        endpoints,
        min_age: Duration::ZERO, // at the start: what the last process left
    };
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut received = Vec::new();
    loop {
        tokio::select! {
            count = fresh.receiver.recv_many(&mut received, TOGETHER) => {
                if count == 0 {
                    return;
                }
                let bytes: usize = received.iter().map(size).sum();
                reader.read_fresh(received.drain(..)).await;
                fresh.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
            _ = look.tick() => {
                if reader.look().await {
                    look.reset_immediately();
                }
            }
        }
    }
}

struct Reader {
    link: Link,
    endpoints: Arc<Endpoints>,
    min_age: Duration,
}

/// What requests turned out to be.
struct Read {
    /// A JSON array.
    events: String,
    unread: Vec<(i64, String)>,
}

impl Reader {
    /// Reads batches from memory, those of an endpoint together.
    async fn read_fresh(&mut self, batches: impl Iterator<Item = WaitingBatch>) {
        let mut groups: BTreeMap<String, (Vec<i64>, Vec<Waiting>)> = BTreeMap::new();
        for batch in batches {
            let (batch_ids, requests) = groups.entry(batch.gateway).or_default();
            batch_ids.push(batch.batch_id);
            requests.extend(batch.requests);
        }
        for (gateway, (batch_ids, requests)) in groups {
            let count = requests.len();
            let read = read(&self.endpoints, &gateway, requests).await;
            let finished = self.link.with(PATIENCE, async |client| {
                finish(client, &gateway, &batch_ids, read).await
            });
            match finished.await {
                Ok(Finished::Split) => self.min_age = Duration::ZERO,
                Ok(Finished::Whole) => {}
                // They are in the inbox.
                Err(error) => {
                    tracing::warn!(%error, gateway, requests = count, "webhook requests could not be read; they are read later");
                }
            }
        }
    }

    /// Reads what waits in the inbox, for a while. Whether more may be there.
    async fn look(&mut self) -> bool {
        let began = Instant::now();
        loop {
            match self.read_batch().await {
                Ok(true) if began.elapsed() > ROUND => return true,
                Ok(true) => {}
                Ok(false) => {
                    self.min_age = LEFT_BEHIND;
                    return false;
                }
                Err(error) => {
                    tracing::warn!(%error, "the webhook inbox could not be looked through; it is tried again");
                    return false;
                }
            }
        }
    }

    /// Reads one batch of the inbox, if one waits that nobody else has.
    async fn read_batch(&mut self) -> Result<bool, DbError> {
        let (endpoints, min_age) = (Arc::clone(&self.endpoints), self.min_age);
        let read_one = self.link.with(PATIENCE, async move |client| {
            let names: Vec<_> = endpoints.names().collect();
            let transaction = client.transaction().await?;
            let Some(batch) = inbox::take_webhooks(&transaction, &names, min_age).await? else {
                return Ok(None);
            };
            let WaitingBatch {
                batch_id,
                gateway,
                requests,
            } = batch;
            let ids: Vec<_> = requests.iter().map(|request| request.inbox_id).collect();
            let read = read(&endpoints, &gateway, requests).await;
            let done = inbox::finish_webhooks(
                &transaction,
                &gateway,
                &[batch_id],
                read.events,
                &read.unread,
            )
            .await;
            match done {
                Ok(_) => transaction.commit().await?,
                Err(error) if is_of_data(&error) => {
                    transaction.rollback().await?;
                    return give_up(client, &gateway, &[batch_id], &ids, &error)
                        .await
                        .map(Some);
                }
                Err(error) => return Err(error),
            }
            Ok(Some(Finished::Whole))
        });
        let finished = read_one.await?;
        if matches!(finished, Some(Finished::Split)) {
            self.min_age = Duration::ZERO;
        }
        Ok(finished.is_some())
    }
}

enum Finished {
    /// All is recorded, by us or by others.
    Whole,
    /// Each request is a batch of its own now.
    Split,
}

async fn finish(
    client: &Client,
    gateway: &str,
    batch_ids: &[i64],
    read: Read,
) -> Result<Finished, DbError> {
    let done = inbox::finish_webhooks(client, gateway, batch_ids, read.events, &read.unread).await;
    match done {
        Ok(_) => Ok(Finished::Whole),
        // Which of them it was shows when each is recorded alone.
        Err(error) if is_of_data(&error) => {
            inbox::split_webhooks(client, batch_ids).await?;
            Ok(Finished::Split)
        }
        Err(error) => Err(error),
    }
}

/// What is done about events that cannot be recorded: of one request, the reason is noted; several are split.
async fn give_up(
    client: &Client,
    gateway: &str,
    batch_ids: &[i64],
    inbox_ids: &[i64],
    error: &DbError,
) -> Result<Finished, DbError> {
    let [inbox_id] = inbox_ids else {
        inbox::split_webhooks(client, batch_ids).await?;
        return Ok(Finished::Split);
    };
    let code = error.code().unwrap_or_default();
    tracing::warn!(
        gateway,
        inbox_id,
        code,
        "a webhook request's events cannot be recorded; see postroad.webhook_failures"
    );
    let why = format!("its events cannot be recorded: SQLSTATE {code}");
    let unread = [(*inbox_id, why)];
    inbox::finish_webhooks(client, gateway, batch_ids, "[]".into(), &unread).await?;
    Ok(Finished::Whole)
}

/// Reads requests of one endpoint, on a thread where that holds up nobody.
async fn read(endpoints: &Arc<Endpoints>, gateway: &str, requests: Vec<Waiting>) -> Read {
    let ids: Vec<_> = requests.iter().map(|request| request.inbox_id).collect();
    let (endpoints, name) = (Arc::clone(endpoints), gateway.to_owned());
    let reading = tokio::task::spawn_blocking(move || {
        let mut events = String::from("[");
        let mut unread = Vec::new();
        for request in &requests {
            match read_one(&endpoints, &name, request) {
                Ok(reports) => {
                    for report in reports {
                        if events.len() > 1 {
                            events.push(',');
                        }
                        events.push_str(&report);
                    }
                }
                Err(Unreadable(why)) => unread.push((request.inbox_id, why)),
            }
        }
        events.push(']');
        Read { events, unread }
    });
    let read = reading.await.unwrap_or_else(|_| Read {
        events: "[]".into(),
        unread: ids
            .iter()
            .map(|id| (*id, "the reader failed".into()))
            .collect(),
    });
    for (inbox_id, why) in &read.unread {
        tracing::warn!(
            gateway,
            inbox_id,
            why,
            "a webhook request cannot be read; see postroad.webhook_failures"
        );
    }
    read
}

/// The events of one request, each as JSON.
fn read_one(
    endpoints: &Endpoints,
    gateway: &str,
    request: &Waiting,
) -> Result<Vec<String>, Unreadable> {
    let Some((_, endpoint)) = endpoints.get(gateway) else {
        return Err(Unreadable("its endpoint is not configured any more".into()));
    };
    let stored = source::Stored {
        query: request.query.as_deref(),
        content_type: request.content_type.as_deref(),
        body: &request.body,
        received_at: request.received_at,
    };
    // A body that trips a bug must not take the others with it.
    let parsed = catch_unwind(AssertUnwindSafe(|| endpoint.source.parse(&stored)));
    let reports = parsed.unwrap_or_else(|_| Err(Unreadable("the parser panicked".into())))?;
    let unproven = endpoint.source.unproven();
    Ok(reports
        .iter()
        .map(|report| events::json(report, unproven).to_string())
        .collect())
}

/// An error that the same events will meet again: of data, of a constraint, too large, or raised by a function.
fn is_of_data(error: &DbError) -> bool {
    let classes = ["22", "23", "54", "P0", "PR"];
    error
        .code()
        .is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
}
