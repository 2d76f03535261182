//! A message → headers and payload of a request.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::gateway::push::{self, apple, invalid};
use crate::model::message::Rendered;
use crate::model::outcome::SendError;

type Object = Map<String, Value>;

/// What a message may set by `options.push.apns.headers`.
const HEADERS: [&str; 5] = [
    "apns-push-type",
    "apns-priority",
    "apns-expiration",
    "apns-collapse-id",
    "apns-topic",
];

/// A request but for its address and its token.
pub(super) struct Push {
    pub(super) headers: HeaderMap,
    pub(super) payload: Vec<u8>,
}

impl Push {
    /// Builds it, at `now` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// What in the message can never be sent: `invalid_push_header`, `invalid_push_options`, `reserved_data_key`.
    pub(super) fn new(message: &Rendered, topic: &str, now: u64) -> Result<Self, SendError> {
        let (own_headers, own_payload) = own(&message.options.push.apns)?;
        if own_headers
            .keys()
            .any(|name| !HEADERS.contains(&name.as_str()))
        {
            return Err(invalid("invalid_push_header"));
        }
        let mut payload = payload(message)?;
        push::merge(&mut payload, &own_payload);
        let empty = Map::new();
        let aps = payload
            .get("aps")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let mut headers = apple::headers(message, aps, now);
        let names_priority = own_headers.contains_key("apns-priority");
        push::merge(&mut headers, &own_headers);
        let push_type = headers
            .get("apns-push-type")
            .and_then(Value::as_str)
            .unwrap_or("alert");
        let topic = format!("{topic}{}", topic_suffix(push_type));
        if push_type == "background" && !names_priority {
            headers.insert("apns-priority".into(), "5".into()); // 10 is an error
        }
        headers.entry("apns-topic").or_insert(topic.into());
        headers.insert("apns-id".into(), message.message_id.to_string().into());
        Ok(Self {
            headers: as_headers(&headers)?,
            payload: Value::Object(payload).to_string().into_bytes(),
        })
    }
}

/// The payload: what Apple reads under `aps`, the message's data beside it.
fn payload(message: &Rendered) -> Result<Map<String, Value>, SendError> {
    let mut payload = push::data(message)?;
    if payload.contains_key("aps") {
        return Err(invalid("reserved_data_key"));
    }
    let options = &message.options.push;
    if let Some(image) = &options.image {
        payload
            .entry("image")
            .or_insert_with(|| image.as_str().into());
    }
    let link = options
        .click_action
        .as_deref()
        .filter(|action| push::is_link(action));
    if let Some(link) = link {
        payload.entry("click_action").or_insert_with(|| link.into());
    }
    let mut aps = apple::aps(message);
    if push::is_visible(message) {
        let mut alert = Map::new();
        push::put(&mut alert, "title", message.subject.as_deref());
        push::put(&mut alert, "body", message.body.as_deref());
        aps.insert("alert".into(), alert.into());
    }
    payload.insert("aps".into(), aps.into());
    Ok(payload)
}

/// Headers and payload of `options.push.apns`, which is the payload alone when it has `aps`.
fn own(options: &Map<String, Value>) -> Result<(Object, Object), SendError> {
    if options.contains_key("aps") {
        return Ok((Map::new(), options.clone()));
    }
    let object = |key| match options.get(key) {
        None => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(invalid("invalid_push_options")),
    };
    Ok((object("headers")?, object("payload")?))
}

fn as_headers(headers: &Map<String, Value>) -> Result<HeaderMap, SendError> {
    let refused = || invalid("invalid_push_header");
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = value
            .as_str()
            .filter(|value| value.bytes().all(|b| b.is_ascii_graphic()));
        let value = value.and_then(|value| HeaderValue::from_str(value).ok());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        map.insert(name, value.ok_or_else(refused)?);
    }
    Ok(map)
}

/// What Apple wants behind the bundle id, by type
/// (<https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns>).
fn topic_suffix(push_type: &str) -> &'static str {
    match push_type {
        "location" => ".location-query",
        "voip" => ".voip",
        "complication" => ".complication",
        "fileprovider" => ".pushkit.fileprovider",
        "liveactivity" => ".push-type.liveactivity",
        "pushtotalk" => ".voip-ptt",
        _ => "",
    }
}
