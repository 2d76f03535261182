//! SMS by Amazon SNS (`Publish` to a phone number), signed by Signature Version 4 (`aws.rs`), without an SDK.
//!
//! SNS has no field that would return our message id, and tells what became of an SMS to CloudWatch's logs alone: the
//! last that is known of a message is that it was accepted. SNS splits long texts, up to 1,600 characters.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `unauthorized` `clock_skewed` | gateway | credentials; a clock more than 5 minutes off |
//! | `throttled` | gateway | `Throttled` and the like |
//! | `number_not_verified` `origination_missing` | gateway | the SMS sandbox; no origination number for that country |
//! | `encryption_failed` | gateway | `KMS…` |
//! | `opted_out` | recipient | `OptedOut` |
//! | `number_refused` | message | `InvalidParameter` about the number: it is none, or the region sends no SMS to it |
//! | `message_too_large` `rejected` | message | `InvalidParameter` about the length; about anything else |
//! | `content_missing` | message | a message without text |
//! | `answer_garbled` | unknown | 200 without a message id |
//! | `provider_unavailable` and others | | see [`http`] |

mod classify;
mod config;
mod send;
pub mod webhook;

use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use self::config::Config;
pub use self::config::{Settings, SmsType};
use super::Gateway;
use super::check::{self, Checked, Wrong};
use super::http::{self, Answer};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

/// Hands SMS to SNS in one region.
pub struct Sns {
    name: String,
    config: Config,
    client: reqwest::Client,
}

impl Sns {
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
impl Gateway for Sns {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Sms]
    }

    /// `GetSMSAttributes`. Who may not call it has good credentials all the same.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let body = "Action=GetSMSAttributes&Version=2010-03-31";
        let answer = self.post(body.to_owned(), deadline).await;
        let is_denied = |answer: &Answer| {
            answer.status == StatusCode::FORBIDDEN
                && answer.text().contains("<Code>AuthorizationError</Code>")
        };
        if answer.as_ref().is_ok_and(is_denied) {
            return Ok(Checked::TakenBut("sns:GetSMSAttributes is not permitted"));
        }
        check::answered(answer, "access_key_id and secret_access_key", "region")?;
        Ok(Checked::Taken)
    }

    /// Answers with SNS's message id as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let body = send::body(&self.config, message)?;
        let answer = self.post(body, deadline).await?;
        classify::judge(&answer)
    }
}

impl Sns {
    async fn post(&self, body: String, deadline: Instant) -> Result<Answer, SendError> {
        let Config { signer, url, .. } = &self.config;
        let mut headers = HeaderMap::new();
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        signer.sign(
            "POST",
            url,
            &mut headers,
            body.as_bytes(),
            SystemTime::now(),
        );
        let request = self.client.post(url.clone()).headers(headers).body(body);
        let answer = http::call(request, deadline).await?;
        Ok(answer.without(&signer.secrets()))
    }
}
