//! Messages to URLs, by Standard Webhooks 1.0.0: a signed POST of JSON.
//!
//! ```json
//! {"message_id": "…", "type": "transactional", "timestamp": "2026-03-01T12:00:00Z", "priority": "P4",
//!  "tenant_id": 7, "tags": ["…"], "subject": "…", "body": "…", "data": {…}}
//! ```
//!
//! What a message does not have is left out. `webhook-id` is the message id, the same for every attempt, by which a
//! receiver recognises a resend. `options.headers` become header fields of the request.
//!
//! Addresses that are not of the public Internet are refused unless `allow_private`, and so is a name that has no
//! other. For the same reason redirects are not followed, and no proxy of the environment is used: it would resolve
//! names for us, beyond our control.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `invalid_url` | recipient | |
//! | `endpoint_gone` | recipient | 410 |
//! | `address_not_allowed` `invalid_header` `header_not_allowed` `request_invalid` | message | |
//! | `message_too_large` | message | 413 |
//! | `connect_failed` `deadline_passed` | transient | no address, no connection, no time |
//! | `redirected` `throttled` `rejected` `receiver_unavailable` `unexpected_answer` | transient | 3xx, 429, other 4xx, 5xx, the rest |
//! | `no_answer` | unknown | silence after the request went out |

pub(crate) mod classify;
pub(crate) mod config;
pub(crate) mod send;
pub(crate) mod sign;

use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use reqwest::Client;

pub use self::config::Settings;
use self::sign::Key;
use super::{Gateway, http, public};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

/// Posts messages to URLs.
pub struct Webhook {
    name: String,
    keys: Vec<Key>,
    allow_private: bool,
    client: Client,
}

impl Webhook {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        let builder = match settings.allow_private {
            true => http::builder()?.no_proxy(),
            false => public::guard(http::builder()?),
        };
        Ok(Self {
            name: name.into(),
            keys: settings.keys()?,
            allow_private: settings.allow_private,
            client: http::build(builder)?,
        })
    }
}

#[async_trait]
impl Gateway for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Webhook]
    }

    /// Answers with the message id, which is the `webhook-id`, as external id, and with the status as text.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let url = send::url(&message.recipient, self.allow_private)?;
        let body = send::body(message)?;
        let headers = send::headers(message, &self.keys, &body, SystemTime::now())?;
        let request = self.client.post(url).headers(headers).body(body);
        let answer = http::call(request, deadline)
            .await
            .map_err(classify::judge_failure)?;
        classify::judge(&answer)?;
        Ok(Accepted {
            external_id: Some(message.message_id.to_string()),
            provider_text: Some(answer.status.to_string()),
        })
    }
}
