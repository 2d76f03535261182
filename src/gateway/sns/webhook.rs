//! What SNS posts of a topic that two-way SMS go to (AWS End User Messaging SMS, "Two-way SMS messaging"): messages that
//! people send to our numbers. What became of our own SMS is told to CloudWatch's logs alone.
//!
//! A message in is `received`, with what its keyword asks for.

use std::sync::Arc;

use async_trait::async_trait;

pub use crate::gateway::aws::envelope::WebhookSettings;
use crate::gateway::aws::envelope::{Envelope, Receiver};
use crate::gateway::source::fetch::Fetch;
use crate::gateway::source::fields::{self, Object};
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::event::EventType;
use crate::model::report::Report;
use crate::model::{rfc3339, wish};

/// What SNS posts.
pub struct Source(Receiver);

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// No topic, or a certificate that is none.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        Receiver::new(name, settings).map(Self)
    }

    /// As [`new`](Self::new), with another way to get certificates.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_fetch(
        name: &str,
        settings: &WebhookSettings,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, String> {
        Receiver::with_fetch(name, settings, fetch).map(Self)
    }
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        self.0.verify(posted).await
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let envelope = Envelope::read(stored.body)?;
        if !envelope.is_notification() {
            return Ok(Vec::new());
        }
        let message = fields::json(envelope.message.as_bytes())?;
        let message = Object::of(&message);
        let sender = message.text("originationNumber");
        let sender = sender.ok_or(Unreadable("no originationNumber".into()))?;
        let text = message.text("messageBody").unwrap_or_default();
        let id = message
            .text("inboundMessageId")
            .unwrap_or(&envelope.message_id);
        let details = [
            ("to", message.text("destinationNumber").map(fields::word)),
            ("keyword", message.text("messageKeyword").map(fields::word)),
        ];
        let details = details.into_iter();
        Ok(vec![Report {
            // The message of ours that it answers, where there is one.
            external_id: message
                .text("previousPublishedMessageId")
                .and_then(fields::external_id),
            occurred_at: rfc3339::parse(&envelope.timestamp),
            recipient: Some(fields::address(sender)),
            wish: wish::read(text),
            text: Some(fields::words(text)),
            detail: details
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            ..Report::new(EventType::Received, "received", fields::source_key(&[id]))
        }])
    }
}
