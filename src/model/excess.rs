//! Limits that were exceeded → what is told of it: the first time, and then at most once a minute.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// A limit is told of once in so long. The nodes agree on it in Postgres; here it spares the calls.
pub const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A limit that was not exceeded for so long is exceeded anew.
const QUIET: Duration = Duration::from_secs(120);

/// Limits that are watched at most; of more than these nothing is told until some are quiet.
const WATCHED_MAX: usize = 1000;

/// What is known of a limit that was exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess<D> {
    /// Since when, as of the time at which it is told.
    pub lasting: Duration,
    /// What was said the last time.
    pub detail: D,
}

/// Watches limits, each under a key. It costs nothing while none is exceeded.
#[derive(Debug)]
pub struct Excesses<K, D> {
    watched: HashMap<K, Watched<D>>,
    untold: usize,
}

#[derive(Debug)]
struct Watched<D> {
    first: Instant,
    last: Instant,
    told: Option<Instant>,
    is_untold: bool,
    detail: D,
}

impl<K, D> Default for Excesses<K, D> {
    fn default() -> Self {
        Self {
            watched: HashMap::new(),
            untold: 0,
        }
    }
}

impl<K: Clone + Eq + Hash, D: Clone> Excesses<K, D> {
    /// Notes that a limit was exceeded; whether there is something to tell.
    pub fn note(&mut self, key: K, detail: D, now: Instant) -> bool {
        let is_quiet = |w: &Watched<D>| now.saturating_duration_since(w.last) > QUIET;
        if self.watched.len() >= WATCHED_MAX && !self.watched.contains_key(&key) {
            self.watched.retain(|_, w| w.is_untold || !is_quiet(w));
            if self.watched.len() >= WATCHED_MAX {
                return self.untold > 0;
            }
        }
        let watched = self.watched.entry(key).or_insert_with(|| Watched {
            first: now,
            last: now,
            told: None,
            is_untold: false,
            detail: detail.clone(),
        });
        if is_quiet(watched) {
            watched.first = now;
        }
        watched.last = now;
        watched.detail = detail;
        let is_due = watched
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= TOLD_EVERY);
        if is_due && !watched.is_untold {
            watched.is_untold = true;
            self.untold += 1;
        }
        self.untold > 0
    }

    /// What is to be told; [`told`](Self::told) once it is.
    pub fn untold(&self, now: Instant) -> Vec<(K, Excess<D>)> {
        if self.untold == 0 {
            return Vec::new();
        }
        let untold = self.watched.iter().filter(|(_, w)| w.is_untold);
        untold
            .map(|(key, w)| {
                let lasting = now.saturating_duration_since(w.first);
                let detail = w.detail.clone();
                (key.clone(), Excess { lasting, detail })
            })
            .collect()
    }

    /// It was told.
    pub fn told<'k>(&mut self, keys: impl IntoIterator<Item = &'k K>, now: Instant)
    where
        K: 'k,
    {
        for key in keys {
            if let Some(watched) = self.watched.get_mut(key)
                && watched.is_untold
            {
                (watched.is_untold, watched.told) = (false, Some(now));
                self.untold -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Tells what is untold, and says of which keys.
    fn tell(excesses: &mut Excesses<&'static str, u32>, now: Instant) -> Vec<&'static str> {
        let mut keys: Vec<_> = excesses
            .untold(now)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        keys.sort_unstable();
        excesses.told(&keys, now);
        keys
    }

    /// Whoever exceeds a limit does so a thousand times a second.
    #[test]
    fn a_limit_is_told_of_once_a_minute_and_each_limit_for_itself() {
        let start = Instant::now();
        let mut excesses = Excesses::default();
        assert_eq!(tell(&mut excesses, start), [""; 0]);
        for nth in 0..100 {
            excesses.note("a", nth, start);
        }
        excesses.note("b", 7, start);
        assert_eq!(tell(&mut excesses, start), ["a", "b"]);
        assert!(!excesses.note("a", 1, start + 59 * SECOND));
        assert_eq!(tell(&mut excesses, start + 59 * SECOND), [""; 0]);
        assert!(excesses.note("a", 1, start + 60 * SECOND));
        assert_eq!(tell(&mut excesses, start + 60 * SECOND), ["a"]);
    }

    /// What could not be told is told later, with the latest that is known.
    #[test]
    fn what_is_not_told_stays_until_it_is() {
        let start = Instant::now();
        let mut excesses = Excesses::default();
        excesses.note("a", 1, start);
        assert!(excesses.note("a", 2, start + SECOND));
        let lasting = 5 * SECOND;
        let expected = [("a", Excess { lasting, detail: 2 })];
        assert_eq!(excesses.untold(start + lasting), expected);
        assert_eq!(excesses.untold(start + lasting), expected);
    }

    /// An hour of throttling is one, not sixty; and tomorrow's is another.
    #[test]
    fn an_excess_lasts_until_it_has_been_quiet() {
        let start = Instant::now();
        let mut excesses = Excesses::default();
        let mut lasting = |seconds: u32| {
            let now = start + seconds * SECOND;
            excesses.note("a", 0, now);
            let untold = excesses.untold(now);
            excesses.told(&["a"], now);
            untold.first().map(|(_, excess)| excess.lasting)
        };
        assert_eq!(lasting(0), Some(Duration::ZERO));
        assert_eq!(lasting(100), Some(100 * SECOND));
        assert_eq!(lasting(220), Some(220 * SECOND), "quiet for 120 s");
        assert_eq!(lasting(341), Some(Duration::ZERO), "quiet for 121 s");
    }

    /// Made up callers and domains must not fill the memory.
    #[test]
    fn only_so_many_are_watched_and_quiet_ones_make_room() {
        let start = Instant::now();
        let mut excesses = Excesses::default();
        for key in 0..WATCHED_MAX + 10 {
            excesses.note(key, 0, start);
        }
        let untold = excesses.untold(start);
        assert_eq!(untold.len(), WATCHED_MAX);
        excesses.told(untold.iter().map(|(key, _)| key), start);
        let later = start + QUIET + SECOND;
        excesses.note(usize::MAX, 0, later);
        assert_eq!(excesses.untold(later).len(), 1);
        assert_eq!(excesses.watched.len(), 1);
    }
}
