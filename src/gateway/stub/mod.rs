//! Answers as told and sends nothing: for tests, dry runs and benchmarks.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::sleep_until;

use super::Gateway;
use crate::model::duration;
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Its settings. By default it accepts at once and keeps nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What it answers.
    pub answer: Answer,
    /// How long it takes to answer.
    pub latency: duration::Text,
    /// A file that gets one line a send, `<unix time in µs> <message id> <attempt>`, before the answer and by
    /// one write, so that it tells the truth about a process that was killed.
    pub record: Option<PathBuf>,
    /// Never answer: each send ends at its deadline, as `Unknown`.
    pub hang: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            answer: Answer::Accept,
            latency: duration::Text(Duration::ZERO),
            record: None,
            hang: false,
        }
    }
}

/// How a stub answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Accepted.
    Accept,
    /// A fault that passes, reason `stub_transient`.
    Transient,
    /// The message's fault, reason `stub_permanent`.
    Permanent,
    /// The recipient's fault, reason `stub_recipient`.
    Recipient,
    /// The gateway's fault, reason `stub_gateway`.
    Gateway,
    /// Nobody knows, reason `stub_unknown`.
    Unknown,
}

impl Answer {
    fn error(self) -> Option<SendError> {
        let (fault, reason) = match self {
            Self::Accept => return None,
            Self::Transient => (Fault::Transient { retry_after: None }, "stub_transient"),
            Self::Permanent => (Fault::Permanent(Blame::Message), "stub_permanent"),
            Self::Recipient => (Fault::Permanent(Blame::Recipient), "stub_recipient"),
            Self::Gateway => (Fault::Gateway { retry_after: None }, "stub_gateway"),
            Self::Unknown => (Fault::Unknown, "stub_unknown"),
        };
        Some(SendError::new(fault, reason))
    }
}

/// Answers as told.
pub struct Stub {
    name: String,
    settings: Settings,
    record: Option<fs::File>,
}

impl Stub {
    /// Builds it, and opens the record.
    ///
    /// # Errors
    ///
    /// A record that cannot be opened.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        let open = |path: &PathBuf| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|error| format!("record {} cannot be opened: {error}", path.display()))
        };
        Ok(Self {
            name: name.into(),
            record: settings.record.as_ref().map(open).transpose()?,
            settings: settings.clone(),
        })
    }
}

#[async_trait]
impl Gateway for Stub {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        Channel::ALL
    }

    /// Answers as its settings say, with `stub-<unix time of the call in µs>` as external id.
    ///
    /// A deadline that has passed already is `deadline_passed`, one that passes while it waits `no_reply`; a
    /// record that cannot be written is the gateway's fault, `record_failed`.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let called_at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros();
        let now = Instant::now();
        if now >= deadline {
            let fault = Fault::Transient { retry_after: None };
            return Err(SendError::new(fault, "deadline_passed"));
        }
        if let Some(mut record) = self.record.as_ref() {
            let line = format!("{called_at} {} {}\n", message.message_id, message.attempt);
            if !record.write(line.as_bytes()).is_ok_and(|n| n == line.len()) {
                let fault = Fault::Gateway { retry_after: None };
                return Err(SendError::new(fault, "record_failed"));
            }
        }
        let latency = self.settings.latency.0;
        if self.settings.hang || latency >= deadline - now {
            sleep_until(deadline.into()).await;
            return Err(SendError::new(Fault::Unknown, "no_reply"));
        }
        if !latency.is_zero() {
            sleep_until((now + latency).into()).await;
        }
        match self.settings.answer.error() {
            Some(error) => Err(error),
            None => Ok(Accepted {
                external_id: Some(format!("stub-{called_at}")),
                provider_text: None,
            }),
        }
    }
}
