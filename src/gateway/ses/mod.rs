//! Mail by Amazon SES (API v2, `SendEmail`), signed by Signature Version 4 (`aws.rs`), without an SDK.
//!
//! Text, HTML and up to 15 header fields go as `Simple` content, of which SES makes the mail; files, and headers
//! that `Simple` cannot carry, as `Raw` content of our own making. Our message id travels as the message tag
//! `postroad_id`, which SES returns in its events; each of the caller's tags becomes a message tag of that name with
//! the value `true`, whose other characters than letters, digits, `_` and `-` become `_`. SES chooses IP pools by
//! configuration set: the setting `ip_pools` says which.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `unauthorized` `clock_skewed` | gateway | credentials; a clock more than 5 minutes off |
//! | `throttled` `quota_exceeded` | gateway | sending rate or API rate; the daily quota |
//! | `account_suspended` `sending_paused` | gateway | `AccountSuspendedException`, `SendingPausedException` |
//! | `identity_not_verified` `configuration_not_found` | gateway | sender, or in the sandbox the recipient; configuration set |
//! | `sender_missing` | gateway | no sender configured |
//! | `invalid_address` | recipient, message | `BadRequestException` about an address, or found here |
//! | `smtputf8_required` | message | a local part that is not ASCII, which SES takes nowhere |
//! | `rejected` | message | `MessageRejected`, another `BadRequestException` |
//! | `invalid_header` `header_not_allowed` `invalid_attachment` | message | found here |
//! | `answer_garbled` | unknown | 200 without a message id |
//! | `provider_unavailable` and others | | see [`http`] |

mod classify;
mod config;
mod send;

use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use self::config::Config;
pub use self::config::Settings;
use super::{Gateway, http};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

/// Hands mails to SES in one region.
pub struct Ses {
    name: String,
    config: Config,
    client: reqwest::Client,
}

impl Ses {
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
impl Gateway for Ses {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Email]
    }

    /// Answers with SES's message id as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let Config { signer, url, .. } = &self.config;
        let body = send::body(&self.config, message)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        signer.sign("POST", url, &mut headers, &body, SystemTime::now());
        let request = self.client.post(url.clone()).headers(headers).body(body);
        let answer = http::call(request, deadline).await?;
        classify::judge(&answer.without(&signer.secrets()), message)
    }
}
