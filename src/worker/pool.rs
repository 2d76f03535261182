//! One priority's pool: keeps sends in flight, up to its width, from what its claimer brings.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool as Connections;
use futures_util::poll;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{interval, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::{self, Gathering};
use super::claim::{Batch, Claimer};
use super::complete::{self, Note};
use super::deliver::{self, Next, Ready};
use super::routing::Routing;
use super::settings::PoolPolicy;
use crate::db::calls::{self, Outcome};
use crate::db::listen::{Live, Session};
use crate::gateway::registry::Registry;
use crate::model::event::EventType;
use crate::model::message::{OnUnknown, Priority};

/// What is claimed ahead at most, in messages: a crash exposes little, a suppression works at once.
const AHEAD_MAX: usize = 1000;
/// What has waited in memory for so long is handed back.
const STALE: Duration = Duration::from_secs(5);
/// Outcomes that may wait to be written; beyond that no send is started.
const UNWRITTEN_MAX: usize = 4 * AHEAD_MAX;
/// Sends that stalled gateways may hold beside the others, in widths.
const STALLED_WIDTHS: usize = 10;
/// How often rate and width are adapted.
const TICK: Duration = Duration::from_millis(100);
/// Messages whose intent is recorded ahead of their send: about so much time of sending.
const INTEND_AHEAD: f64 = 0.05;

/// What a pool is made of.
pub struct Pool {
    /// Its priority.
    pub priority: Priority,
    /// Fewest and most sends in flight.
    pub concurrency: (usize, usize),
    /// How often it looks without being woken, while idle.
    pub poll: Duration,
    /// P2 and P3: see the settings.
    pub p1_gate: i64,
    /// How messages are tried.
    pub policy: PoolPolicy,
    /// How long a shutdown waits for sends in flight.
    pub shutdown_timeout: Duration,
    /// Its own connections.
    pub db: Connections,
    /// The process's session.
    pub session: Session,
    /// Its own gateways.
    pub gateways: Registry,
    /// The process's knowledge of gateways.
    pub routing: Arc<Routing>,
}

struct Held {
    ready: Box<Ready>,
    live: Arc<Live>,
    claimed_at: Instant,
}

/// What ended with one slot.
enum Ended {
    One(Outcome),
    /// A call for several; some may be left to send.
    Several {
        messages: Vec<Next>,
        live: Arc<Live>,
        claimed_at: Instant,
    },
}

type Sends<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send + 'a>>>;

type Intending = Pin<Box<dyn Future<Output = Vec<Held>> + Send>>;

/// What changes while it runs.
struct Running<'a> {
    pool: &'a Pool,
    notes: mpsc::UnboundedSender<Note>,
    unwritten: Arc<AtomicUsize>,
    /// Claimed, without an intent yet where one is needed.
    buffer: VecDeque<Held>,
    /// May be sent.
    ready: VecDeque<Held>,
    width: usize,
    /// Sends that ended, a second.
    rate: f64,
    ended: usize,
    was_full: bool,
    gateway_faults: usize,
    /// Sends in flight that a stalled gateway holds.
    stalled: usize,
    /// The most messages that one call takes.
    largest_batch: usize,
}

impl Pool {
    /// Runs until `shutdown`; then finishes what is in flight and hands back the rest.
    pub async fn run(self, shutdown: CancellationToken) {
        let (wanted, wants) = watch::channel(self.concurrency.0);
        let (batch_sender, mut batches) = mpsc::channel(1);
        let (notes, noted) = mpsc::unbounded_channel();
        let unwritten = Arc::new(AtomicUsize::new(0));
        let room = Arc::new(Notify::new());
        let claimer = Claimer {
            priority: self.priority,
            db: self.db.clone(),
            session: self.session.clone(),
            wanted: wants,
            batches: batch_sender,
            notes: notes.clone(),
            poll: self.poll,
            p1_gate: self.p1_gate,
        };
        let claiming = tokio::spawn(claimer.run(shutdown.clone()));
        let completing = tokio::spawn(complete::run(
            self.db.clone(),
            self.session.clock.clone(),
            noted,
            self.priority,
            {
                let (unwritten, room) = (Arc::clone(&unwritten), Arc::clone(&room));
                move |count| {
                    unwritten.fetch_sub(count, Ordering::Relaxed);
                    room.notify_one();
                }
            },
        ));

        let mut running = Running {
            pool: &self,
            notes,
            unwritten,
            buffer: VecDeque::new(),
            ready: VecDeque::new(),
            width: self.concurrency.0,
            rate: 0.0,
            ended: 0,
            was_full: false,
            gateway_faults: 0,
            stalled: 0,
            largest_batch: self.gateways.largest_batch(),
        };
        let mut in_flight: Sends<'_> = FuturesUnordered::new();
        let mut intending: Option<Intending> = None;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            running.start_sends(&mut in_flight).await;
            if intending.is_none() {
                intending = running.intend();
            }
            wanted.send_if_modified(|old| {
                std::mem::replace(old, running.wanted(in_flight.len())) != *old
            });
            tokio::select! {
                biased;
                Some(ended) = in_flight.next(), if !in_flight.is_empty() => running.ended(ended),
                held = async { intending.as_mut().expect("checked").await }, if intending.is_some() => {
                    intending = None;
                    running.ready.extend(held);
                }
                batch = batches.recv() => match batch {
                    Some(batch) => running.take(batch),
                    None => break,                                // the claimer has ended: shutdown
                },
                () = shutdown.cancelled() => break,
                () = room.notified() => {}
                _ = ticks.tick() => running.tick(in_flight.len()),
            }
        }

        // Nothing here waits for Postgres or a gateway past the deadline; what is left then is rescued.
        let deadline = tokio::time::Instant::now() + self.shutdown_timeout;
        let mut brings = true;
        loop {
            running.hand_back_all();
            if in_flight.is_empty() && intending.is_none() && !brings {
                break;
            }
            tokio::select! {
                Some(ended) = in_flight.next(), if !in_flight.is_empty() => running.ended(ended),
                held = async { intending.as_mut().expect("checked").await }, if intending.is_some() => {
                    intending = None;
                    running.ready.extend(held);
                }
                batch = batches.recv(), if brings => match batch {
                    Some(batch) => running.take(batch),
                    None => brings = false,
                },
                () = sleep_until(deadline) => {
                    tracing::warn!(priority = %self.priority, sends = in_flight.len(), "not all ended in time; the rest is left to rescue");
                    break;
                }
            }
        }
        drop((running, batches));
        let _ = timeout_at(deadline + Duration::from_secs(5), async {
            let _ = claiming.await;
            let _ = completing.await;
        })
        .await;
    }
}

impl<'a> Running<'a> {
    fn note(&self, note: Note) {
        // The completer ends after the last sender only.
        let _ = self.notes.send(note);
    }

    fn outcome(&self, outcome: Box<Outcome>) {
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        self.note(Note::Outcome(outcome));
    }

    fn take(&mut self, batch: Batch) {
        let claimed_at = Instant::now();
        self.note(Note::Leased {
            lease_id: batch.lease_id,
            count: batch.messages.len(),
        });
        for claimed in batch.messages {
            match deliver::prepare(
                batch.lease_id,
                self.pool.priority,
                claimed,
                &self.pool.policy.rules,
            ) {
                Next::Send(ready) => self.buffer.push_back(Held {
                    ready,
                    live: Arc::clone(&batch.live),
                    claimed_at,
                }),
                Next::Done(outcome) => self.outcome(outcome),
            }
        }
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::One(outcome) => self.answered(outcome),
            Ended::Several {
                messages,
                live,
                claimed_at,
            } => {
                for message in messages.into_iter().rev() {
                    match message {
                        Next::Done(outcome) => self.answered(*outcome),
                        Next::Send(ready) => self.ready.push_front(Held {
                            ready,
                            live: Arc::clone(&live),
                            claimed_at,
                        }),
                    }
                }
            }
        }
    }

    fn answered(&mut self, outcome: Outcome) {
        self.ended += 1;
        if outcome.event_type == EventType::Deferred && !outcome.counted {
            self.gateway_faults += 1;
        }
        self.outcome(Box::new(outcome));
    }

    /// Sends that may be in flight. What a stalled gateway holds takes no slot from the others, up to ten times the width:
    /// each such send ends by its timeout.
    fn slots(&self) -> usize {
        self.width + self.stalled.min(STALLED_WIDTHS * self.width)
    }

    /// Whether a gateway that is in order serves the message.
    fn has_way(&self, held: &Held) -> bool {
        let message = &held.ready.message;
        let gateways = self
            .pool
            .gateways
            .order(message.channel, message.message_type);
        gateways
            .iter()
            .any(|gateway| self.pool.routing.is_in_order(gateway.name()))
    }

    /// How many messages the claimer should bring: about a second of work, when half of that is left. None while no slot
    /// is free and nothing ends: they would wait here, and another node may have a slot for them.
    fn wanted(&self, in_flight: usize) -> usize {
        let least = if in_flight < self.width {
            2 * self.width
        } else {
            0
        };
        let ahead = (self.rate as usize).max(least).min(AHEAD_MAX);
        let held = self.buffer.len() + self.ready.len();
        if self.unwritten.load(Ordering::Relaxed) >= UNWRITTEN_MAX {
            return 0; // of what needs no send, too, only so much may be claimed
        }
        if held > ahead / 2 { 0 } else { ahead - held }
    }

    /// Starts what may be sent now: free slots, a fresh session, room for outcomes.
    async fn start_sends(&mut self, in_flight: &mut Sends<'a>) {
        while self.unwritten.load(Ordering::Relaxed) < UNWRITTEN_MAX {
            let is_free = in_flight.len() < self.width
                || in_flight.len() < self.slots()
                    && self.ready.front().is_some_and(|held| self.has_way(held));
            if !is_free {
                break;
            }
            let Some(held) = self.ready.pop_front() else {
                break;
            };
            if !held.live.is_fresh() {
                self.ready.push_front(held);
                break;
            }
            let mut send = self.send(held);
            match poll!(&mut send) {
                Poll::Ready(ended) => self.ended(ended),
                Poll::Pending => in_flight.push(send),
            }
        }
        self.was_full |= in_flight.len() >= self.slots();
    }

    /// The send of a message, and of those that may share its call.
    fn send(&mut self, mut held: Held) -> Pin<Box<dyn Future<Output = Ended> + Send + 'a>> {
        let pool = self.pool;
        let gathering = Gathering {
            gateways: &pool.gateways,
            routing: &pool.routing,
            policy: &pool.policy,
        };
        let live = Arc::clone(&held.live);
        let others = gathering.take(&mut held.ready, &mut self.ready, |other| {
            Arc::ptr_eq(&other.live, &live).then_some(&mut *other.ready)
        });
        if others.is_empty() {
            return Box::pin(async move {
                let sending =
                    deliver::deliver(held.ready, &pool.gateways, &pool.routing, &pool.policy);
                Ended::One(sending.await)
            });
        }
        let claimed_at = held.claimed_at;
        let all = [held].into_iter().chain(others).map(|held| *held.ready);
        let all: Vec<_> = all.collect();
        Box::pin(async move {
            Ended::Several {
                messages: batch::deliver(all, &pool.routing, &pool.policy).await,
                live,
                claimed_at,
            }
        })
    }

    /// Moves what needs no intent to the ready ones, and records the intent of what does.
    fn intend(&mut self) -> Option<Intending> {
        let least = self.width.max(self.largest_batch).min(AHEAD_MAX);
        let ahead = ((self.rate * INTEND_AHEAD) as usize).clamp(least, AHEAD_MAX);
        if self.ready.len() >= ahead {
            return None;
        }
        let mut held = Vec::new();
        while self.ready.len() + held.len() < ahead {
            match self.buffer.pop_front() {
                Some(next) if next.ready.on_unknown == OnUnknown::Hold => held.push(next),
                Some(next) => self.ready.push_back(next),
                None => break,
            }
        }
        if held.is_empty() {
            return None;
        }
        let db = self.pool.db.clone();
        Some(Box::pin(async move {
            let lease_ids: Vec<Uuid> = held.iter().map(|h| h.ready.lease_id).collect();
            let message_ids: Vec<Uuid> = held.iter().map(|h| h.ready.message.message_id).collect();
            let mut delay = Duration::from_millis(250);
            loop {
                let intended = async {
                    let client = db.get().await?;
                    calls::intend(&client, &lease_ids, &message_ids).await
                };
                match intended.await {
                    Ok(()) => return held,
                    Err(error) => {
                        tracing::warn!(%error, "intents could not be recorded; they are tried again")
                    }
                }
                sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(2));
            }
        }))
    }

    /// Adapts rate and width, and hands back what has waited for too long or lost its session.
    fn tick(&mut self, in_flight: usize) {
        assert!(!self.notes.is_closed(), "the completer ended"); // the process ends, and the leases are rescued
        self.rate = 0.6 * self.rate + 0.4 * self.ended as f64 / TICK.as_secs_f64();
        self.stalled = self.pool.routing.stalled(self.pool.priority);
        let (least, most) = self.pool.concurrency;
        if self.gateway_faults > 0 {
            self.width = (self.width / 2).max(least);
        } else if self.was_full {
            self.width = (self.width + self.width.div_ceil(4)).min(most);
        } else if in_flight < self.width / 2 {
            self.width = (self.width - 1).max(least);
        }
        (self.ended, self.gateway_faults, self.was_full) = (0, 0, false);
        let is_stale = |held: &Held| held.claimed_at.elapsed() > STALE || held.live.is_dead();
        if self.buffer.front().is_some_and(is_stale) || self.ready.front().is_some_and(is_stale) {
            let (stale, kept) = self
                .buffer
                .drain(..)
                .chain(self.ready.drain(..))
                .partition(is_stale);
            let stale: Vec<Held> = stale;
            let kept: Vec<Held> = kept;
            self.buffer = kept.into(); // an intent that is recorded twice is one
            self.hand_back(stale);
        }
    }

    fn hand_back_all(&mut self) {
        let held: Vec<Held> = self.buffer.drain(..).chain(self.ready.drain(..)).collect();
        self.hand_back(held);
    }

    fn hand_back(&self, held: Vec<Held>) {
        for held in held {
            self.note(Note::HandedBack {
                lease_id: held.ready.lease_id,
                message_id: held.ready.message.message_id,
            });
        }
    }
}
