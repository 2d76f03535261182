//! A worker process's own connection: its advisory lock, its notifications, its pulse.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use tokio::sync::{Notify, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Statement};
use tokio_util::sync::CancellationToken;

use super::calls::Announced;
use super::clock::Clock;
use super::{Database, DbError, calls, pool};
use crate::model::message::Priority;

/// How often the connection is asked whether it still answers.
const PING: Duration = Duration::from_millis(250);
/// After so long without an answer no send is started.
const STALE: Duration = Duration::from_secs(1);
/// How often the heartbeat is written. Without one for 15 s the worker is taken for dead.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A connection that has not answered for so long is given up.
const DEAD: Duration = Duration::from_secs(5);

/// Between two probes of whether notifications arrive.
const PROBE: Duration = Duration::from_secs(60);
/// A notification to oneself that takes longer does not arrive.
const DEAF: Duration = Duration::from_secs(2);
/// The longest that a claim of another priority waits for P0, in milliseconds.
const P0_PASSES_IN_MS: u32 = 5;
/// On it, with the worker id behind, a worker notifies itself.
const PROBE_CHANNEL: &str = "postroad_probe_";

/// The class of our advisory keys: the ASCII of `post`; see `postroad.wake`.
const KEY_CLASS: i32 = 1_886_351_220;

/// Unlocks the key $2 and tries the key $3; both may be null. The order of evaluation is the order of the cases.
const SWAP: &str = "select case when $2::int is null or pg_advisory_unlock($1, $2) is not null then \
                    case when $3::int is not null then pg_try_advisory_lock($1, $3) end end";

/// Which of the two keys of a priority a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Awake, with a free slot.
    Awake,
    /// Asleep: wants to be notified.
    Asleep,
}

impl Key {
    const fn number(self, priority: Priority) -> i32 {
        let base = match self {
            Self::Awake => 10,
            Self::Asleep => 20,
        };
        base + priority as i32
    }
}

/// A registered worker with a connection that answered lately.
pub struct Live {
    /// Unique to this connection.
    pub worker_id: i64,
    client: Client,
    swap: Statement,
    started: Instant,
    /// When the last question that was answered had been asked.
    answered_ms: AtomicU64,
    dead: AtomicBool,
}

impl Live {
    /// Whether sends may be started: less than a second ago the connection was alive, and nobody can have found its
    /// lock free in two looks since.
    pub fn is_fresh(&self) -> bool {
        let answered = Duration::from_millis(self.answered_ms.load(Ordering::Relaxed));
        let age = self.started.elapsed().saturating_sub(answered);
        !self.dead.load(Ordering::Relaxed) && age < STALE
    }

    /// Whether the worker id was given up: its leases are rescued, or will be.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Gives the worker id up: it was taken for dead. A new one follows.
    pub fn invalidate(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Gives up the key that is held, tries the one that is wanted, and says whether it was had: another
    /// node may hold it.
    ///
    /// # Errors
    ///
    /// When the connection broke, and with it all keys are gone.
    pub async fn swap(
        &self,
        held: Option<Key>,
        wanted: Option<Key>,
        priority: Priority,
    ) -> Result<bool, DbError> {
        let number = |key: Option<Key>| key.map(|key| key.number(priority));
        let row = self
            .client
            .query_one(&self.swap, &[&KEY_CLASS, &number(held), &number(wanted)])
            .await?;
        Ok(row.try_get::<_, Option<bool>>(0)?.unwrap_or(false))
    }

    /// Notes that what was asked then was answered. The time of the answer says nothing: in a process that stood
    /// still it waited to be read.
    fn answered(&self, asked: Instant) {
        let asked = asked.saturating_duration_since(self.started);
        self.answered_ms
            .store(asked.as_millis() as u64, Ordering::Relaxed);
    }
}

/// What pools see of the session.
#[derive(Clone)]
pub struct Session {
    /// The database's.
    pub clock: Clock,
    live: watch::Receiver<Option<Arc<Live>>>,
    heard: Arc<Heard>,
}

/// What notifications wake.
struct Heard {
    pools: BTreeMap<Priority, Notify>,
    health: Notify,
    probe: Notify,
    /// Notifications do not arrive: a pooler is in between, perhaps.
    is_deaf: AtomicBool,
    /// P0 has something to do.
    is_p0_busy: AtomicBool,
}

impl Session {
    /// Waits for a notification that what is known of a gateway changed.
    pub async fn health_changed(&self) {
        self.heard.health.notified().await;
    }

    /// Says whether P0 has something to do.
    pub fn set_p0_busy(&self, is_busy: bool) {
        self.heard.is_p0_busy.store(is_busy, Ordering::Relaxed);
    }

    /// Waits while P0 has something to do, for a while: the processors and the disk are its own meanwhile.
    pub async fn let_p0_pass(&self) {
        for _ in 0..P0_PASSES_IN_MS {
            if !self.heard.is_p0_busy.load(Ordering::Relaxed) {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether notifications do not arrive, so that pools must look more often.
    pub fn is_deaf(&self) -> bool {
        self.heard.is_deaf.load(Ordering::Relaxed)
    }

    /// The worker as it is registered now; absent while there is no connection.
    pub fn live(&self) -> Option<Arc<Live>> {
        self.live.borrow().clone()
    }

    /// Waits until there is a registered worker.
    pub async fn wait_live(&mut self) -> Option<Arc<Live>> {
        self.live
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|live| live.clone())
    }

    /// Waits for a notification of a priority; one that came since the last wait counts.
    pub async fn woken(&self, priority: Priority) {
        match self.heard.pools.get(&priority) {
            Some(notify) => notify.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// Keeps a session: connects, locks, registers, listens, pings; and all of it again when it breaks, until `shutdown`.
pub struct Keeper {
    database: Database,
    priorities: Vec<Priority>,
    announced: Announced,
    live: watch::Sender<Option<Arc<Live>>>,
    clock: Clock,
    heard: Arc<Heard>,
}

/// Makes a keeper and the session that it keeps.
pub fn session(
    database: Database,
    priorities: Vec<Priority>,
    announced: Announced,
) -> (Keeper, Session) {
    let (sender, receiver) = watch::channel(None);
    let heard = Arc::new(Heard {
        pools: priorities.iter().map(|p| (*p, Notify::new())).collect(),
        health: Notify::new(),
        probe: Notify::new(),
        is_deaf: AtomicBool::new(false),
        is_p0_busy: AtomicBool::new(false),
    });
    let clock = Clock::default();
    let keeper = Keeper {
        database,
        priorities,
        announced,
        live: sender,
        clock: clock.clone(),
        heard: Arc::clone(&heard),
    };
    (
        keeper,
        Session {
            clock,
            live: receiver,
            heard,
        },
    )
}

impl Keeper {
    /// Runs until `shutdown`; then unregisters.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut delay = Duration::from_millis(100);
        while !shutdown.is_cancelled() {
            let started = Instant::now();
            let kept = tokio::select! {
                kept = self.keep(&shutdown) => kept,
                // A server that does not answer must not keep the process; the worker is rescued then.
                () = async { shutdown.cancelled().await; sleep(DEAD).await } => Ok(()),
            };
            match kept {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "the worker's session with postgres ended or could not be begun; it is tried again")
                }
            }
            self.live.send_replace(None);
            if started.elapsed() > Duration::from_secs(10) {
                delay = Duration::from_millis(100);
            }
            let _ = timeout(delay.mul_f64(0.5 + fastrand::f64()), shutdown.cancelled()).await;
            delay = (delay * 2).min(Duration::from_secs(2));
        }
    }

    async fn keep(&self, shutdown: &CancellationToken) -> Result<(), DbError> {
        let (client, mut connection) = self.database.connect_raw().await?;
        let heard = Arc::clone(&self.heard);
        let driver = tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        heard.hear(notification.channel())
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                }
            }
        });
        let _guard = AbortOnDrop(driver.abort_handle());
        let live = Arc::new(self.register(client).await?);
        self.live.send_replace(Some(Arc::clone(&live)));
        tracing::info!(worker_id = live.worker_id, "worker registered");
        for notify in self.heard.pools.values() {
            notify.notify_one();
        }
        let pulse = std::pin::pin!(self.pulse(&live, shutdown));
        let result = match select(pulse, driver).await {
            Either::Left((result, _)) => result,
            Either::Right((Ok(Err(error)), _)) => Err(error.into()),
            Either::Right(_) => Err(DbError::Pool("the connection was closed".into())),
        };
        live.invalidate();
        result
    }

    /// Lock first, then register: a registered worker always holds its lock.
    async fn register(&self, client: Client) -> Result<Live, DbError> {
        let worker_id = fastrand::i64(1..i64::MAX);
        client
            .execute("select pg_advisory_lock($1::bigint)", &[&worker_id])
            .await?;
        let mut channels = format!("listen postroad_health; listen {PROBE_CHANNEL}{worker_id};");
        for priority in &self.priorities {
            channels.push_str(&format!("listen postroad_p{};", priority.number()));
        }
        client.batch_execute(&channels).await?;
        client.batch_execute(pool::NOTICE_ABSENCE).await?;
        // A heartbeat need not survive a crash of the server, and must not wait for its disk.
        client.batch_execute("set synchronous_commit = off").await?;
        let host = hostname();
        let started = Instant::now();
        calls::register_gateways(&client, &self.announced).await?; // first: whoever sees the worker sees what it has
        let asked = Instant::now();
        let time = calls::register_worker(&client, worker_id, &host, &self.priorities).await?;
        self.clock.read(asked, time);
        let swap = client.prepare(SWAP).await?;
        Ok(Live {
            worker_id,
            client,
            swap,
            started,
            answered_ms: AtomicU64::new(0),
            dead: AtomicBool::new(false),
        })
    }

    async fn pulse(&self, live: &Live, shutdown: &CancellationToken) -> Result<(), DbError> {
        let mut ticks = interval(PING);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beat_at = live.started;
        let mut probe_at = Instant::now();
        let mut probed: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => {
                    calls::unregister_worker(&live.client, live.worker_id).await?;
                    return Ok(());
                }
            }
            if live.dead.load(Ordering::Relaxed) {
                return Err(DbError::Pool("the worker was taken for dead".into()));
            }
            if Instant::now() >= probe_at {
                let statement = format!("notify {PROBE_CHANNEL}{}", live.worker_id);
                live.client.batch_execute(&statement).await?;
                probed = Some(Instant::now());
                probe_at = Instant::now() + PROBE;
            }
            if let Some(at) = probed {
                if self.heard.probe.notified().now_or_never().is_some() {
                    self.heard.is_deaf.store(false, Ordering::Relaxed);
                    probed = None;
                } else if at.elapsed() > DEAF {
                    tracing::warn!(
                        "NOTIFY does not arrive (a pooler in between?): pools look for messages more often; give \
                         workers a direct connection"
                    );
                    self.heard.is_deaf.store(true, Ordering::Relaxed);
                    probed = None;
                }
            }
            let asked = Instant::now();
            // Also what a process asks first that stood still for so long: it may have been rescued meanwhile, and a
            // connection that answers does not say so.
            let beat = asked - beat_at >= HEARTBEAT;
            let answer = timeout(DEAD, async {
                if beat {
                    let time = calls::heartbeat(&live.client, live.worker_id).await?;
                    if let Some(time) = time {
                        self.clock.read(asked, time);
                    }
                    Ok(time.is_some())
                } else {
                    live.client.simple_query("").await?;
                    Ok(true)
                }
            });
            match answer.await {
                Ok(Ok(true)) => {
                    if beat {
                        beat_at = asked;
                    }
                    live.answered(asked);
                }
                Ok(Ok(false)) => return Err(DbError::Pool("the worker was taken for dead".into())),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(DbError::Pool("the connection does not answer".into())),
            }
        }
    }
}

impl Heard {
    fn hear(&self, channel: &str) {
        match channel {
            "postroad_health" => self.health.notify_one(),
            _ if channel.starts_with(PROBE_CHANNEL) => self.probe.notify_one(),
            _ => {
                for (priority, notify) in &self.pools {
                    if *priority == Priority::P0 && channel == "postroad_p0" {
                        self.is_p0_busy.store(true, Ordering::Relaxed);
                    }
                    if channel
                        .strip_prefix("postroad_p")
                        .and_then(|p| p.parse().ok())
                        == Some(priority.number())
                    {
                        notify.notify_one();
                    }
                }
            }
        }
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "unknown".into(), |name| name.trim().to_owned())
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
