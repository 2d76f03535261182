//! Push to Apple devices by APNs.
//!
//! One request a message over one kept HTTP/2 connection, authenticated by a provider token that is reused for 40 minutes.
//! The title is the message's subject, the text its body; a message with neither, without badge and sound, is a
//! background push. Data stands beside `aps` in the payload, with our message id under `postroad_message_id`; the message
//! id is the `apns-id` too, which Apple echoes. Apple has no webhooks. `options.push.apns` is merged over what is made:
//! `{"headers": {…}, "payload": {…}}`, or the payload alone when it has `aps`. `image` goes out as data of that name, for the
//! app's service extension, and so does a `click_action` that is a URL; another one is the category.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `recipient_not_for_this_gateway` | gateway | no APNs device token ([`push`]) |
//! | `unauthorized` `provider_token_expired` `topic_refused` | gateway | key, key id, team, topic, or our clock |
//! | `throttled` | gateway | too many provider tokens |
//! | `connect_failed` `provider_unavailable` `endpoint_not_found` `unexpected_answer` | gateway | |
//! | `unregistered` | recipient | |
//! | `bad_device_token` `token_not_for_topic` | recipient, message, gateway | also the wrong environment or topic: [`push::Proof`] says whose fault |
//! | `message_too_large` `invalid_argument` `rejected` | message | found by Apple |
//! | `invalid_push_header` `invalid_push_options` `reserved_data_key` `invalid_data` | message | found here |
//! | `device_throttled` `request_timeout` `deadline_passed` | transient | |
//! | `no_answer` | unknown | |

mod classify;
mod config;
mod send;
mod token;
pub mod webhook;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use self::config::Config;
pub use self::config::{Environment, Settings};
use self::send::Push;
use super::push::{self, Form, invalid, jwt};
use super::{Gateway, http};
use crate::gateway::check::{Checked, Wrong};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};
use crate::model::secret::Secret;

/// How often an idle connection is probed, so that a dead one is found before a message is lost in it.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// For the answer to a probe.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Apple takes connections that come and go for an attack.
const KEEP_IDLE: Duration = Duration::from_secs(3600);

/// Hands pushes to APNs.
pub struct Apns {
    name: String,
    client: Client,
    config: Config,
    proof: push::Proof,
}

impl Apns {
    /// Builds it. Reads the key; connects with the first message.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        let builder = http::builder()?
            .http2_prior_knowledge()
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .http2_keep_alive_while_idle(true)
            .pool_idle_timeout(KEEP_IDLE);
        Ok(Self {
            name: name.into(),
            client: http::build(builder)?,
            config: Config::new(settings)?,
            proof: push::Proof::default(),
        })
    }

    async fn call(
        &self,
        device: &str,
        push: &Push,
        token: &Secret,
        deadline: Instant,
    ) -> Result<http::Answer, SendError> {
        let url = self.config.api_url.join(&format!("3/device/{device}"));
        let url = url.map_err(|_| invalid("invalid_argument"))?;
        let bearer = HeaderValue::try_from(format!("bearer {}", token.expose()));
        let mut bearer = bearer.map_err(|_| invalid("invalid_argument"))?;
        bearer.set_sensitive(true);
        let request = self
            .client
            .post(url)
            .headers(push.headers.clone())
            .header(AUTHORIZATION, bearer)
            .body(push.payload.clone());
        http::call_untraced(request, deadline).await
    }
}

#[async_trait]
impl Gateway for Apns {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Push]
    }

    fn takes(&self, recipient: &str) -> bool {
        Form::of(recipient) == Form::ApnsToken
    }

    async fn check(&self, _: Instant) -> Result<Checked, Wrong> {
        Ok(Checked::NotAsked(
            "its key can be read; APNs has no call that sends nothing",
        ))
    }

    /// Answers with the `apns-id`, which is the message's id, as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let device = message.recipient.as_str();
        Form::ApnsToken.check(device)?;
        let now = jwt::now();
        let push = Push::new(message, &self.config.topic, now)?;
        let token = self.config.tokens.get(now);
        let answer = self.call(device, &push, &token, deadline).await?;
        let result = classify::read(&answer, message.message_id, &self.proof);
        if matches!(&result, Err(error) if error.reason == classify::EXPIRED)
            && let Some(token) = self.config.tokens.replace(&token, now)
        {
            let answer = self.call(device, &push, &token, deadline).await?;
            return classify::read(&answer, message.message_id, &self.proof);
        }
        result
    }
}
