//! The claimer of a pool: waits for work, claims it, and tells the enqueuers when they need not notify.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Pool};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::complete::Note;
use super::contents::Contents;
use super::settings;
use crate::db::DbError;
use crate::db::calls::{self, ClaimedRow};
use crate::db::listen::{Key, Live, Session};
use crate::model::message::Priority;
use crate::render::Prepared;
use crate::telemetry::counted;

/// A claimed batch.
pub struct Batch {
    /// Its lease.
    pub lease_id: Uuid,
    /// Under which registration it was claimed.
    pub live: Arc<Live>,
    /// Its messages.
    pub messages: Vec<Claimed>,
}

/// A claimed message.
pub struct Claimed {
    /// The row.
    pub row: ClaimedRow,
    /// Its content, or why there is none.
    pub content: Result<Prepared, &'static str>,
}

/// Claims are bounded in bytes too: 8 MiB.
const MAX_KB: i32 = 8192;

/// Intervals at which a pool that just had work looks again before it sleeps.
const LINGER: [Duration; 3] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
];

/// Intervals at which a pool that has just fallen asleep looks for what was enqueued while it was awake and is committed only now: of that, nobody notifies.
/// They grow, so that it waits about as long as its commit took. After them the poll finds what a long transaction brings.
const LATE: [Duration; 3] = [
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(16),
];

/// A claim of so many that brings as many: the queue is deep.
const DEEP: usize = 200;

/// From a deep queue, where so many are wanted, two claims run at a time, each for half of them: little is left to send, so that a claim's rows take longer
/// to come than to be sent, and the server has another processor for the second. Where what is written is behind, a second claim would only take it from P0.
const TWO: usize = 750;

/// How often a pool that sleeps without the key tries to have it.
const KEY_AGAIN: Duration = Duration::from_millis(250);

/// How often it is asked whether the pool may claim.
const GATE_EVERY: Duration = Duration::from_millis(500);
/// The longest that a pool whose notifications do not arrive waits between two looks.
const DEAF_POLL: Duration = Duration::from_millis(50);

/// The claimer of one pool.
pub struct Claimer {
    /// Its priority.
    pub priority: Priority,
    /// Its connections.
    pub db: Pool,
    /// The process's session.
    pub session: Session,
    /// How many messages the pool wants now; 0: it is saturated.
    pub wanted: watch::Receiver<usize>,
    /// Where batches go.
    pub batches: mpsc::Sender<Batch>,
    /// Where it is told that a claim got no reply.
    pub notes: mpsc::UnboundedSender<Note>,
    /// How often an idle pool looks without being woken.
    pub poll: Duration,
    /// See the settings.
    pub p1_gate: i64,
}

/// The keys that the pool holds, in the session of `live`.
#[derive(Default)]
struct Keys {
    live: Option<Arc<Live>>,
    held: Option<Key>,
}

impl Claimer {
    /// Runs until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut keys = Keys::default();
        let (mut contents, mut more_contents) = (Contents::default(), Contents::default());
        let mut is_deep = false;
        let mut empty_looks = 0;
        let mut is_woken = false;
        let mut was_one = false;
        let mut failures = 0;
        let mut gate_at: Option<Instant> = None;
        while let Some(live) = self.ready(&mut keys, &shutdown).await {
            // P1's depth is asked for before a claim. A pause stops the claim itself: it is asked for while there is nothing
            // to do, so that a paused pool says neither that it sleeps nor that it is awake.
            let asks = matches!(self.priority, Priority::P2 | Priority::P3) || empty_looks > 0;
            if asks && gate_at.is_none_or(|at| at.elapsed() > GATE_EVERY) {
                if !self.gate_is_open().await {
                    keys.hold(None, self.priority).await;
                    self.pause(GATE_EVERY / 2, &shutdown).await;
                    continue;
                }
                gate_at = Some(Instant::now());
            }
            if self.priority != Priority::P0 {
                self.session.let_p0_pass().await;
            }
            let wanted = *self.wanted.borrow();
            if wanted == 0 {
                continue; // it was not, before the last few awaits
            }
            let lingers = empty_looks < LINGER.len();
            let claimed = if is_deep && wanted >= TWO {
                let half = wanted.div_ceil(2);
                let (one, other) = tokio::join!(
                    self.claim(&live, half, &mut contents),
                    self.claim(&live, half, &mut more_contents)
                );
                one.and_then(|one| Ok(one + other?))
            } else if lingers {
                // The key is not waited for: the claim goes out at once, on another connection.
                tokio::join!(
                    keys.hold(Some(Key::Awake), self.priority),
                    self.claim(&live, wanted, &mut contents)
                )
                .1
            } else {
                // Give up awake, take asleep, and claim once more: what was enqueued in between saw nobody asleep.
                keys.hold(Some(Key::Asleep), self.priority).await;
                self.claim(&live, wanted, &mut contents).await
            };
            is_deep = matches!(claimed, Ok(count) if count >= wanted.max(DEEP));
            if self.priority == Priority::P0 {
                // What was claimed is on its way: the others wait only for what is still in the queue.
                self.session
                    .set_p0_busy(matches!(claimed, Ok(count) if count >= wanted));
            }
            let was_woken = std::mem::take(&mut is_woken);
            let pace = settings::claim_pace(self.priority);
            let was_one_before = std::mem::take(&mut was_one);
            match claimed {
                // What it was woken for is taken already: by its own look just before, or by another node. To linger for
                // more would leave the next message without a notification.
                Ok(0) if was_woken => empty_looks = LINGER.len(),
                Ok(0) if was_one_before => self.pause(pace, &shutdown).await,
                Ok(0) if lingers => {
                    self.pause(LINGER[empty_looks], &shutdown).await;
                    empty_looks += 1;
                }
                Ok(0) => {
                    let late = LATE.get(empty_looks - LINGER.len()).copied();
                    is_woken = self.sleep(&mut keys, late, &shutdown).await;
                    if is_woken {
                        empty_looks = 0;
                    } else if late.is_some() {
                        empty_looks += 1;
                    }
                }
                Ok(count) => {
                    empty_looks = 0;
                    // A message that was rescued comes alone, and many may wait behind it: the next look tells.
                    was_one = count == 1 && !pace.is_zero();
                    if !was_one && count < wanted.min(settings::LARGE_CLAIM) && !pace.is_zero() {
                        self.pause(pace, &shutdown).await;
                    }
                }
                Err(error) => {
                    if error.code() == Some("PR010") {
                        live.invalidate();
                    }
                    tracing::warn!(priority = %self.priority, %error, "a claim failed; it is tried again");
                    self.pause(failed_pause(self.priority, failures), &shutdown)
                        .await;
                    failures += 1;
                    continue;
                }
            }
            failures = 0;
        }
        keys.hold(None, self.priority).await;
    }

    /// Waits until the pool wants messages and the worker is registered and fresh; `None` at shutdown.
    async fn ready(&mut self, keys: &mut Keys, shutdown: &CancellationToken) -> Option<Arc<Live>> {
        loop {
            if shutdown.is_cancelled() {
                return None;
            }
            if *self.wanted.borrow_and_update() == 0 {
                keys.hold(None, self.priority).await; // saturated: let the enqueuers wake another node
                tokio::select! {
                    changed = self.wanted.changed() => changed.ok()?,
                    () = shutdown.cancelled() => return None,
                }
                continue;
            }
            let live = tokio::select! {
                live = self.session.wait_live() => live?,
                () = shutdown.cancelled() => return None,
            };
            if live.is_fresh() {
                keys.follow(&live);
                return Some(live);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sleeps until it is woken, or until it should look for what is `late`, or for the fallback poll, jittered; whether it was woken. While another node
    /// says that it sleeps, this one is woken with it; but that one may get busy by itself, so the key is asked for again.
    async fn sleep(
        &self,
        keys: &mut Keys,
        late: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> bool {
        let poll = if self.session.is_deaf() {
            self.poll.min(DEAF_POLL)
        } else {
            self.poll
        };
        let poll = poll.mul_f64(0.75 + 0.5 * fastrand::f64());
        let until = Instant::now() + late.unwrap_or(poll).min(poll);
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            let has_key = keys.held == Some(Key::Asleep);
            let step = if has_key { rest } else { rest.min(KEY_AGAIN) };
            tokio::select! {
                woken = timeout(step, self.session.woken(self.priority)) => if woken.is_ok() {
                    return true;
                },
                () = shutdown.cancelled() => return false,
            }
            if has_key || step == rest {
                return false;
            }
            keys.hold(Some(Key::Asleep), self.priority).await;
            if keys.held == Some(Key::Asleep) {
                return false; // and claim once more: what came until now saw nobody asleep
            }
        }
    }

    async fn pause(&self, delay: Duration, shutdown: &CancellationToken) {
        let _ = timeout(delay, shutdown.cancelled()).await;
    }

    /// Whether the pool may claim: not paused, and P1 leaves room. An answer that could not be had is no.
    async fn gate_is_open(&self) -> bool {
        let asked = async {
            let client = self.db.get().await?;
            calls::gate_is_open(&client, self.priority, self.p1_gate).await
        };
        asked.await.unwrap_or_else(|error| {
            tracing::debug!(priority = %self.priority, %error, "it could not be read whether the pool may claim");
            false
        })
    }

    /// Claims, counts it, and hands the batch on; how many messages it has.
    async fn claim(
        &self,
        live: &Arc<Live>,
        wanted: usize,
        contents: &mut Contents,
    ) -> Result<usize, DbError> {
        let counted = counted::pool(self.priority);
        let client = self.db.get().await.map_err(DbError::from);
        let client = client.inspect_err(|_| counted.failed_claims.add(1))?;
        let lease_id = self.session.clock.id();
        let claimed = self.rows(&client, live, lease_id, wanted, contents).await;
        let rows = claimed.inspect_err(|_| {
            counted.failed_claims.add(1);
            self.lost(lease_id);
        })?;
        if rows.is_empty() {
            counted.empty_claims.add(1);
            return Ok(0);
        }
        counted.claims.add(1);
        counted.claimed.add(rows.len() as u64);
        let messages: Vec<Claimed> = rows.into_iter().map(|row| prepare(row, contents)).collect();
        let count = messages.len();
        let batch = Batch {
            lease_id,
            live: Arc::clone(live),
            messages,
        };
        if self.batches.send(batch).await.is_err() {
            self.lost(lease_id);
        }
        Ok(count)
    }

    /// The rows of a claim, their contents at hand.
    async fn rows(
        &self,
        client: &Object,
        live: &Live,
        lease_id: Uuid,
        wanted: usize,
        contents: &mut Contents,
    ) -> Result<Vec<ClaimedRow>, DbError> {
        let count = i32::try_from(wanted).unwrap_or(i32::MAX);
        let rows = calls::claim(
            client,
            self.priority,
            lease_id,
            live.worker_id,
            count,
            MAX_KB,
        )
        .await?;
        let ids = rows.iter().filter_map(|row| row.content_id);
        contents.load(client, ids).await?;
        Ok(rows)
    }

    fn lost(&self, lease_id: Uuid) {
        // The completer ends after the last sender only.
        let _ = self.notes.send(Note::Lost { lease_id });
    }
}

/// How long a pool waits after a claim that failed, after so many before it: each one writes to Postgres in vain, which a
/// full disk makes worse. P0 waits for a second at most.
fn failed_pause(priority: Priority, failures: u32) -> Duration {
    let longest = match priority {
        Priority::P0 => Duration::from_secs(1),
        _ => Duration::from_secs(4),
    };
    Duration::from_millis(250)
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(longest)
}

fn prepare(mut row: ClaimedRow, contents: &Contents) -> Claimed {
    let own = std::mem::take(&mut row.content);
    let channel = row.category.channel;
    let content = Prepared::new(own)
        .map_err(|_| "content_unreadable")
        .and_then(|own| match (row.content_id, channel) {
            (Some(id), Some(channel)) => own
                .over(&*contents.get(id)?, channel)
                .map_err(|_| "content_unreadable"),
            _ => Ok(own),
        });
    Claimed { row, content }
}

/// When a lease that is not there is looked for again: the server may still be at a claim whose client is gone.
const LOOK_AGAIN: [Duration; 7] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(3600),
];

/// Gives a lease back whose claim got no reply, trying for as long as it takes: while this worker lives, nobody else
/// looks for it.
pub async fn release(db: Pool, lease_id: Uuid) {
    let mut looks = LOOK_AGAIN.into_iter();
    let mut delay = Duration::from_millis(100);
    loop {
        let released = async {
            let client = db.get().await?;
            calls::release(&client, lease_id).await
        };
        match released.await {
            Ok(0) => match looks.next() {
                Some(look) => sleep(look).await,
                None => return,
            },
            Ok(count) => return tracing::info!(%lease_id, count, "released what a lost claim had"),
            Err(error) => {
                tracing::debug!(%lease_id, %error, "a lease could not be released; it is tried again");
                sleep(delay.mul_f64(0.5 + fastrand::f64())).await;
                delay = (delay * 2).min(Duration::from_secs(5));
            }
        }
    }
}

impl Keys {
    /// A new session holds no keys.
    fn follow(&mut self, live: &Arc<Live>) {
        if self.live.as_ref().is_none_or(|old| !Arc::ptr_eq(old, live)) {
            self.live = Some(Arc::clone(live));
            self.held = None;
        }
    }

    /// Gives up the key that is held and tries the one that is wanted; another node may have it.
    async fn hold(&mut self, wanted: Option<Key>, priority: Priority) {
        let Some(live) = &self.live else { return };
        if self.held == wanted {
            return;
        }
        match live.swap(self.held.take(), wanted, priority).await {
            Ok(true) => self.held = wanted,
            Ok(false) => {}
            Err(_) => self.live = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full for an hour is not asked four times a second by each pool; P0 still goes on first.
    #[test]
    fn claims_that_fail_again_and_again_become_rarer() {
        let pauses = |priority| [0, 1, 4, 40].map(|n| failed_pause(priority, n).as_millis());
        assert_eq!(pauses(Priority::P3), [250, 500, 4000, 4000]);
        assert_eq!(pauses(Priority::P0), [250, 500, 1000, 1000]);
    }
}
