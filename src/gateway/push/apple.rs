//! What an Apple device gets, directly or through FCM.

use serde_json::{Map, Value};

use super::{collapse_key, is_link, is_urgent, is_visible, put};
use crate::model::message::Rendered;

/// The `aps` dictionary, without the alert. What is not to be seen or heard is content for the app, fetched in the
/// background. A picture needs the app's service extension, so that the content is mutable.
pub fn aps(message: &Rendered) -> Map<String, Value> {
    let push = &message.options.push;
    let mut aps = Map::new();
    put(&mut aps, "badge", push.badge);
    put(&mut aps, "sound", push.sound.clone());
    let category = push.click_action.clone().filter(|action| !is_link(action));
    put(&mut aps, "category", category);
    put(&mut aps, "mutable-content", push.image.as_ref().map(|_| 1));
    if !is_visible(message) && push.badge.is_none() && push.sound.is_none() {
        aps.insert("content-available".into(), 1.into());
    }
    aps
}

/// The headers of a request that carries `aps`, at `now` in seconds since 1970: type, priority, expiration and collapse id.
/// What is for the background must have the lower priority.
pub fn headers(message: &Rendered, aps: &Map<String, Value>, now: u64) -> Map<String, Value> {
    let push = &message.options.push;
    let is_alert = is_visible(message)
        || ["alert", "badge", "sound"]
            .iter()
            .any(|key| aps.contains_key(*key));
    let priority = match is_alert && is_urgent(message) {
        true => "10",
        false => "5",
    };
    let mut headers = Map::new();
    let push_type = if is_alert { "alert" } else { "background" };
    headers.insert("apns-push-type".into(), push_type.into());
    headers.insert("apns-priority".into(), priority.into());
    let expiration = push.ttl.map(|ttl| match ttl {
        0 => "0".to_owned(), // now or never
        ttl => (now + u64::from(ttl)).to_string(),
    });
    put(&mut headers, "apns-expiration", expiration);
    let fits = |key: &str| key.len() <= 64 && key.bytes().all(|b| b.is_ascii_graphic());
    let collapse_id = push
        .collapse_key
        .as_deref()
        .map(|key| collapse_key(key, fits));
    put(&mut headers, "apns-collapse-id", collapse_id);
    headers
}
