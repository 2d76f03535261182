//! What Twilio posts: status callbacks of messages and calls, and messages that came in.
//!
//! A request is signed over its URL and its parameters (<https://www.twilio.com/docs/usage/security#validating-requests>),
//! without a time: one that was captured stays valid for as long as its token, and repeats an event that is there.
//!
//! | Twilio says | event |
//! |---|---|
//! | `sent`, `delivered`, `read` | `sent`, `delivered`, `opened` |
//! | `partially_delivered` | `delivered` |
//! | `undelivered`, `failed` | `bounced` or `failed`, by the error code; 21610 also `unsubscribed` |
//! | `canceled` | `failed` |
//! | `received` | `received`, with the wish that it says |
//! | a call `completed` | `delivered` |
//! | a call `busy`, `no-answer` | `bounced`, soft |
//! | a call `failed`, `canceled` | `failed` |
//!
//! What comes before (`accepted`, `queued`, `sending`, `ringing` …) is left out.

mod signature;

use std::collections::BTreeMap;

use async_trait::async_trait;
use hyper::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use self::signature::Keys;
use super::classify::by_code;
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::event::EventType;
use crate::model::outcome::{Blame, Fault, PROVIDER_TEXT_MAX, shorten};
use crate::model::report::{Bounce, BounceClass, BounceKind, Report, Wish};
use crate::model::secret::Secret;
use crate::model::wish;

/// Its settings. A token, or a shared key, is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// The account's token (`TWILIO_AUTH_TOKEN`).
    pub auth_token: Option<Secret>,
    /// Further ones: the secondary token while one replaces the other, tokens of subaccounts.
    pub other_auth_tokens: Vec<Secret>,
    /// Shared keys by their ids, with which Twilio signs by HMAC-SHA256 once they are set up there.
    pub shared_keys: BTreeMap<String, Secret>,
}

/// Checks and reads what Twilio posts.
pub struct Source {
    name: String,
    keys: Keys,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        Ok(Self {
            name: name.into(),
            keys: Keys::new(settings)?,
        })
    }
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self, posted: &Posted<'_>) -> Result<(), Refused> {
        signature::given(posted).map(drop)
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        let signature = self.keys.verify(posted)?;
        Ok(Verified {
            // Twilio signs a delivery that it repeats alike, and no two others: there are an id and a status in each.
            key: Some(signature),
            ..Verified::default()
        })
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let parameters = Parameters::read(stored)?;
        if let Some(status) = parameters.get("CallStatus") {
            return call(&parameters, status);
        }
        let status = parameters
            .get("MessageStatus")
            .or_else(|| parameters.get("SmsStatus"));
        match status {
            Some("received") => received(&parameters),
            Some(status) => message(&parameters, status),
            None if parameters.get("Body").is_some() => received(&parameters),
            None => Err(Unreadable(
                "neither MessageStatus, SmsStatus nor CallStatus".into(),
            )),
        }
    }

    /// An empty answer, so that nobody is answered in our name.
    fn answer(&self) -> (&'static str, &'static str) {
        (
            "text/xml",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>",
        )
    }
}

/// Whether a body is a form, by its `Content-Type`.
fn is_form(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|text| {
        let kind = text.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

fn content_type<'a>(posted: &'a Posted<'_>) -> Option<&'a str> {
    posted.headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// The fields of a callback, from its form, or its JSON object, or, when it was a GET, its query.
struct Parameters {
    fields: BTreeMap<String, String>,
    message_id: Option<Uuid>,
}

impl Parameters {
    fn read(stored: &Stored<'_>) -> Result<Self, Unreadable> {
        let query: BTreeMap<String, String> = stored
            .query
            .map(|query| url::form_urlencoded::parse(query.as_bytes()).into_owned())
            .into_iter()
            .flatten()
            .collect();
        let message_id = query
            .get("message_id")
            .and_then(|id| Uuid::try_parse(id).ok());
        let fields = if is_form(stored.content_type) {
            url::form_urlencoded::parse(stored.body)
                .into_owned()
                .collect()
        } else if stored.body.is_empty() {
            query
        } else {
            let object: BTreeMap<String, Value> = serde_json::from_slice(stored.body)
                .map_err(|_| Unreadable("neither a form nor a JSON object".into()))?;
            let text = |(name, value): (String, Value)| match value {
                Value::String(text) => Some((name, text)),
                Value::Number(number) => Some((name, number.to_string())),
                _ => None,
            };
            object.into_iter().filter_map(text).collect()
        };
        Ok(Self { fields, message_id })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let text = self.fields.get(name)?.as_str();
        (!text.is_empty()).then_some(text)
    }

    /// A report about the message or call whose id is in `id`.
    fn report(
        &self,
        event_type: EventType,
        status: &str,
        id: &'static str,
    ) -> Result<Report, Unreadable> {
        let sid = self
            .get(id)
            .ok_or_else(|| Unreadable(format!("{id} is missing")))?;
        let status = shorten(status, 64);
        let sid = shorten(sid, 64);
        let mut report = Report::new(event_type, status.clone(), format!("{sid}:{status}"));
        report.external_id = Some(sid);
        report.message_id = self.message_id;
        report.code = self.get("ErrorCode").map(|code| shorten(code, 64));
        report.text = self
            .get("ErrorMessage")
            .map(|text| shorten(text, PROVIDER_TEXT_MAX));
        Ok(report)
    }

    fn sid_of_message(&self) -> &'static str {
        match self.get("MessageSid") {
            Some(_) => "MessageSid",
            None => "SmsSid",
        }
    }
}

fn message(parameters: &Parameters, status: &str) -> Result<Vec<Report>, Unreadable> {
    let report = |event_type| parameters.report(event_type, status, parameters.sid_of_message());
    Ok(match status {
        "sent" => vec![report(EventType::Sent)?],
        "delivered" | "partially_delivered" => vec![report(EventType::Delivered)?],
        "read" => vec![report(EventType::Opened)?],
        "canceled" => {
            let mut canceled = report(EventType::Failed)?;
            canceled.reason = Some("canceled");
            vec![canceled]
        }
        "undelivered" | "failed" => not_delivered(report(EventType::Failed)?, status),
        _ => Vec::new(),
    })
}

/// What an error code means for the message, and for the person.
fn not_delivered(mut report: Report, status: &str) -> Vec<Report> {
    let code = report.code.as_deref().and_then(|code| code.parse().ok());
    let known = code.and_then(|code| by_code(code, None));
    let bounced = |report: &mut Report, reason, kind, class| {
        report.event_type = EventType::Bounced;
        report.reason = Some(reason);
        report.bounce = Some(Bounce { kind, class });
    };
    use BounceClass::{InvalidRecipient, MailboxUnavailable, Network, Undetermined};
    match known {
        Some((Fault::Permanent(Blame::Recipient), "unsubscribed")) => {
            report.reason = Some("unsubscribed");
            let mut opt_out = report.clone();
            opt_out.event_type = EventType::Unsubscribed;
            opt_out.wish = Some(Wish::Stop);
            return vec![report, opt_out];
        }
        Some((Fault::Permanent(Blame::Recipient), reason)) => {
            bounced(&mut report, reason, BounceKind::Hard, InvalidRecipient);
        }
        // The phone is off, out of reach or blocked: the recipient's, for now. The rest is the networks'.
        Some((Fault::Transient { .. }, reason)) => {
            let class = match code {
                Some(30003 | 30004 | 21612 | 21214) => MailboxUnavailable,
                Some(30009 | 30017 | 30410) => Network,
                _ => Undetermined,
            };
            bounced(&mut report, reason, BounceKind::Soft, class);
        }
        Some((_, reason)) => report.reason = Some(reason),
        None if status == "undelivered" => {
            bounced(&mut report, "undelivered", BounceKind::Soft, Undetermined);
        }
        None => report.reason = Some("failed"),
    }
    vec![report]
}

fn call(parameters: &Parameters, status: &str) -> Result<Vec<Report>, Unreadable> {
    let report = |event_type| parameters.report(event_type, status, "CallSid");
    let mut report = match status {
        "completed" => report(EventType::Delivered)?,
        "busy" | "no-answer" => {
            let mut bounced = report(EventType::Bounced)?;
            bounced.reason = Some(if status == "busy" {
                "busy"
            } else {
                "no_answer"
            });
            bounced.bounce = Some(Bounce {
                kind: BounceKind::Soft,
                class: BounceClass::MailboxUnavailable,
            });
            bounced
        }
        "failed" => {
            return Ok(not_delivered(report(EventType::Failed)?, status));
        }
        "canceled" => {
            let mut canceled = report(EventType::Failed)?;
            canceled.reason = Some("canceled");
            canceled
        }
        _ => return Ok(Vec::new()),
    };
    for (name, parameter) in [
        ("answered_by", "AnsweredBy"),
        ("duration_seconds", "CallDuration"),
        ("sip_code", "SipResponseCode"),
    ] {
        if let Some(value) = parameters.get(parameter) {
            report.detail.push((name, shorten(value, 64)));
        }
    }
    Ok(vec![report])
}

fn received(parameters: &Parameters) -> Result<Vec<Report>, Unreadable> {
    let mut report =
        parameters.report(EventType::Received, "received", parameters.sid_of_message())?;
    let from = parameters
        .get("From")
        .ok_or_else(|| Unreadable("From is missing".into()))?;
    report.message_id = None; // it answers none of ours
    report.recipient = Some(shorten(from, 320));
    let body = parameters.get("Body").unwrap_or_default();
    report.text = Some(shorten(body, PROVIDER_TEXT_MAX));
    // With Advanced Opt-Out, Twilio knows the words that are set up there, in any language.
    report.wish = match parameters.get("OptOutType") {
        Some("STOP") => Some(Wish::Stop),
        Some("START") => Some(Wish::Start),
        Some("HELP") => Some(Wish::Help),
        _ => wish::read(body),
    };
    if let Some(to) = parameters.get("To") {
        report.detail.push(("to", shorten(to, 320)));
    }
    if let Some(service) = parameters.get("MessagingServiceSid") {
        report
            .detail
            .push(("messaging_service_sid", shorten(service, 64)));
    }
    Ok(vec![report])
}

#[cfg(test)]
mod tests;
