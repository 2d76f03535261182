//! A verified request of a provider → the inbox → events.
//!
//! [`Inbox::store`] returns once the request is durable, so that it may be answered 2xx. Then it is read, by this process
//! from its memory, or by any from the inbox when this one ended before.

mod commit;
mod events;
mod link;
mod read;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::db::Database;
use crate::db::inbox::{Arrival, Kept};
use crate::gateway::endpoints::Endpoints;

/// Requests that wait to be stored; further ones are told to come again.
const WAITING_MAX: usize = 2000;

/// What a key may have, in bytes, to be kept as it is; a longer one is kept as its hash.
const KEY_MAX: usize = 200;

/// How long a shutdown waits until what is stored is read, too. What is not is read by another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where verified requests are stored; cheap to clone. It ends with its last clone.
#[derive(Clone)]
pub struct Inbox(mpsc::Sender<Entry>);

/// A request, and who waits to hear of it.
struct Entry {
    arrival: Arrival,
    reply: oneshot::Sender<Result<Kept, NotStored>>,
}

/// The request is not known to be stored: its provider must send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// Too many wait.
    #[error("too many requests wait to be stored")]
    Busy,
    /// The database does not take it.
    #[error("it could not be stored")]
    Failed,
}

impl Inbox {
    /// Stores a request together with others that come at the same time; returns when it is durable. Keys of any length
    /// and content may be given; the body's hash stands in for a delivery key that is missing.
    ///
    /// # Errors
    ///
    /// It may not be stored.
    pub async fn store(&self, mut arrival: Arrival, key: Option<&str>) -> Result<Kept, NotStored> {
        arrival.delivery_key = match key {
            Some(key) if !key.is_empty() => fitting(key),
            _ => digest(&arrival.body),
        };
        arrival.replay_key = arrival.replay_key.as_deref().map(fitting);
        let (reply, kept) = oneshot::channel();
        let entry = Entry { arrival, reply };
        self.0.try_send(entry).map_err(|_| NotStored::Busy)?;
        kept.await.unwrap_or(Err(NotStored::Failed))
    }
}

/// `key`, or its hash where it is too long for an index or holds what a text of Postgres cannot.
fn fitting(key: &str) -> String {
    match key.len() <= KEY_MAX && !key.contains('\0') {
        true => key.to_owned(),
        false => digest(key.as_bytes()),
    }
}

fn digest(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let text = base64::engine::general_purpose::STANDARD.encode(hash);
    format!("sha256:{text}")
}

/// The inbox, and what stores and reads in its behalf: it runs until the last clone of the inbox is gone and all is
/// read, some seconds after `shutdown` at most.
pub fn start(
    database: &Database,
    endpoints: &Arc<Endpoints>,
    shutdown: CancellationToken,
) -> (Inbox, impl Future<Output = ()> + use<>) {
    let (sender, entries) = mpsc::channel(WAITING_MAX);
    let (stored, fresh) = read::fresh();
    let committing = commit::run(database.clone(), entries, stored);
    let reading = read::run(database.clone(), Arc::clone(endpoints), fresh);
    let both = async move {
        tokio::select! {
            _ = async { tokio::join!(committing, reading) } => {}
            () = async { shutdown.cancelled().await; sleep(PATIENCE * 2).await } => {
                tracing::warn!("what is stored was not read in time; another process reads it");
            }
        }
    };
    (Inbox(sender), both)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index takes no more than some kilobytes, a text no zero: a provider must not be able to stop a batch by its id.
    #[test]
    fn a_key_that_cannot_be_stored_is_hashed() {
        assert_eq!(fitting("abc"), "abc");
        assert_eq!(fitting(&"a".repeat(KEY_MAX)), "a".repeat(KEY_MAX));
        let long = fitting(&"a".repeat(KEY_MAX + 1));
        assert!(
            long.starts_with("sha256:") && long.len() < KEY_MAX,
            "{long}"
        );
        assert_ne!(fitting("a\0b"), fitting("a\0c"));
    }
}
