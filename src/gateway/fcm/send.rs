//! A message → the body of `messages:send`.

use serde_json::{Map, Value};

use crate::gateway::push::{self, apple, jwt, put};
use crate::model::message::Rendered;
use crate::model::outcome::SendError;

/// Builds `{"message": …}`. What the options say for a platform is merged over what is made for it.
///
/// # Errors
///
/// What in the message can never be sent.
pub(super) fn body(message: &Rendered) -> Result<Value, SendError> {
    let push = &message.options.push;
    let mut made = Map::new();
    let (target, name) = target(&message.recipient);
    made.insert(target.into(), name.into());
    if push::is_visible(message) {
        let mut notification = Map::new();
        put(&mut notification, "title", message.subject.as_deref());
        put(&mut notification, "body", message.body.as_deref());
        put(&mut notification, "image", push.image.as_deref());
        made.insert("notification".into(), notification.into());
    }
    made.insert("data".into(), strings(data(message)?).into());
    for (platform, mut config, options) in [
        ("android", android(message), &push.android),
        ("apns", apns(message), &as_apns_config(&push.apns)),
        ("webpush", webpush(message), &push.webpush),
    ] {
        push::merge(&mut config, options);
        made.insert(platform.into(), config.into());
    }
    if let Some(label) = message.options.tags.iter().find(|tag| is_label(tag)) {
        let options = Map::from_iter([("analytics_label".to_owned(), label.as_str().into())]);
        made.insert("fcm_options".into(), options.into());
    }
    Ok(Map::from_iter([("message".to_owned(), made.into())]).into())
}

/// What kind of target a recipient is.
fn target(recipient: &str) -> (&'static str, &str) {
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    match recipient.strip_prefix("/topics/") {
        Some(topic) => ("topic", topic),
        // Firebase installation ids: 16 bytes of base64url that begin with the bits 0111.
        None if recipient.len() == 22
            && recipient.starts_with(['c', 'd', 'e', 'f'])
            && recipient.bytes().all(is_base64url) =>
        {
            ("fid", recipient)
        }
        None => ("token", recipient),
    }
}

/// The message's data, and a click action that is a URL, for apps that open it themselves.
fn data(message: &Rendered) -> Result<Map<String, Value>, SendError> {
    let mut data = push::data(message)?;
    let action = message.options.push.click_action.as_deref();
    if let Some(url) = action.filter(|action| push::is_link(action)) {
        data.entry("click_action").or_insert_with(|| url.into());
    }
    Ok(data)
}

/// FCM takes strings only: what is none becomes its JSON text.
fn strings(data: Map<String, Value>) -> Map<String, Value> {
    let strings = data.into_iter().map(|(key, value)| match value {
        Value::String(text) => (key, text.into()),
        other => (key, other.to_string().into()),
    });
    strings.collect()
}

fn android(message: &Rendered) -> Map<String, Value> {
    let push = &message.options.push;
    let mut android = Map::new();
    let priority = if push::is_urgent(message) {
        "HIGH"
    } else {
        "NORMAL"
    };
    android.insert("priority".into(), priority.into());
    put(&mut android, "ttl", push.ttl.map(|ttl| format!("{ttl}s")));
    put(&mut android, "collapse_key", push.collapse_key.as_deref());
    let mut notification = Map::new();
    put(&mut notification, "sound", push.sound.as_deref());
    put(&mut notification, "notification_count", push.badge);
    let action = push.click_action.as_deref();
    put(
        &mut notification,
        "click_action",
        action.filter(|action| !push::is_link(action)),
    );
    if push::is_visible(message) && !notification.is_empty() {
        android.insert("notification".into(), notification.into());
    }
    android
}

fn apns(message: &Rendered) -> Map<String, Value> {
    let aps = apple::aps(message);
    let headers = apple::headers(message, &aps, jwt::now());
    let mut apns = Map::from_iter([("headers".to_owned(), headers.into())]);
    if !aps.is_empty() {
        let payload = Map::from_iter([("aps".to_owned(), aps.into())]);
        apns.insert("payload".into(), payload.into());
    }
    if let Some(image) = &message.options.push.image {
        let options = Map::from_iter([("image".to_owned(), image.as_str().into())]);
        apns.insert("fcm_options".into(), options.into());
    }
    apns
}

/// `options.push.apns` may be the payload alone.
fn as_apns_config(options: &Map<String, Value>) -> Map<String, Value> {
    match options.contains_key("aps") {
        true => Map::from_iter([("payload".to_owned(), options.clone().into())]),
        false => options.clone(),
    }
}

fn webpush(message: &Rendered) -> Map<String, Value> {
    let push = &message.options.push;
    let mut headers = Map::new();
    let urgency = if push::is_urgent(message) {
        "high"
    } else {
        "normal"
    };
    headers.insert("Urgency".into(), urgency.into());
    put(&mut headers, "TTL", push.ttl.map(|ttl| ttl.to_string()));
    let mut webpush = Map::from_iter([("headers".to_owned(), headers.into())]);
    // FCM takes https only here.
    let link = push
        .click_action
        .as_deref()
        .filter(|link| link.starts_with("https://"));
    if let Some(link) = link {
        let options = Map::from_iter([("link".to_owned(), link.into())]);
        webpush.insert("fcm_options".into(), options.into());
    }
    webpush
}

/// Whether a tag can be a label in Firebase's reports.
fn is_label(tag: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b);
    (1..=50).contains(&tag.len()) && tag.bytes().all(fits)
}
