//! Text messages and calls by Twilio (API of 2010-04-01: `Messages`, `Calls`).
//!
//! A call is text to speech: the body is read out once. There is no idempotency key, so silence after the request
//! went out is `Unknown`. The message id comes back in the query of the status callback, when one is set.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `invalid_number` `not_a_mobile_number` `unknown_number` `number_blocked` | recipient | |
//! | `unsubscribed` | recipient | answered STOP to this sender or messaging service |
//! | `unreachable` `failed_at_once` | transient | |
//! | `throttled` `provider_unavailable` `unauthorized` `account_inactive` `trial_account` `endpoint_not_found` `callback_refused` | gateway | |
//! | `region_not_permitted` | message | not to this country with this account: another gateway may well |
//! | `sender_not_registered` | gateway | not to this network with this sender |
//! | `sender_refused` | gateway, message | the message's when the message named the sender |
//! | `message_too_large` `media_refused` `content_refused` `rejected` `body_missing` | message | |
//! | `answer_unreadable` | unknown | a success without an id |
//!
//! and those of [`http`], by status and by how far the request came.

mod classify;
mod config;
mod send;
mod twiml;
pub mod webhook;

use std::time::Instant;

use async_trait::async_trait;
use reqwest::Client;

use self::config::Config;
pub use self::config::Settings;
use super::check::{self, Checked, Wrong};
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Hands text messages and calls to Twilio.
pub struct Twilio {
    name: String,
    config: Config,
    client: Client,
}

impl Twilio {
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
impl Gateway for Twilio {
    fn name(&self) -> &str {
        &self.name
    }

    /// Text messages, and calls when there is a number to call from.
    fn channels(&self) -> &[Channel] {
        match self.config.from {
            Some(_) => &[Channel::Sms, Channel::Voice],
            None => &[Channel::Sms],
        }
    }

    /// The account, or with an API key, which may not see it, its numbers.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let Config {
            account_url,
            username,
            password,
            ..
        } = &self.config;
        let is_key = username.starts_with("SK");
        let url = match is_key {
            true => account_url.join("IncomingPhoneNumbers.json?PageSize=1"),
            false => {
                let path = account_url.path().trim_end_matches('/');
                account_url.join(&format!("{path}.json"))
            }
        };
        let url = url.map_err(|_| check::unexpected())?;
        let request = self.client.get(url);
        let request = request.basic_auth(username, Some(password.expose()));
        let answer = http::call(request, deadline).await;
        let credentials = if is_key {
            "api_key_sid and api_key_secret"
        } else {
            "auth_token"
        };
        let answer = check::answered(answer, credentials, "account_sid")?;
        let account: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|_| check::unexpected())?;
        match account["status"].as_str() {
            Some("active") | None => Ok(Checked::Taken),
            Some(_) => {
                let fault = Fault::Gateway { retry_after: None };
                Err(Wrong::new(
                    "account_sid",
                    SendError::new(fault, "account_inactive"),
                ))
            }
        }
    }

    /// Answers with the sid of the message or call as external id, and its status as text.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let form = send::form(message, &self.config)?;
        let url = self
            .config
            .account_url
            .join(form.resource)
            .map_err(|_| SendError::new(Fault::Permanent(Blame::Message), "request_invalid"))?;
        let request = self
            .client
            .post(url)
            .basic_auth(&self.config.username, Some(self.config.password.expose()))
            .form(&form.fields);
        let answer = http::call(request, deadline).await?;
        classify::judge(&answer).map_err(|error| error.blaming_sender_of(message))
    }
}
