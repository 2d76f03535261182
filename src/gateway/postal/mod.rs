//! Mail by Postal's HTTP API (`send/message`; `send/raw` for what that cannot carry).
//!
//! Postal answers 200 whatever happened; the body says what (postalserver/postal, `app/controllers/legacy_api`).
//! Our message id travels as Postal's tag, which its events return; the caller's tags go into `X-Tags`, as by SMTP.
//! Postal chooses the IP pool itself, by rules of its own: `ip_pool` has no effect here.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `unauthorized` `account_suspended` | gateway | `AccessDenied`, `InvalidServerAPIKey`; `ServerSuspended` |
//! | `sender_refused` | gateway, message | `UnauthenticatedFromAddress`; the message's when the message named the sender |
//! | `sender_missing` | gateway | no sender configured |
//! | `too_many_recipients` `no_content` `invalid_attachment` `rejected` | message | `TooMany…Addresses`, `NoContent`, `AttachmentMissing…`; a refused parameter, or no recipient taken |
//! | `provider_error` | transient | an error that Postal does not document |
//! | `invalid_address` | recipient, message | found here |
//! | `invalid_header` `header_not_allowed` | message | found here |
//! | `answer_garbled` | unknown | 200 without the JSON that Postal documents |
//! | `unexpected_answer` and others | | see [`http`] |

mod classify;
mod config;
mod send;
pub mod webhook;

use std::time::Instant;

use async_trait::async_trait;

use self::config::Config;
pub use self::config::Settings;
use super::check::{self, Checked, Wrong};
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

/// Hands mails to one Postal server.
pub struct Postal {
    name: String,
    config: Config,
    client: reqwest::Client,
}

impl Postal {
    /// Builds it. Connects with the first mail.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            name: name.into(),
            config: Config::new(settings)?,
            client: http::client()?,
        })
    }
}

#[async_trait]
impl Gateway for Postal {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Email]
    }

    /// Asks for a message that is not there: Postal looks at the key first.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let request = self
            .client
            .post(self.config.lookup_url.clone())
            .header("X-Server-API-Key", self.config.key_header.clone())
            .header("Content-Type", "application/json")
            .body(r#"{"id": 0}"#);
        let answer = http::call(request, deadline).await;
        let answer = check::answered(answer, "api_key", "api_url")?;
        match classify::judge(&answer.without(&[&self.config.key]), "") {
            Err(error) if matches!(error.reason, "unauthorized" | "account_suspended") => {
                Err(Wrong::new(
                    "api_key",
                    SendError {
                        provider_text: None,
                        ..error
                    },
                ))
            }
            Err(error) if matches!(error.reason, "unexpected_answer" | "answer_garbled") => {
                Err(check::unexpected())
            }
            _ => Ok(Checked::Taken),
        }
    }

    /// Answers with the recipient's number at Postal as external id, and with Postal's token as text.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let request = send::request(&self.config, message)?;
        let recipient = request.recipient;
        let request = self
            .client
            .post(request.url.clone())
            .header("X-Server-API-Key", self.config.key_header.clone())
            .header("Content-Type", "application/json")
            .body(request.body);
        let answer = http::call(request, deadline).await?;
        classify::judge(&answer.without(&[&self.config.key]), recipient.as_ref())
            .map_err(|error| error.blaming_sender_of(message))
    }
}
