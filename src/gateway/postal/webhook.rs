//! Postal's webhooks (<https://docs.postalserver.io/developer/webhooks>), each signed by the installation's RSA key.
//!
//! | event | ours |
//! |---|---|
//! | `MessageSent` | `delivered`: Postal delivers to the recipient's server |
//! | `MessageDelayed` | `deferred` |
//! | `MessageDeliveryFailed` | `bounced` by the server's reply; without one `failed` |
//! | `MessageHeld` | `deferred`, an operator may release it; `bounced` when Postal's suppression list holds it |
//! | `MessageBounced` | `bounced`, undetermined: it says nothing of why |
//! | `MessageLoaded` `MessageLinkClicked` | `opened` `clicked` |
//!
//! Other events (`DomainDNSError`, `SendLimit…`), and those of mail that came in, have no meaning here.

mod keys;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use self::keys::Keys;
use crate::gateway::http;
use crate::gateway::source::fetch::{Fetch, Http};
use crate::gateway::source::fields::{self, Object};
use crate::gateway::source::list::List;
use crate::gateway::source::rsa::{Hash, PublicKey};
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::bounce;
use crate::model::duration;
use crate::model::event::EventType;
use crate::model::report::{Bounce, BounceClass, BounceKind, Report};

/// The webhook's settings. Keys, or where to get them, or both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// The installation's public keys: PEM, its base64, or what `postal default-dkim-record` prints.
    #[serde(default)]
    pub public_keys: List<String>,
    /// Where the installation publishes them: `https://postal.example.org/.well-known/jwks.json`.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Takes a signature by SHA-1 where there is none by SHA-256, of a Postal before 3.2.
    #[serde(default)]
    pub allow_sha1: bool,
    /// How old an event may be. Postal posts again for 36 minutes, and keeps the time.
    #[serde(default = "freshness")]
    pub freshness: duration::Text,
}

const fn freshness() -> duration::Text {
    duration::Text(Duration::from_secs(24 * 3600))
}

/// What Postal posts.
pub struct Source {
    name: String,
    keys: Keys,
    allow_sha1: bool,
    freshness: Duration,
}

impl Source {
    /// Builds it. Keys are fetched with the first request.
    ///
    /// # Errors
    ///
    /// No key and no URL, or one that is none.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        Self::with_fetch(name, settings, Arc::new(Http::new()?))
    }

    /// As [`new`](Self::new), with another way to get keys.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_fetch(
        name: &str,
        settings: &WebhookSettings,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, String> {
        let own = settings.public_keys.0.iter();
        let own: Option<Vec<_>> = own.map(|text| PublicKey::from_text(text)).collect();
        let own =
            own.ok_or("public_keys must be RSA keys, in PEM or base64 as Postal shows them")?;
        let url = settings.jwks_url.as_deref().map(|text| {
            http::base_url(text).map_err(|_| "jwks_url must be an https URL".to_owned())?;
            text.parse()
                .map_err(|_| "jwks_url must be an https URL".to_owned())
        });
        let url = url.transpose()?;
        if own.is_empty() && url.is_none() {
            return Err("public_keys or jwks_url must say by what Postal signs".into());
        }
        Ok(Self {
            name: name.into(),
            keys: Keys::new(own, url, fetch),
            allow_sha1: settings.allow_sha1,
            freshness: settings.freshness.0,
        })
    }
}

impl Source {
    /// The signature that decides, which has to be checked against the body.
    fn signature(&self, posted: &Posted<'_>) -> Result<(Hash, Vec<u8>), Refused> {
        let header = |name| fields::header(posted.headers, name);
        // Where the better one is there it alone decides, or an attacker would choose the weaker.
        let (hash, signature) = match posted.headers.contains_key("X-Postal-Signature-256") {
            true => (Hash::Sha256, header("X-Postal-Signature-256")),
            false if self.allow_sha1 => (Hash::Sha1, header("X-Postal-Signature")),
            false => (Hash::Sha256, None),
        };
        let signature = signature.ok_or(Refused::Unauthenticated("not signed"))?;
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| Refused::Unauthenticated("the signature is wrong"))?;
        Ok((hash, signature))
    }
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self, posted: &Posted<'_>) -> Result<(), Refused> {
        self.signature(posted).map(drop)
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        let (hash, signature) = self.signature(posted)?;
        let id = fields::header(posted.headers, "X-Postal-Signature-KID");
        self.keys.check(id, hash, posted.body, &signature).await?;
        let body = fields::json(posted.body).map_err(|_| Refused::Malformed("not JSON"))?;
        let body = Object::of(&body);
        let made = body.time("timestamp");
        let made = made.ok_or(Refused::Malformed("no timestamp"))?;
        fields::check_fresh(made, posted.now, self.freshness)?;
        Ok(Verified {
            key: body.text("uuid").map(|uuid| fields::source_key(&[uuid])),
            ..Verified::default()
        })
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let body = fields::json(stored.body)?;
        let body = Object::of(&body);
        let word = body.text("event").ok_or(Unreadable("no event".into()))?;
        let payload = body.object("payload");
        let message = match word {
            "MessageBounced" => payload.object("original_message"),
            _ => payload.object("message"),
        };
        if word.starts_with("Message") && !message.is_some() {
            return Err(Unreadable("no message".into()));
        }
        if message.text("direction") == Some("incoming") {
            return Ok(Vec::new());
        }
        Ok(read(body, word, message).into_iter().collect())
    }
}

fn read(body: Object<'_>, word: &str, message: Object<'_>) -> Option<Report> {
    let payload = body.object("payload");
    let report = |event_type| report(body, word, message, event_type);
    let bounced = |bounce: Bounce, reason| Report {
        reason: Some(reason),
        bounce: Some(bounce),
        ..report(EventType::Bounced)
    };
    let details = payload.text("details").unwrap_or_default();
    let output = payload.text("output").unwrap_or_default();
    Some(match word {
        "MessageSent" => report(EventType::Delivered),
        "MessageDelayed" => {
            let reply = if output.is_empty() { details } else { output };
            let class = bounce::classify(None, None, reply).class;
            Report {
                reason: Some(class.as_str()),
                ..report(EventType::Deferred)
            }
        }
        "MessageDeliveryFailed" => {
            let is_reply = bounce::smtp_code_in(output).or(bounce::status_in(output).map(|_| 0));
            if is_reply.is_some() {
                let bounce = bounce::classify(None, None, output);
                bounced(bounce, bounce.class.as_str())
            } else {
                // Postal itself gave up: spam by its own judgement, a domain that is gone, too many tries.
                let is_spam = details.to_ascii_lowercase().contains("spam");
                Report {
                    reason: Some(if is_spam {
                        "policy"
                    } else {
                        "provider_gave_up"
                    }),
                    ..report(EventType::Failed)
                }
            }
        }
        "MessageHeld" if details.contains("is on the suppression list") => {
            let (kind, class) = (BounceKind::Hard, BounceClass::InvalidRecipient);
            bounced(Bounce { kind, class }, "provider_suppressed")
        }
        "MessageHeld" => Report {
            reason: Some("held"),
            ..report(EventType::Deferred)
        },
        "MessageBounced" => {
            let (kind, class) = (BounceKind::Soft, BounceClass::Undetermined);
            bounced(Bounce { kind, class }, class.as_str())
        }
        "MessageLoaded" => report(EventType::Opened),
        "MessageLinkClicked" => report(EventType::Clicked),
        _ => return None,
    })
}

fn report(body: Object<'_>, word: &str, message: Object<'_>, event_type: EventType) -> Report {
    let payload = body.object("payload");
    let at = body.word("timestamp").unwrap_or_default();
    let id = message.word("id");
    let key = match body.text("uuid") {
        Some(uuid) => fields::source_key(&[uuid]),
        None => fields::source_key(&[id.as_deref().unwrap_or_default(), word, &at]),
    };
    let output = payload.text("output");
    let code = output.and_then(|reply| {
        let smtp = || bounce::smtp_code_in(reply).map(|code| code.to_string());
        bounce::status_in(reply).map(str::to_owned).or_else(smtp)
    });
    let details = [
        ("url", payload.text("url").map(fields::detail)),
        ("client", payload.text("user_agent").map(fields::detail)),
        ("ip", payload.text("ip_address").map(fields::word)),
    ];
    let details = details.into_iter();
    Report {
        message_id: message.text("tag").and_then(fields::our_id),
        external_id: id,
        occurred_at: payload.time("timestamp").or(body.time("timestamp")),
        recipient: message.text("to").map(fields::address),
        code,
        text: output.or(payload.text("details")).map(fields::words),
        detail: details
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        ..Report::new(event_type, fields::word(word), key)
    }
}
