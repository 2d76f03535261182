//! SendGrid's Event Webhook
//! (<https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>), signed (`…/getting-started-event-webhook-security-features`).
//!
//! | event | ours |
//! |---|---|
//! | `processed` | `queued` |
//! | `deferred` | `deferred` |
//! | `delivered` | `delivered` |
//! | `bounce` | `bounced`, by classification, status, and reason |
//! | `dropped` | by reason: `bounced` for a bad address, `failed` and `unsubscribed` or `complained` for a person who would not have it, else `failed` |
//! | `open` `click` | `opened` `clicked`; an open by a machine says so in its detail |
//! | `spamreport` | `complained` |
//! | `unsubscribe` `group_unsubscribe` | `unsubscribed` |
//!
//! Other events (`group_resubscribe`, `account_status_change`) have no meaning here.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::PublicKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::DecodePublicKey as _;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;

use crate::gateway::source::fields::{self, Object};
use crate::gateway::source::list::List;
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::bounce;
use crate::model::duration;
use crate::model::event::EventType;
use crate::model::report::{Bounce, BounceClass, BounceKind, Report};

/// The webhook's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Verification keys as SendGrid shows them (base64 of a P-256 key), each good; several during a rotation.
    pub public_keys: List<String>,
    /// How old a signature may be. A batch that is not answered is posted again for 24 hours, and it is not documented
    /// whether it is then signed anew; a second post of the same events is kept once in any case.
    #[serde(default = "freshness")]
    pub freshness: duration::Text,
}

const fn freshness() -> duration::Text {
    duration::Text(Duration::from_secs(25 * 3600))
}

const SIGNATURE: &str = "X-Twilio-Email-Event-Webhook-Signature";
const TIMESTAMP: &str = "X-Twilio-Email-Event-Webhook-Timestamp";

/// What SendGrid posts.
pub struct Source {
    name: String,
    keys: Vec<UnparsedPublicKey<Vec<u8>>>,
    freshness: Duration,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// No key, or one that is none.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        let keys: Option<Vec<_>> = settings
            .public_keys
            .0
            .iter()
            .map(|text| key(text))
            .collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or(
            "public_keys must be SendGrid's verification keys, base64 as its settings show them",
        )?;
        Ok(Self {
            name: name.into(),
            keys,
            freshness: settings.freshness.0,
        })
    }
}

fn key(text: &str) -> Option<UnparsedPublicKey<Vec<u8>>> {
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let der = STANDARD.decode(lines.collect::<String>().trim()).ok()?;
    let key = PublicKey::from_public_key_der(&der).ok()?;
    let point = key.to_sec1_point(false).as_bytes().to_vec();
    Some(UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point))
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self, posted: &Posted<'_>) -> Result<(), Refused> {
        proof(posted).map(drop)
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        let (signature, timestamp) = proof(posted)?;
        let wrong = Refused::Unauthenticated("the signature is wrong");
        let signature = STANDARD.decode(signature).map_err(|_| wrong.clone())?;
        let signed = [timestamp.as_bytes(), posted.body].concat();
        if !self
            .keys
            .iter()
            .any(|key| key.verify(&signed, &signature).is_ok())
        {
            return Err(wrong);
        }
        let made = fields::unix_digits(timestamp);
        let made = made.ok_or(Refused::Malformed("the timestamp is none"))?;
        fields::check_fresh(made, posted.now, self.freshness)?;
        Ok(Verified::default())
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let body = fields::json(stored.body)?;
        let events = body.as_array().ok_or(Unreadable("not an array".into()))?;
        if events.len() > fields::REPORTS_MAX {
            return Err(Unreadable("more events than SendGrid posts".into()));
        }
        let mut reports = Vec::with_capacity(events.len());
        for (at, event) in events.iter().enumerate() {
            let event = Object::of(event);
            let word = event.text("event");
            let word = word.ok_or_else(|| Unreadable(format!("event {at} has no type")))?;
            read(event, word, &mut reports);
        }
        Ok(reports)
    }
}

/// Signature and timestamp, as the headers have them.
fn proof<'a>(posted: &Posted<'a>) -> Result<(&'a str, &'a str), Refused> {
    let header = |name| fields::header(posted.headers, name);
    match (header(SIGNATURE), header(TIMESTAMP)) {
        (Some(signature), Some(timestamp)) => Ok((signature, timestamp)),
        _ => Err(Refused::Unauthenticated("not signed")),
    }
}

/// Adds what `event` reports.
fn read(event: Object<'_>, word: &str, reports: &mut Vec<Report>) {
    let report = |event_type| report(event, word, event_type);
    let failure = event.text("reason").or(event.text("response"));
    match word {
        "processed" => reports.push(report(EventType::Queued)),
        "delivered" => reports.push(report(EventType::Delivered)),
        "deferred" => {
            let class = bounce::classify(None, None, failure.unwrap_or_default()).class;
            reports.push(Report {
                reason: Some(class.as_str()),
                ..report(EventType::Deferred)
            });
        }
        "bounce" => {
            let bounce = classify(event);
            reports.push(Report {
                reason: Some(bounce.class.as_str()),
                bounce: Some(bounce),
                ..report(EventType::Bounced)
            });
        }
        "dropped" => dropped(failure.unwrap_or_default(), reports, &report),
        "open" => reports.push(report(EventType::Opened)),
        "click" => reports.push(report(EventType::Clicked)),
        "spamreport" => reports.push(report(EventType::Complained)),
        "unsubscribe" | "group_unsubscribe" => reports.push(report(EventType::Unsubscribed)),
        _ => {}
    }
}

fn report(event: Object<'_>, word: &str, event_type: EventType) -> Report {
    let email = event.text("email").unwrap_or_default();
    let sent_as = event.text("sg_message_id");
    let key = match event.text("sg_event_id") {
        Some(id) => fields::source_key(&[id]),
        // Old events have none.
        None => {
            let at = event.word("timestamp").unwrap_or_default();
            fields::source_key(&[sent_as.unwrap_or_default(), email, word, &at])
        }
    };
    let text = event.text("reason").or(event.text("response"));
    let status = event.text("status").or(text.and_then(bounce::status_in));
    let provider_event = match event.text("type") {
        Some(kind) if word == "bounce" => format!("{word}/{}", fields::word(kind)),
        _ => fields::word(word),
    };
    let details = [
        ("url", event.text("url").map(fields::detail)),
        ("client", event.text("useragent").map(fields::detail)),
        ("ip", event.text("ip").map(fields::word)),
        ("attempt", event.word("attempt")),
        (
            "classification",
            event.text("bounce_classification").map(fields::word),
        ),
        ("unsubscribe_group", event.word("asm_group_id")),
        (
            "machine",
            event.is_true("sg_machine_open").then(|| "true".into()),
        ),
    ];
    let details = details.into_iter();
    Report {
        message_id: event.text("postroad_id").and_then(fields::our_id),
        // The first part is what the API answered with; the rest says by which way the mail went.
        external_id: sent_as.and_then(|id| fields::external_id(id.split('.').next()?)),
        occurred_at: event.time("timestamp"),
        recipient: Some(email)
            .filter(|email| !email.is_empty())
            .map(fields::address),
        code: status.map(fields::word),
        text: text.map(fields::words),
        detail: details
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        ..Report::new(event_type, provider_event, key)
    }
}

/// By SendGrid's classification, which is of the reply; then by the reply. `blocked` is never for good: SendGrid itself
/// goes on sending to such an address.
fn classify(event: Object<'_>) -> Bounce {
    let reply = event.text("reason").unwrap_or_default();
    let read = bounce::classify(event.text("status"), None, reply);
    let classification = event.text("bounce_classification").unwrap_or_default();
    let class = match classification.to_ascii_lowercase().as_str() {
        "invalid address" => Some(BounceClass::InvalidRecipient),
        "mailbox unavailable" => Some(match read.class {
            BounceClass::MailboxFull => BounceClass::MailboxFull,
            _ => BounceClass::MailboxUnavailable,
        }),
        "reputation" => Some(BounceClass::Reputation),
        "content" => Some(BounceClass::Policy),
        "technical" | "technical failure" => Some(BounceClass::Network),
        "frequency or volume too high" => Some(BounceClass::Throttled),
        _ => None, // "Unclassified"
    };
    let is_blocked = event.text("type").is_some_and(|kind| kind != "bounce");
    let kind = match class {
        _ if is_blocked => BounceKind::Soft,
        Some(BounceClass::InvalidRecipient) => BounceKind::Hard,
        _ => read.kind,
    };
    match class {
        Some(class) if class.is_recipients() => Bounce { kind, class },
        Some(class) => Bounce {
            kind: BounceKind::Soft,
            class,
        },
        None => Bounce { kind, ..read },
    }
}

/// What SendGrid did not even try, by its reason ("Dropped", and the lists of suppressions).
fn dropped(reason: &str, reports: &mut Vec<Report>, report: &dyn Fn(EventType) -> Report) {
    let reason = reason.to_ascii_lowercase();
    let begins = |with: &str| reason.starts_with(with);
    let (event_type, ours) = if begins("bounced address") || reason == "invalid" {
        (EventType::Bounced, "provider_suppressed")
    } else if begins("unsubscribed address") || begins("group unsubscribe") {
        (EventType::Unsubscribed, "provider_suppressed")
    } else if begins("spam reporting address") {
        (EventType::Complained, "provider_suppressed")
    } else if begins("spam content") {
        (EventType::Failed, "policy")
    } else if begins("recipient list over package quota") {
        (EventType::Failed, "quota_exceeded")
    } else {
        (EventType::Failed, "rejected")
    };
    let ours = if reason == "invalid" {
        "invalid_recipient"
    } else {
        ours
    };
    let gone = match event_type {
        EventType::Bounced => Report {
            bounce: Some(Bounce {
                kind: BounceKind::Hard,
                class: BounceClass::InvalidRecipient,
            }),
            ..report(EventType::Bounced)
        },
        _ => report(EventType::Failed),
    };
    reports.push(Report {
        reason: Some(ours),
        ..gone
    });
    // Why it is on the list is news to us, too.
    if matches!(event_type, EventType::Unsubscribed | EventType::Complained) {
        reports.push(report(event_type));
    }
}
