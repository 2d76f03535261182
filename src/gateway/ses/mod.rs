//! Mail by Amazon SES (API v2, `SendEmail`), signed by Signature Version 4 (`aws.rs`), without an SDK.
//!
//! Text, HTML and up to 15 header fields go as `Simple` content, of which SES makes the mail; files, and headers
//! that `Simple` cannot carry, as `Raw` content of our own making. Our message id travels as the message tag
//! `postroad_id`, which SES returns in its events; each of the caller's tags becomes a message tag of that name with
//! the value `true`, whose other characters than letters, digits, `_` and `-` become `_`. SES chooses IP pools by
//! configuration set: the setting `ip_pools` says which.
//!
//! Mails that share their content go out by one call (`SendBulkEmail`), as a template that has nothing to replace. A
//! content with `{{` in it would have, so its mails go out one by one. What header fields a mail has of its own are its
//! entry's `ReplacementHeaders`, which SES adds to those of the template.
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
//! | `send_failed` | transient | of one mail of a call: `FAILED`, `TRANSIENT_FAILURE` |
//! | `provider_unavailable` and others | | see [`http`] |

mod classify;
mod config;
mod send;
pub mod webhook;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use self::config::Config;
pub use self::config::Settings;
use super::check::{self, Checked, Wrong};
use super::http::{self, Answer};
use super::{Batch, Gateway, Member, mime};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Hands mails to SES in one region.
pub struct Ses {
    name: String,
    config: Config,
    client: reqwest::Client,
    /// SES said that we may not send in bulk.
    is_bulk_denied: AtomicBool,
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
            is_bulk_denied: AtomicBool::new(false),
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

    /// `GetAccount`. Who may not call it has good credentials all the same.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Account {
            sending_enabled: bool,
            production_access_enabled: bool,
        }
        let Config {
            signer,
            account_url,
            ..
        } = &self.config;
        let mut headers = HeaderMap::new();
        signer.sign("GET", account_url, &mut headers, b"", SystemTime::now());
        let request = self.client.get(account_url.clone()).headers(headers);
        let answer = http::call(request, deadline).await;
        if answer.as_ref().is_ok_and(classify::is_denied) {
            return Ok(Checked::TakenBut("ses:GetAccount is not permitted"));
        }
        let keys = "access_key_id and secret_access_key";
        let answer = check::answered(answer, keys, "region")?;
        let account: Account =
            serde_json::from_slice(&answer.body).map_err(|_| check::unexpected())?;
        if !account.sending_enabled {
            let fault = Fault::Gateway { retry_after: None };
            return Err(Wrong::new(keys, SendError::new(fault, "sending_paused")));
        }
        Ok(match account.production_access_enabled {
            true => Checked::Taken,
            false => Checked::TakenBut("in the sandbox: only to verified addresses"),
        })
    }

    /// Answers with SES's message id as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let body = send::body(&self.config, message)?;
        let answer = self.post(&self.config.url, body, deadline).await?;
        classify::judge(&answer, message)
    }

    fn batch(&self) -> Option<&dyn Batch> {
        let may = self.config.batch && !self.is_bulk_denied.load(Ordering::Relaxed);
        may.then_some(self as &dyn Batch)
    }
}

#[async_trait]
impl Batch for Ses {
    fn most(&self) -> usize {
        send::BATCH_MAX
    }

    /// Not with copies, nor with files, nor where the text says `{{`, which SES would take for a replacement.
    fn carries(&self, member: &Member<'_>) -> bool {
        mime::goes_to_one(member.message) && send::is_literal_template(member)
    }

    /// Each has its own external id.
    async fn send_batch(
        &self,
        members: &[Member<'_>],
        deadline: Instant,
    ) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
        let recipients = mime::Recipients::read(members)?;
        let Some(first) = recipients.readable.first().map(|first| first.message) else {
            return Ok(recipients.answers([]));
        };
        let body = send::batch_body(&self.config, first, &recipients.readable)?;
        let answer = self.post(&self.config.bulk_url, body, deadline).await?;
        if classify::is_denied(&answer) {
            // They may still go out one by one: `ses:SendEmail` is another permission.
            if !self.is_bulk_denied.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    gateway = self.name,
                    "ses:SendBulkEmail is not permitted: mails go out one by one"
                );
            }
            let fault = Fault::Permanent(Blame::Message);
            return Err(SendError::new(fault, "batch_not_permitted"));
        }
        let answers = classify::judge_batch(&answer, first)?;
        Ok(recipients.answers(answers))
    }
}

impl Ses {
    async fn post(&self, url: &Url, body: Vec<u8>, deadline: Instant) -> Result<Answer, SendError> {
        let signer = &self.config.signer;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        signer.sign("POST", url, &mut headers, &body, SystemTime::now());
        let request = self.client.post(url.clone()).headers(headers).body(body);
        let answer = http::call(request, deadline).await?;
        Ok(answer.without(&signer.secrets()))
    }
}
