//! Counts by size, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of waits from enqueue to sent, in seconds: from a P0 on an idle node to a campaign of days.
pub const WAITS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0,
    86400.0,
];

/// Waits, by [`WAITS`]; the last bucket has the rest.
#[derive(Debug, Default)]
pub struct Waits {
    buckets: [AtomicU64; WAITS.len() + 1],
    sum_ms: AtomicU64,
}

/// Waits of a batch, to be added at once.
#[derive(Debug, Default)]
pub struct Batch {
    buckets: [u64; WAITS.len() + 1],
    sum_ms: u64,
}

impl Batch {
    /// Counts one.
    pub fn note(&mut self, wait: Duration) {
        let seconds = wait.as_secs_f64();
        let bucket = WAITS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket] += 1;
        self.sum_ms += wait.as_millis() as u64;
    }
}

impl Waits {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; WAITS.len() + 1],
            sum_ms: AtomicU64::new(0),
        }
    }

    /// Adds a batch.
    pub fn add(&self, batch: &Batch) {
        for (total, more) in self.buckets.iter().zip(batch.buckets) {
            if more > 0 {
                total.fetch_add(more, Ordering::Relaxed);
            }
        }
        self.sum_ms.fetch_add(batch.sum_ms, Ordering::Relaxed);
    }

    /// The counts of the buckets, each for itself, and the sum in seconds.
    pub fn read(&self) -> (Vec<u64>, f64) {
        let counts = self.buckets.iter();
        let counts = counts
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        (counts, self.sum_ms.load(Ordering::Relaxed) as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An upper bound belongs to its bucket (`le` is "less or equal").
    #[test]
    fn a_wait_is_counted_in_the_first_bucket_that_holds_it() {
        let waits = Waits::new();
        let mut batch = Batch::default();
        for wait in [0, 5, 6, 86_400_000, 86_400_001] {
            batch.note(Duration::from_millis(wait));
        }
        waits.add(&batch);
        let (counts, sum) = waits.read();
        assert_eq!((counts[0], counts[1]), (2, 1));
        assert_eq!((counts[15], counts[16]), (1, 1));
        assert!((sum - 172_800.012).abs() < 1e-6, "{sum}");
    }
}
