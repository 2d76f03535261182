//! Which gateways a message tries, in which order: one for the process, so that what one pool learns of a gateway all
//! know, and through Postgres all nodes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::figures::{GatewayCalls, collect_state};
use super::throttles::{Throttled, Throttler, Throttles};
use crate::gateway::Gateway;
use crate::model::excess::Excess;
use crate::model::health::{BUCKETS, Breaker, Calls, Change, STALLED_AFTER, Shared, State};
use crate::model::message::{Channel, Priority};
use crate::model::outcome::{Accepted, Fault, SendError};
use crate::telemetry::samples::Samples;

/// Destination domains that are watched for each gateway, at most; beyond that the map starts over.
const DOMAINS_MAX: usize = 1000;

/// What is known of the gateways.
#[derive(Default)]
pub struct Routing {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    gateways: BTreeMap<String, Tracked>,
    next_call: u64,
    throttles: Throttles,
}

#[derive(Default)]
struct Tracked {
    breaker: Breaker,
    /// A change that the other nodes have not been told yet.
    untold: Option<Change>,
    /// This node sends the next message to it, to see.
    is_probe_ours: bool,
    domains: HashMap<String, Breaker>,
    is_paused: bool,
    weight: Option<u32>,
    /// Calls under way, in the order in which they began.
    under_way: BTreeMap<u64, (Instant, Priority)>,
    last_answer: Option<Instant>,
    calls: BTreeMap<Channel, Calls>,
    all_calls: GatewayCalls,
}

/// What a message brings to the choice of its gateway.
pub struct Choice<'g, 'm> {
    /// The gateway that the caller chose.
    pub chosen: Option<&'g Arc<dyn Gateway>>,
    /// The channel's gateways in configured order.
    pub configured: &'g [Arc<dyn Gateway>],
    /// The recipient: not every push gateway takes every token.
    pub recipient: &'m str,
    /// The domain of a mail's recipient.
    pub domain: Option<&'m str>,
    /// This is the last attempt: it begins with another gateway than the ones before.
    pub is_last_attempt: bool,
    /// What it costs by a gateway, where that is known: the cheapest goes first.
    pub price: &'m dyn Fn(&str) -> Option<f64>,
}

/// A call under way.
pub struct Call<'a> {
    routing: &'a Routing,
    gateway: &'a str,
    channel: Channel,
    domain: Option<&'a str>,
    id: u64,
    began: Instant,
}

impl Routing {
    fn known(&self) -> MutexGuard<'_, Known> {
        // What is counted here is still true after a panic elsewhere.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateways to try, one after the other: those in order first; where none is, the least bad one. Paused ones
    /// never.
    pub fn order<'g>(&self, choice: &Choice<'g, '_>) -> Vec<&'g Arc<dyn Gateway>> {
        let mut known = self.known();
        let mut wanted: Vec<&'g Arc<dyn Gateway>> = choice.chosen.into_iter().collect();
        let others = choice
            .configured
            .iter()
            .filter(|g| choice.chosen.is_none_or(|c| c.name() != g.name()));
        let mut others = known.by_weight(others.collect());
        known.sort_by_price(&mut others, choice.price);
        wanted.extend(others);
        wanted.retain(|g| {
            g.takes(choice.recipient) && !known.gateways.get(g.name()).is_some_and(|t| t.is_paused)
        });

        let now = Instant::now();
        // Who names a gateway wants that one: another is probed by a message that names none.
        let may_probe =
            |g: &&'g Arc<dyn Gateway>| choice.chosen.is_none_or(|c| c.name() == g.name());
        let mut candidates = wanted.iter();
        if let Some(probed) = candidates.position(|g| may_probe(g) && known.takes_probe(g.name())) {
            wanted[..=probed].rotate_right(1);
            return wanted;
        }
        let (mut good, bad): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|g| known.is_good(g.name(), choice.domain, now));
        if good.is_empty() {
            return bad
                .into_iter()
                .min_by_key(|g| known.open_until(g.name()))
                .into_iter()
                .collect();
        }
        if choice.is_last_attempt && good.len() > 1 {
            good.rotate_left(1);
        }
        good
    }

    /// Notes that a call begins.
    pub fn begin<'a>(
        &'a self,
        gateway: &'a str,
        channel: Channel,
        priority: Priority,
        domain: Option<&'a str>,
    ) -> Call<'a> {
        let began = Instant::now();
        let mut known = self.known();
        known.next_call += 1;
        let id = known.next_call;
        known
            .tracked(gateway)
            .under_way
            .insert(id, (began, priority));
        Call {
            routing: self,
            gateway,
            channel,
            domain,
            id,
            began,
        }
    }

    /// Sends of a priority that a stalled gateway holds: they take no slot from the others.
    pub fn stalled(&self, priority: Priority) -> usize {
        let now = Instant::now();
        let known = self.known();
        let stalled = known
            .gateways
            .values()
            .filter(|tracked| !tracked.breaker.is_closed());
        stalled
            .flat_map(|tracked| tracked.under_way.values())
            .filter(|(began, of)| {
                *of == priority && now.saturating_duration_since(*began) > STALLED_AFTER
            })
            .count()
    }

    /// Whether a gateway gets traffic: neither paused nor with an open breaker.
    pub fn is_in_order(&self, gateway: &str) -> bool {
        let known = self.known();
        known
            .gateways
            .get(gateway)
            .is_none_or(|tracked| !tracked.is_paused && tracked.breaker.is_closed())
    }

    /// Whether a gateway is paused, or its breaker open and not probed.
    pub fn is_shut(&self, gateway: &str) -> bool {
        let known = self.known();
        known
            .gateways
            .get(gateway)
            .is_some_and(|tracked| tracked.is_paused)
            || known.open_until(gateway).is_some()
    }

    /// Looks for gateways that take calls and do not answer.
    pub fn look(&self) {
        let now = Instant::now();
        for (name, tracked) in &mut self.known().gateways {
            let since = tracked.breaker.since();
            let mut begins = tracked.under_way.values().map(|(began, _)| *began);
            let oldest = begins.find(|began| since.is_none_or(|since| *began >= since));
            let change = tracked.breaker.look(now, oldest, tracked.last_answer);
            tracked.changed(name, change);
        }
    }

    /// The changes that the other nodes are to be told of; [`told`](Self::told) once they are.
    pub fn untold(&self) -> Vec<(String, Change)> {
        let known = self.known();
        known
            .gateways
            .iter()
            .filter_map(|(name, tracked)| Some((name.clone(), tracked.untold?)))
            .collect()
    }

    /// The other nodes know.
    pub fn told(&self, gateway: &str, change: Change) {
        let mut known = self.known();
        let tracked = known.tracked(gateway);
        tracked.untold = tracked.untold.filter(|untold| *untold != change);
    }

    /// Who throttles us, as far as it is to be told; [`throttles_told`](Self::throttles_told) once it is.
    pub fn untold_throttles(&self) -> Vec<(Throttler, Excess<Throttled>)> {
        self.known().throttles.untold(Instant::now())
    }

    /// It was told.
    pub fn throttles_told(&self, told: &[(Throttler, Excess<Throttled>)]) {
        let throttlers = told.iter().map(|(throttler, _)| throttler);
        self.known().throttles.told(throttlers, Instant::now());
    }

    /// Takes over what all nodes know. Returns the gateways that wait for a probe.
    pub fn adopt(&self, all: &[Shared]) -> Vec<String> {
        let now = Instant::now();
        let mut known = self.known();
        for tracked in known.gateways.values_mut() {
            (tracked.is_paused, tracked.weight) = (false, None);
        }
        let mut to_probe = Vec::new();
        for shared in all {
            let tracked = known.tracked(&shared.gateway);
            (tracked.is_paused, tracked.weight) = (shared.is_paused, shared.weight);
            if tracked.untold.is_some() {
                continue; // we know better
            }
            match (shared.is_open, tracked.breaker.state()) {
                (true, State::HalfOpen) if std::mem::take(&mut tracked.is_probe_ours) => {
                    tracked.breaker.cancel_probe(now)
                }
                (true, State::HalfOpen) => {}
                (true, _) => {
                    tracked.breaker.adopt_open(now, now + shared.open_for);
                    if shared.open_for.is_zero() {
                        to_probe.push(shared.gateway.clone());
                    }
                }
                (false, State::Open { .. }) => tracked.breaker.adopt_closed(now),
                (false, _) => {}
            }
        }
        to_probe
    }

    /// This node sends the next message to the gateway, to see.
    pub fn probe(&self, gateway: &str) {
        let mut known = self.known();
        let tracked = known.tracked(gateway);
        tracked.is_probe_ours = true;
        tracked.breaker.probe(Instant::now());
    }

    /// Adds what is known of the gateways, for a scrape.
    pub fn collect(&self, samples: &mut Samples) {
        for (name, tracked) in &self.known().gateways {
            tracked.all_calls.collect(name, samples);
            let (state, in_flight) = (tracked.breaker.state(), tracked.under_way.len());
            collect_state(name, state, tracked.is_paused, in_flight, samples);
        }
    }

    /// Takes the calls that were counted since the last time.
    pub fn take_calls(&self) -> Vec<(String, Channel, Calls)> {
        let mut known = self.known();
        let taken = known.gateways.iter_mut().flat_map(|(name, tracked)| {
            std::mem::take(&mut tracked.calls)
                .into_iter()
                .map(|(channel, calls)| (name.clone(), channel, calls))
        });
        taken.collect()
    }
}

impl Known {
    fn tracked(&mut self, gateway: &str) -> &mut Tracked {
        if !self.gateways.contains_key(gateway) {
            self.gateways.insert(gateway.to_owned(), Tracked::default());
        }
        self.gateways.get_mut(gateway).expect("it was inserted")
    }

    /// Those with a weight first, shuffled in proportion; then those without, in configured order; weight 0 last.
    fn by_weight<'a>(&self, mut gateways: Vec<&'a Arc<dyn Gateway>>) -> Vec<&'a Arc<dyn Gateway>> {
        let weight = |g: &Arc<dyn Gateway>| self.gateways.get(g.name()).and_then(|t| t.weight);
        if gateways.len() > 1 && gateways.iter().any(|g| weight(g).is_some()) {
            // Exponential keys: the lowest of -ln(u)/w is drawn with probability proportional to w.
            gateways.sort_by_cached_key(|g| match weight(g) {
                Some(0) => (2, 0),
                Some(w) => (
                    0,
                    (-fastrand::f64().max(f64::MIN_POSITIVE).ln() / f64::from(w) * 1e12) as u64,
                ),
                None => (1, 0),
            });
        }
        gateways
    }

    /// The cheapest first, then those without a price; of the same price as they were. Weight 0 stays last.
    fn sort_by_price(
        &self,
        gateways: &mut [&Arc<dyn Gateway>],
        price: &dyn Fn(&str) -> Option<f64>,
    ) {
        let is_last = |g: &Arc<dyn Gateway>| {
            let tracked = self.gateways.get(g.name());
            tracked.is_some_and(|tracked| tracked.weight == Some(0))
        };
        let mut keyed: Vec<_> = gateways
            .iter()
            .map(|g| (is_last(g), price(g.name()).unwrap_or(f64::INFINITY), *g))
            .collect();
        if keyed.iter().all(|(_, price, _)| price.is_infinite()) {
            return;
        }
        keyed.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (place, (_, _, gateway)) in gateways.iter_mut().zip(keyed) {
            *place = gateway;
        }
    }

    /// Whether the gateway waits for our probe; it is taken by asking.
    fn takes_probe(&mut self, gateway: &str) -> bool {
        self.gateways
            .get_mut(gateway)
            .is_some_and(|tracked| std::mem::take(&mut tracked.is_probe_ours))
    }

    fn is_good(&mut self, gateway: &str, domain: Option<&str>, now: Instant) -> bool {
        let Some(tracked) = self.gateways.get_mut(gateway) else {
            return true;
        };
        let is_domain_good = match domain.and_then(|domain| tracked.domains.get_mut(domain)) {
            Some(breaker) => match breaker.state() {
                State::Closed => true,
                State::Open { until } if until <= now => {
                    breaker.probe(now); // one message sees; of others nobody need be told
                    true
                }
                State::Open { .. } | State::HalfOpen => false,
            },
            None => true,
        };
        tracked.breaker.is_closed() && is_domain_good
    }

    fn open_until(&self, gateway: &str) -> Option<Instant> {
        match self.gateways.get(gateway)?.breaker.state() {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen => None,
        }
    }
}

impl Tracked {
    fn changed(&mut self, name: &str, change: Option<Change>) {
        match change {
            Some(Change::Opened(cause, open_for)) => {
                tracing::warn!(
                    gateway = name,
                    cause = cause.as_str(),
                    ?open_for,
                    "the gateway's breaker opened"
                );
            }
            Some(Change::Closed) => tracing::info!(gateway = name, "the gateway's breaker closed"),
            None => return,
        }
        self.untold = change;
    }
}

impl Call<'_> {
    /// Notes how it ended.
    pub fn ended(self, answer: &Result<Accepted, SendError>) {
        self.answered(self.domain, answer);
    }

    /// Notes how it ended for one of its messages, which went to `domain`.
    pub fn answered(&self, domain: Option<&str>, answer: &Result<Accepted, SendError>) {
        let now = Instant::now();
        let latency = now - self.began;
        let mut known = self.routing.known();
        if let Err(error) = answer
            && error.is_throttled()
        {
            known.throttles.note(self.gateway, domain, error, now);
        }
        let tracked = known.tracked(self.gateway);
        let calls = tracked.calls.entry(self.channel).or_default();
        let bucket = (latency.as_millis() as u64)
            .max(1)
            .next_power_of_two()
            .trailing_zeros() as usize;
        let bucket = bucket.min(BUCKETS - 1);
        calls.latencies[bucket] += 1;
        tracked.all_calls.note(answer, bucket, latency);
        let (is_gateways, is_domains) = match answer {
            Ok(_) => (false, false),
            Err(error) => match error.fault {
                Fault::Gateway { .. } | Fault::Unknown => (true, true),
                Fault::Transient { .. } => (false, true),
                Fault::Permanent(_) => (false, false),
            },
        };
        match answer {
            Ok(_) => calls.sent += 1,
            Err(error) => {
                calls.failed += 1;
                calls.reason = Some(error.reason);
            }
        }
        if let Err(error) = answer
            && error.reason == "sender_missing"
        {
            // The gateway was not asked, so that nothing is known of it; a probe is still to be made.
            if tracked.breaker.state() == State::HalfOpen {
                tracked.breaker.cancel_probe(now);
            }
            return;
        }
        let change = if is_gateways {
            tracked.breaker.failed(now, latency)
        } else {
            tracked.last_answer = Some(now);
            tracked.breaker.succeeded(now, latency)
        };
        tracked.changed(self.gateway, change);
        if let Some(domain) = domain
            && (is_domains || tracked.domains.contains_key(domain))
        {
            if tracked.domains.len() >= DOMAINS_MAX {
                tracked.domains.clear();
            }
            let breaker = tracked.domains.entry(domain.to_owned()).or_default();
            // What is wrong with the gateway as a whole is told by its own breaker.
            let _ = if is_domains {
                breaker.failed(now, latency)
            } else {
                breaker.succeeded(now, latency)
            };
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.routing
            .known()
            .tracked(self.gateway)
            .under_way
            .remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
