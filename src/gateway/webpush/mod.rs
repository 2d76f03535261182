//! Push to browsers by Web Push (RFC 8030), encrypted (RFC 8291), signed by our VAPID key (RFC 8292).
//!
//! The recipient is the subscription as the browser's page has it: `{"endpoint": …, "keys": {"p256dh": …, "auth": …}}`. Its
//! endpoint was written by a user: it must be https, and neither be nor resolve to an address of this machine or a private
//! network ([`public`]); no proxy is used, which would resolve names in its own way. An endpoint that fails is the
//! gateway's fault only when it is of a push service that is known (`push_services`).
//!
//! The page's service worker gets JSON: `{"notification": {"title", "body", "image", "tag", "navigate", "app_badge"}, "data": {…}}`,
//! with the message's subject as title, and our message id as `postroad_message_id` in the data; without subject and body there is data only.
//! With a title and a click action that is a URL it is a declarative message too (`"web_push": 8030`). `options.push.webpush` is merged over it, but for its
//! `headers` (`TTL`, `Urgency`, `Topic`), which go to the push service. A message without `ttl` is kept for 28 days.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `recipient_not_for_this_gateway` | gateway | no subscription ([`push`](super::push)) |
//! | `vapid_refused` | gateway, transient | 401, 403: the key, the subject, or our clock; transient unless the push service is known |
//! | `encryption_failed` | gateway | the system has no randomness |
//! | `throttled` `provider_unavailable` `connect_failed` `unexpected_answer` `endpoint_not_found` | gateway, transient | transient unless the push service is known |
//! | `unregistered` | recipient | 404, 410 |
//! | `subscription_of_another_key` | recipient | where our key is known to work |
//! | `invalid_subscription` `address_not_public` | recipient | found here |
//! | `message_too_large` | message | above 3,993 bytes, or 413 |
//! | `invalid_push_header` `invalid_push_options` `invalid_data` | message | found here |
//! | `rejected` | message | another 4xx |
//! | `request_timeout` `deadline_passed` | transient | |
//! | `no_answer` | unknown | |

mod classify;
mod config;
mod encrypt;
mod send;
mod subscription;
mod vapid;
pub mod webhook;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use url::Url;

use self::classify::Service;
pub use self::config::Settings;
use self::send::Request;
use self::subscription::Subscription;
use self::vapid::Vapid;
use super::push::{Form, jwt};
use super::{Gateway, http, public};
use crate::gateway::check::{Checked, Wrong};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// For an endpoint that is of no known push service, so that one that never answers does not hold a send for long.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);

/// Hands pushes to the push services of browsers.
pub struct WebPush {
    name: String,
    client: Client,
    vapid: Vapid,
    push_services: Vec<String>,
    allow_private: bool,
}

impl WebPush {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        let builder = http::builder()?;
        let client = match settings.allow_private {
            true => builder,
            false => public::guard(builder).https_only(true),
        };
        Ok(Self {
            name: name.into(),
            client: http::build(client)?,
            vapid: config::vapid(settings)?,
            push_services: settings.push_services.clone(),
            allow_private: settings.allow_private,
        })
    }

    fn is_known(&self, endpoint: &Url) -> bool {
        let host = endpoint.host_str().unwrap_or_default();
        self.push_services.iter().any(|known| {
            host.strip_suffix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

#[async_trait]
impl Gateway for WebPush {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Push]
    }

    fn takes(&self, recipient: &str) -> bool {
        Form::of(recipient) == Form::Subscription
    }

    async fn check(&self, _: Instant) -> Result<Checked, Wrong> {
        Ok(Checked::NotAsked(
            "its key can be read; push services are asked with the first message",
        ))
    }

    /// Answers with the push service's URL of the message, or else with the message's id, as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        Form::Subscription.check(&message.recipient)?;
        let Subscription { endpoint, keys } =
            Subscription::parse(&message.recipient, self.allow_private)?;
        if !self.allow_private && !public::is_public_host(&endpoint) {
            let fault = Fault::Permanent(Blame::Recipient);
            return Err(SendError::new(fault, "address_not_public"));
        }
        let Request { headers, payload } = Request::new(message)?;
        let ours = || SendError::new(Fault::Gateway { retry_after: None }, "encryption_failed");
        let body = encrypt::encrypt(&payload, &keys).ok_or_else(ours)?;
        let authorization = self
            .vapid
            .authorization(&endpoint, jwt::now())
            .ok_or_else(ours)?;
        let request = self
            .client
            .post(endpoint.clone())
            .headers(headers)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_ENCODING, "aes128gcm")
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body);
        let service = Service {
            is_known: self.is_known(&endpoint),
            knows_key: self.vapid.is_known_to(&endpoint),
        };
        let deadline = match service.is_known {
            true => deadline,
            false => deadline.min(Instant::now() + ENDPOINT_TIMEOUT),
        };
        let answer = http::call_untraced(request, deadline)
            .await
            .map_err(|mut error| {
                if matches!(error.fault, Fault::Gateway { .. }) {
                    error.fault = classify::fault_of(&service, None);
                }
                error
            })?;
        let accepted = classify::read(&answer, message.message_id, &service)?;
        self.vapid.accepted(&endpoint);
        Ok(accepted)
    }
}
