//! Text messages by OVHcloud (API 1.0, `POST /sms/{service}/jobs`).
//!
//! Nothing that we could send along comes back in OVH's reports but its own id, the external id. There is no
//! idempotency key, so silence after the request went out is `Unknown`. OVH adds a line about STOP to newsletters and
//! campaigns, and to nothing else.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `invalid_number` | recipient | named as invalid, in a success |
//! | `conflict` | transient | |
//! | `time_unavailable` `clock_refused` | gateway | no signature without OVH's time |
//! | `unauthorized` `endpoint_not_found` `account_inactive` `no_credit` `throttled` `provider_unavailable` | gateway | |
//! | `rejected` `message_too_large` `body_missing` | message | |
//! | `answer_unreadable` | unknown | a success without an id |
//!
//! and those of [`http`], by status and by how far the request came.

mod classify;
mod config;
mod send;
mod sign;

use std::time::Instant;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;

use self::config::Config;
pub use self::config::Settings;
use self::sign::Clock;
use super::http::Answer;
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Hands text messages to OVH.
pub struct Ovh {
    name: String,
    config: Config,
    client: Client,
    clock: Clock,
}

impl Ovh {
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
            clock: Clock::default(),
        })
    }

    /// Posts the job under a fresh timestamp.
    async fn post(&self, job: &str, deadline: Instant) -> Result<Answer, SendError> {
        let Config {
            time_url,
            jobs_url,
            keys,
            ..
        } = &self.config;
        let timestamp = self.clock.now(&self.client, time_url, deadline).await?;
        let signature = sign::signature(keys, "POST", jobs_url, job, timestamp);
        let request = self
            .client
            .post(jobs_url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header("X-Ovh-Application", keys.application_key.expose())
            .header("X-Ovh-Consumer", keys.consumer_key.expose())
            .header("X-Ovh-Timestamp", timestamp)
            .header("X-Ovh-Signature", signature)
            .body(job.to_owned());
        http::call(request, deadline).await
    }
}

#[async_trait]
impl Gateway for Ovh {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Sms]
    }

    /// Answers with OVH's id of the message as external id, and the credits that it cost as text.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let job = serde_json::to_string(&send::job(message, &self.config)?)
            .map_err(|_| SendError::new(Fault::Permanent(Blame::Message), "request_invalid"))?;
        let mut answer = self.post(&job, deadline).await?;
        if classify::is_out_of_time(&answer) {
            // Our clock was set since the last time, or theirs was.
            self.clock.forget();
            answer = self.post(&job, deadline).await?;
        }
        classify::judge(&answer)
    }
}
