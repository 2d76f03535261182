//! What Bandwidth posts: an array of what became of messages, and messages that came in
//! (<https://dev.bandwidth.com/docs/messaging/webhooks/>).
//!
//! It is not signed. Bandwidth sends the user and password that are set for the application's callbacks; the URL must
//! be https. Our message id comes back as the message's `tag`.
//!
//! | Bandwidth says | event |
//! |---|---|
//! | `message-sending`, `message-sent` | `sent` |
//! | `message-delivered` | `delivered` |
//! | `message-read` | `opened` |
//! | `message-failed` | `bounced` or `failed`, by the error code; 4775 also `unsubscribed` |
//! | `message-received` | `received`, with the wish that it says |

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::gateway::credentials::Credentials;
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::event::EventType;
use crate::model::outcome::{PROVIDER_TEXT_MAX, shorten};
use crate::model::report::{Bounce, BounceClass, BounceKind, Report, Wish};
use crate::model::secret::Secret;
use crate::model::{rfc3339, wish};

/// Its settings: the user and password that the application's callbacks carry. Both are needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// `BANDWIDTH_CALLBACK_USERNAME`.
    pub username: String,
    /// `BANDWIDTH_CALLBACK_PASSWORD`.
    pub password: Option<Secret>,
    /// Accepted too, while it is being replaced.
    pub previous_password: Option<Secret>,
}

/// Checks and reads what Bandwidth posts.
pub struct Source {
    name: String,
    credentials: Credentials,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        let is_set = |secret: &&Secret| !secret.is_blank();
        let Some(password) = settings.password.as_ref().filter(is_set) else {
            return Err("needs password (BANDWIDTH_CALLBACK_PASSWORD)".into());
        };
        if settings.username.trim().is_empty() || settings.username.contains(':') {
            return Err("needs username (BANDWIDTH_CALLBACK_USERNAME), without a colon".into());
        }
        let mut credentials = Credentials::default();
        let previous = settings.previous_password.as_ref().filter(is_set);
        for password in [password].into_iter().chain(previous) {
            credentials.add_basic(&settings.username, password);
        }
        Ok(Self {
            name: name.into(),
            credentials,
        })
    }
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self, posted: &Posted<'_>) -> Result<(), Refused> {
        self.credentials.check(posted.headers)
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        self.credentials.check(posted.headers)?;
        Ok(Verified::default())
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let unreadable = |error: serde_json::Error| {
            Unreadable(format!("not a callback's JSON: {:?}", error.classify()))
        };
        // An array that holds something else among its events must not hide the others.
        let callbacks: Vec<&RawValue> = serde_json::from_slice(stored.body).map_err(unreadable)?;
        let mut reports = Vec::new();
        for callback in callbacks {
            let callback: Callback = serde_json::from_str(callback.get()).map_err(unreadable)?;
            reports.extend(callback.reports());
        }
        Ok(reports)
    }
}

/// One event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Callback {
    #[serde(default)]
    time: Option<String>,
    r#type: String,
    /// Whom it is about: of several recipients, one.
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    description: Option<String>,
    message: Message,
    #[serde(default)]
    error_code: Option<u32>,
    #[serde(default)]
    carrier_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    tag: Option<String>,
}

impl Callback {
    fn reports(self) -> Vec<Report> {
        let event_type = match self.r#type.as_str() {
            "message-sending" | "message-sent" => EventType::Sent,
            "message-delivered" => EventType::Delivered,
            "message-read" => EventType::Opened,
            "message-failed" => EventType::Failed,
            "message-received" => EventType::Received,
            _ => return Vec::new(),
        };
        let word = shorten(&self.r#type, 64);
        let id = shorten(&self.message.id, 128);
        let to = self.to.as_deref().map(|to| shorten(to, 320));
        let key = match &to {
            Some(to) => format!("{id}:{word}:{to}"),
            None => format!("{id}:{word}"),
        };
        let mut report = Report::new(event_type, word, key);
        report.external_id = Some(id);
        report.occurred_at = self.time.as_deref().and_then(rfc3339::parse);
        if let Some(carrier) = &self.carrier_name {
            report.detail.push(("carrier", shorten(carrier, 128)));
        }
        if event_type == EventType::Received {
            let text = self.message.text.as_deref().unwrap_or_default();
            report.wish = wish::read(text);
            report.text = Some(shorten(text, PROVIDER_TEXT_MAX));
            report.recipient = self.message.from.map(|from| shorten(&from, 320));
            if let Some(to) = to.or_else(|| self.message.to.first().map(|to| shorten(to, 320))) {
                report.detail.push(("to", to));
            }
            return vec![report];
        }
        let tag = self.message.tag.as_deref();
        report.message_id = tag.and_then(|tag| Uuid::try_parse(tag).ok());
        report.recipient = to;
        if event_type != EventType::Failed {
            return vec![report];
        }
        report.code = self.error_code.map(|code| code.to_string());
        let words = self.description.as_deref();
        report.text = words.map(|words| shorten(words, PROVIDER_TEXT_MAX));
        let code = self.error_code.unwrap_or_default();
        if code == OPTED_OUT {
            report.reason = Some("unsubscribed");
            let mut opt_out = report.clone();
            opt_out.event_type = EventType::Unsubscribed;
            opt_out.wish = Some(Wish::Stop);
            return vec![report, opt_out];
        }
        let (reason, bounce) = by_code(code);
        report.reason = Some(reason);
        report.bounce = bounce;
        if bounce.is_some() {
            report.event_type = EventType::Bounced;
        }
        vec![report]
    }
}

/// The recipient said STOP to the carrier.
const OPTED_OUT: u32 = 4775;

/// What Bandwidth's error codes mean (<https://dev.bandwidth.com/docs/messaging/errors/codes/>): a reason, and a bounce
/// where the recipient's side refused it.
fn by_code(code: u32) -> (&'static str, Option<Bounce>) {
    let bounce = |kind, class| Some(Bounce { kind, class });
    let hard = bounce(BounceKind::Hard, BounceClass::InvalidRecipient);
    let soft = |class| bounce(BounceKind::Soft, class);
    match code {
        4303 | 4350 | 4404 | 4406 | 4408 | 4434 | 4482 | 4492 | 4720 | 4721 | 4753 => {
            ("invalid_number", hard)
        }
        4701 | 4702 | 4730 | 4750 | 4772 | 4790 => {
            ("unreachable", soft(BounceClass::MailboxUnavailable))
        }
        4470 => ("content_refused", soft(BounceClass::Policy)),
        4360 => ("expired", None),
        4780 | 4781 | 4785 => ("throttled", soft(BounceClass::Throttled)),
        4301 | 4410..=4412 | 4435 | 4711 | 4712 | 4751 | 4752 | 4770 | 4771 => ("rejected", None),
        4001
        | 4302
        | 4403
        | 4405
        | 4407
        | 4409
        | 4420
        | 4421
        | 4431..=4433
        | 4451
        | 4452
        | 4481
        | 4493
        | 4700
        | 4740
        | 4773
        | 4774
        | 4791..=4793
        | 4795 => ("sender_refused", None),
        5000..=5999 => ("network_failed", soft(BounceClass::Network)),
        9000..=9999 => ("undetermined", soft(BounceClass::Undetermined)),
        _ => ("failed", None),
    }
}

#[cfg(test)]
mod tests;
