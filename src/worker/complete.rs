//! Gathers outcomes and writes them in batches: while one flush is under way, the next one grows.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::claim::release;
use super::figures;
use super::settings::{MANY_OUTCOMES, write_pace};
use crate::db::DbError;
use crate::db::calls::{self, Outcome};
use crate::db::clock::Clock;
use crate::model::message::Priority;
use crate::telemetry::counted;

/// Outcomes in one flush, at most.
const FLUSH_MAX: usize = 2000;

/// What the completer is told.
pub enum Note {
    /// A lease of so many messages was taken.
    Leased {
        /// The lease.
        lease_id: Uuid,
        /// Its messages.
        count: usize,
    },
    /// What became of one message.
    Outcome(Box<Outcome>),
    /// A message will not be sent by this worker.
    HandedBack {
        /// The lease.
        lease_id: Uuid,
        /// The message.
        message_id: Uuid,
    },
    /// A claim without a reply: it may have been committed.
    Lost {
        /// The lease.
        lease_id: Uuid,
    },
}

/// Writes outcomes, gathering few for the pace of the priority, until the sender is gone and all are written.
pub async fn run(
    db: Pool,
    clock: Clock,
    mut notes: mpsc::UnboundedReceiver<Note>,
    priority: Priority,
    written: impl Fn(usize),
) {
    let pace = write_pace(priority);
    let mut left: HashMap<Uuid, usize> = HashMap::new();
    let mut received = Vec::new();
    let mut releases = JoinSet::new();
    while notes.recv_many(&mut received, FLUSH_MAX).await > 0 {
        if received.len() < MANY_OUTCOMES && !pace.is_zero() && !notes.is_closed() {
            sleep(pace).await;
            while received.len() < FLUSH_MAX
                && let Ok(note) = notes.try_recv()
            {
                received.push(note);
            }
        }
        let mut outcomes = Vec::with_capacity(received.len());
        let mut handed_back = (Vec::new(), Vec::new());
        let mut finished = Vec::new();
        for note in received.drain(..) {
            let lease_id = match note {
                Note::Leased { lease_id, count } => {
                    left.insert(lease_id, count);
                    continue;
                }
                Note::Lost { lease_id } => {
                    releases.spawn(release(db.clone(), lease_id));
                    continue;
                }
                Note::Outcome(outcome) => {
                    let lease_id = outcome.lease_id;
                    outcomes.push(*outcome);
                    lease_id
                }
                Note::HandedBack {
                    lease_id,
                    message_id,
                } => {
                    handed_back.0.push(lease_id);
                    handed_back.1.push(message_id);
                    lease_id
                }
            };
            let Some(count) = left.get_mut(&lease_id) else {
                continue;
            };
            *count = count.saturating_sub(1);
            if *count == 0 {
                finished.push(lease_id);
                left.remove(&lease_id);
            }
        }
        // Before the lease may end: a lease that is gone gives nothing back.
        if !handed_back.0.is_empty() {
            hand_back(&db, &handed_back.0, &handed_back.1).await;
        }
        if !outcomes.is_empty() || !finished.is_empty() {
            write(&db, priority, &mut outcomes, &finished).await;
            figures::written(priority, &outcomes, clock.now());
        }
        written(outcomes.len());
        while releases.try_join_next().is_some() {}
    }
    // What is not released by then is left to rescue, as the leases of any process that ended.
    let _ = timeout(Duration::from_secs(2), async {
        while releases.join_next().await.is_some() {}
    })
    .await;
}

/// Calls `hand_back` until it succeeds: what is not given back is nobody's.
async fn hand_back(db: &Pool, lease_ids: &[Uuid], message_ids: &[Uuid]) {
    let mut delay = Duration::from_millis(50);
    loop {
        let called = async {
            let client = db.get().await?;
            calls::hand_back(&client, lease_ids, message_ids).await
        };
        match called.await {
            Ok(count) => return tracing::info!(count, "handed messages back"),
            Err(error) => {
                tracing::warn!(%error, messages = message_ids.len(), "messages could not be handed back; it is tried again")
            }
        }
        sleep(delay.mul_f64(0.5 + fastrand::f64())).await;
        delay = (delay * 2).min(Duration::from_secs(2));
    }
}

/// Calls `complete` until it succeeds: an outcome that is not written is a message that is sent again.
async fn write(db: &Pool, priority: Priority, outcomes: &mut [Outcome], finished: &[Uuid]) {
    let mut delay = Duration::from_millis(50);
    loop {
        let completed = async {
            let client = db.get().await?;
            calls::complete(&client, outcomes, finished).await
        };
        match completed.await {
            Ok(()) => return,
            Err(error) => {
                counted::pool(priority).failed_completions.add(1);
                tracing::warn!(%error, outcomes = outcomes.len(), "outcomes could not be written; they are tried again");
                if is_data_error(&error) {
                    // Something that a provider said cannot be stored: the outcome matters more than the words.
                    for outcome in outcomes.iter_mut() {
                        outcome.detail = None;
                        outcome.external_id = None;
                    }
                }
            }
        }
        sleep(delay.mul_f64(0.5 + fastrand::f64())).await;
        delay = (delay * 2).min(Duration::from_secs(2));
    }
}

/// Class 22 (data exception), or a message that is too large.
fn is_data_error(error: &DbError) -> bool {
    error
        .code()
        .is_some_and(|code| code.starts_with("22") || code.starts_with("54"))
}
