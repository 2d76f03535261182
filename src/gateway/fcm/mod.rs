//! Push by Firebase Cloud Messaging, HTTP v1.
//!
//! One call a message: the old batch endpoint and the server-key API are gone. Calls share one HTTP/2 connection.
//! The title is the message's subject, the text its body; a message with neither is data for the app. Data goes out as
//! strings, with our message id under `postroad_message_id`, for FCM returns nothing but its own id and has no webhooks.
//! The first tag that can be one is the analytics label. A click action that is a URL is the link on the web, and
//! `click_action` in the data elsewhere.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `recipient_not_for_this_gateway` | gateway | an APNs token or a Web Push subscription ([`push`]) |
//! | `token_refused` `token_unavailable` `token_unreadable` | gateway | no access token: the account or its clock; Google's token service |
//! | `unauthorized` `third_party_auth_error` | gateway | 401, 403; APNs or Web Push credentials in Firebase |
//! | `throttled` | gateway | quota, of the project or of the device |
//! | `connect_failed` `provider_unavailable` `endpoint_not_found` `unexpected_answer` | gateway | |
//! | `unregistered` `invalid_token` | recipient | |
//! | `sender_id_mismatch` | recipient, message, gateway | a token of another project: [`push::Proof`] says whose fault |
//! | `invalid_argument` `message_too_large` `rejected` `invalid_data` | message | |
//! | `request_timeout` `deadline_passed` | transient | |
//! | `no_answer` | unknown | |

mod classify;
mod config;
mod send;
mod token;
pub mod webhook;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use self::config::Config;
pub use self::config::Settings;
use self::token::Tokens;
use super::check::{self, Checked, Wrong};
use super::push::{self, Form};
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Fault, SendError};
use crate::model::secret::Secret;

/// Hands pushes to FCM.
pub struct Fcm {
    name: String,
    client: Client,
    send_url: Url,
    tokens: Arc<Tokens>,
    proof: push::Proof,
}

impl Fcm {
    /// Builds it. Reads the service account; asks for a token with the first message.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        let config = Config::new(settings)?;
        let client = http::client()?;
        Ok(Self {
            name: name.into(),
            tokens: Tokens::new(config.account, client.clone()),
            client,
            send_url: config.send_url,
            proof: push::Proof::default(),
        })
    }

    async fn call(
        &self,
        body: &[u8],
        token: &Secret,
        deadline: Instant,
    ) -> Result<http::Answer, SendError> {
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut bearer = bearer.map_err(|_| {
            SendError::new(Fault::Gateway { retry_after: None }, "token_unreadable")
        })?;
        bearer.set_sensitive(true);
        let request = self
            .client
            .post(self.send_url.clone())
            .header(AUTHORIZATION, bearer)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body.to_vec());
        http::call(request, deadline).await
    }
}

#[async_trait]
impl Gateway for Fcm {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Push]
    }

    fn takes(&self, recipient: &str) -> bool {
        Form::of(recipient) == Form::Fcm
    }

    /// Asks for an access token, and sends to a topic with `validate_only`, which sends nothing.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let token = self.tokens.get(deadline).await;
        let token = token.map_err(|error| Wrong::new("credentials_file", error))?;
        let body =
            br#"{"validate_only": true, "message": {"topic": "postroad", "data": {"check": "1"}}}"#;
        let answer = self.call(body, &token, deadline).await;
        check::answered(answer, "credentials_file", "project_id")?;
        Ok(Checked::Taken)
    }

    /// Answers with FCM's name of the message, `projects/…/messages/…`, as external id. A token that is refused before
    /// its time is replaced once.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        Form::Fcm.check(&message.recipient)?;
        let body = send::body(message)?.to_string().into_bytes();
        let token = self.tokens.get(deadline).await?;
        let answer = self.call(&body, &token, deadline).await?;
        let result = classify::read(&answer, &self.proof);
        if !matches!(&result, Err(error) if error.reason == "unauthorized")
            || !self.tokens.forget(&token)
        {
            return result;
        }
        let token = self.tokens.get(deadline).await?;
        let answer = self.call(&body, &token, deadline).await?;
        classify::read(&answer, &self.proof)
    }
}
