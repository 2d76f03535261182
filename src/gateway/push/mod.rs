//! What the push gateways share.
//!
//! A push recipient says by its form which gateway it is for:
//!
//! | form | gateway |
//! |---|---|
//! | a JSON object: a Web Push subscription, `{"endpoint": …, "keys": {"p256dh": …, "auth": …}}` | `webpush` |
//! | 64 to 200 hexadecimal digits: an APNs device token | `apns` |
//! | anything else: an FCM registration token, installation id, or `/topics/NAME` | `fcm` |
//!
//! A gateway that is handed another form answers with a `Gateway` fault, reason [`NOT_FOR_THIS_GATEWAY`], so that routing
//! goes on to the next one. It says nothing about the gateway's health, and less about the message than what any
//! other gateway answers.

pub mod apple;
pub mod jwt;
mod proof;
pub mod receipts;

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

pub use self::proof::Proof;
use crate::model::message::{Priority, Rendered};
use crate::model::outcome::{Blame, Fault, SendError};

/// Reason of a gateway that does not serve recipients of this form.
pub const NOT_FOR_THIS_GATEWAY: &str = "recipient_not_for_this_gateway";

/// Key under which data carries our message id, for what the app reports back.
pub const MESSAGE_ID_KEY: &str = "postroad_message_id";

/// Which gateway a recipient is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A Web Push subscription.
    Subscription,
    /// An APNs device token.
    ApnsToken,
    /// FCM's: a registration token, an installation id or a topic.
    Fcm,
}

impl Form {
    /// Reads the form. It does not say that such a recipient exists.
    pub fn of(recipient: &str) -> Self {
        let is_hex = || recipient.bytes().all(|b| b.is_ascii_hexdigit());
        match recipient.len() {
            _ if recipient.starts_with('{') => Self::Subscription,
            64..=200 if is_hex() => Self::ApnsToken,
            _ => Self::Fcm,
        }
    }

    /// Checks that `recipient` has this form.
    ///
    /// # Errors
    ///
    /// [`NOT_FOR_THIS_GATEWAY`].
    pub fn check(self, recipient: &str) -> Result<(), SendError> {
        match Self::of(recipient) == self {
            true => Ok(()),
            false => Err(SendError::new(
                Fault::Gateway { retry_after: None },
                NOT_FOR_THIS_GATEWAY,
            )),
        }
    }
}

/// Whether a device is woken for it: P0, P1 and P4 are, newsletters and campaigns wait until it is awake.
pub fn is_urgent(message: &Rendered) -> bool {
    matches!(message.priority, Priority::P0 | Priority::P1 | Priority::P4)
}

/// Whether it is to be shown, rather than handed to the app unseen.
pub fn is_visible(message: &Rendered) -> bool {
    message.subject.is_some() || message.body.is_some()
}

/// The message's data with our message id under [`MESSAGE_ID_KEY`]. Data that is no object stands under `data`.
///
/// # Errors
///
/// `invalid_data`, the message's fault, which cannot be for what Postgres stored.
pub fn data(message: &Rendered) -> Result<Map<String, Value>, SendError> {
    let mut data = match &message.data {
        None => Map::new(),
        Some(raw) => match serde_json::from_str(raw.get()) {
            Ok(Value::Object(data)) => data,
            Ok(Value::Null) => Map::new(),
            Ok(other) => Map::from_iter([("data".to_owned(), other)]),
            Err(_) => return Err(invalid("invalid_data")),
        },
    };
    data.insert(MESSAGE_ID_KEY.into(), message.message_id.to_string().into());
    Ok(data)
}

/// A fault of the message.
pub fn invalid(reason: &'static str) -> SendError {
    SendError::new(Fault::Permanent(Blame::Message), reason)
}

/// Whether a click action is a URL, rather than the name of an action.
pub fn is_link(click_action: &str) -> bool {
    click_action.contains("://")
}

/// A collapse key as a provider takes it: as it is when it fits, else 32 characters of its SHA-256 in base64url, for the
/// same keys must stay the same.
pub fn collapse_key(key: &str, fits: impl Fn(&str) -> bool) -> String {
    match fits(key) {
        true => key.to_owned(),
        false => {
            let mut hash = jwt::base64url(digest(&SHA256, key.as_bytes()).as_ref());
            hash.truncate(32);
            hash
        }
    }
}

/// Lays `patch` over `target` (JSON merge patch, RFC 7396): objects key by key, null takes a key away, all else replaces.
pub fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (target.get_mut(key), value) {
            (_, Value::Null) => drop(target.remove(key)),
            (Some(Value::Object(target)), Value::Object(patch)) => merge(target, patch),
            (_, Value::Object(patch)) => {
                let mut fresh = Map::new();
                merge(&mut fresh, patch);
                target.insert(key.clone(), fresh.into());
            }
            (_, value) => drop(target.insert(key.clone(), value.clone())),
        }
    }
}

/// Adds `value` under `key` if there is one.
pub fn put(target: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        target.insert(key.into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).expect(text)
    }

    /// Routing stands on it: a token that is read as another one's never arrives.
    #[test]
    fn a_recipient_tells_its_gateway_by_its_form() {
        let apns = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD";
        assert_eq!(Form::of(apns), Form::ApnsToken);
        assert_eq!(Form::of(&apns[1..]), Form::Fcm);
        assert_eq!(Form::of(&apns.replace('0', "g")), Form::Fcm);
        assert_eq!(Form::of("cX1:APA91bH-_token"), Form::Fcm);
        assert_eq!(Form::of("/topics/news"), Form::Fcm);
        assert_eq!(
            Form::of(r#"{"endpoint":"https://push.example/1"}"#),
            Form::Subscription
        );
        let error = Form::Fcm.check(apns).expect_err("another's");
        assert_eq!(error.reason, NOT_FOR_THIS_GATEWAY);
        assert_eq!(error.fault, Fault::Gateway { retry_after: None });
    }

    /// What the caller writes for one platform wins over what we make, down to single keys (RFC 7396, section 3).
    #[test]
    fn a_patch_adds_replaces_and_removes() {
        let mut target = object(r#"{"a": {"b": 1, "c": 2}, "d": [1, 2], "e": 3}"#);
        let patch =
            object(r#"{"a": {"b": 9, "c": null, "x": {"y": null, "z": 1}}, "d": [3], "f": {}}"#);
        merge(&mut target, &patch);
        let expected = object(r#"{"a": {"b": 9, "x": {"z": 1}}, "d": [3], "e": 3, "f": {}}"#);
        assert_eq!(target, expected);
    }

    /// A key that is too long must still collapse what belongs together, and nothing else.
    #[test]
    fn a_collapse_key_that_does_not_fit_is_hashed() {
        let fits = |key: &str| key.len() <= 8;
        assert_eq!(collapse_key("score", fits), "score");
        let (one, other) = (
            collapse_key("score of 12", fits),
            collapse_key("score of 13", fits),
        );
        assert_eq!(one.len(), 32);
        assert_eq!(one, collapse_key("score of 12", fits));
        assert_ne!(one, other);
    }
}
