//! How many connections are open, and which of them ends when there is no room for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Between two looks for a connection to close, when all of them are at work.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long the last bytes of an answer may take to leave.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// The open connections. One that waits for its client (to begin a request, to go on with one) is closed when another
/// one needs its place, the longest-waiting first; one whose request is being worked on never is.
pub(super) struct Connections {
    places: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// In the order in which they began to wait.
    by_turn: BTreeMap<u64, CancellationToken>,
    next_turn: u64,
}

impl Connections {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(most)),
            waiting: Mutex::default(),
        })
    }

    /// A place for a new connection, made if there is none.
    pub(super) async fn admit(self: &Arc<Self>) -> Arc<Ticket> {
        loop {
            let places = Arc::clone(&self.places);
            if let Ok(place) = places.clone().try_acquire_owned() {
                return self.ticket(place);
            }
            self.close_longest_waiting();
            if let Ok(Ok(place)) = timeout(LOOK_AGAIN, places.acquire_owned()).await {
                return self.ticket(place);
            }
        }
    }

    /// Ends the connection that has waited for its client the longest. Whether there was one.
    pub(super) fn close_longest_waiting(&self) -> bool {
        match lock(&self.waiting).by_turn.pop_first() {
            Some((_, closed)) => {
                closed.cancel();
                true
            }
            None => false,
        }
    }

    fn ticket(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Arc<Ticket> {
        let ticket = Ticket {
            connections: Arc::clone(self),
            turn: Mutex::new(None),
            answered_at: Mutex::new(None),
            closed: CancellationToken::new(),
            _place: place,
        };
        ticket.waits();
        Arc::new(ticket)
    }
}

/// One connection's place.
pub(super) struct Ticket {
    connections: Arc<Connections>,
    turn: Mutex<Option<u64>>,
    answered_at: Mutex<Option<Instant>>,
    closed: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Ticket {
    /// From here on the client has to do something.
    pub(super) fn waits(&self) {
        let mut turn = lock(&self.turn);
        let mut waiting = lock(&self.connections.waiting);
        if turn.is_none() && !self.closed.is_cancelled() {
            let next = waiting.next_turn;
            waiting.next_turn += 1;
            waiting.by_turn.insert(next, self.closed.clone());
            *turn = Some(next);
        }
    }

    /// From here on we do.
    pub(super) fn works(&self) {
        if let Some(turn) = lock(&self.turn).take() {
            lock(&self.connections.waiting).by_turn.remove(&turn);
        }
    }

    /// An answer was handed to the connection; the client is to take it, and to ask again.
    pub(super) fn answered(&self) {
        *lock(&self.answered_at) = Some(Instant::now());
        self.waits();
    }

    /// Whether an answer may still be on its way out.
    pub(super) fn answered_lately(&self) -> bool {
        lock(&self.answered_at).is_some_and(|at| at.elapsed() < ON_ITS_WAY)
    }

    /// When its place is needed by another one.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.works();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever holds connections open without a word must not keep others out.
    #[tokio::test]
    async fn the_longest_waiting_connection_makes_room() {
        let connections = Connections::new(3);
        let first = connections.admit().await;
        let second = connections.admit().await;
        let third = connections.admit().await;
        first.works();
        second.works();
        second.waits(); // after the third
        let (fourth, ()) = tokio::join!(connections.admit(), async {
            third.closed().await;
            drop(third);
        });
        assert!(!first.closed.is_cancelled() && !second.closed.is_cancelled());
        let (_fifth, ()) = tokio::join!(connections.admit(), async {
            second.closed().await;
            drop(second);
        });
        assert!(!first.closed.is_cancelled(), "it was at work");
        assert!(!fourth.closed.is_cancelled(), "it is newer");
    }

    /// When all are at work, a new one waits until one of them is done, and is let in then.
    #[tokio::test]
    async fn a_connection_at_work_is_never_closed() {
        let connections = Connections::new(1);
        let busy = connections.admit().await;
        busy.works();
        let early = timeout(LOOK_AGAIN * 3, connections.admit()).await;
        assert!(early.is_err(), "there was no place");
        assert!(!busy.closed.is_cancelled());
        busy.waits();
        tokio::join!(connections.admit(), async {
            busy.closed().await;
            drop(busy);
        });
    }
}
