//! Reports as `record_events` takes them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::model::message::Channel;
use crate::model::report::{BounceKind, Report, Wish};
use crate::model::rfc3339;

/// What an event's key may have, in bytes; a longer one is hashed.
const SOURCE_KEY_MAX: usize = 500;

/// Seconds from 1970 to the end of the year 9999: what is later is no time of an event.
const LAST_SECOND: u64 = 253_402_300_799;

/// `{message_id, external_id, event_type, occurred_at, source_key, reason, bounce_type, bounce_class, recipient, wish,
/// detail}`, without what is not known; and `{is_proven: false, channel}` of a source that is [`unproven`].
///
/// [`unproven`]: crate::gateway::source::WebhookSource::unproven
pub(super) fn json(report: &Report, unproven: Option<Channel>) -> Value {
    let mut event = Map::new();
    if let Some(channel) = unproven {
        event.insert("is_proven".into(), false.into());
        event.insert("channel".into(), channel.as_str().into());
    }
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            event.insert(key.into(), text(value));
        }
    };
    put("message_id", report.message_id.map(|id| id.to_string()));
    put("external_id", report.external_id.clone());
    put("event_type", Some(report.event_type.as_str().into()));
    put("occurred_at", report.occurred_at.map(instant));
    put("source_key", Some(key(&report.source_key)));
    let class = report.bounce.map(|bounce| bounce.class.as_str());
    put("reason", report.reason.or(class).map(Into::into));
    put(
        "bounce_type",
        report.bounce.map(|bounce| match bounce.kind {
            BounceKind::Hard => "hard".into(),
            BounceKind::Soft => "soft".into(),
        }),
    );
    put("bounce_class", class.map(Into::into));
    put("recipient", report.recipient.clone());
    put(
        "wish",
        report.wish.map(|wish| match wish {
            Wish::Stop => "stop".into(),
            Wish::Start => "start".into(),
            Wish::Help => "help".into(),
        }),
    );
    let mut detail = Map::new();
    detail.insert("event".into(), text(report.provider_event.clone()));
    for (key, value) in [("code", &report.code), ("text", &report.text)] {
        if let Some(value) = value {
            detail.insert(key.into(), text(value.clone()));
        }
    }
    for (key, value) in &report.detail {
        detail.insert((*key).into(), text(value.clone()));
    }
    event.insert("detail".into(), detail.into());
    event.into()
}

/// Without the character that no text of Postgres can hold.
fn text(value: String) -> Value {
    match value.contains('\0') {
        true => value.replace('\0', "\u{fffd}").into(),
        false => value.into(),
    }
}

fn key(source_key: &str) -> String {
    match source_key.len() <= SOURCE_KEY_MAX {
        true => source_key.to_owned(),
        false => super::digest(source_key.as_bytes()),
    }
}

/// To the millisecond.
fn instant(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = match since.as_secs() {
        0..=LAST_SECOND => at,
        _ => UNIX_EPOCH + std::time::Duration::from_secs(LAST_SECOND),
    };
    let whole = rfc3339::format(at);
    format!(
        "{}.{:03}Z",
        whole.trim_end_matches('Z'),
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::model::event::EventType;
    use crate::model::report::{Bounce, BounceClass};

    /// What SQL reads is what the provider said, in our words.
    #[test]
    fn a_report_becomes_the_event_that_sql_takes() {
        let mut report = Report::new(EventType::Bounced, "hard_bounce", "e1");
        report.external_id = Some("x".into());
        report.occurred_at = Some(UNIX_EPOCH + Duration::from_millis(1_614_265_330_250));
        report.bounce = Some(Bounce {
            kind: BounceKind::Hard,
            class: BounceClass::InvalidRecipient,
        });
        report.code = Some("5.1.1".into());
        report.text = Some("no\0body".into());
        report.detail.push(("url", "https://x.org/".into()));
        let expected = json!({
            "external_id": "x", "event_type": "bounced", "occurred_at": "2021-02-25T15:02:10.250Z", "source_key": "e1",
            "reason": "invalid_recipient", "bounce_type": "hard", "bounce_class": "invalid_recipient",
            "detail": {"event": "hard_bounce", "code": "5.1.1", "text": "no\u{fffd}body", "url": "https://x.org/"},
        });
        assert_eq!(super::json(&report, None), expected);
        let mut unproven = expected;
        unproven["is_proven"] = false.into();
        unproven["channel"] = "email".into();
        assert_eq!(super::json(&report, Some(Channel::Email)), unproven);

        let mut report = Report::new(EventType::Received, "inbound", "k".repeat(3000));
        report.wish = Some(Wish::Stop);
        report.recipient = Some("+15005550006".into());
        report.reason = Some("asked");
        report.occurred_at = Some(UNIX_EPOCH + Duration::from_secs(u32::MAX.into()) * 1000);
        let event = super::json(&report, None);
        assert_eq!(event["wish"], "stop");
        assert_eq!(event["reason"], "asked");
        assert_eq!(event["occurred_at"], "9999-12-31T23:59:59.000Z");
        assert!(
            event["source_key"]
                .as_str()
                .is_some_and(|key| key.len() < 100)
        );
    }
}
