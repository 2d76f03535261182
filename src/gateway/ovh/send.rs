//! A message → the job that is posted.

use serde::Serialize;

use super::config::Config;
use crate::model::message::{MessageType, Priority, Rendered};
use crate::model::outcome::{Blame, Fault, SendError};
use crate::model::sms::{self, Alphabet};

/// What is posted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job<'a> {
    message: &'a str,
    /// One only, so that the one id in the answer is this message's.
    receivers: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
    /// Instead of a sender: a short number that can be answered.
    sender_for_response: bool,
    /// Whether OVH leaves out the line about STOP that marketing must have.
    no_stop_clause: bool,
    charset: &'static str,
    /// `8bit` is OVH's word for UCS-2.
    coding: &'static str,
    priority: &'static str,
    /// In minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_period: Option<u32>,
}

/// Builds the job of a text message.
///
/// # Errors
///
/// `body_missing` when there is nothing to say.
pub(super) fn job<'a>(message: &'a Rendered, config: &'a Config) -> Result<Job<'a>, SendError> {
    let text = message.body.as_deref();
    let text =
        text.ok_or_else(|| SendError::new(Fault::Permanent(Blame::Message), "body_missing"))?;
    let options = &message.options;
    let sender = options.from.as_deref().or(config.sender.as_deref());
    Ok(Job {
        message: text,
        receivers: [&message.recipient],
        sender,
        sender_for_response: sender.is_none(),
        no_stop_clause: match message.message_type {
            MessageType::Emergency | MessageType::Alert | MessageType::Transactional => true,
            MessageType::Newsletter | MessageType::Campaign => false,
        },
        charset: "UTF-8",
        coding: match sms::segments(text).alphabet {
            Alphabet::Gsm7 => "7bit",
            Alphabet::Ucs2 => "8bit",
        },
        priority: match message.priority {
            Priority::P0 | Priority::P1 | Priority::P4 => "high",
            Priority::P2 => "medium",
            Priority::P3 => "low",
        },
        validity_period: options
            .sms
            .validity_seconds
            .map(|seconds| seconds.div_ceil(60)),
    })
}
