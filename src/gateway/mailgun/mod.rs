//! Mail by Mailgun (`messages`; `messages.mime` for inline images, whose content ids `messages` does not carry).
//!
//! Our message id travels as the variable `postroad_id`, which events return among `user-variables`, and recipients
//! may see in the mail's header; tags are Mailgun's, which takes ten of 128 ASCII characters.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `unauthorized` | gateway | 401, 402, 403 |
//! | `domain_not_allowed` `endpoint_not_found` | gateway | the domain may not send; it is not the account's |
//! | `ip_pool_unknown` | gateway | the message's IP pool is none of the account's |
//! | `throttled` | gateway | 429, until the time in its text |
//! | `sender_missing` | gateway | no sender configured |
//! | `invalid_address` | recipient, message | "… parameter is not a valid address": `to`, another; or found here |
//! | `rejected` `message_too_large` | message | another 400; 413 |
//! | `invalid_header` `header_not_allowed` `invalid_attachment` | message | found here |
//! | `answer_garbled` | unknown | 200 without an id |
//! | `provider_unavailable` and others | | see [`http`] |

mod classify;
mod config;
mod send;

use std::time::Instant;

use async_trait::async_trait;
use reqwest::header::AUTHORIZATION;

use self::config::Config;
pub use self::config::{Region, Settings};
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

/// Hands mails to Mailgun for one domain.
pub struct Mailgun {
    name: String,
    config: Config,
    client: reqwest::Client,
}

impl Mailgun {
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
impl Gateway for Mailgun {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Email]
    }

    /// Answers with Mailgun's id without angle brackets, as events name it, as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let request = send::request(&self.client, &self.config, message)?;
        let request = request.header(AUTHORIZATION, self.config.authorization.clone());
        let answer = http::call(request, deadline).await?;
        classify::judge(&answer.without(&[&self.config.key]))
    }
}
