//! A message → the request that is made.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::classify;
use super::sign::{self, Key};
use crate::gateway::public;
use crate::model::message::{MessageType, Priority, Rendered};
use crate::model::outcome::{Blame, Fault, SendError};
use crate::model::rfc3339;

/// What a receiver gets. It is the same for every attempt.
#[derive(Serialize)]
struct Payload<'a> {
    message_id: Uuid,
    r#type: MessageType,
    /// When the message was enqueued.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The body that is posted.
///
/// # Errors
///
/// `request_invalid` when it cannot be written as JSON.
pub(super) fn body(message: &Rendered) -> Result<Vec<u8>, SendError> {
    let enqueued_at = message.message_id.get_timestamp().map(|timestamp| {
        let (seconds, _) = timestamp.to_unix();
        rfc3339::format(UNIX_EPOCH + Duration::from_secs(seconds))
    });
    let payload = Payload {
        message_id: message.message_id,
        r#type: message.message_type,
        timestamp: enqueued_at,
        priority: message.priority,
        tenant_id: message.tenant_id,
        tags: &message.options.tags,
        subject: message.subject.as_deref(),
        body: message.body.as_deref(),
        data: message.data.as_deref(),
    };
    serde_json::to_vec(&payload).map_err(|_| fault(Blame::Message, "request_invalid"))
}

fn fault(blame: Blame, reason: &'static str) -> SendError {
    SendError::new(Fault::Permanent(blame), reason)
}

/// Where it is posted.
///
/// # Errors
///
/// `invalid_url` when it is no http or https URL, or has a user; `address_not_allowed` when its host is an address that
/// may not be called. A name is judged when it is resolved.
pub(crate) fn url(recipient: &str, allow_private: bool) -> Result<Url, SendError> {
    let invalid = || fault(Blame::Recipient, "invalid_url");
    let url = Url::parse(recipient).map_err(|_| invalid())?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_plain || url.host().is_none() {
        return Err(invalid());
    }
    match allow_private || public::is_public_host(&url) {
        true => Ok(url),
        false => Err(classify::address_not_allowed()),
    }
}

/// The header of a request that is made at `now`: the sender's own fields, and those of Standard Webhooks.
///
/// # Errors
///
/// `invalid_header` and `header_not_allowed` for fields of the sender.
pub(super) fn headers(
    message: &Rendered,
    keys: &[Key],
    body: &[u8],
    now: SystemTime,
) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.options.headers {
        let invalid = || fault(Blame::Message, "invalid_header");
        let name: HeaderName = name.parse().map_err(|_| invalid())?;
        if is_ours(name.as_str()) {
            return Err(fault(Blame::Message, "header_not_allowed"));
        }
        let mut value: HeaderValue = value.parse().map_err(|_| invalid())?;
        value.set_sensitive(true); // such as a token that the receiver asks for
        headers.insert(name, value);
    }
    let id = message.message_id.to_string();
    let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let signature = sign::signatures(keys, &id, timestamp, body);
    let written = |text: String| {
        HeaderValue::try_from(text).map_err(|_| fault(Blame::Message, "request_invalid"))
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", written(id)?);
    headers.insert("webhook-timestamp", timestamp.into());
    headers.insert("webhook-signature", written(signature)?);
    Ok(headers)
}

/// Fields that say where a request ends and to whom it goes, or that we write ourselves.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "expect"
            | "host"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    ) || ["content-", "proxy-", "webhook-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
