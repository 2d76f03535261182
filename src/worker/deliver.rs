//! One message's way: its verdict, its gateways in order, its outcome.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::claim::Claimed;
use super::routing::{Choice, Routing};
use super::settings::{PoolPolicy, Rules};
use super::traced;
use crate::db::calls::{Category, Outcome};
use crate::db::types::JsonText;
use crate::gateway::Gateway;
use crate::gateway::registry::Registry;
use crate::model::event::EventType;
use crate::model::message::{Channel, MessageType, OnUnknown, Options, Priority, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};
use crate::model::sms;

/// A message that has all it needs to be sent.
pub struct Ready {
    /// What the gateway gets.
    pub message: Rendered,
    /// The lease under which it was claimed.
    pub lease_id: Uuid,
    /// What its events are counted by.
    pub category: Arc<Category>,
    /// The gateway that the caller chose.
    pub chosen: Option<String>,
    /// What follows when it cannot be known whether it went out.
    pub on_unknown: OnUnknown,
    /// The gateways that it still tries in this attempt; absent until they are chosen.
    pub(super) route: Option<Vec<Arc<dyn Gateway>>>,
    /// The gateway that it tried last in this attempt, and what that said.
    pub(super) last: Option<Box<(String, SendError)>>,
    /// So many messages may share a call with it, itself included.
    pub(super) at_most: usize,
}

/// What becomes of a claimed message: it is sent, or it has an outcome already.
pub enum Next {
    /// To be sent.
    Send(Box<Ready>),
    /// Not to be sent.
    Done(Box<Outcome>),
}

/// Reads a claimed message by its verdict and its record.
pub fn prepare(lease_id: Uuid, priority: Priority, claimed: Claimed, rules: &Rules) -> Next {
    let Claimed { row, content } = claimed;
    let attempt = row.attempts_made.saturating_add(1);
    let end = |event_type, reason| {
        let category = Arc::clone(&row.category);
        let mut outcome = Outcome::new(lease_id, row.message_id, category, event_type, attempt);
        outcome.reason = Some(reason);
        outcome
    };
    match row.verdict.as_deref() {
        None => {}
        Some("expired") => return Next::Done(end(EventType::Expired, "expired").into()),
        Some("suppressed") => {
            return Next::Done(end(EventType::Suppressed, "suppressed_since").into());
        }
        Some("paused") => {
            let mut outcome = end(EventType::Deferred, "paused");
            outcome.retry_after = Some(Duration::ZERO);
            outcome.counted = false;
            outcome.pause_id = row.pause_id;
            return Next::Done(outcome.into());
        }
        Some(_) => return Next::Done(end(EventType::Failed, "record_gone").into()),
    }
    let content = match content {
        Ok(content) => content,
        Err(reason) => return Next::Done(end(EventType::Failed, reason).into()),
    };
    let (Some(channel), Some(message_type), Some(recipient)) = (
        row.category.channel,
        row.category.message_type,
        row.recipient,
    ) else {
        return Next::Done(end(EventType::Failed, "record_unreadable").into());
    };
    let Ok(data) = content.raw_data(channel) else {
        return Next::Done(end(EventType::Failed, "content_unreadable").into());
    };
    let options = content.options.unwrap_or_else(no_options);
    Next::Send(Box::new(Ready {
        lease_id,
        chosen: row.gateway,
        route: None,
        last: None,
        at_most: usize::MAX,
        on_unknown: options
            .on_unknown
            .unwrap_or_else(|| message_type.on_unknown()),
        message: Rendered {
            message_id: row.message_id,
            channel,
            message_type,
            priority,
            attempt,
            recipient,
            subject: content.subject,
            body: content.body,
            html: content.html,
            data,
            options,
            ip_pool: match row.ip_pool {
                Some(pool) => Some(Arc::from(pool)),
                None if channel == Channel::Email => rules.ip_pools.get(&message_type).cloned(),
                None => None,
            },
            tenant_id: row.category.tenant_id,
        },
        category: row.category,
    }))
}

fn no_options() -> Arc<Options> {
    static NONE: std::sync::LazyLock<Arc<Options>> = std::sync::LazyLock::new(Arc::default);
    Arc::clone(&NONE)
}

/// Hands a message to its gateways, one after the other while the fault is theirs, or is the message's with this one only;
/// an emergency or a transactional one also while the fault is nobody's for long.
pub async fn deliver(
    mut ready: Box<Ready>,
    gateways: &Registry,
    routing: &Routing,
    policy: &PoolPolicy,
) -> Outcome {
    let chosen = ready.route.take();
    let message = &ready.message;
    let route: Vec<&Arc<dyn Gateway>> = match &chosen {
        Some(route) => route.iter().collect(),
        None => draw(&ready, gateways, routing, policy),
    };
    let mut last = ready.last.as_deref().cloned();
    for gateway in route {
        let deadline = Instant::now() + policy.send_timeout;
        let call = routing.begin(
            gateway.name(),
            message.channel,
            message.priority,
            domain_of(message),
        );
        let send = traced::send(gateway.as_ref(), message, deadline);
        let send = AssertUnwindSafe(send).catch_unwind();
        let answer = send.await.unwrap_or_else(|_| {
            // A bug of the gateway is not the end of the pool. How far it came nobody knows.
            tracing::error!(message_id = %message.message_id, gateway = gateway.name(), "the gateway panicked");
            Err(SendError::new(Fault::Unknown, "gateway_panicked"))
        });
        call.ended(&answer);
        match answer {
            Ok(accepted) => return sent(&ready, gateway.name(), accepted, policy),
            Err(error) => {
                let goes_on = goes_on(message, &error);
                last = Some((gateway.name().to_owned(), error));
                if !goes_on {
                    break;
                }
            }
        }
    }
    match last {
        Some((gateway, error)) => judge(&ready, &gateway, error, policy),
        None => {
            let mut outcome = Outcome::new(
                ready.lease_id,
                message.message_id,
                Arc::clone(&ready.category),
                EventType::Deferred,
                message.attempt,
            );
            outcome.reason = Some("no_gateway");
            outcome.retry_after = Some(snooze(message, ready.lease_id, policy));
            outcome.counted = false;
            outcome
        }
    }
}

pub(super) fn sent(
    ready: &Ready,
    gateway: &str,
    accepted: Accepted,
    policy: &PoolPolicy,
) -> Outcome {
    let message = &ready.message;
    let mut outcome = Outcome::new(
        ready.lease_id,
        message.message_id,
        Arc::clone(&ready.category),
        EventType::Sent,
        message.attempt,
    );
    outcome.gateway = Some(gateway.to_owned());
    outcome.external_id = accepted.external_id;
    let cost = price(message, gateway, policy).map(|price| {
        let parts = sms::segments(message.body.as_deref().unwrap_or_default()).count;
        [
            ("parts", parts.into()),
            ("cost", (price * parts as f64).into()),
        ]
    });
    outcome.detail = detail(
        None,
        accepted.provider_text.as_deref(),
        cost.into_iter().flatten(),
    );
    outcome
}

/// What a part of a text message costs by a gateway, where that is known.
fn price(message: &Rendered, gateway: &str, policy: &PoolPolicy) -> Option<f64> {
    let prices = &policy.rules.sms_prices;
    match message.channel {
        Channel::Sms => prices.of(gateway, &message.recipient),
        _ => None,
    }
}

/// Whether the next gateway is tried in the same attempt.
pub(super) fn goes_on(message: &Rendered, error: &SendError) -> bool {
    match error.fault {
        Fault::Gateway { .. } => true,
        Fault::Transient { .. } => tries_every_gateway(message) || error.may_pass_elsewhere(),
        Fault::Permanent(Blame::Message) => error.may_pass_elsewhere(),
        Fault::Permanent(Blame::Recipient) | Fault::Unknown => false,
    }
}

/// The gateways to try: the caller's choice first, those in order before the others, paused ones left out.
pub(super) fn draw<'g>(
    ready: &Ready,
    gateways: &'g Registry,
    routing: &Routing,
    policy: &PoolPolicy,
) -> Vec<&'g Arc<dyn Gateway>> {
    let message = &ready.message;
    let chosen = ready.chosen.as_deref().and_then(|name| gateways.get(name));
    routing.order(&Choice {
        chosen: chosen.filter(|gateway| gateway.channels().contains(&message.channel)),
        configured: gateways.order(message.channel, message.message_type),
        recipient: &message.recipient,
        domain: domain_of(message),
        price: &|gateway| price(message, gateway, policy),
        is_last_attempt: message.attempt > 1
            && message.attempt >= message.options.max_attempts.unwrap_or(policy.max_attempts),
    })
}

fn tries_every_gateway(message: &Rendered) -> bool {
    matches!(
        message.message_type,
        MessageType::Emergency | MessageType::Transactional
    )
}

/// Where a mail goes: a gateway may be in order, and refused by one destination.
pub(super) fn domain_of(message: &Rendered) -> Option<&str> {
    match message.channel {
        Channel::Email => message.recipient.rsplit_once('@').map(|(_, domain)| domain),
        _ => None,
    }
}

/// Turns a fault into an outcome.
pub(super) fn judge(
    ready: &Ready,
    gateway: &str,
    error: SendError,
    policy: &PoolPolicy,
) -> Outcome {
    let message = &ready.message;
    let attempts_left =
        message.attempt < message.options.max_attempts.unwrap_or(policy.max_attempts);
    let (event_type, retry_after, counted) = match error.fault {
        Fault::Permanent(Blame::Recipient) => (EventType::Bounced, None, true),
        Fault::Permanent(Blame::Message) => (EventType::Failed, None, true),
        Fault::Unknown if ready.on_unknown == OnUnknown::Hold || !attempts_left => {
            (EventType::Unknown, None, true)
        }
        Fault::Unknown => (
            EventType::Deferred,
            Some(policy.backoff.delay(message.attempt, None)),
            true,
        ),
        Fault::Transient { retry_after } if attempts_left => (
            EventType::Deferred,
            Some(policy.backoff.delay(message.attempt, retry_after)),
            true,
        ),
        Fault::Transient { .. } => (EventType::Failed, None, true),
        Fault::Gateway { retry_after } => {
            let asked = retry_after
                .unwrap_or_default()
                .min(Duration::from_secs(3600));
            (
                EventType::Deferred,
                Some(snooze(message, ready.lease_id, policy).max(asked)),
                false,
            )
        }
    };
    let (code, text) = (error.code.as_deref(), error.provider_text.as_deref());
    Outcome {
        lease_id: ready.lease_id,
        message_id: message.message_id,
        category: Arc::clone(&ready.category),
        event_type,
        attempt: message.attempt,
        gateway: Some(gateway.to_owned()),
        external_id: None,
        reason: Some(error.reason),
        detail: match (error.fault, event_type) {
            // It is tried again, and may end otherwise then; that this attempt may have gone out stays true.
            (Fault::Unknown, EventType::Deferred) => {
                detail(code, text, [("in_doubt", true.into())])
            }
            _ => detail(code, text, []),
        },
        retry_after,
        counted,
        pause_id: None,
    }
}

/// How long a message waits that no gateway could take: a quarter of its age, so that a long outage costs each
/// message few events, from half the shortest backoff up to five minutes, with jitter; an emergency no longer than five
/// seconds, an alert half a minute: by then a gateway that is back has it. Its id and that of its lease say how old it
/// is, both by the clock of the database.
fn snooze(message: &Rendered, lease_id: Uuid, policy: &PoolPolicy) -> Duration {
    let made = |id: Uuid| {
        let (seconds, nanos) = id.get_timestamp()?.to_unix();
        Some(Duration::new(seconds, nanos))
    };
    let age = made(lease_id)
        .zip(made(message.message_id))
        .map_or(Duration::ZERO, |(leased, made)| leased.saturating_sub(made));
    let least =
        (policy.backoff.ceiling(1) / 2).clamp(Duration::from_millis(100), Duration::from_secs(15));
    let most = Duration::from_secs(match message.priority {
        Priority::P0 => 5,
        Priority::P1 => 30,
        _ => 300,
    });
    let wait = (age / 4).clamp(least.min(most), most);
    wait.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// What a provider said, and more, as an event's detail.
fn detail(
    code: Option<&str>,
    text: Option<&str>,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Option<JsonText> {
    let said = [("code", code), ("text", text)];
    let said = said
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?.into())));
    let object: Map<_, _> = said
        .chain(more)
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    (!object.is_empty()).then(|| JsonText(Value::Object(object).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backoff::Backoff;

    const SECOND: Duration = Duration::from_secs(1);

    fn message(message_type: MessageType) -> Rendered {
        Rendered {
            message_id: Uuid::now_v7(),
            channel: Channel::Email,
            message_type,
            priority: Priority::P4,
            attempt: 1,
            recipient: "ada@example.org".into(),
            subject: None,
            body: None,
            html: None,
            data: None,
            options: no_options(),
            ip_pool: None,
            tenant_id: None,
        }
    }

    /// How long a new message waits after a fault of the only gateway.
    fn wait(retry_after: Option<Duration>) -> Duration {
        let policy = PoolPolicy {
            send_timeout: SECOND,
            max_attempts: 1,
            backoff: Backoff::List(vec![60 * SECOND]),
            rules: Arc::default(),
        };
        let ready = Ready {
            message: message(MessageType::Transactional),
            lease_id: Uuid::now_v7(),
            category: Arc::default(),
            chosen: None,
            on_unknown: OnUnknown::Resend,
            route: None,
            last: None,
            at_most: usize::MAX,
        };
        let error = SendError::new(Fault::Gateway { retry_after }, "throttled");
        let outcome = judge(&ready, "x", error, &policy);
        assert!(!outcome.counted);
        outcome.retry_after.expect("another attempt")
    }

    /// A long outage costs each message few events, but what cannot wait has a gateway that is back within seconds.
    #[test]
    fn what_no_gateway_can_take_waits_longer_the_older_it_is_and_emergencies_do_not() {
        let policy = PoolPolicy {
            send_timeout: SECOND,
            max_attempts: 1,
            backoff: Backoff::List(vec![60 * SECOND]),
            rules: Arc::default(),
        };
        let at = |seconds| Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0));
        for (priority, age, longest) in [
            (Priority::P0, 1, 5),
            (Priority::P0, 3600, 5),
            (Priority::P1, 1, 15),
            (Priority::P1, 80, 20),
            (Priority::P1, 3600, 30),
            (Priority::P4, 400, 100),
            (Priority::P4, 86_400, 300),
        ] {
            let mut message = message(MessageType::Transactional);
            message.priority = priority;
            message.message_id = at(1_000_000_000);
            let wait = snooze(&message, at(1_000_000_000 + age), &policy);
            let longest = longest * SECOND;
            assert!(
                wait <= longest && wait >= longest / 2,
                "{priority} after {age} s: {wait:?}"
            );
        }
    }

    /// Beside faults of the gateway: what is wrong only here, and for what cannot wait, what may pass.
    #[test]
    fn the_next_gateway_is_asked_for_what_only_this_one_refuses() {
        let transient = Fault::Transient { retry_after: None };
        let message_fault = Fault::Permanent(Blame::Message);
        for (fault, reason, always, urgent) in [
            (transient, "service_closing", true, true),
            (transient, "connection_lost", true, true),
            (transient, "reputation_refused", true, true),
            (transient, "try_later", false, true),
            (message_fault, "region_not_permitted", true, true),
            (message_fault, "smtputf8_required", true, true),
            (message_fault, "sender_refused", true, true),
            (message_fault, "policy_refused", false, false),
            (
                Fault::Permanent(Blame::Recipient),
                "mailbox_unavailable",
                false,
                false,
            ),
            (Fault::Unknown, "connection_lost", false, false),
            (
                Fault::Gateway { retry_after: None },
                "auth_refused",
                true,
                true,
            ),
        ] {
            let error = SendError::new(fault, reason);
            let goes_on = |message_type| goes_on(&message(message_type), &error);
            assert_eq!(goes_on(MessageType::Newsletter), always, "{reason}");
            assert_eq!(goes_on(MessageType::Transactional), urgent, "{reason}");
        }
    }

    /// A provider may write any date; one that is far off would be a message that never comes back.
    #[test]
    fn a_gateways_retry_after_is_a_lower_bound_up_to_an_hour() {
        assert_eq!(wait(Some(600 * SECOND)), 600 * SECOND);
        assert_eq!(wait(Some(7200 * SECOND)), 3600 * SECOND);
        assert!(wait(Some(SECOND)) > SECOND);
    }

    /// What an outage stopped must not come back all at once.
    #[test]
    fn what_no_gateway_took_comes_back_apart() {
        let waits: Vec<_> = (0..200).map(|_| wait(None)).collect();
        let (least, most) = (SECOND * 15 / 2, SECOND * 15);
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < SECOND * 9));
        assert!(waits.iter().any(|wait| *wait > SECOND * 13));
    }
}
