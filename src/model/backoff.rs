//! How long until the next attempt.

use std::time::Duration;

use serde::Deserialize;

/// The delays between attempts of one priority, before jitter.
#[derive(Clone, Debug, PartialEq)]
pub enum Backoff {
    /// The n-th delay follows the n-th attempt; the last one repeats.
    List(Vec<Duration>),
    /// `base × factorⁿ⁻¹` follows the n-th attempt, up to `max`.
    Exponential {
        /// After the first attempt.
        base: Duration,
        /// Growth from one to the next.
        factor: f64,
        /// Never more than this.
        max: Duration,
    },
}

impl Backoff {
    /// The longest delay that may follow attempt number `attempt` (from 1).
    pub fn ceiling(&self, attempt: i16) -> Duration {
        let steps = i32::from(attempt.max(1)) - 1;
        match self {
            Self::List(delays) => {
                let index = usize::try_from(steps).unwrap_or(0);
                delays
                    .get(index)
                    .or(delays.last())
                    .copied()
                    .unwrap_or_default()
            }
            Self::Exponential { base, factor, max } => {
                let seconds = base.as_secs_f64() * factor.powi(steps);
                Duration::try_from_secs_f64(seconds).map_or(*max, |delay| delay.min(*max))
            }
        }
    }

    /// A delay after attempt number `attempt`: full jitter, uniform in `[0, ceiling]`, so that what failed
    /// together does not come back together; never before `retry_after`, which is honoured up to an hour.
    pub fn delay(&self, attempt: i16, retry_after: Option<Duration>) -> Duration {
        let jittered = self.ceiling(attempt).mul_f64(fastrand::f64());
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        jittered.max(asked)
    }
}

/// The longest wait that a provider may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// As written in the configuration: a list of delays, or base, factor and max.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum BackoffSettings {
    /// `["60s", "120s", "300s"]`
    List(Vec<crate::model::duration::Text>),
    /// `{ base = "60s", factor = 2.0, max = "1h" }`
    Exponential {
        /// After the first attempt.
        base: crate::model::duration::Text,
        /// Growth from one to the next, at least 1.
        #[serde(default = "two")]
        factor: f64,
        /// Never more than this.
        max: crate::model::duration::Text,
    },
}

fn two() -> f64 {
    2.0
}

impl BackoffSettings {
    /// Checks the values.
    ///
    /// # Errors
    ///
    /// An empty list, or a factor that is not a number from 1 up; says what would be right.
    pub fn build(&self) -> Result<Backoff, String> {
        match self {
            Self::List(delays) if delays.is_empty() => {
                Err("a list of delays needs at least one, such as [\"60s\"]".into())
            }
            Self::List(delays) => Ok(Backoff::List(delays.iter().map(|d| d.0).collect())),
            Self::Exponential { factor, .. } if !factor.is_finite() || *factor < 1.0 => {
                Err(format!("factor must be 1 or more, got {factor}"))
            }
            Self::Exponential { base, factor, max } => Ok(Backoff::Exponential {
                base: base.0,
                factor: *factor,
                max: max.0,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The list is what an operator wrote; attempts past its end keep the last delay.
    #[test]
    fn a_list_repeats_its_last_delay() {
        let backoff = Backoff::List(vec![MINUTE, 2 * MINUTE]);
        assert_eq!(backoff.ceiling(1), MINUTE);
        assert_eq!(backoff.ceiling(2), 2 * MINUTE);
        assert_eq!(backoff.ceiling(9), 2 * MINUTE);
    }

    /// Growth must end: an overflow would be a message that never comes back.
    #[test]
    fn exponential_growth_stops_at_max_whatever_the_attempt() {
        let backoff = Backoff::Exponential {
            base: MINUTE,
            factor: 2.0,
            max: 60 * MINUTE,
        };
        assert_eq!(backoff.ceiling(1), MINUTE);
        assert_eq!(backoff.ceiling(3), 4 * MINUTE);
        assert_eq!(backoff.ceiling(i16::MAX), 60 * MINUTE);
    }

    /// What failed together would come back together, and fail together again.
    #[test]
    fn delays_are_spread_from_nothing_to_the_ceiling() {
        let backoff = Backoff::List(vec![MINUTE]);
        let delays: Vec<_> = (0..200).map(|_| backoff.delay(1, None)).collect();
        assert!(delays.iter().all(|delay| *delay <= MINUTE));
        assert!(delays.iter().any(|delay| *delay < MINUTE / 4));
        assert!(delays.iter().any(|delay| *delay > MINUTE * 3 / 4));
    }

    /// A provider that says when is believed, within bounds.
    #[test]
    fn retry_after_is_a_lower_bound_up_to_an_hour() {
        let backoff = Backoff::List(vec![Duration::ZERO]);
        assert_eq!(backoff.delay(1, Some(MINUTE)), MINUTE);
        assert_eq!(backoff.delay(1, Some(600 * MINUTE)), RETRY_AFTER_MAX);
        assert_eq!(backoff.delay(1, None), Duration::ZERO);
    }
}
