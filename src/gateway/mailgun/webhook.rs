//! Mailgun's webhooks (<https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads>).
//!
//! Their signature covers a timestamp and a token, not the event (`…/securing-webhooks`), so that a token may come but
//! once: it is what is remembered against replays, while each post of an event has another.
//!
//! | event | ours |
//! |---|---|
//! | `accepted` | `queued` |
//! | `delivered` | `delivered` |
//! | `failed`, temporary | `deferred` |
//! | `failed`, permanent | `bounced`, by reason, codes, and message; for a person who would not have it `failed` and `unsubscribed` or `complained` |
//! | `rejected` | `failed` |
//! | `opened` `clicked` `unsubscribed` `complained` | the same |
//!
//! Other events (`stored`, `list_member_uploaded`) have no meaning here.

use std::time::Duration;

use async_trait::async_trait;
use ring::hmac;
use serde::Deserialize;

use crate::gateway::source::fields::{self, Object};
use crate::gateway::source::list::List;
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::bounce;
use crate::model::duration;
use crate::model::event::EventType;
use crate::model::report::{Bounce, BounceClass, BounceKind, Report};
use crate::model::secret::Secret;

/// The webhook's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// The account's HTTP webhook signing key; several during a rotation, or of several accounts. The key of a parent
    /// account is good for its subaccounts.
    pub signing_keys: List<Secret>,
    /// How old a signature may be. Mailgun posts again for 8 hours, and it is not documented whether it then signs anew.
    #[serde(default = "freshness")]
    pub freshness: duration::Text,
}

const fn freshness() -> duration::Text {
    duration::Text(Duration::from_secs(12 * 3600))
}

/// What Mailgun posts.
pub struct Source {
    name: String,
    keys: Vec<hmac::Key>,
    freshness: Duration,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// No key.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        let keys = settings.signing_keys.0.iter().map(Secret::expose);
        let keys: Vec<_> = keys
            .filter(|key| !key.is_empty())
            .map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))
            .collect();
        if keys.is_empty() {
            return Err("signing_keys must hold the account's HTTP webhook signing key".into());
        }
        Ok(Self {
            name: name.into(),
            keys,
            freshness: settings.freshness.0,
        })
    }

    /// Whether one of our keys made the signature, in hex. All are tried, each in constant time.
    fn verifies(&self, signed: &[u8], signature: &str) -> bool {
        let Some(tag) = from_hex(signature) else {
            return false;
        };
        let tried = self.keys.iter();
        tried.fold(false, |good, key| {
            good | hmac::verify(key, signed, &tag).is_ok()
        })
    }
}

/// 32 bytes, of either case.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        let body = fields::json(posted.body).map_err(|_| Refused::Malformed("not JSON"))?;
        let proof = Object::of(&body).object("signature");
        let (Some(timestamp), Some(token)) = (proof.word("timestamp"), proof.text("token")) else {
            return Err(Refused::Unauthenticated("not signed"));
        };
        let signed = format!("{timestamp}{token}");
        // The second is there for a subaccount's events, by the key of its parent.
        let signatures = [proof.text("signature"), proof.text("parent-signature")];
        let signatures = signatures.into_iter().flatten();
        let good = signatures.filter(|signature| self.verifies(signed.as_bytes(), signature));
        if good.count() == 0 {
            return Err(Refused::Unauthenticated("the signature is wrong"));
        }
        let made = fields::unix_digits(&timestamp);
        let made = made.ok_or(Refused::Malformed("the timestamp is none"))?;
        fields::check_fresh(made, posted.now, self.freshness)?;
        let token = fields::source_key(&[token]);
        Ok(Verified {
            key: Some(token.clone()),
            replay: Some(token),
            ..Verified::default()
        })
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let body = fields::json(stored.body)?;
        let body = Object::of(&body);
        let event = body.object("event-data");
        let word = event.text("event");
        let word = word.ok_or(Unreadable("no event-data with an event".into()))?;
        let token = body.object("signature").text("token").unwrap_or_default();
        Ok(read(event, word, token))
    }
}

fn read(event: Object<'_>, word: &str, token: &str) -> Vec<Report> {
    let report = |event_type| report(event, word, token, event_type);
    let bounced = |bounce: Bounce, reason| Report {
        reason: Some(reason),
        bounce: Some(bounce),
        ..report(EventType::Bounced)
    };
    let failed = |reason| Report {
        reason: Some(reason),
        ..report(EventType::Failed)
    };
    let reason = event.text("reason").unwrap_or_default();
    match word {
        "accepted" => vec![report(EventType::Queued)],
        "delivered" => vec![report(EventType::Delivered)],
        "failed" if event.text("severity") == Some("temporary") => vec![Report {
            reason: Some(classify(event).class.as_str()),
            ..report(EventType::Deferred)
        }],
        // What Mailgun did not even try; why it is on its list is news to us, too.
        "failed" if reason == "suppress-bounce" => {
            let (kind, class) = (BounceKind::Hard, BounceClass::InvalidRecipient);
            vec![bounced(Bounce { kind, class }, "provider_suppressed")]
        }
        "failed" if reason == "suppress-unsubscribe" => vec![
            failed("provider_suppressed"),
            report(EventType::Unsubscribed),
        ],
        "failed" if reason == "suppress-complaint" => {
            vec![failed("provider_suppressed"), report(EventType::Complained)]
        }
        "failed" => {
            let bounce = classify(event);
            vec![bounced(bounce, bounce.class.as_str())]
        }
        "rejected" => vec![failed("rejected")],
        "opened" => vec![report(EventType::Opened)],
        "clicked" => vec![report(EventType::Clicked)],
        "unsubscribed" => vec![report(EventType::Unsubscribed)],
        "complained" => vec![report(EventType::Complained)],
        _ => Vec::new(),
    }
}

fn report(event: Object<'_>, word: &str, token: &str, event_type: EventType) -> Report {
    let at = event.word("timestamp").unwrap_or_default();
    let recipient = event.text("recipient");
    // Unique within a day at Mailgun, so the time goes with it.
    let key = fields::source_key(&[event.text("id").unwrap_or(token), &at]);
    let message = event.object("message").object("headers").text("message-id");
    let status = event.object("delivery-status");
    let provider_event = match (word, event.text("severity"), event.text("reason")) {
        ("failed", severity, reason) => {
            let parts = [Some(word), severity, reason];
            let parts: Vec<_> = parts.into_iter().flatten().map(fields::word).collect();
            parts.join("/")
        }
        _ => fields::word(word),
    };
    let client = event.object("client-info");
    let bot = client.text("bot").filter(|bot| !bot.is_empty());
    let details = [
        ("url", event.text("url").map(fields::detail)),
        ("client", client.text("user-agent").map(fields::detail)),
        ("ip", event.text("ip").map(fields::word)),
        ("attempt", status.word("attempt-no")),
        ("machine", bot.map(fields::word)),
    ];
    let details = details.into_iter();
    let told = [said(status), event.object("reject").text("reason")];
    Report {
        message_id: event
            .object("user-variables")
            .text("postroad_id")
            .and_then(fields::our_id),
        external_id: message.and_then(fields::external_id),
        occurred_at: event.time("timestamp"),
        recipient: recipient.map(fields::address),
        code: code(status),
        text: told.into_iter().flatten().next().map(fields::words),
        detail: details
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        ..Report::new(event_type, provider_event, key)
    }
}

/// The server's words, else Mailgun's.
fn said(status: Object<'_>) -> Option<&str> {
    status.text("message").or(status.text("description"))
}

/// The enhanced code, or else the SMTP code or Mailgun's own.
fn code(status: Object<'_>) -> Option<String> {
    let enhanced = status.text("enhanced-code").map(fields::word);
    let told = || said(status).and_then(bounce::status_in).map(fields::word);
    enhanced.or_else(told).or_else(|| status.word("code"))
}

/// By the reply; Mailgun's own verdict of a block (`espblock`, `blacklisted`, `greylisted`) goes first.
fn classify(event: Object<'_>) -> Bounce {
    let status = event.object("delivery-status");
    let text = said(status).unwrap_or_default();
    let read = bounce::classify(status.text("enhanced-code"), status.smtp_code("code"), text);
    let class = match event.text("reason").unwrap_or_default() {
        "espblock" | "blacklisted" => BounceClass::Reputation,
        "greylisted" => BounceClass::Throttled,
        _ => return read,
    };
    let kind = BounceKind::Soft;
    Bounce { kind, class }
}
