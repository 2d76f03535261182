//! Mail by SendGrid (`POST /v3/mail/send`).
//!
//! Our message id travels as the custom argument `postroad_id`, which is a field of each event; tags are categories,
//! of which SendGrid takes ten. SendGrid takes no mail without a subject or with empty content. Mails that share
//! their content are personalizations of one call; SendGrid replaces nothing in a mail that names no template.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `unauthorized` `quota_exceeded` | gateway | 401, 403; 401 for want of credits |
//! | `sender_refused` | gateway, message | 403 about the sender's identity; the message's when the message named the sender |
//! | `sender_missing` | gateway | no sender configured |
//! | `ip_pool_unknown` | gateway | the message's IP pool is none of the account's |
//! | `throttled` | gateway | 429, until `X-RateLimit-Reset` |
//! | `invalid_address` | recipient, message | a refused address: the recipient's own, another; or found here |
//! | `rejected` `message_too_large` | message | another 400; 413 |
//! | `invalid_header` `header_not_allowed` `invalid_attachment` | message | found here |
//! | `provider_unavailable` `unexpected_answer` and others | | see [`http`]; success is 202 and nothing else |

mod classify;
mod config;
mod send;
pub mod webhook;

use std::iter;
use std::time::Instant;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use self::config::Config;
pub use self::config::Settings;
use super::check::{self, Checked, Wrong};
use super::{Batch, Gateway, Member, http, mime};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Fault, SendError};

/// Hands mails to SendGrid.
pub struct Sendgrid {
    name: String,
    config: Config,
    client: reqwest::Client,
}

impl Sendgrid {
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
impl Gateway for Sendgrid {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Email]
    }

    /// `GET /v3/scopes`: what the key may do.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        #[derive(serde::Deserialize)]
        struct Scopes {
            scopes: Vec<String>,
        }
        let request = self.client.get(self.config.scopes_url.clone());
        let request = request.header(AUTHORIZATION, self.config.authorization.clone());
        let answer = http::call(request, deadline).await;
        let answer = check::answered(answer, "api_key", "api_url")?;
        let granted: Scopes =
            serde_json::from_slice(&answer.body).map_err(|_| check::unexpected())?;
        match granted.scopes.iter().any(|scope| scope == "mail.send") {
            true => Ok(Checked::Taken),
            false => {
                let fault = Fault::Gateway { retry_after: None };
                Err(Wrong::new(
                    "api_key",
                    SendError::new(fault, "not_permitted_to_send"),
                ))
            }
        }
    }

    /// Answers with `X-Message-Id` as external id, with which the `sg_message_id` of its events begins.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let sent = self
            .post(send::body(&self.config, message)?, deadline)
            .await;
        sent.map_err(|error| error.blaming_sender_of(message))
    }

    fn batch(&self) -> Option<&dyn Batch> {
        self.config.batch.then_some(self as &dyn Batch)
    }
}

#[async_trait]
impl Batch for Sendgrid {
    fn most(&self) -> usize {
        send::PERSONALIZATIONS_MAX
    }

    fn carries(&self, member: &Member<'_>) -> bool {
        mime::goes_to_one(member.message)
    }

    /// All have the same external id: what tells them apart in events is `postroad_id`, and the recipient.
    async fn send_batch(
        &self,
        members: &[Member<'_>],
        deadline: Instant,
    ) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
        let recipients = mime::Recipients::read(members)?;
        let Some(first) = recipients.readable.first() else {
            return Ok(recipients.answers([]));
        };
        let body = send::batch_body(&self.config, first.message, &recipients.readable)?;
        let accepted = self.post(body, deadline).await;
        let accepted = accepted.map_err(|error| error.blaming_sender_of(first.message))?;
        Ok(recipients.answers(iter::repeat_with(|| Ok(accepted.clone()))))
    }
}

impl Sendgrid {
    async fn post(&self, body: Vec<u8>, deadline: Instant) -> Result<Accepted, SendError> {
        let request = self
            .client
            .post(self.config.url.clone())
            .header(AUTHORIZATION, self.config.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = http::call(request, deadline).await?;
        classify::judge(&answer.without(&[&self.config.key]))
    }
}
