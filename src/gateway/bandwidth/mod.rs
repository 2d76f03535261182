//! Text messages by Bandwidth (messaging API v2).
//!
//! The message id goes out as `tag`, which comes back in each callback. There is no idempotency key, so silence after
//! the request went out is `Unknown`.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `invalid_number` | recipient | nothing but `to` is wrong |
//! | `sender_refused` | gateway, message | the message's when the message named the sender |
//! | `unauthorized` `endpoint_not_found` `throttled` `provider_unavailable` | gateway | |
//! | `media_refused` `rejected` `message_too_large` `body_missing` | message | |
//! | `answer_unreadable` | unknown | a success without an id |
//!
//! and those of [`http`], by status and by how far the request came.

mod classify;
mod config;
mod send;
pub mod webhook;

use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;

use self::config::Config;
pub use self::config::Settings;
use super::check::{self, Checked, Wrong};
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Hands text messages to Bandwidth.
pub struct Bandwidth {
    name: String,
    config: Config,
    client: Client,
}

impl Bandwidth {
    /// Builds it. Connects with the first message.
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
impl Gateway for Bandwidth {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Sms]
    }

    /// `GET …/media`: the account's list of media, empty for most.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let Config {
            messages_url,
            api_token,
            api_secret,
            ..
        } = &self.config;
        let url = messages_url
            .join("media")
            .map_err(|_| check::unexpected())?;
        let request = self.client.get(url);
        let request = request.basic_auth(api_token.expose(), Some(api_secret.expose()));
        let answer = http::call(request, deadline).await;
        check::answered(answer, "api_token and api_secret", "account_id")?;
        Ok(Checked::Taken)
    }

    /// Answers with Bandwidth's message id as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let body = send::body(message, &self.config, SystemTime::now())?;
        let json = serde_json::to_vec(&body)
            .map_err(|_| SendError::new(Fault::Permanent(Blame::Message), "request_invalid"))?;
        let Config {
            messages_url,
            api_token,
            api_secret,
            ..
        } = &self.config;
        let request = self
            .client
            .post(messages_url.clone())
            .basic_auth(api_token.expose(), Some(api_secret.expose()))
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(json);
        let answer = http::call(request, deadline).await?;
        classify::judge(&answer).map_err(|error| error.blaming_sender_of(message))
    }
}
