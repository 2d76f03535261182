//! Outcomes → closed, half-open, open: whether a gateway gets traffic.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Faults of the gateway in a row that open its breaker.
const CONSECUTIVE: u32 = 5;
/// Calls that the error rate is told from, at least.
const RATE_CALLS: u32 = 20;
/// The span that the error rate is told from.
const RATE_SPAN: Duration = Duration::from_secs(10);
/// A breaker opens for so long at first, twice as long after each probe that fails.
const OPEN_FIRST: Duration = Duration::from_secs(2);
/// A breaker opens for so long at most.
const OPEN_MAX: Duration = Duration::from_secs(60);
/// A gateway that has calls under way and answers none for so long has stalled.
pub const STALLED_AFTER: Duration = Duration::from_millis(1200);
/// A gateway whose answers take long is not stalled before so many times its usual latency.
const STALLED_LATENCIES: u32 = 4;

/// Whether a gateway gets traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Closed,
    /// It does not, until then.
    Open {
        /// When it may be probed.
        until: Instant,
    },
    /// One message is under way to it, to see.
    HalfOpen,
}

/// Why a breaker opened, in the words of events, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Faults of the gateway, one after the other.
    ConsecutiveFaults,
    /// More faults than answers.
    ErrorRate,
    /// It takes calls and does not answer.
    Stalled,
    /// The probe failed.
    ProbeFailed,
}

impl Cause {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFaults => "consecutive_faults",
            Self::ErrorRate => "error_rate",
            Self::Stalled => "stalled",
            Self::ProbeFailed => "probe_failed",
        }
    }
}

/// A change that the other nodes must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It opened, for so long.
    Opened(Cause, Duration),
    /// It closed.
    Closed,
}

/// The breaker of one gateway, or of one gateway and destination domain.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    /// When it last opened, was probed or closed: calls from before say nothing of now.
    since: Option<Instant>,
    open_for: Duration,
    faults_in_a_row: u32,
    recent: VecDeque<(Instant, bool)>,
    latency: Option<Duration>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            since: None,
            open_for: OPEN_FIRST,
            faults_in_a_row: 0,
            recent: VecDeque::new(),
            latency: None,
        }
    }
}

impl Breaker {
    /// Its state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether it gets traffic.
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// When it last changed: only calls that began since then count.
    pub const fn since(&self) -> Option<Instant> {
        self.since
    }

    fn is_stale(&self, now: Instant, latency: Duration) -> bool {
        self.since
            .is_some_and(|since| now.checked_sub(latency).is_none_or(|began| began < since))
    }

    /// Notes that a call was answered, well or with the fault of a message, after `latency`.
    pub fn succeeded(&mut self, now: Instant, latency: Duration) -> Option<Change> {
        self.latency = Some(
            self.latency
                .map_or(latency, |usual| (usual * 7 + latency) / 8),
        );
        if self.is_stale(now, latency) {
            return None;
        }
        self.faults_in_a_row = 0;
        self.note(now, true);
        match self.state {
            State::HalfOpen => {
                self.close(now);
                Some(Change::Closed)
            }
            State::Open { .. } => {
                self.close(now); // it was the least bad one, and it works again
                Some(Change::Closed)
            }
            State::Closed => None,
        }
    }

    /// Notes that a call ended with a fault of the gateway, after `latency`.
    pub fn failed(&mut self, now: Instant, latency: Duration) -> Option<Change> {
        if self.is_stale(now, latency) {
            return None;
        }
        self.faults_in_a_row += 1;
        self.note(now, false);
        match self.state {
            State::HalfOpen => Some(self.open(now, Cause::ProbeFailed)),
            State::Open { .. } => None,
            State::Closed => {
                let calls = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
                let faults = u32::try_from(self.recent.iter().filter(|(_, ok)| !ok).count())
                    .unwrap_or(u32::MAX);
                if self.faults_in_a_row >= CONSECUTIVE {
                    Some(self.open(now, Cause::ConsecutiveFaults))
                } else if calls >= RATE_CALLS && faults * 2 > calls {
                    Some(self.open(now, Cause::ErrorRate))
                } else {
                    None
                }
            }
        }
    }

    /// Looks at the calls under way, the oldest of which (since [`since`](Self::since)) began at `oldest`: when nothing was answered since then, nor
    /// since `last_answer`, for [`STALLED_AFTER`] and four times the usual latency, the gateway has stalled.
    pub fn look(
        &mut self,
        now: Instant,
        oldest: Option<Instant>,
        last_answer: Option<Instant>,
    ) -> Option<Change> {
        let oldest = oldest?;
        let limit = STALLED_AFTER.max(self.latency.unwrap_or_default() * STALLED_LATENCIES);
        let silent_since = last_answer.map_or(oldest, |answer| answer.max(oldest));
        if now.saturating_duration_since(silent_since) < limit {
            return None;
        }
        match self.state {
            State::Closed => Some(self.open(now, Cause::Stalled)),
            State::HalfOpen => Some(self.open(now, Cause::ProbeFailed)),
            State::Open { .. } => None,
        }
    }

    /// One message may go out as a probe: this node was chosen for it.
    pub fn probe(&mut self, now: Instant) {
        self.state = State::HalfOpen;
        self.since = Some(now);
    }

    /// Another node saw it open.
    pub fn adopt_open(&mut self, now: Instant, until: Instant) {
        if self.is_closed() {
            self.since = Some(now);
        }
        if !matches!(self.state, State::HalfOpen) {
            self.state = State::Open { until };
        }
    }

    /// The probe was not sent after all: there was no message for it.
    pub fn cancel_probe(&mut self, now: Instant) {
        self.state = State::Open { until: now };
    }

    /// Another node saw it close.
    pub fn adopt_closed(&mut self, now: Instant) {
        self.close(now);
    }

    fn note(&mut self, now: Instant, ok: bool) {
        self.recent.push_back((now, ok));
        while self.recent.len() > 200
            || self
                .recent
                .front()
                .is_some_and(|(at, _)| now.saturating_duration_since(*at) > RATE_SPAN)
        {
            self.recent.pop_front();
        }
    }

    fn open(&mut self, now: Instant, cause: Cause) -> Change {
        let open_for = self.open_for;
        self.state = State::Open {
            until: now + open_for,
        };
        self.since = Some(now);
        self.open_for = (open_for * 2).min(OPEN_MAX);
        self.recent.clear();
        Change::Opened(cause, open_for)
    }

    fn close(&mut self, now: Instant) {
        self.state = State::Closed;
        self.since = Some(now);
        self.open_for = OPEN_FIRST;
        self.faults_in_a_row = 0;
        self.recent.clear();
    }
}

/// Buckets of latency: bucket n counts calls of up to 2ⁿ ms, the last one the rest.
pub const BUCKETS: usize = 17;

/// Calls of one gateway and channel since they were last written down.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Accepted.
    pub sent: i64,
    /// Not accepted.
    pub failed: i64,
    /// By latency.
    pub latencies: [i64; BUCKETS],
    /// Of the last that was not accepted.
    pub reason: Option<&'static str>,
}

/// What all nodes know of one gateway, as Postgres has it.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Its name.
    pub gateway: String,
    /// By an operator.
    pub is_paused: bool,
    /// Its breaker.
    pub is_open: bool,
    /// For how long it stays open before it is probed.
    pub open_for: Duration,
    /// Its share of traffic.
    pub weight: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One fault is bad luck, five in a row are an outage; an answer in between starts the count again.
    #[test]
    fn faults_in_a_row_open_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..CONSECUTIVE - 1 {
            assert_eq!(breaker.failed(now, MS), None);
        }
        breaker.succeeded(now, MS);
        for _ in 0..CONSECUTIVE - 1 {
            assert_eq!(breaker.failed(now, MS), None);
        }
        assert_eq!(
            breaker.failed(now, MS),
            Some(Change::Opened(Cause::ConsecutiveFaults, OPEN_FIRST))
        );
        assert!(!breaker.is_closed());
    }

    /// A gateway that fails every other call never fails five times in a row.
    #[test]
    fn an_error_rate_over_half_opens_it_and_half_does_not() {
        let run = |fails: &[bool]| {
            let now = Instant::now();
            let mut breaker = Breaker::default();
            fails
                .iter()
                .cycle()
                .take(60)
                .filter_map(|fail| {
                    if *fail {
                        breaker.failed(now, MS)
                    } else {
                        breaker.succeeded(now, MS)
                    }
                })
                .next()
        };
        assert_eq!(
            run(&[true, true, false]),
            Some(Change::Opened(Cause::ErrorRate, OPEN_FIRST))
        );
        assert_eq!(run(&[false, true]), None);
    }

    /// It comes back by itself, after one message; and later after each that fails.
    #[test]
    fn one_probe_decides_and_a_failed_one_waits_longer() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..CONSECUTIVE {
            breaker.failed(now, MS);
        }
        now += MS * 5;
        breaker.probe(now);
        now += MS * 5;
        assert_eq!(
            breaker.failed(now, MS),
            Some(Change::Opened(Cause::ProbeFailed, OPEN_FIRST * 2))
        );
        now += MS * 5;
        breaker.probe(now);
        now += MS * 5;
        assert_eq!(breaker.succeeded(now, MS), Some(Change::Closed));
        assert!(breaker.is_closed());
    }

    /// A gateway that takes calls and does not answer has no faults to count.
    #[test]
    fn silence_opens_it_but_not_where_answers_always_take_long() {
        let start = Instant::now();
        let later = start + STALLED_AFTER;
        let mut breaker = Breaker::default();
        assert_eq!(breaker.look(later, None, None), None);
        assert_eq!(breaker.look(start + MS, Some(start), None), None);
        assert_eq!(
            breaker.look(later, Some(start), Some(later)),
            None,
            "others are answered"
        );
        assert_eq!(
            breaker.look(later, Some(start), None),
            Some(Change::Opened(Cause::Stalled, OPEN_FIRST))
        );

        let mut slow = Breaker::default();
        slow.succeeded(start, Duration::from_secs(2));
        assert_eq!(slow.look(later, Some(start), None), None);
        assert!(
            slow.look(start + Duration::from_secs(8), Some(start), None)
                .is_some()
        );
    }

    /// What one node learns, all do.
    #[test]
    fn it_follows_other_nodes() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.adopt_open(now, now + MS);
        assert_eq!(breaker.state(), State::Open { until: now + MS });
        assert_eq!(
            breaker.succeeded(now, MS),
            None,
            "a call from before it opened"
        );
        breaker.adopt_closed(now);
        assert!(breaker.is_closed());
    }
}
