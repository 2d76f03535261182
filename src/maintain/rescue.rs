//! Takes the leases of workers that died: gone in two looks, one second apart, or silent for long.
//!
//! The heartbeats are times of the database's clock, which may be put forward or back while everything runs: how long one
//! has not changed is measured here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::db::calls::SeenWorker;
use crate::db::{DbError, calls};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// A heartbeat that has not changed for so long, and is silent by the database's clock too, is none: a worker that lives
/// writes one every 5 s.
const UNCHANGED: Duration = Duration::from_secs(10);

/// After a failed look nobody is rescued for so long: workers may be connecting again, as this process is.
const QUIET: Duration = Duration::from_secs(5);

/// What the looks said.
#[derive(Default)]
struct Watch {
    seen: BTreeMap<i64, Seen>,
}

struct Seen {
    was_gone: bool,
    heartbeat_at: Option<String>,
    since: Instant,
}

impl Watch {
    /// Takes a look in. Returns who is dead, with the heartbeat that says so, if it is not its lock.
    fn look(&mut self, workers: Vec<SeenWorker>, now: Instant) -> Vec<(i64, Option<String>)> {
        let mut dead = Vec::new();
        let mut seen = BTreeMap::new();
        for worker in workers {
            let (was_gone, since) = match self.seen.get(&worker.worker_id) {
                Some(seen) if seen.heartbeat_at == worker.heartbeat_at => {
                    (seen.was_gone, seen.since)
                }
                Some(seen) => (seen.was_gone, now),
                None => (false, now),
            };
            if worker.is_gone && was_gone {
                dead.push((worker.worker_id, None));
            } else if worker.is_silent && now.duration_since(since) >= UNCHANGED {
                dead.push((worker.worker_id, worker.heartbeat_at.clone()));
            }
            let next = Seen {
                was_gone: worker.is_gone,
                heartbeat_at: worker.heartbeat_at,
                since,
            };
            seen.insert(worker.worker_id, next);
        }
        self.seen = seen;
        dead
    }
}

pub(super) async fn run(db: Pool, shutdown: CancellationToken) {
    let mut watch = Watch::default();
    let mut quiet_until: Option<Instant> = None;
    while wait(EVERY, &shutdown).await {
        if let Err(error) = look(&db, &mut watch, quiet_until).await {
            tracing::warn!(%error, "could not look for dead workers; it is tried again");
            watch = Watch::default();
            quiet_until = Some(Instant::now() + QUIET);
        }
    }
}

async fn look(db: &Pool, watch: &mut Watch, quiet_until: Option<Instant>) -> Result<(), DbError> {
    let client = db.get().await?;
    let workers = calls::look_at_workers(&client).await?;
    let dead = watch.look(workers, Instant::now());
    if quiet_until.is_some_and(|until| Instant::now() < until) {
        return Ok(());
    }
    for (worker_id, heartbeat_at) in dead {
        match calls::rescue(&client, worker_id, heartbeat_at.as_deref()).await {
            // Somebody else was faster, or is at it.
            Ok(0) => {}
            Ok(rescued) => {
                tracing::warn!(
                    worker_id,
                    rescued,
                    "a worker died; its messages were rescued"
                )
            }
            Err(error) if client.is_closed() => return Err(error),
            Err(error) => {
                tracing::warn!(worker_id, %error, "a dead worker could not be rescued; it is tried again")
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(is_gone: bool, heartbeat: &str, is_silent: bool) -> Vec<SeenWorker> {
        vec![SeenWorker {
            worker_id: 7,
            is_gone,
            heartbeat_at: Some(heartbeat.into()),
            is_silent,
        }]
    }

    /// A connection that is between two attempts is no crash.
    #[test]
    fn a_free_lock_counts_in_the_second_look() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        assert_eq!(watch.look(worker(true, "a", false), now), []);
        assert_eq!(watch.look(worker(false, "a", false), now), []);
        assert_eq!(watch.look(worker(true, "a", false), now), []);
        assert_eq!(watch.look(worker(true, "a", false), now), [(7, None)]);
    }

    /// A clock that is put forward or back by an hour makes every heartbeat silent at once: whoever writes the next one
    /// lives, and rescuing it would send its messages twice. Who does not is dead, by whatever clock.
    #[test]
    fn a_silent_worker_is_dead_when_its_heartbeat_does_not_change() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watch.look(worker(false, "12:00:00", false), at(0)), []);
        assert_eq!(watch.look(worker(false, "12:00:00", true), at(4)), []);
        assert_eq!(watch.look(worker(false, "13:00:05", false), at(5)), []);
        assert_eq!(watch.look(worker(false, "13:00:05", true), at(14)), []);
        assert_eq!(
            watch.look(worker(false, "13:00:05", true), at(15)),
            [(7, Some("13:00:05".into()))]
        );
    }

    /// The other side: without a change for longer, but not too old by the database's clock.
    #[test]
    fn a_heartbeat_that_is_young_enough_is_one() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let later = start + Duration::from_secs(14);
        assert_eq!(watch.look(worker(false, "a", false), start), []);
        assert_eq!(watch.look(worker(false, "a", false), later), []);
    }
}
