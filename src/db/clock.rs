//! The database's clock, as a worker knows it. What several nodes must agree on goes by it, whatever their own clocks say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::{NoContext, Timestamp, Uuid};

/// The database's time, told between two readings by a clock that nobody puts forward or back; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// What time it was, since 1970, and when that was read.
    reading: Option<(Duration, Instant)>,
    /// Milliseconds of the latest id.
    latest_ms: u64,
}

impl Known {
    fn now(&self) -> Duration {
        match self.reading {
            Some((time, read_at)) => time + read_at.elapsed(),
            None => since_1970(SystemTime::now()),
        }
    }
}

impl Clock {
    /// Notes the time that the database said when it was asked then; it said so midway, as far as anybody knows.
    pub fn read(&self, asked: Instant, said: SystemTime) {
        let answered = Instant::now();
        let read_at = asked + answered.saturating_duration_since(asked) / 2;
        self.known().reading = Some((since_1970(said), read_at));
    }

    /// Its time now, since 1970; this machine's while it was never asked.
    pub fn now(&self) -> Duration {
        self.known().now()
    }

    /// A UUIDv7 of its time now, later than those before it even when that clock was put back.
    pub fn id(&self) -> Uuid {
        let ms = {
            let mut known = self.known();
            let now_ms = u64::try_from(known.now().as_millis()).unwrap_or(u64::MAX);
            known.latest_ms = now_ms.max(known.latest_ms + 1);
            known.latest_ms
        };
        let nanos = (ms % 1000) as u32 * 1_000_000;
        Uuid::new_v7(Timestamp::from_unix(NoContext, ms / 1000, nanos))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(id: Uuid) -> u64 {
        (id.as_u128() >> 80) as u64
    }

    #[test]
    fn ids_are_of_the_time_of_the_database() {
        let clock = Clock::default();
        let hour = Duration::from_secs(3600);
        let near = |time: Duration, of: SystemTime| time.abs_diff(since_1970(of)) < hour / 60;
        assert!(near(clock.now(), SystemTime::now()), "its own, unasked");
        let ahead = SystemTime::now() + 10 * hour;
        clock.read(Instant::now(), ahead);
        assert!(near(clock.now(), ahead));
        assert!(near(Duration::from_millis(ms(clock.id())), ahead));
        assert_eq!(clock.id().get_version_num(), 7);
    }

    /// The time of an answer that took long is not the time of the question, nor that of the answer.
    #[test]
    fn the_database_spoke_midway_between_question_and_answer() {
        let clock = Clock::default();
        let Some(asked) = Instant::now().checked_sub(Duration::from_secs(60)) else {
            return; // a machine that has just started
        };
        let said = SystemTime::now();
        clock.read(asked, said);
        let ahead = clock.now().saturating_sub(since_1970(said));
        assert!(ahead >= Duration::from_secs(30) && ahead < Duration::from_secs(45));
    }

    #[test]
    fn an_id_is_later_than_those_before_it() {
        let clock = Clock::default();
        clock.read(Instant::now(), SystemTime::now());
        let mut last = clock.id();
        for nth in 0..1000 {
            if nth == 500 {
                clock.read(
                    Instant::now(),
                    SystemTime::now() - Duration::from_secs(3600),
                );
            }
            let next = clock.id();
            assert!(ms(next) > ms(last), "after {nth}");
            last = next;
        }
        let other = clock.clone();
        assert!(ms(other.id()) > ms(last), "nor does another hand of it");
    }
}
