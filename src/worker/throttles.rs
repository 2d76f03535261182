//! Answers that say "too fast" → who throttles us, and what is to be told of it.

use std::time::{Duration, Instant};

use crate::model::excess::{Excess, Excesses};
use crate::model::outcome::{Fault, SendError};

/// Who throttles us: a gateway, or through it the domain to which a mail goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Throttler {
    /// Its name.
    pub gateway: String,
    /// The destination, where the limit is not the gateway's own.
    pub domain: Option<String>,
}

/// How it said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// The reason of the outcome.
    pub reason: &'static str,
    /// The provider's own code.
    pub code: Option<String>,
    /// When to come again.
    pub retry_after: Option<Duration>,
}

/// Those who throttle us now.
#[derive(Default)]
pub struct Throttles(Excesses<Throttler, Throttled>);

impl Throttles {
    /// Notes that a gateway said so. A limit of the gateway itself has nothing to do with where the mail goes.
    pub fn note(&mut self, gateway: &str, domain: Option<&str>, error: &SendError, now: Instant) {
        let (domain, retry_after) = match error.fault {
            Fault::Transient { retry_after } => (domain.map(str::to_owned), retry_after),
            Fault::Gateway { retry_after } => (None, retry_after),
            Fault::Permanent(_) | Fault::Unknown => return,
        };
        let throttler = Throttler {
            gateway: gateway.to_owned(),
            domain,
        };
        let throttled = Throttled {
            reason: error.reason,
            code: error.code.clone(),
            retry_after,
        };
        self.0.note(throttler, throttled, now);
    }

    /// As far as it is to be told; [`told`](Self::told) once it is.
    pub fn untold(&self, now: Instant) -> Vec<(Throttler, Excess<Throttled>)> {
        self.0.untold(now)
    }

    /// It was told.
    pub fn told<'a>(&mut self, throttlers: impl IntoIterator<Item = &'a Throttler>, now: Instant) {
        self.0.told(throttlers, now);
    }
}
