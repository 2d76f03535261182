//! What this process counts. Workers add a batch at a time: a figure costs the hot path a few additions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::histogram::{WAITS, Waits};
use super::names;
use super::process;
use super::samples::Samples;
use crate::model::message::Priority;

/// A number that goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// 0.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the pool of one priority counts.
#[derive(Debug, Default)]
pub struct Pool {
    /// Claims that brought messages.
    pub claims: Counter,
    /// Claims that found none.
    pub empty_claims: Counter,
    /// Claims that failed.
    pub failed_claims: Counter,
    /// Messages claimed.
    pub claimed: Counter,
    /// Batches of outcomes written.
    pub completions: Counter,
    /// Batches that could not be written, and were tried again.
    pub failed_completions: Counter,
    /// Messages sent, once that is written.
    pub sent: Counter,
    /// From enqueue to that.
    pub waits: Waits,
}

impl Pool {
    const fn new() -> Self {
        Self {
            claims: Counter::new(),
            empty_claims: Counter::new(),
            failed_claims: Counter::new(),
            claimed: Counter::new(),
            completions: Counter::new(),
            failed_completions: Counter::new(),
            sent: Counter::new(),
            waits: Waits::new(),
        }
    }
}

static POOLS: [Pool; 5] = [const { Pool::new() }; 5];

/// The figures of a priority's pool.
pub fn pool(priority: Priority) -> &'static Pool {
    &POOLS[priority.index()]
}

/// Counters whose labels are words of our own code.
type Words = BTreeMap<(&'static str, String), u64>;

static ENDED: Mutex<Words> = Mutex::new(BTreeMap::new());

/// How a message that was not sent goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsent {
    /// It ended, by this event.
    Ended(&'static str),
    /// Another attempt follows.
    Retried,
    /// It was put off, and the attempt does not count.
    Snoozed,
}

impl Unsent {
    const fn word(self) -> &'static str {
        match self {
            Self::Ended(event) => event,
            Self::Retried => "retry",
            Self::Snoozed => "snooze",
        }
    }
}

/// Counts messages of a batch that were not sent.
pub fn unsent<'a>(messages: impl IntoIterator<Item = (Unsent, &'a str)>) {
    let mut messages = messages.into_iter().peekable();
    if messages.peek().is_some() {
        let mut counts = lock(&ENDED);
        for (unsent, reason) in messages {
            *counts
                .entry((unsent.word(), reason.to_owned()))
                .or_default() += 1;
        }
    }
}

type Source = Box<dyn Fn(&mut Samples) + Send + Sync>;

static SOURCES: Mutex<(u64, BTreeMap<u64, Source>)> = Mutex::new((0, BTreeMap::new()));

/// A source of samples, until it is dropped.
#[must_use]
pub struct Registration(u64);

/// Has `source` asked at each scrape: for what changes too often to be counted elsewhere, or is known by one owner.
pub fn register(source: impl Fn(&mut Samples) + Send + Sync + 'static) -> Registration {
    let mut sources = lock(&SOURCES);
    sources.0 += 1;
    let id = sources.0;
    sources.1.insert(id, Box::new(source));
    Registration(id)
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&SOURCES).1.remove(&self.0);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that this process counts. A priority whose pool does not run here has no figures here.
pub fn collect(samples: &mut Samples) {
    samples.add(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    for priority in Priority::ALL {
        let (pool, name) = (pool(*priority), priority.as_str());
        let claims = [
            ("batch", &pool.claims),
            ("empty", &pool.empty_claims),
            ("error", &pool.failed_claims),
        ];
        if claims.iter().all(|(_, counter)| counter.get() == 0) {
            continue;
        }
        for (result, counter) in claims {
            samples.add(&names::CLAIMS, &[name, result], counter.get() as f64);
        }
        samples.add(&names::CLAIMED, &[name], pool.claimed.get() as f64);
        for (result, counter) in [
            ("ok", &pool.completions),
            ("error", &pool.failed_completions),
        ] {
            samples.add(&names::COMPLETIONS, &[name, result], counter.get() as f64);
        }
        samples.add(&names::SENT, &[name], pool.sent.get() as f64);
        let (counts, sum) = pool.waits.read();
        samples.histogram(&names::ENQUEUE_TO_SENT, &[name], &WAITS, counts, sum);
    }
    for ((word, reason), count) in lock(&ENDED).iter() {
        match *word {
            "retry" => samples.add(&names::RETRIES, &[reason], *count as f64),
            "snooze" => samples.add(&names::SNOOZES, &[reason], *count as f64),
            event => samples.add(&names::ENDED, &[event, reason], *count as f64),
        }
    }
    for source in lock(&SOURCES).1.values() {
        source(samples);
    }
    process::collect(samples);
}

#[cfg(test)]
mod tests {
    use super::super::samples::Format;
    use super::*;

    /// A worker that ended must not be shown any more, nor keep what it was made of alive.
    #[test]
    fn a_source_is_asked_until_its_registration_is_dropped() {
        let shown = || {
            let mut samples = Samples::default();
            collect(&mut samples);
            samples.write(Format::Prometheus)
        };
        let registration = register(|samples| {
            samples.add(&names::GATEWAY_IN_FLIGHT, &["registered"], 7.0);
        });
        let line = "postroad_gateway_in_flight{gateway=\"registered\"} 7";
        assert!(shown().contains(line));
        drop(registration);
        assert!(!shown().contains(line));
    }

    /// What is tried again has not failed, and a snooze is no attempt.
    #[test]
    fn what_was_not_sent_is_counted_by_how_it_goes_on() {
        unsent([
            (Unsent::Ended("failed"), "counted_reason"),
            (Unsent::Retried, "counted_reason"),
            (Unsent::Retried, "counted_reason"),
            (Unsent::Snoozed, "counted_reason"),
        ]);
        let mut samples = Samples::default();
        collect(&mut samples);
        let text = samples.write(Format::Prometheus);
        for line in [
            "postroad_failed_messages_total{event=\"failed\",reason=\"counted_reason\"} 1\n",
            "postroad_retries_total{reason=\"counted_reason\"} 2\n",
            "postroad_snoozes_total{reason=\"counted_reason\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
