//! Mail by SendGrid (`POST /v3/mail/send`).
//!
//! Our message id travels as the custom argument `postroad_id`, which is a field of each event; tags are categories,
//! of which SendGrid takes ten. SendGrid takes no mail without a subject or with empty content.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `unauthorized` `quota_exceeded` | gateway | 401, 403; 401 for want of credits |
//! | `sender_refused` `sender_missing` | gateway | 403 about the sender's identity; no sender configured |
//! | `ip_pool_unknown` | gateway | the message's IP pool is none of the account's |
//! | `throttled` | gateway | 429, until `X-RateLimit-Reset` |
//! | `invalid_address` | recipient, message | a refused address: the recipient's own, another; or found here |
//! | `rejected` `message_too_large` | message | another 400; 413 |
//! | `invalid_header` `header_not_allowed` `invalid_attachment` | message | found here |
//! | `provider_unavailable` `unexpected_answer` and others | | see [`http`]; success is 202 and nothing else |

mod classify;
mod config;
mod send;

use std::time::Instant;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use self::config::Config;
pub use self::config::Settings;
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

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

    /// Answers with `X-Message-Id` as external id, with which the `sg_message_id` of its events begins.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let body = send::body(&self.config, message)?;
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
