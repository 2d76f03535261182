//! What sources read alike: headers, times, ids, and JSON whose fields may be absent or of another type than documented.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::HeaderMap;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Refused, Unreadable};
use crate::model::outcome::{PROVIDER_TEXT_MAX, shorten};

/// What one body may report, events and recipients.
pub(in crate::gateway) const REPORTS_MAX: usize = 10_000;

/// An address (RFC 5321, section 4.5.3.1: 64, the sign, 255).
const ADDRESS_MAX: usize = 320;

/// A provider's word or code, and its id of a message or an event.
const WORD_MAX: usize = 100;
const ID_MAX: usize = 200;

/// What is kept of a link or a client's name.
const DETAIL_MAX: usize = 2_000;

/// An object in JSON, or none. Absent fields read as none.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct Object<'a>(Option<&'a Map<String, Value>>);

impl<'a> Object<'a> {
    pub(in crate::gateway) fn of(value: &'a Value) -> Self {
        Self(value.as_object())
    }

    pub(in crate::gateway) fn is_some(self) -> bool {
        self.0.is_some()
    }

    fn get(self, name: &str) -> Option<&'a Value> {
        self.0?.get(name)
    }

    pub(in crate::gateway) fn object(self, name: &str) -> Self {
        Self(self.get(name).and_then(Value::as_object))
    }

    pub(in crate::gateway) fn list(self, name: &str) -> &'a [Value] {
        let list = self.get(name).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }

    /// A text that is not empty.
    pub(in crate::gateway) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A text that is not empty, or a number as text.
    pub(in crate::gateway) fn word(self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) if !text.is_empty() => Some(shorten(text, WORD_MAX)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A number, or a text of one.
    pub(in crate::gateway) fn number(self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A time in Unix seconds.
    pub(in crate::gateway) fn time(self, name: &str) -> Option<SystemTime> {
        self.number(name).and_then(unix)
    }

    /// An SMTP code.
    pub(in crate::gateway) fn smtp_code(self, name: &str) -> Option<u16> {
        let code = self.number(name)?;
        (code.fract() == 0.0 && (200.0..600.0).contains(&code)).then_some(code as u16)
    }

    /// True in any of the ways in which it is written.
    pub(in crate::gateway) fn is_true(self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(is)) => *is,
            Some(Value::Number(number)) => number.as_f64() == Some(1.0),
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "1"),
            _ => false,
        }
    }
}

/// A body in JSON.
pub(in crate::gateway) fn json(body: &[u8]) -> Result<Value, Unreadable> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Unreadable(format!("not JSON at line {line}, column {column}"))
    })
}

/// A header that is there once, in ASCII. One that is there twice is as good as none: who knows which was meant.
pub(in crate::gateway) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}

/// A point in time, from 1970 to 9999.
pub(in crate::gateway) fn unix(seconds: f64) -> Option<SystemTime> {
    let is_sane = (0.0..253_402_300_800.0).contains(&seconds);
    is_sane.then(|| UNIX_EPOCH + Duration::from_secs_f64(seconds))
}

/// Unix seconds in digits alone. A signature over a time and what follows it does not say where the one ends: `1e0` would
/// take over the beginning of a token.
pub(in crate::gateway) fn unix_digits(text: &str) -> Option<SystemTime> {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    is_digits.then(|| text.parse().ok().and_then(unix))?
}

/// How far a provider's clock may be ahead of ours, however old its requests may be.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// Refuses what was made more than `window` before `now`, or more than five minutes after it: what is old, and what clocks
/// make young.
pub(in crate::gateway) fn check_fresh(
    made: SystemTime,
    now: SystemTime,
    window: Duration,
) -> Result<(), Refused> {
    let is_fresh = match now.duration_since(made) {
        Ok(age) => age <= window,
        Err(ahead) => ahead.duration() <= window.min(AHEAD_MAX),
    };
    match is_fresh {
        true => Ok(()),
        false => Err(Refused::Forbidden("stale, or from a clock that is wrong")),
    }
}

/// Our id of a message, as we write it; what other systems put there is none.
pub(in crate::gateway) fn our_id(text: &str) -> Option<Uuid> {
    let is_ours = text.len() == 36;
    is_ours.then(|| Uuid::try_parse(text).ok()).flatten()
}

/// What identifies an event among those of its message. What is too long, or cannot be stored, is hashed.
pub(in crate::gateway) fn source_key(parts: &[&str]) -> String {
    let key = parts.join(":");
    match key.len() <= ID_MAX && !key.contains('\0') {
        true => key,
        false => BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, key.as_bytes())),
    }
}

/// A provider's own words, as an event keeps them.
pub(in crate::gateway) fn words(text: &str) -> String {
    shorten(text, PROVIDER_TEXT_MAX)
}

/// A provider's word for an event.
pub(in crate::gateway) fn word(text: &str) -> String {
    shorten(text, WORD_MAX)
}

/// A provider's id of a message, without angle brackets.
pub(in crate::gateway) fn external_id(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    Some(shorten(text, ID_MAX)).filter(|id| !id.is_empty())
}

/// An address, as the provider wrote it.
pub(in crate::gateway) fn address(text: &str) -> String {
    shorten(text, ADDRESS_MAX)
}

/// A link, or a client's name.
pub(in crate::gateway) fn detail(text: &str) -> String {
    shorten(text, DETAIL_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A clock a little off is normal, and both sides of the window are refused.
    #[test]
    fn a_window_has_two_sides() {
        let window = Duration::from_secs(300);
        let made = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for seconds in [0, 299, 300] {
            let apart = Duration::from_secs(seconds);
            assert!(check_fresh(made, made + apart, window).is_ok());
            assert!(check_fresh(made, made - apart, window).is_ok());
        }
        let apart = Duration::from_secs(301);
        for now in [made + apart, made - apart] {
            let refused = check_fresh(made, now, window);
            assert!(matches!(refused, Err(Refused::Forbidden(_))), "{refused:?}");
        }
    }

    /// A request that is dated a day ahead would be fresh for a day longer than what guards against replays is kept.
    #[test]
    fn a_day_is_for_what_is_old_and_not_for_clocks() {
        let window = Duration::from_secs(86_400);
        let made = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (few, more) = (Duration::from_secs(300), Duration::from_secs(301));
        assert!(check_fresh(made, made + window, window).is_ok());
        assert!(check_fresh(made, made - few, window).is_ok());
        assert!(check_fresh(made, made - more, window).is_err());
    }

    /// Providers change types between versions; a wrong one must not cost the event.
    #[test]
    fn fields_of_another_type_read_as_absent_or_alike() {
        let value =
            json!({"a": 7, "b": "7", "c": "", "d": null, "e": [1], "f": "true", "g": 1e300});
        let object = Object::of(&value);
        assert_eq!(object.number("a"), object.number("b"));
        assert_eq!(object.word("a").as_deref(), Some("7"));
        assert_eq!(
            (object.text("a"), object.text("c"), object.text("d")),
            (None, None, None)
        );
        assert!(object.is_true("f") && !object.is_true("a") && !object.is_true("x"));
        assert_eq!((object.time("g"), object.smtp_code("a")), (None, None));
        assert!(!object.object("e").is_some() && object.list("a").is_empty());
    }

    /// A key that was cut would make two events one.
    #[test]
    fn keys_that_cannot_be_stored_stay_distinct() {
        let long = "x".repeat(500);
        assert_eq!(source_key(&["a", "b"]), "a:b");
        let keys = [
            source_key(&[&long, "a"]),
            source_key(&[&long, "b"]),
            source_key(&["\0a"]),
            source_key(&["a"]),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(key.len() <= ID_MAX && !key.contains('\0'));
            assert!(!keys[..at].contains(key), "{key}");
        }
    }

    /// Only what we wrote is an id of ours; a campaign's name is not.
    #[test]
    fn ids_of_other_systems_are_not_ours() {
        let ours = "01a1fd79-0000-7000-8000-000000000001";
        assert_eq!(our_id(ours).map(|id| id.to_string()).as_deref(), Some(ours));
        for other in [
            "",
            "welcome",
            "01a1fd79000070008000000000000001",
            "01a1fd79-0000-7000-8000-00000000000g",
        ] {
            assert_eq!(our_id(other), None, "{other}");
        }
    }
}
