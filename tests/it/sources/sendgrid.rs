//! SendGrid's Event Webhook.

use postroad::gateway::sendgrid::webhook::{Source, WebhookSettings};
use postroad::gateway::source::list::List;
use postroad::model::duration;
use postroad::model::event::EventType;
use serde_json::json;

use super::*;

/// Key, signature, timestamp and body as SendGrid's own library tests them (sendgrid-python, `test_eventwebhook.py`).
pub(super) const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
const SIGNATURE: &str = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
const TIMESTAMP: &str = "1600112502";
const BODY: &[u8] = include_bytes!("../../fixtures/webhooks/sendgrid/signed.json");
const OTHER_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo7aNDthvj+y7GjUuFDb/R1NGe1OPzpA==";
const OTHER_SIGNATURE: &str = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH3j/0=";

const SIGNATURE_HEADER: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP_HEADER: &str = "x-twilio-email-event-webhook-timestamp";

pub(super) const EVENTS: &str = include_str!("../../fixtures/webhooks/sendgrid/events.json");

pub(super) fn source(keys: &[&str]) -> Source {
    let settings = WebhookSettings {
        public_keys: List(keys.iter().map(|key| (*key).into()).collect()),
        freshness: duration::Text(Duration::from_secs(300)),
    };
    Source::new("sendgrid", &settings).expect("settings that make sense")
}

pub(super) fn signed() -> Request {
    let headers = [(SIGNATURE_HEADER, SIGNATURE), (TIMESTAMP_HEADER, TIMESTAMP)];
    Request::new(&headers, BODY, at(1_600_112_510))
}

/// The published vector, by one of two keys, since keys are rotated.
#[tokio::test]
async fn sendgrids_own_vector_passes() {
    for keys in [&[KEY][..], &[OTHER_KEY, KEY]] {
        let verified = signed().verify(&source(keys)).await;
        assert_eq!(verified, Ok(Verified::default()));
    }
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{KEY}\n-----END PUBLIC KEY-----\n");
    assert!(signed().verify(&source(&[&pem])).await.is_ok());
}

/// A forged complaint suppresses a victim.
#[tokio::test]
async fn each_single_change_is_refused() {
    let (source, good) = (source(&[KEY]), signed());
    for body in with_changed_bytes(BODY) {
        assert!(good.with_body(body).is_forged(&source).await);
    }
    let trimmed = BODY.trim_ascii_end();
    for forged in [
        good.with_body(trimmed), // the line's end belongs to it
        good.with_body(""),
        good.with_header(SIGNATURE_HEADER, None),
        good.with_header(SIGNATURE_HEADER, Some("")),
        good.with_header(SIGNATURE_HEADER, Some("no base64!")),
        good.with_header(SIGNATURE_HEADER, Some(OTHER_SIGNATURE)),
        good.with_header_twice(SIGNATURE_HEADER),
        good.with_header(TIMESTAMP_HEADER, None),
        good.with_header(TIMESTAMP_HEADER, Some("1600112503")),
        good.with_header(TIMESTAMP_HEADER, Some("timestamp")),
        good.with_header_twice(TIMESTAMP_HEADER),
    ] {
        assert!(forged.is_forged(&source).await);
    }
    let other = super::sendgrid::source(&[OTHER_KEY]);
    assert!(good.is_forged(&other).await);
    let of_mailgun = super::mailgun::signed();
    assert!(of_mailgun.is_forged(&source).await);
}

/// What was captured is worth nothing later, and a clock that is off is found out.
#[tokio::test]
async fn what_is_stale_is_refused() {
    let made: u64 = 1_600_112_502;
    for (now, is_fresh) in [
        (made - 301, false),
        (made - 300, true),
        (made + 300, true),
        (made + 301, false),
    ] {
        let request = signed().at(at(now));
        assert_eq!(request.is_forbidden(&source(&[KEY])).await, !is_fresh);
        assert_eq!(request.verify(&source(&[KEY])).await.is_ok(), is_fresh);
    }
}

/// Without a key anybody's word would be taken.
#[test]
fn a_source_without_a_good_key_is_none() {
    for keys in [&[][..], &["no key"], &["AAAA"], &[KEY, "no key"]] {
        let settings = WebhookSettings {
            public_keys: List(keys.iter().map(|key| (*key).into()).collect()),
            freshness: duration::Text(Duration::from_secs(300)),
        };
        assert!(Source::new("sendgrid", &settings).is_err(), "{keys:?}");
    }
    let rotated = format!("public_keys = '{KEY}, {OTHER_KEY}'");
    let settings: WebhookSettings = toml::from_str(&rotated).expect("settings");
    assert_eq!(settings.public_keys.0, [KEY, OTHER_KEY]);
    let typo = toml::from_str::<WebhookSettings>("public_key = 'x'\npublic_keys = []");
    assert!(typo.is_err());
}

/// Each event that SendGrid documents, as we name it.
#[test]
fn each_documented_event_is_read() -> anyhow::Result<()> {
    let reports = read(&source(&[KEY]), EVENTS.as_bytes())?;
    let of = |what: &str| what.replace('@', "example@test.com");
    let expected = [
        "queued | processed | - | - | @ | -",
        "deferred | deferred | undetermined | - | @ | -",
        "delivered | delivered | - | - | @ | -",
        "opened | open | - | - | @ | -",
        "clicked | click | - | - | @ | -",
        "bounced | bounce/bounce | invalid_recipient | Hard/invalid_recipient | @ | 5.0.0",
        "bounced | bounce/blocked | reputation | Soft/reputation | @ | 5.7.1",
        "bounced | dropped | provider_suppressed | Hard/invalid_recipient | @ | 5.0.0",
        "complained | spamreport | - | - | @ | -",
        "unsubscribed | unsubscribe | - | - | @ | -",
        "unsubscribed | group_unsubscribe | - | - | @ | -",
    ];
    assert_eq!(lines(&reports), expected.map(of));

    let [_, _, delivered, opened, clicked, ..] = &reports[..] else {
        panic!("too few");
    };
    assert_eq!(delivered.source_key, "rWVYmVk90MjZJ9iohOBa3w==");
    assert_eq!(delivered.occurred_at, Some(at(1_513_299_569)));
    // Another system's mail on the same account: no id of ours, but SendGrid's.
    assert_eq!(delivered.message_id, None);
    let external_id = delivered.external_id.as_deref();
    assert_eq!(external_id, Some("14c5d75ce93"));
    assert_eq!(delivered.text.as_deref(), Some("250 OK"));
    assert!(opened.detail.contains(&("machine", "true".into())));
    assert!(!clicked.detail.iter().any(|(name, _)| *name == "machine"));
    let url = "http://www.sendgrid.com/".to_owned();
    assert!(clicked.detail.contains(&("url", url)));
    Ok(())
}

/// By it the event finds its message, whatever ids the provider made.
#[test]
fn our_id_comes_back() -> anyhow::Result<()> {
    let body = json!([
        {"event": "delivered", "email": "a@example.org", "sg_event_id": "1", "postroad_id": OUR_ID},
        {"event": "delivered", "email": "a@example.org", "sg_event_id": "2", "postroad_id": "theirs"},
    ]);
    let reports = read(&source(&[KEY]), body.to_string().as_bytes())?;
    assert_eq!(reports[0].message_id, OUR_ID.parse().ok());
    assert_eq!(reports[1].message_id, None);
    Ok(())
}

/// What SendGrid drops it drops for the recipient's sake or for ours; only the former suppresses.
#[test]
fn a_drop_is_read_by_its_reason() -> anyhow::Result<()> {
    for (reason, expected) in [
        ("Bounced Address", &["bounced | Hard/invalid_recipient"][..]),
        ("Invalid", &["bounced | Hard/invalid_recipient"]),
        ("Unsubscribed Address", &["failed | -", "unsubscribed | -"]),
        ("Spam Reporting Address", &["failed | -", "complained | -"]),
        (
            "Spam Content (if spam checker app enabled)",
            &["failed | -"],
        ),
        ("Invalid SMTPAPI header", &["failed | -"]),
        ("Recipient List over Package Quota", &["failed | -"]),
        ("", &["failed | -"]),
    ] {
        let event = json!([{"event": "dropped", "email": "a@example.org", "reason": reason, "sg_event_id": "1"}]);
        let reports = read(&source(&[KEY]), event.to_string().as_bytes())?;
        let short = |report: &Report| {
            let parts: Vec<_> = line(report).split(" | ").map(str::to_owned).collect();
            format!("{} | {}", parts[0], parts[3])
        };
        let short: Vec<_> = reports.iter().map(short).collect();
        assert_eq!(short, expected, "{reason}");
        assert!(reports[0].reason.is_some(), "{reason}");
        let second_says_why = reports.get(1).is_none_or(|second| {
            matches!(
                second.event_type,
                EventType::Unsubscribed | EventType::Complained
            )
        });
        assert!(second_says_why);
    }
    Ok(())
}

/// The same reply means different things by SendGrid's classification; blocked is never for good.
#[test]
fn a_bounce_is_read_by_classification_then_by_reply() -> anyhow::Result<()> {
    for (kind, classification, status, reason, expected) in [
        (
            "bounce",
            "Invalid Address",
            "5.0.0",
            "500 unknown",
            "Hard/invalid_recipient",
        ),
        (
            "blocked",
            "Invalid Address",
            "5.0.0",
            "500 unknown",
            "Soft/invalid_recipient",
        ),
        (
            "bounce",
            "Mailbox Unavailable",
            "5.2.2",
            "552 full",
            "Soft/mailbox_full",
        ),
        (
            "bounce",
            "Mailbox Unavailable",
            "5.2.1",
            "550 disabled",
            "Hard/mailbox_unavailable",
        ),
        (
            "bounce",
            "Reputation",
            "5.1.1",
            "550 user unknown",
            "Soft/reputation",
        ),
        ("bounce", "Content", "5.7.1", "550 spam", "Soft/policy"),
        ("bounce", "Technical", "4.4.1", "timed out", "Soft/network"),
        (
            "bounce",
            "Unclassified",
            "5.1.1",
            "550 user unknown",
            "Hard/invalid_recipient",
        ),
        (
            "bounce",
            "Unclassified",
            "5.7.1",
            "550 policy",
            "Soft/policy",
        ),
        (
            "bounce",
            "",
            "",
            "550 5.1.1 no such user",
            "Hard/invalid_recipient",
        ),
        (
            "blocked",
            "",
            "",
            "550 5.1.1 no such user",
            "Soft/invalid_recipient",
        ),
    ] {
        let event = json!([{
            "event": "bounce", "email": "a@example.org", "sg_event_id": "1", "type": kind,
            "bounce_classification": classification, "status": status, "reason": reason,
        }]);
        let reports = read(&source(&[KEY]), event.to_string().as_bytes())?;
        let bounce = reports[0].bounce.expect("a bounce");
        let found = format!("{:?}/{}", bounce.kind, bounce.class.as_str());
        assert_eq!(found, expected, "{kind} {classification} {reason}");
    }
    Ok(())
}

/// What is not an array of events waits in the inbox for somebody to look at it.
#[test]
fn what_is_no_array_of_events_is_unreadable() {
    for body in [
        "",
        "{}",
        "null",
        "[1]",
        "[{}]",
        r#"[{"event": 7}]"#,
        "[{\"event\":\"open\"}",
    ] {
        assert!(read(&source(&[KEY]), body.as_bytes()).is_err(), "{body}");
    }
    let unknown = r#"[{"event": "account_status_change", "type": "compliance_suspend"}]"#;
    let reports = read(&source(&[KEY]), unknown.as_bytes());
    assert_eq!(reports.expect("readable"), []);
    let many = format!("[{}1]", "{\"event\":\"open\"},".repeat(10_001));
    assert!(read(&source(&[KEY]), many.as_bytes()).is_err());
}
