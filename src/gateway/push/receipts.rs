//! What became of a push, as the app that got it says.
//!
//! Neither Firebase nor Apple nor a push service of the Web calls anybody back: a token that is gone is in the answer to
//! a send, what was delivered is in BigQuery or a console, and what was opened only the app knows. So an app, or better
//! its backend, reports it here. Each push carries its message id as `postroad_message_id`
//! ([`MESSAGE_ID_KEY`](super::MESSAGE_ID_KEY)) in its data.
//!
//! The body is one receipt, or an array of them, in JSON, under a bearer token or HTTP Basic:
//!
//! ```json
//! {"message_id": "01920000-0000-7000-8000-000000000001", "event": "opened", "id": "…", "at": "2026-11-21T12:00:00Z"}
//! ```
//!
//! `event` is `delivered`, `opened`, `clicked` (with `url`), `converted` or `unsubscribed`. `id` tells receipts of one kind
//! for one message apart; without it the first one counts. A token that is shipped inside an app can be read out of it, so
//! that receipts are [unproven](WebhookSource::unproven): whoever reads it can report on pushes that were sent and whose
//! ids they know, no more.

use async_trait::async_trait;
use serde::Deserialize;
use uuid::Uuid;

use crate::gateway::credentials::Credentials;
pub use crate::gateway::credentials::Settings as WebhookSettings;
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::event::EventType;
use crate::model::message::Channel;
use crate::model::outcome::{PROVIDER_TEXT_MAX, shorten};
use crate::model::report::Report;
use crate::model::rfc3339;

/// Checks and reads receipts.
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
        Ok(Self {
            name: name.into(),
            credentials: settings.credentials()?,
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

    /// The token may be in every copy of the app.
    fn unproven(&self) -> Option<Channel> {
        Some(Channel::Push)
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let is_array = stored.body.trim_ascii_start().starts_with(b"[");
        let receipts: Result<Vec<Receipt>, _> = match is_array {
            true => serde_json::from_slice(stored.body),
            false => serde_json::from_slice(stored.body).map(|receipt| vec![receipt]),
        };
        receipts
            .map_err(|error| Unreadable(format!("not a receipt's JSON: {:?}", error.classify())))?
            .into_iter()
            .map(Receipt::report)
            .collect()
    }
}

#[derive(Deserialize)]
struct Receipt {
    message_id: Uuid,
    event: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

impl Receipt {
    fn report(self) -> Result<Report, Unreadable> {
        let event_type = match self.event.as_str() {
            "delivered" => EventType::Delivered,
            "opened" => EventType::Opened,
            "clicked" => EventType::Clicked,
            "converted" => EventType::Converted,
            "unsubscribed" => EventType::Unsubscribed,
            _ => {
                let accepted = "delivered, opened, clicked, converted, unsubscribed";
                return Err(Unreadable(format!("event is none of {accepted}")));
            }
        };
        let key = match &self.id {
            Some(id) => format!("app:{}", shorten(id, 128)),
            None => "app".into(),
        };
        let mut report = Report::new(event_type, self.event, key);
        report.message_id = Some(self.message_id);
        report.occurred_at = self.at.as_deref().and_then(rfc3339::parse);
        if let Some(url) = &self.url {
            report.detail.push(("url", shorten(url, PROVIDER_TEXT_MAX)));
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::testing;

    fn source(settings: &str) -> Result<Source, String> {
        Source::new("fcm", &toml::from_str(settings).expect("settings"))
    }

    /// Whoever may post here may say that a message was read which was not.
    #[test]
    fn only_configured_credentials_are_accepted() {
        let source = source("token = 'new-new-new-new-'\nprevious_token = 'old-old-old-old-'")
            .expect("a source");
        let verify = |header: &str| {
            testing::verify(
                &source,
                "https://x.org/",
                &[("authorization", header)],
                b"{}",
            )
        };
        assert!(
            verify("Bearer new-new-new-new-").is_ok() && verify("Bearer old-old-old-old-").is_ok()
        );
        for wrong in [
            "Bearer older",
            "Bearer ",
            "new-new-new-new-",
            "Basic bmV3LW5ldy1uZXctbmV3LQ==",
        ] {
            assert!(verify(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "",
            "token = ''",
            "token = ' '",
            "token = 'new-new-new-new'", // anybody may try as often as they like
            "token = 'new-new-new-new-'\nprevious_token = 'old'",
            "token = \"new-new-new-new-\\n\"",
            "username = 'a'\npassword = ' '",
            "username = 'a'",
            "password = 'b'",
            "username = 'a'\npassword = ''",
        ] {
            assert!(self::source(wrong).is_err(), "{wrong}");
        }
    }

    fn parse(body: &[u8]) -> Result<Vec<Report>, Unreadable> {
        let source = source("token = '0123456789abcdef'").expect("a source");
        testing::parse(&source, None, Some("application/json"), body)
    }

    /// One by one, or as many as the app kept while it was offline.
    #[test]
    fn receipts_come_alone_or_together() {
        const ID: &str = "01920000-0000-7000-8000-000000000001";
        let one =
            format!(r#"{{"message_id": "{ID}", "event": "opened", "at": "1970-01-01T00:00:00Z"}}"#);
        let opened = Report {
            message_id: Uuid::try_parse(ID).ok(),
            occurred_at: Some(std::time::UNIX_EPOCH),
            ..Report::new(EventType::Opened, "opened", "app")
        };
        assert_eq!(parse(one.as_bytes()).as_deref(), Ok(&[opened.clone()][..]));
        let two = format!(
            r#"[{one}, {{"message_id": "{ID}", "event": "clicked", "id": "7", "url": "app://x"}}]"#
        );
        let clicked = Report {
            message_id: opened.message_id,
            detail: vec![("url", "app://x".into())],
            ..Report::new(EventType::Clicked, "clicked", "app:7")
        };
        assert_eq!(parse(two.as_bytes()), Ok(vec![opened, clicked]));
        for wrong in [
            String::new(),
            "1".into(),
            r#"{"event": "opened"}"#.into(),
            r#"{"message_id": "1", "event": "opened"}"#.into(),
            one.replace("opened", "bounced"),
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        /// A token that ships with an app is everybody's.
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse(&body);
        }
    }
}
