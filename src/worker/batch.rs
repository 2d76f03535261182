//! Messages that share their content go to a gateway by one call, where it has one for several.
//!
//! Nothing waits for a batch to fill: it is made of what is ready to be sent when a slot is free. It takes one slot, and
//! each of its messages has its own outcome. What a gateway did not take goes back to those that are ready, with the
//! gateways that are left to it.

use std::collections::{HashSet, VecDeque};
use std::iter;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;

use super::deliver::{self, Next, Ready, domain_of};
use super::routing::Routing;
use super::settings::PoolPolicy;
use super::traced;
use crate::gateway::registry::Registry;
use crate::gateway::{Batch, Gateway, Member};
use crate::model::outcome::{Accepted, Fault, SendError};

/// Messages of other contents, or for other gateways, that are passed over while a batch is gathered.
const STRANGERS_MAX: usize = 32;

/// What a batch is gathered for.
pub(super) struct Gathering<'a> {
    /// The pool's gateways.
    pub(super) gateways: &'a Registry,
    /// What is known of them.
    pub(super) routing: &'a Routing,
    /// How messages are tried.
    pub(super) policy: &'a PoolPolicy,
}

impl Gathering<'_> {
    /// Takes from `waiting` what may share a call with `first`, in its order; `ready_of` says what it is, or that it
    /// may not be taken. Empty when `first` goes alone. Each message keeps the gateways that were chosen for it here.
    pub(super) fn take<T>(
        &self,
        first: &mut Ready,
        waiting: &mut VecDeque<T>,
        mut ready_of: impl FnMut(&mut T) -> Option<&mut Ready>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        if !self.gateways.has_batch(first.message.channel) {
            return taken;
        }
        let gateway = self.first_gateway(first);
        let Some(gateway) = gateway.filter(|_| first.at_most > 1) else {
            return taken;
        };
        let Some(batch) = gateway
            .batch()
            .filter(|b| b.carries(&Member::from(&first.message)))
        else {
            return taken;
        };
        let most = batch.most().min(first.at_most);
        let mut recipients = HashSet::from([first.message.recipient.to_lowercase()]);
        let mut strangers = Vec::new();
        while taken.len() + 1 < most && strangers.len() < STRANGERS_MAX {
            let Some(mut next) = waiting.pop_front() else {
                break;
            };
            let joins = ready_of(&mut next).is_some_and(|ready| {
                taken.len() + 1 < ready.at_most
                    && share_content(first, ready)
                    && !recipients.contains(&ready.message.recipient.to_lowercase())
                    && self
                        .first_gateway(ready)
                        .is_some_and(|own| own.name() == gateway.name())
                    && recipients.insert(ready.message.recipient.to_lowercase())
            });
            match joins {
                true => taken.push(next),
                false => strangers.push(next),
            }
        }
        for stranger in strangers.into_iter().rev() {
            waiting.push_front(stranger);
        }
        taken
    }

    /// The gateway that a message tries first. It stays chosen, unless it fails or is paused before the message gets there.
    fn first_gateway(&self, ready: &mut Ready) -> Option<Arc<dyn Gateway>> {
        let is_good = |route: &Vec<Arc<dyn Gateway>>| {
            let first = route.first();
            first.is_some_and(|gateway| !self.routing.is_shut(gateway.name()))
        };
        if ready.last.is_none() && !ready.route.as_ref().is_some_and(is_good) {
            let route = deliver::draw(ready, self.gateways, self.routing, self.policy);
            ready.route = Some(route.into_iter().cloned().collect());
        }
        ready.route.as_ref()?.first().cloned()
    }
}

/// Whether two messages differ in nothing but id, recipient and tenant.
fn share_content(a: &Ready, b: &Ready) -> bool {
    fn same<T: ?Sized>(a: &Option<Arc<T>>, b: &Option<Arc<T>>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
    let (x, y) = (&a.message, &b.message);
    same(&x.subject, &y.subject)
        && same(&x.body, &y.body)
        && same(&x.html, &y.html)
        && Arc::ptr_eq(&x.options, &y.options)
        && (x.data.is_none() && y.data.is_none())
        && (x.channel, x.message_type, x.attempt) == (y.channel, y.message_type, y.attempt)
        && (&x.ip_pool, &a.chosen) == (&y.ip_pool, &b.chosen)
}

/// Hands messages that were [gathered](Gathering::take) to their gateway. Those that are still to be sent come back.
pub(super) async fn deliver(
    messages: Vec<Ready>,
    routing: &Routing,
    policy: &PoolPolicy,
) -> Vec<Next> {
    let first = messages.first().and_then(|ready| ready.route.as_ref());
    let Some(gateway) = first.and_then(|route| route.first()).cloned() else {
        return apart(messages, 1); // the one that gathered them has chosen
    };
    let Some(batch) = gateway.batch() else {
        return apart(messages, 1); // since it was gathered the gateway found that it cannot
    };
    let (channel, priority) = (messages[0].message.channel, messages[0].message.priority);
    let call = routing.begin(gateway.name(), channel, priority, None);
    let answers = match send(batch, gateway.name(), &messages, policy).await {
        Ok(answers) => answers,
        Err(error) if matches!(error.fault, Fault::Permanent(_)) => {
            // One of them is at fault, or their content: by halves it is found out whose fault it is.
            tracing::debug!(gateway = gateway.name(), messages = messages.len(), %error, "not accepted together");
            call.answered(None, &Err(error));
            let half = messages.len().div_ceil(2);
            return apart(messages, half);
        }
        Err(error) => {
            // One call that failed is one fault, however many messages it was for.
            call.answered(None, &Err(error.clone()));
            let judged = messages.into_iter();
            return judged
                .map(|ready| judge(ready, gateway.name(), Err(error.clone()), policy))
                .collect();
        }
    };
    let left_out = iter::repeat_with(|| Err(SendError::new(Fault::Unknown, "answer_garbled")));
    let answers = answers.into_iter().chain(left_out);
    let judged = messages.into_iter().zip(answers).map(|(ready, answer)| {
        call.answered(domain_of(&ready.message), &answer);
        judge(ready, gateway.name(), answer, policy)
    });
    judged.collect()
}

async fn send(
    batch: &dyn Batch,
    gateway: &str,
    messages: &[Ready],
    policy: &PoolPolicy,
) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
    let deadline = Instant::now() + policy.send_timeout;
    let messages: Vec<_> = messages.iter().map(|ready| &ready.message).collect();
    let sending = traced::send_batch(batch, gateway, &messages, deadline);
    let sending = AssertUnwindSafe(sending).catch_unwind();
    sending.await.unwrap_or_else(|_| {
        // As with a message alone: a bug of the gateway, and how far it came nobody knows.
        tracing::error!(gateway, "the gateway panicked");
        Err(SendError::new(Fault::Unknown, "gateway_panicked"))
    })
}

/// Sends them again, at most so many by one call.
fn apart(messages: Vec<Ready>, at_most: usize) -> Vec<Next> {
    let smaller = messages.into_iter().map(|mut ready| {
        ready.at_most = at_most;
        Next::Send(ready.into())
    });
    smaller.collect()
}

fn judge(
    mut ready: Ready,
    gateway: &str,
    answer: Result<Accepted, SendError>,
    policy: &PoolPolicy,
) -> Next {
    traced::note(gateway, &ready.message, &answer);
    let error = match answer {
        Ok(accepted) => return Next::Done(deliver::sent(&ready, gateway, accepted, policy).into()),
        Err(error) => error,
    };
    let route = ready.route.get_or_insert_default();
    if !route.is_empty() {
        route.remove(0);
    }
    if route.is_empty() || !deliver::goes_on(&ready.message, &error) {
        return Next::Done(deliver::judge(&ready, gateway, error, policy).into());
    }
    ready.last = Some(Box::new((gateway.to_owned(), error)));
    Next::Send(ready.into())
}
