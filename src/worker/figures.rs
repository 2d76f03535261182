//! What the worker shows of itself: outcomes by the batch, and its gateways when it is asked.

use std::time::Duration;

use deadpool_postgres::Pool;
use uuid::Uuid;

use crate::db::calls::Outcome;
use crate::model::event::EventType;
use crate::model::health::{BUCKETS, State};
use crate::model::message::Priority;
use crate::model::outcome::{Accepted, Fault, SendError};
use crate::telemetry::counted::{self, Unsent};
use crate::telemetry::histogram::Batch;
use crate::telemetry::names;
use crate::telemetry::samples::Samples;

/// How calls end, as a label says it.
const OUTCOMES: [&str; 5] = ["accepted", "transient", "permanent", "gateway", "unknown"];

/// The calls of one gateway since the process started.
#[derive(Default)]
pub(super) struct GatewayCalls {
    by_outcome: [Calls; OUTCOMES.len()],
}

#[derive(Default)]
struct Calls {
    buckets: [u64; BUCKETS],
    sum: Duration,
}

impl GatewayCalls {
    /// Counts a call; `bucket` is the one of `gateway_minutes.latencies`.
    pub(super) fn note(
        &mut self,
        answer: &Result<Accepted, SendError>,
        bucket: usize,
        latency: Duration,
    ) {
        let outcome = match answer {
            Ok(_) => 0,
            Err(error) => match error.fault {
                Fault::Transient { .. } => 1,
                Fault::Permanent(_) => 2,
                Fault::Gateway { .. } => 3,
                Fault::Unknown => 4,
            },
        };
        let calls = &mut self.by_outcome[outcome];
        calls.buckets[bucket] += 1;
        calls.sum += latency;
    }

    /// Adds them to `samples`. An outcome that never was is left out, but for success: its rate must start at 0.
    pub(super) fn collect(&self, gateway: &str, samples: &mut Samples) {
        let bounds: Vec<f64> = (0..BUCKETS - 1)
            .map(|n| f64::from(1 << n) / 1000.0)
            .collect();
        for (nth, (calls, outcome)) in self.by_outcome.iter().zip(OUTCOMES).enumerate() {
            if nth > 0 && calls.buckets.iter().all(|count| *count == 0) {
                continue;
            }
            let (counts, sum) = (calls.buckets.to_vec(), calls.sum.as_secs_f64());
            samples.histogram(
                &names::GATEWAY_REQUEST,
                &[gateway, outcome],
                &bounds,
                counts,
                sum,
            );
        }
    }
}

/// Adds what is known of a gateway now.
pub(super) fn collect_state(
    gateway: &str,
    state: State,
    is_paused: bool,
    in_flight: usize,
    samples: &mut Samples,
) {
    let states = [
        ("closed", state == State::Closed),
        ("half_open", state == State::HalfOpen),
        ("open", matches!(state, State::Open { .. })),
    ];
    for (name, is_so) in states {
        samples.add(
            &names::GATEWAY_BREAKER,
            &[gateway, name],
            f64::from(u8::from(is_so)),
        );
    }
    samples.add(
        &names::GATEWAY_PAUSED,
        &[gateway],
        f64::from(u8::from(is_paused)),
    );
    samples.add(&names::GATEWAY_IN_FLIGHT, &[gateway], in_flight as f64);
}

/// Adds how the connections of a pool are used.
pub(super) fn collect_pool(name: &str, pool: &Pool, samples: &mut Samples) {
    let status = pool.status();
    for (state, count) in [
        ("idle", status.available),
        ("used", status.size.saturating_sub(status.available)),
        ("waiting", status.waiting),
    ] {
        samples.add(&names::DATABASE_CONNECTIONS, &[name, state], count as f64);
    }
    samples.add(
        &names::DATABASE_CONNECTIONS_MAX,
        &[name],
        status.max_size as f64,
    );
}

/// Counts outcomes, once they are written; `now` is the database's time, since 1970.
pub(super) fn written(priority: Priority, outcomes: &[Outcome], now: Duration) {
    let pool = counted::pool(priority);
    pool.completions.add(1);
    let mut waits = Batch::default();
    let mut sent = 0;
    for outcome in outcomes {
        if outcome.event_type == EventType::Sent {
            sent += 1;
            waits.note(now.saturating_sub(enqueued_at(outcome.message_id)));
        }
    }
    if sent > 0 {
        pool.sent.add(sent);
        pool.waits.add(&waits);
    }
    if sent < outcomes.len() as u64 {
        let others = outcomes.iter().filter(|o| o.event_type != EventType::Sent);
        counted::unsent(others.map(|o| (goes_on(o), o.reason.unwrap_or("none"))));
    }
}

fn goes_on(outcome: &Outcome) -> Unsent {
    match (outcome.event_type, outcome.counted) {
        (EventType::Deferred, true) => Unsent::Retried,
        (EventType::Deferred, false) => Unsent::Snoozed,
        (event, _) => Unsent::Ended(event.as_str()),
    }
}

/// Milliseconds since 1970 are the first 48 bits of a UUIDv7 (RFC 9562, section 5.7).
fn enqueued_at(message_id: Uuid) -> Duration {
    Duration::from_millis((message_id.as_u128() >> 80) as u64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::db::clock::Clock;
    use crate::telemetry::samples::Format;

    fn text(samples: &Samples) -> String {
        samples.write(Format::Prometheus)
    }

    /// The histogram must agree with the buckets that the database keeps: bucket n holds calls of up to 2ⁿ ms.
    #[test]
    fn calls_are_shown_by_outcome_and_latency() {
        let mut calls = GatewayCalls::default();
        calls.note(&Ok(Accepted::default()), 3, Duration::from_millis(7));
        let fault = SendError::new(Fault::Gateway { retry_after: None }, "x");
        calls.note(&Err(fault), BUCKETS - 1, Duration::from_secs(40));
        let mut samples = Samples::default();
        calls.collect("relay", &mut samples);
        let text = text(&samples);
        for line in [
            "{gateway=\"relay\",outcome=\"accepted\",le=\"0.004\"} 0\n",
            "{gateway=\"relay\",outcome=\"accepted\",le=\"0.008\"} 1\n",
            "{gateway=\"relay\",outcome=\"gateway\",le=\"32.768\"} 0\n",
            "{gateway=\"relay\",outcome=\"gateway\",le=\"+Inf\"} 1\n",
            "_sum{gateway=\"relay\",outcome=\"gateway\"} 40\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(!text.contains("outcome=\"permanent\""), "{text}");
    }

    /// An alert asks for exactly one state.
    #[test]
    fn a_breaker_is_in_one_state() {
        let mut samples = Samples::default();
        collect_state("relay", State::HalfOpen, true, 2, &mut samples);
        let text = text(&samples);
        for (state, value) in [("closed", 0), ("half_open", 1), ("open", 0)] {
            let line = format!("{{gateway=\"relay\",state=\"{state}\"}} {value}\n");
            assert!(text.contains(&line), "{text}");
        }
    }

    /// Retries and snoozes are not failures, and a wait is told from the id.
    #[test]
    fn outcomes_are_told_apart() {
        let of = |event_type, counted| {
            let mut outcome = Outcome::new(Uuid::nil(), Uuid::nil(), Arc::default(), event_type, 1);
            outcome.counted = counted;
            goes_on(&outcome)
        };
        assert_eq!(of(EventType::Deferred, true), Unsent::Retried);
        assert_eq!(of(EventType::Deferred, false), Unsent::Snoozed);
        assert_eq!(of(EventType::Bounced, true), Unsent::Ended("bounced"));
        let clock = Clock::default();
        let (before, at) = (clock.now(), enqueued_at(clock.id()));
        assert!(at + Duration::from_secs(5) > before && at < before + Duration::from_secs(5));
    }
}
