//! Events in our own words, signed by Standard Webhooks 1.0.0
//! (github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`).
//!
//! The body is one event, or an array of at most 1,000 of them:
//!
//! ```json
//! {
//!   "id": "evt_17",                        // required: the same event is kept once
//!   "type": "bounced",                     // sent, deferred, delivered, opened, clicked, converted, bounced,
//!                                          // complained, unsubscribed, failed, received
//!   "message_id": "01a1fd79-…",            // ours; or
//!   "external_id": "…",                    // what the gateway answered when it took the message
//!   "occurred_at": "2026-11-21T12:00:00Z", // by default when the request came
//!   "recipient": "ada@example.org",        // where the message alone does not say
//!   "bounce": "hard",                      // or "soft": of "bounced"
//!   "class": "invalid_recipient",          // of "bounced"; as the reasons of bounces are called
//!   "wish": "stop",                        // or "start", "help": of "received"
//!   "code": "5.1.1", "text": "no such user",
//!   "url": "https://…", "user_agent": "…", "ip": "…"
//! }
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use uuid::Uuid;

use crate::gateway::source::{
    Action, Posted, Refused, Stored, Unreadable, Verified, WebhookSource,
};
use crate::model::duration;
use crate::model::event::EventType;
use crate::model::outcome::{PROVIDER_TEXT_MAX, shorten};
use crate::model::report::{Bounce, BounceClass, BounceKind, Report, Wish};
use crate::model::rfc3339;
use crate::model::secret::Secret;

/// Events in one body.
const EVENTS_MAX: usize = 1000;

/// Bytes of an id, ours or another's.
const ID_MAX: usize = 255;

/// Its settings. A secret or a public key is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// `whsec_` and 24 to 64 bytes in base64, which the sender has too; or `whpk_` and its Ed25519 public key.
    pub secret: Option<Secret>,
    /// Accepted too, while the sender changes over.
    pub previous_secret: Option<Secret>,
    /// How far the time in a request may be from ours, both ways; 5 minutes by default.
    pub freshness: Option<duration::Text>,
}

enum Key {
    /// Of `v1`.
    Hmac(hmac::Key),
    /// Of `v1a`.
    Ed25519(UnparsedPublicKey<Vec<u8>>),
}

/// Checks and reads them.
pub struct Source {
    name: String,
    keys: Vec<Key>,
    freshness: Duration,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        let secret = settings.secret.as_ref().ok_or(
            "needs secret, \"whsec_\" and 24 to 64 bytes in base64, or \"whpk_\" and an Ed25519 public key",
        )?;
        let mut keys = vec![key("secret", secret)?];
        if let Some(previous) = &settings.previous_secret {
            keys.push(key("previous_secret", previous)?);
        }
        let freshness = settings.freshness.map_or(Duration::from_secs(300), |f| f.0);
        Ok(Self {
            name: name.into(),
            keys,
            freshness,
        })
    }
}

fn key(setting: &str, secret: &Secret) -> Result<Key, String> {
    let refused = || {
        format!(
            "{setting} must be whsec_ and 24 to 64 bytes in base64, or whpk_ and an Ed25519 public key of 32 bytes"
        )
    };
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| refused());
    if let Some(text) = secret.expose().strip_prefix("whsec_") {
        let bytes = decoded(text)?;
        return match bytes.len() {
            24..=64 => Ok(Key::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
            _ => Err(refused()),
        };
    }
    let text = secret.expose().strip_prefix("whpk_").ok_or_else(refused)?;
    let bytes = decoded(text)?;
    match bytes.len() {
        32 => Ok(Key::Ed25519(UnparsedPublicKey::new(&ED25519, bytes))),
        _ => Err(refused()),
    }
}

/// Id, timestamp and signatures, as the headers have them.
fn proof<'a>(posted: &Posted<'a>) -> Result<[&'a str; 3], Refused> {
    let header = |name: &str| {
        let mut values = posted.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().filter(|text| !text.is_empty()),
            _ => None,
        }
    };
    match (
        header("webhook-id").filter(|id| id.len() <= ID_MAX),
        header("webhook-timestamp"),
        header("webhook-signature"),
    ) {
        (Some(id), Some(timestamp), Some(signatures)) => Ok([id, timestamp, signatures]),
        _ => Err(Refused::Unauthenticated(
            "webhook-id, webhook-timestamp and webhook-signature are needed, once each",
        )),
    }
}

impl Key {
    /// Whether one signature, `v1,…` or `v1a,…`, is of this key.
    fn made(&self, signature: &str, text: &[u8]) -> bool {
        let bytes = |scheme| {
            let encoded: &str = signature.strip_prefix(scheme)?;
            STANDARD.decode(encoded).ok()
        };
        match self {
            // In constant time.
            Self::Hmac(key) => bytes("v1,").is_some_and(|b| hmac::verify(key, text, &b).is_ok()),
            Self::Ed25519(key) => bytes("v1a,").is_some_and(|b| key.verify(text, &b).is_ok()),
        }
    }
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
        let [id, timestamp, signatures] = proof(posted)?;
        let text = [format!("{id}.{timestamp}.").as_bytes(), posted.body].concat();
        let is_signed = signatures
            .split(' ')
            .take(10) // keys in rotation are few
            .any(|signature| self.keys.iter().any(|key| key.made(signature, &text)));
        if !is_signed {
            return Err(Refused::Unauthenticated("the signature is not ours"));
        }
        let is_plain = timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds: u64 = (if is_plain {
            timestamp.parse().ok()
        } else {
            None
        })
        .filter(|seconds| *seconds < u64::from(u32::MAX) * 64)
        .ok_or(Refused::Malformed("webhook-timestamp is no Unix time"))?;
        let at = UNIX_EPOCH + Duration::from_secs(seconds);
        let apart = match posted.now.duration_since(at) {
            Ok(late) => late,
            Err(early) => early.duration(),
        };
        if apart > self.freshness {
            return Err(Refused::Forbidden("webhook-timestamp is too far from now"));
        }
        Ok(Verified {
            key: Some(id.to_owned()),
            replay: None, // the id is signed
            action: Action::Store,
        })
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let unreadable = |error: serde_json::Error| {
            Unreadable(format!(
                "no event of ours at line {}, column {}",
                error.line(),
                error.column()
            ))
        };
        let first = stored.body.iter().find(|b| !b.is_ascii_whitespace());
        let events: Vec<Event> = match first {
            Some(b'[') => serde_json::from_slice(stored.body).map_err(unreadable)?,
            _ => vec![serde_json::from_slice(stored.body).map_err(unreadable)?],
        };
        if events.len() > EVENTS_MAX {
            return Err(Unreadable(format!("more than {EVENTS_MAX} events")));
        }
        let reports = events.into_iter().enumerate().map(|(nth, event)| {
            event
                .report(stored.received_at)
                .map_err(|problem| Unreadable(format!("event {}: {problem}", nth + 1)))
        });
        reports.collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    id: String,
    r#type: EventType,
    message_id: Option<Uuid>,
    external_id: Option<String>,
    occurred_at: Option<String>,
    recipient: Option<String>,
    bounce: Option<String>,
    class: Option<String>,
    wish: Option<String>,
    code: Option<String>,
    text: Option<String>,
    url: Option<String>,
    user_agent: Option<String>,
    ip: Option<String>,
}

impl Event {
    fn report(self, received_at: SystemTime) -> Result<Report, &'static str> {
        use EventType as E;
        let is_reported = matches!(
            self.r#type,
            E::Sent
                | E::Deferred
                | E::Delivered
                | E::Opened
                | E::Clicked
                | E::Converted
                | E::Bounced
                | E::Complained
                | E::Unsubscribed
                | E::Failed
                | E::Received
        );
        if !is_reported {
            return Err("its type is not one that is reported");
        }
        if self.id.is_empty() || self.id.len() > ID_MAX {
            return Err("id must have 1 to 255 bytes");
        }
        if self.message_id.is_none() && self.external_id.is_none() && self.r#type != E::Received {
            return Err("message_id or external_id is needed");
        }
        let occurred_at = match &self.occurred_at {
            Some(text) => rfc3339::parse(text).ok_or("occurred_at must be as in RFC 3339")?,
            None => received_at,
        };
        let bounce = match (self.r#type, self.bounce.as_deref()) {
            (E::Bounced, kind) => Some(Bounce {
                kind: match kind {
                    Some("hard") => BounceKind::Hard,
                    Some("soft") => BounceKind::Soft,
                    _ => return Err("bounce must be hard or soft"),
                },
                class: class(self.class.as_deref())?,
            }),
            (_, Some(_)) => return Err("bounce is of type bounced only"),
            (_, None) => None,
        };
        let wish = match self.wish.as_deref() {
            None => None,
            Some("stop") => Some(Wish::Stop),
            Some("start") => Some(Wish::Start),
            Some("help") => Some(Wish::Help),
            Some(_) => return Err("wish must be stop, start or help"),
        };
        let mut report = Report::new(self.r#type, self.r#type.as_str(), self.id);
        report.message_id = self.message_id;
        report.external_id = self.external_id;
        report.occurred_at = Some(occurred_at);
        report.bounce = bounce;
        report.recipient = self.recipient;
        report.wish = wish;
        report.code = self.code.map(|code| shorten(&code, ID_MAX));
        report.text = self.text.map(|text| shorten(&text, PROVIDER_TEXT_MAX));
        for (key, value) in [
            ("url", self.url),
            ("user_agent", self.user_agent),
            ("ip", self.ip),
        ] {
            if let Some(value) = value {
                report
                    .detail
                    .push((key, shorten(&value, PROVIDER_TEXT_MAX)));
            }
        }
        Ok(report)
    }
}

fn class(name: Option<&str>) -> Result<BounceClass, &'static str> {
    use BounceClass as C;
    let Some(name) = name else {
        return Ok(C::Undetermined);
    };
    [
        C::InvalidRecipient,
        C::MailboxFull,
        C::MailboxUnavailable,
        C::Message,
        C::Policy,
        C::Reputation,
        C::Authentication,
        C::Throttled,
        C::Network,
        C::AutoReply,
        C::Undetermined,
    ]
    .into_iter()
    .find(|class| class.as_str() == name)
    .ok_or("class is not a known one")
}

#[cfg(test)]
mod tests;
