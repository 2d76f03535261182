//! Mail by Mailgun (`messages`; `messages.mime` for inline images, whose content ids `messages` does not carry).
//!
//! Our message id travels as the variable `postroad_id`, which events return among `user-variables`, and recipients
//! may see in the mail's header; tags are Mailgun's, which takes ten of 128 ASCII characters. Mails that share their
//! content go out by one call, with the id, and the header fields that a mail has of its own, among the variables of each
//! recipient. A new domain may not send to many at once: then the calls get smaller, down to one mail each.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `unauthorized` | gateway | 401, 402, 403 |
//! | `domain_not_allowed` `endpoint_not_found` | gateway | the domain may not send; it is not the account's |
//! | `ip_pool_unknown` | gateway | the message's IP pool is none of the account's |
//! | `throttled` | gateway | 429, until the time in its text |
//! | `sender_missing` | gateway | no sender configured |
//! | `invalid_address` | recipient, message | "… parameter is not a valid address": `to`, another; or found here |
//! | `rejected` `message_too_large` | message | another 400; 413 |
//! | `invalid_header` `header_not_allowed` `invalid_attachment` | message | found here |
//! | `answer_garbled` | unknown | 200 without an id |
//! | `provider_unavailable` and others | | see [`http`] |

mod classify;
mod config;
mod send;
pub mod webhook;

use std::iter;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use reqwest::RequestBuilder;
use reqwest::header::AUTHORIZATION;

use self::config::Config;
pub use self::config::{Region, Settings};
use super::check::{self, Checked, Wrong};
use super::http::Answer;
use super::{Batch, Gateway, Member, http, mime};
use crate::model::message::{Attachment, Channel, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Hands mails to Mailgun for one domain.
pub struct Mailgun {
    name: String,
    config: Config,
    client: reqwest::Client,
    /// So many mails it takes by one call, as far as it is known.
    most: AtomicUsize,
}

impl Mailgun {
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
            most: AtomicUsize::new(send::BATCH_MAX),
        })
    }
}

#[async_trait]
impl Gateway for Mailgun {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Email]
    }

    /// `GET /v3/domains/{domain}`. A domain's sending key may not ask for it: it is tried with a call to `messages` that
    /// names nobody, which is refused for that only when the key is good.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let authorized = |request: RequestBuilder| {
            request.header(AUTHORIZATION, self.config.authorization.clone())
        };
        let request = authorized(self.client.get(self.config.domain_url.clone()));
        let answer = http::call(request, deadline).await;
        match check::answered(answer, "api_key", "domain") {
            Ok(_) => Ok(Checked::Taken),
            Err(refused) if refused.error.reason == "unauthorized" => {
                let nobody: [(&str, &str); 0] = [];
                let url = self.config.messages_url.clone();
                let request = authorized(self.client.post(url).form(&nobody));
                let answer = http::call(request, deadline).await;
                match answer.map(|answer| answer.status.as_u16()) {
                    Ok(400) => Ok(Checked::TakenBut("a sending key")),
                    _ => Err(refused),
                }
            }
            Err(wrong) => Err(wrong),
        }
    }

    /// Answers with Mailgun's id without angle brackets, as events name it, as external id.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let request = send::request(&self.client, &self.config, message)?;
        self.call(request, deadline).await
    }

    fn batch(&self) -> Option<&dyn Batch> {
        let may = self.config.batch && self.most.load(Ordering::Relaxed) > 1;
        may.then_some(self as &dyn Batch)
    }
}

#[async_trait]
impl Batch for Mailgun {
    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed).max(2)
    }

    /// Not with copies, nor with inline images, nor where the text says `%recipient…`: only in a batch is that a variable.
    fn carries(&self, member: &Member<'_>) -> bool {
        let is_inline = |file: &Attachment| file.content_id.is_some();
        mime::goes_to_one(member.message)
            && !member.message.options.attachments.iter().any(is_inline)
            && !send::has_variables(member)
    }

    /// All have the same external id: what tells them apart in events is `postroad_id`, and the recipient.
    async fn send_batch(
        &self,
        members: &[Member<'_>],
        deadline: Instant,
    ) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
        let recipients = mime::Recipients::read(members)?;
        let Some(first) = recipients.readable.first().map(|first| first.message) else {
            return Ok(recipients.answers([]));
        };
        let request = send::batch_request(&self.client, &self.config, first, &recipients.readable)?;
        let answer = self.answer(request, deadline).await?;
        if classify::is_too_many(&answer) {
            // Fewer may go: half as many now, until Mailgun takes them or each goes alone. It stays so until a restart.
            let most = recipients.readable.len() / 2;
            if self.most.fetch_min(most, Ordering::Relaxed) == send::BATCH_MAX {
                tracing::warn!(
                    gateway = self.name,
                    "Mailgun does not take large batches of this domain yet: calls get smaller"
                );
            }
            let fault = Fault::Permanent(Blame::Message);
            return Err(SendError::new(fault, "batch_refused"));
        }
        let accepted = classify::judge(&answer)?;
        Ok(recipients.answers(iter::repeat_with(|| Ok(accepted.clone()))))
    }
}

impl Mailgun {
    async fn call(
        &self,
        request: RequestBuilder,
        deadline: Instant,
    ) -> Result<Accepted, SendError> {
        classify::judge(&self.answer(request, deadline).await?)
    }

    async fn answer(
        &self,
        request: RequestBuilder,
        deadline: Instant,
    ) -> Result<Answer, SendError> {
        let request = request.header(AUTHORIZATION, self.config.authorization.clone());
        let answer = http::call(request, deadline).await?;
        Ok(answer.without(&[&self.config.key]))
    }
}
