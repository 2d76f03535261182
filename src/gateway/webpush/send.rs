//! A message → headers and payload of a request.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::encrypt::PLAINTEXT_MAX;
use crate::gateway::push::{self, invalid, put};
use crate::model::message::{Push, Rendered};
use crate::model::outcome::SendError;

/// What a message may set by `options.push.webpush.headers`.
const HEADERS: [&str; 3] = ["ttl", "urgency", "topic"];

/// What the page's service worker gets, as JSON, and the headers for the push service.
pub(super) struct Request {
    pub(super) headers: HeaderMap,
    pub(super) payload: Vec<u8>,
}

impl Request {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What in the message can never be sent: `invalid_push_header`, `invalid_push_options`, `message_too_large`.
    pub(super) fn new(message: &Rendered) -> Result<Self, SendError> {
        let mut own = message.options.push.webpush.clone();
        let own_headers = match own.remove("headers") {
            None => Map::new(),
            Some(Value::Object(headers)) => headers,
            Some(_) => return Err(invalid("invalid_push_options")),
        };
        own.remove("fcm_options"); // for FCM only
        let mut payload = payload(message)?;
        push::merge(&mut payload, &own);
        let payload = Value::Object(payload).to_string().into_bytes();
        if payload.len() > PLAINTEXT_MAX {
            return Err(invalid("message_too_large"));
        }
        Ok(Self {
            headers: headers(message, &own_headers)?,
            payload,
        })
    }
}

/// A declarative message (<https://webkit.org/blog/16535/meet-declarative-web-push/>) when a tap has somewhere to go:
/// Safari then shows it without the page's service worker. To all others it is JSON that the worker reads.
fn payload(message: &Rendered) -> Result<Map<String, Value>, SendError> {
    let options = &message.options.push;
    let mut payload = Map::new();
    if push::is_visible(message) {
        let mut notification = Map::new();
        put(&mut notification, "title", message.subject.as_deref());
        put(&mut notification, "body", message.body.as_deref());
        put(&mut notification, "image", options.image.as_deref());
        put(&mut notification, "tag", options.collapse_key.as_deref());
        put(
            &mut notification,
            "navigate",
            options.click_action.as_deref(),
        );
        put(
            &mut notification,
            "app_badge",
            options.badge.map(|badge| badge.to_string()),
        );
        if message.subject.is_some() && options.click_action.as_deref().is_some_and(push::is_link) {
            payload.insert("web_push".into(), 8030.into());
        }
        payload.insert("notification".into(), notification.into());
    }
    payload.insert("data".into(), push::data(message)?.into());
    Ok(payload)
}

fn headers(message: &Rendered, own: &Map<String, Value>) -> Result<HeaderMap, SendError> {
    let options = &message.options.push;
    let mut headers = Map::new();
    // Push services insist on it (RFC 8030, section 5.2).
    let ttl = options.ttl.unwrap_or(Push::TTL_MAX);
    headers.insert("ttl".into(), ttl.to_string().into());
    let urgency = if push::is_urgent(message) {
        "high"
    } else {
        "normal"
    };
    headers.insert("urgency".into(), urgency.into());
    // RFC 8030, section 5.4.
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let fits = |key: &str| (1..=32).contains(&key.len()) && key.bytes().all(is_base64url);
    let topic = options
        .collapse_key
        .as_deref()
        .map(|key| push::collapse_key(key, fits));
    put(&mut headers, "topic", topic);
    for (name, value) in own {
        headers.insert(name.to_ascii_lowercase(), value.clone());
    }
    let refused = || invalid("invalid_push_header");
    let mut map = HeaderMap::new();
    for (name, value) in &headers {
        if !HEADERS.contains(&name.as_str()) {
            return Err(refused());
        }
        let value = value
            .as_str()
            .filter(|value| value.bytes().all(|b| b.is_ascii_graphic()));
        let value = value.and_then(|value| HeaderValue::from_str(value).ok());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        map.insert(name, value.ok_or_else(refused)?);
    }
    Ok(map)
}
