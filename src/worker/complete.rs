//! Gathers outcomes and writes them in batches: while one flush is under way, the next one grows.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::sync::mpsc;
use tokio::time::sleep;
use uuid::Uuid;

use super::claim::release;
use crate::db::DbError;
use crate::db::calls::{self, Outcome};

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
    /// So many messages of a lease will not be sent by this worker: they go back once the others have their outcome.
    HandedBack {
        /// The lease.
        lease_id: Uuid,
        /// Its messages that go back.
        count: usize,
    },
}

#[derive(Default)]
struct Tally {
    left: usize,
    handed_back: bool,
}

/// Writes outcomes until the sender is gone and all are written.
pub async fn run(db: Pool, mut notes: mpsc::UnboundedReceiver<Note>, written: impl Fn(usize)) {
    let mut tallies: HashMap<Uuid, Tally> = HashMap::new();
    let mut received = Vec::new();
    while notes.recv_many(&mut received, FLUSH_MAX).await > 0 {
        let mut outcomes = Vec::with_capacity(received.len());
        let mut finished = Vec::new();
        let mut released = Vec::new();
        for note in received.drain(..) {
            let (lease_id, ended) = match note {
                Note::Leased { lease_id, count } => {
                    tallies.insert(
                        lease_id,
                        Tally {
                            left: count,
                            handed_back: false,
                        },
                    );
                    continue;
                }
                Note::Outcome(outcome) => {
                    let lease_id = outcome.lease_id;
                    outcomes.push(*outcome);
                    (lease_id, 1)
                }
                Note::HandedBack { lease_id, count } => {
                    if let Some(tally) = tallies.get_mut(&lease_id) {
                        tally.handed_back = true;
                    }
                    (lease_id, count)
                }
            };
            let Some(tally) = tallies.get_mut(&lease_id) else {
                continue;
            };
            tally.left = tally.left.saturating_sub(ended);
            if tally.left == 0 {
                if tally.handed_back {
                    &mut released
                } else {
                    &mut finished
                }
                .push(lease_id);
                tallies.remove(&lease_id);
            }
        }
        if !outcomes.is_empty() || !finished.is_empty() {
            write(&db, &mut outcomes, &finished).await;
        }
        written(outcomes.len());
        for lease_id in released {
            release(db.clone(), lease_id);
        }
    }
}

/// Calls `complete` until it succeeds: an outcome that is not written is a message that is sent again.
async fn write(db: &Pool, outcomes: &mut [Outcome], finished: &[Uuid]) {
    let mut delay = Duration::from_millis(50);
    loop {
        let completed = async {
            let client = db.get().await?;
            calls::complete(&client, outcomes, finished).await
        };
        match completed.await {
            Ok(()) => return,
            Err(error) => {
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
