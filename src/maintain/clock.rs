//! Notices when the database's clock is put back, and moves what waits by it.
//!
//! Times in the database are reckoned by its clock. A minute's backoff that was written before the clock went back by an
//! hour would be an hour and a minute long.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::db::{DbError, calls};

/// How often the clock is read.
const EVERY: Duration = Duration::from_secs(1);

/// Less is no step: a clock that is brought into line slowly, or a server that stood still.
const LEAST: Duration = Duration::from_secs(2);

/// The database's clock beside our own, which nobody can put forward or back.
#[derive(Default)]
pub(super) struct Clock {
    before: Option<Reading>,
}

#[derive(Clone, Copy)]
struct Reading {
    /// When it was asked, and when it had answered.
    between: (Instant, Instant),
    /// What it said, in seconds since 1970.
    says: f64,
}

impl Clock {
    /// Reads the clock, and moves what waits by the one before it.
    pub(super) async fn follow(&mut self, client: &Client) -> Result<(), DbError> {
        let is_time = |before: &Reading| before.between.1.elapsed() >= EVERY;
        if !self.before.as_ref().is_none_or(is_time) {
            return Ok(());
        }
        let asked = Instant::now();
        let says = calls::clock(client).await?;
        let now = Reading {
            between: (asked, Instant::now()),
            says,
        };
        let back = self.before.and_then(|before| put_back(before, now));
        if let Some(back) = back {
            let moved = calls::follow_clock(client, back).await?;
            tracing::warn!(
                moved,
                "the database's clock was put back by {} s; retries that waited by it are due as much earlier",
                back.as_secs()
            );
        }
        self.before = Some(now);
        Ok(())
    }
}

/// By how much the clock was put back between two readings, at least.
fn put_back(before: Reading, now: Reading) -> Option<Duration> {
    let passed = now.between.0.saturating_duration_since(before.between.1);
    let back = passed.as_secs_f64() - (now.says - before.says);
    let back = Duration::try_from_secs_f64(back).ok()?;
    (back >= LEAST).then_some(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: f64 = 3600.0;

    fn readings(passed: u64, said: f64) -> Option<Duration> {
        let start = Instant::now();
        let at = |seconds: u64, says| Reading {
            between: (
                start + Duration::from_secs(seconds),
                start + Duration::from_secs(seconds),
            ),
            says,
        };
        put_back(at(0, 1e9), at(passed, 1e9 + said))
    }

    /// Only a step back makes anything late, and only a real one may move what waits.
    #[test]
    fn a_step_back_is_told_from_everything_else() {
        let back = readings(1, 1.0 - HOUR).expect("an hour back");
        assert!(back.abs_diff(Duration::from_secs(3600)) < Duration::from_millis(1));
        assert!(readings(10, 7.0).is_some(), "three seconds back");
        assert_eq!(readings(10, 9.0), None, "brought into line");
        assert_eq!(readings(1, HOUR), None, "put forward");
        assert_eq!(readings(60, 60.0), None, "a process that stood still");
    }
}
