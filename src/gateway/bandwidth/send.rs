//! A message → the JSON that is posted.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::config::Config;
use crate::model::message::{Priority, Rendered};
use crate::model::outcome::{Blame, Fault, SendError};
use crate::model::rfc3339;

/// What is posted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    application_id: &'a str,
    /// One only: several would be one group conversation, under one id.
    to: [&'a str; 1],
    from: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    media: &'a [String],
    /// Comes back in each callback.
    tag: String,
    /// `high` goes before what this account has waiting at Bandwidth.
    priority: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
}

/// Builds the body of a text message that is sent at `now`.
///
/// # Errors
///
/// `body_missing` when there is nothing to say, `sender_refused` when there is no sender.
pub(super) fn body<'a>(
    message: &'a Rendered,
    config: &'a Config,
    now: SystemTime,
) -> Result<Body<'a>, SendError> {
    let text = message.body.as_deref();
    let text =
        text.ok_or_else(|| SendError::new(Fault::Permanent(Blame::Message), "body_missing"))?;
    let options = &message.options;
    let from = options.from.as_deref().or(config.from.as_deref());
    let from =
        from.ok_or_else(|| SendError::new(Fault::Gateway { retry_after: None }, "sender_refused"))?;
    let validity = options.sms.validity_seconds;
    Ok(Body {
        application_id: &config.application_id,
        to: [&message.recipient],
        from,
        text,
        media: &options.sms.media_urls,
        tag: message.message_id.to_string(),
        priority: match message.priority {
            Priority::P0 | Priority::P1 => "high",
            Priority::P2 | Priority::P3 | Priority::P4 => "default",
        },
        expiration: validity
            .map(|seconds| rfc3339::format(now + Duration::from_secs(seconds.into()))),
    })
}
