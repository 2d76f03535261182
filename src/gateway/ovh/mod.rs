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
pub mod webhook;

use std::time::Instant;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Url};

use self::config::Config;
pub use self::config::Settings;
use self::sign::Clock;
use super::check::{self, Checked, Wrong};
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
        let url = &self.config.jobs_url;
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8");
        let request = self.signed(request, "POST", url, job, deadline).await?;
        http::call(request.body(job.to_owned()), deadline).await
    }

    async fn signed(
        &self,
        request: RequestBuilder,
        method: &str,
        url: &Url,
        body: &str,
        deadline: Instant,
    ) -> Result<RequestBuilder, SendError> {
        let Config { time_url, keys, .. } = &self.config;
        let timestamp = self.clock.now(&self.client, time_url, deadline).await?;
        let signature = sign::signature(keys, method, url, body, timestamp);
        Ok(request
            .header("X-Ovh-Application", keys.application_key.expose())
            .header("X-Ovh-Consumer", keys.consumer_key.expose())
            .header("X-Ovh-Timestamp", timestamp)
            .header("X-Ovh-Signature", signature))
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

    /// `GET /sms/{service}`.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let url = &self.config.service_url;
        let request = self.client.get(url.clone());
        let request = self.signed(request, "GET", url, "", deadline).await;
        let request = request.map_err(|error| Wrong::new("api_url", error))?;
        let answer = http::call(request, deadline).await;
        let keys = "application_key and application_secret and consumer_key";
        check::answered(answer, keys, "service")?;
        Ok(Checked::Taken)
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
