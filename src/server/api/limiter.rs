//! How much a caller may ask: a bucket each, on each node.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How much may come at once, in seconds' worth.
const BURST_SECONDS: f64 = 1.0;

/// A token bucket: it holds a second's worth, and fills evenly.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    at: Instant,
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Taken {
    /// Whether there was enough.
    pub(super) is_granted: bool,
    /// What may be asked a second.
    pub(super) limit: u32,
    /// What may still be asked at once.
    pub(super) remaining: u32,
    /// Until it is full again, or, when it was not granted, until it can be.
    pub(super) wait: Duration,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        let state = State {
            tokens: per_second * BURST_SECONDS,
            at: now,
        };
        Self {
            per_second,
            state: Mutex::new(state),
        }
    }

    /// What it grants a second.
    pub(super) fn per_second(&self) -> u32 {
        self.per_second as u32
    }

    /// Takes `cost`, if it is there. A cost that is higher than the bucket takes all of it.
    pub(super) fn take(&self, cost: u32, now: Instant) -> Taken {
        let size = self.per_second * BURST_SECONDS;
        let cost = f64::from(cost).min(size);
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(state.at).as_secs_f64();
        state.tokens = (state.tokens + elapsed * self.per_second).min(size);
        state.at = state.at.max(now);
        let is_granted = state.tokens >= cost;
        let missing = if is_granted {
            state.tokens -= cost;
            size - state.tokens
        } else {
            cost - state.tokens
        };
        Taken {
            is_granted,
            limit: self.per_second(),
            remaining: state.tokens as u32,
            wait: Duration::from_secs_f64(missing / self.per_second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A caller that asks too much is told when to come again, and one that keeps to it is served.
    #[test]
    fn a_bucket_grants_its_rate_and_a_seconds_worth_at_once() {
        let start = Instant::now();
        let bucket = Bucket::new(10, start);
        let granted = (0..20).filter(|_| bucket.take(1, start).is_granted).count();
        assert_eq!(granted, 10);
        let refused = bucket.take(1, start);
        assert_eq!((refused.is_granted, refused.remaining), (false, 0));
        assert_eq!(refused.wait, Duration::from_millis(100));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(1, later).is_granted);
        assert!(!bucket.take(1, later).is_granted);
    }

    /// A route that costs more than a small limit would otherwise never be granted.
    #[test]
    fn a_cost_above_the_limit_takes_a_full_bucket() {
        let start = Instant::now();
        let bucket = Bucket::new(2, start);
        assert!(bucket.take(10, start).is_granted);
        assert!(!bucket.take(1, start).is_granted);
        assert!(bucket.take(10, start + Duration::from_secs(1)).is_granted);
    }

    /// Clocks of threads may be read in another order than they are used.
    #[test]
    fn a_time_that_lies_back_gives_nothing() {
        let start = Instant::now();
        let bucket = Bucket::new(1, start + Duration::from_secs(5));
        assert!(bucket.take(1, start).is_granted);
        assert!(!bucket.take(1, start).is_granted);
        assert!(!bucket.take(1, start + Duration::from_secs(5)).is_granted);
    }
}
