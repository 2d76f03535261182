//! A message → the form that is posted.

use std::borrow::Cow;

use super::config::Config;
use super::twiml;
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Blame, Fault, SendError};

/// What is posted.
pub(super) struct Form {
    /// Below the account's URL.
    pub(super) resource: &'static str,
    pub(super) fields: Vec<(&'static str, String)>,
}

/// The longest that Twilio queues a text message, in seconds.
const VALIDITY_MAX: u32 = 36_000;

/// Builds the form of a text message or a call.
///
/// # Errors
///
/// `body_missing` when there is nothing to say, `sender_refused` when there is nobody to call as.
pub(super) fn form(message: &Rendered, config: &Config) -> Result<Form, SendError> {
    let body = message
        .body
        .as_deref()
        .ok_or_else(|| SendError::new(Fault::Permanent(Blame::Message), "body_missing"))?;
    let mut fields = vec![("To", message.recipient.clone())];
    let resource = match message.channel {
        Channel::Voice => {
            call(message, body, config, &mut fields)?;
            "Calls.json"
        }
        _ => {
            text(message, body, config, &mut fields)?;
            "Messages.json"
        }
    };
    if let Some(callback) = &config.status_callback {
        let mut callback = callback.clone();
        callback
            .query_pairs_mut()
            .append_pair("message_id", &message.message_id.to_string());
        fields.push(("StatusCallback", callback.into()));
    }
    Ok(Form { resource, fields })
}

fn no_sender() -> SendError {
    SendError::new(Fault::Gateway { retry_after: None }, "sender_refused")
}

fn text(
    message: &Rendered,
    body: &str,
    config: &Config,
    fields: &mut Vec<(&'static str, String)>,
) -> Result<(), SendError> {
    let options = &message.options;
    fields.push(
        match (&options.from, &config.messaging_service_sid, &config.from) {
            (Some(from), _, _) => ("From", from.clone()),
            (None, Some(service), _) => ("MessagingServiceSid", service.clone()),
            (None, None, Some(from)) => ("From", from.clone()),
            (None, None, None) => return Err(no_sender()),
        },
    );
    fields.push(("Body", body.into()));
    for url in &options.sms.media_urls {
        fields.push(("MediaUrl", url.clone()));
    }
    if let Some(seconds) = options.sms.validity_seconds {
        fields.push(("ValidityPeriod", seconds.clamp(1, VALIDITY_MAX).to_string()));
    }
    Ok(())
}

fn call(
    message: &Rendered,
    body: &str,
    config: &Config,
    fields: &mut Vec<(&'static str, String)>,
) -> Result<(), SendError> {
    let from = message.options.from.as_ref().or(config.from.as_ref());
    fields.push(("From", from.ok_or_else(no_sender)?.clone()));
    let voice = &message.options.voice;
    // A locale that nobody speaks must not keep a warning from being read out.
    let language = voice
        .language
        .as_deref()
        .and_then(twiml::language_tag)
        .map_or(Cow::Borrowed(&config.language), Cow::Owned);
    let speaker = voice.voice.as_deref().or(config.voice.as_deref());
    fields.push(("Twiml", twiml::say(body, &language, speaker)));
    Ok(())
}
