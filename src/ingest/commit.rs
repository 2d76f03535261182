//! Stores requests in batches: while one insert is under way, the next one grows.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{iter, mem};

use tokio::sync::mpsc;

use super::link::Link;
use super::read::Stored;
use super::{Entry, NotStored};
use crate::db::inbox::{self, Arrival, Kept, Waiting, WaitingBatch};
use crate::db::{Database, DbError};

/// Requests in one insert, and their bodies together, in bytes.
const BATCH_MAX: usize = 500;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How long an insert may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stores what comes until the last sender is gone.
pub(super) async fn run(database: Database, mut entries: mpsc::Receiver<Entry>, stored: Stored) {
    let mut link = Link::new(database);
    let mut received = Vec::new();
    while !received.is_empty() || entries.recv_many(&mut received, BATCH_MAX).await > 0 {
        let later = received.split_off(fitting(&received));
        let batch = mem::replace(&mut received, later);
        let arrivals: Vec<_> = batch.iter().map(|entry| &entry.arrival).collect();
        let kept = match store(&mut link, &arrivals).await {
            Ok(kept) => kept.into_iter().map(Some).collect(),
            // One that Postgres does not take must not be the others' misfortune.
            Err(error) if is_of_data(&error) && batch.len() > 1 => {
                let mut each = Vec::with_capacity(batch.len());
                for arrival in arrivals {
                    let kept = store(&mut link, &[arrival]).await;
                    each.push(kept.ok().and_then(|kept| kept.first().copied()));
                }
                each
            }
            Err(error) => {
                tracing::warn!(%error, requests = batch.len(), "webhook requests could not be stored; they are refused, to be sent again");
                Vec::new()
            }
        };
        answer(batch, kept, &stored);
    }
}

/// How many of the first entries go into one insert; one at least.
fn fitting(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|entry| {
        bytes += entry.arrival.body.len();
        bytes <= BATCH_BYTES
    });
    fitting.count().max(1)
}

/// Tells each who waits what became of its request, and the reader what there is to be read, batch by batch.
fn answer(entries: Vec<Entry>, kept: Vec<Option<Kept>>, stored: &Stored) {
    let mut batches: BTreeMap<i64, WaitingBatch> = BTreeMap::new();
    let kept = kept.into_iter().chain(iter::repeat(None));
    for (entry, kept) in entries.into_iter().zip(kept) {
        let Entry { arrival, reply } = entry;
        if let Some(Kept::Stored {
            batch_id,
            inbox_id,
            received_at,
        }) = kept
        {
            let batch = batches.entry(batch_id).or_insert_with(|| WaitingBatch {
                batch_id,
                gateway: arrival.gateway,
                requests: Vec::new(),
            });
            batch.requests.push(Waiting {
                inbox_id,
                query: arrival.query,
                content_type: arrival.content_type,
                body: arrival.body,
                received_at,
            });
        }
        // Whoever asked may be gone; then the request comes again, and is a duplicate.
        let _ = reply.send(kept.ok_or(NotStored::Failed));
    }
    for batch in batches.into_values() {
        stored.tell(batch);
    }
}

/// Stores them, once more when the connection broke or two nodes were in each other's way. Calling again is harmless: what
/// is stored already is a duplicate.
async fn store(link: &mut Link, arrivals: &[&Arrival]) -> Result<Vec<Kept>, DbError> {
    let mut once = async || {
        link.with(PATIENCE, async |client| {
            inbox::store_webhooks(client, arrivals).await
        })
        .await
    };
    match once().await {
        Err(error) if !is_of_data(&error) && !matches!(error, DbError::Pool(_)) => once().await,
        result => result,
    }
}

/// Class 22 (data exception) or 54 (too large): no other try will do better.
fn is_of_data(error: &DbError) -> bool {
    error
        .code()
        .is_some_and(|code| code.starts_with("22") || code.starts_with("54"))
}
