//! Opens and clicks on their way to the database: nobody who follows a link waits for it.
//!
//! They are gathered in memory for a moment, and lost with the process, or when the database is away for longer than the
//! memory lasts: a mail that counts as unopened, nothing else. What a person asked for does not come this way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use crate::db::Database;
use crate::db::record::record_events;
use crate::db::types::JsonText;

/// What waits at most; further ones are dropped.
const WAITING_MAX: usize = 20_000;

/// What is written at once, and what is waited for to have that many.
const BATCH_MAX: usize = 500;
const GATHER: Duration = Duration::from_millis(100);

/// How often one batch is tried, and the pause before the next time.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// An event, and the gateway whose mail it is of.
pub(super) type Noted = (String, Value);

/// Takes events without waiting.
#[derive(Clone)]
pub(super) struct Recorder {
    sender: mpsc::Sender<Noted>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// It, and what writes: a future that ends when all of its clones are gone and everything is written.
    pub(super) fn start(database: &Database) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let writing = write(receiver, database.pool(1), Arc::clone(&dropped));
        (Self { sender, dropped }, writing)
    }

    /// Notes an event, or drops it when too many wait.
    pub(super) fn note(&self, noted: Noted) {
        if self.sender.try_send(noted).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn write(mut receiver: mpsc::Receiver<Noted>, pool: Pool, dropped: Arc<AtomicU64>) {
    let mut batch = Vec::new();
    while receiver.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH_MAX {
            let wanted = BATCH_MAX - batch.len();
            match timeout_at(until, receiver.recv_many(&mut batch, wanted)).await {
                Ok(1..) => {}
                _ => break,
            }
        }
        let mut by_gateway: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (gateway, event) in batch.drain(..) {
            by_gateway.entry(gateway).or_default().push(event);
        }
        for (gateway, events) in by_gateway {
            let count = events.len();
            if !persist(&pool, &gateway, Value::Array(events)).await {
                warn!(
                    count,
                    "opens and clicks could not be recorded, and are dropped"
                );
            }
        }
        match dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            count => warn!(
                count,
                "too many opens and clicks at once; these were dropped"
            ),
        }
    }
}

/// Whether it was written; an event that was already there is.
async fn persist(pool: &Pool, gateway: &str, events: Value) -> bool {
    let events = JsonText(events.to_string());
    for attempt in 1..=TRIES {
        match record(pool, gateway, &events).await {
            Ok(()) => return true,
            Err(error) => warn!(attempt, error, "opens and clicks are not recorded yet"),
        }
        if attempt < TRIES {
            sleep(PAUSE).await;
        }
    }
    false
}

/// Writes events.
pub(super) async fn record(pool: &Pool, gateway: &str, events: &JsonText) -> Result<(), String> {
    let client = pool.get().await.map_err(|error| error.to_string())?;
    let recorded = record_events(&client, gateway, events).await;
    recorded.map(drop).map_err(|error| error.to_string())
}
