//! Mailgun's webhooks.

use postroad::gateway::mailgun::webhook::{Source, WebhookSettings};
use postroad::gateway::source::list::List;
use postroad::model::duration;
use postroad::model::secret::Secret;
use ring::hmac;
use serde_json::json;

use super::*;

/// Key, token, timestamp and signature as Ruby on Rails tests them (`actionmailbox`, Mailgun's ingress).
const KEY: &str = "tbsy84uSV1Kt3ZJZELY2TmShPRs91E3yL4tzf96297vBCkDWgL";
const TOKEN: &str = "7VwW7k6Ak7zcTwoSoNm7aTtbk1g67MKAnsYLfUB7PdszbgR5Xi";
const TIMESTAMP: u64 = 1_539_112_500;
const SIGNATURE: &str = "ef24c5225322217bb065b80bb54eb4f9206d764e3e16abab07f0a64d1cf477cc";
const OTHER_KEY: &str = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0";

pub(super) const EVENTS: &str = include_str!("../../fixtures/webhooks/mailgun/events.json");

pub(super) fn source(keys: &[&str]) -> Source {
    let settings = WebhookSettings {
        signing_keys: List(keys.iter().map(|key| Secret::from(*key)).collect()),
        freshness: duration::Text(Duration::from_secs(300)),
    };
    Source::new("mailgun", &settings).expect("settings that make sense")
}

/// One by the vector's key.
pub(super) fn default_source() -> Source {
    source(&[KEY])
}

fn body(proof: &Value) -> Value {
    json!({"signature": proof, "event-data": {"event": "delivered", "id": "1", "timestamp": 1.5}})
}

fn proof() -> Value {
    json!({"timestamp": TIMESTAMP.to_string(), "token": TOKEN, "signature": SIGNATURE})
}

fn posted(proof: &Value) -> Request {
    Request::new(&[], body(proof).to_string(), at(TIMESTAMP + 60))
}

pub(super) fn signed() -> Request {
    posted(&proof())
}

/// A proof with one field changed, or without it.
fn changed(name: &str, value: Option<Value>) -> Request {
    let mut proof = proof();
    let fields = proof.as_object_mut().expect("an object");
    fields.remove(name);
    fields.extend(value.map(|value| (name.to_owned(), value)));
    posted(&proof)
}

/// The published vector, by one of two keys; its token is what may not come again.
#[tokio::test]
async fn the_published_vector_passes() {
    for keys in [&[KEY][..], &[OTHER_KEY, KEY]] {
        let verified = signed().verify(&source(keys)).await.expect("verified");
        assert_eq!(verified.key.as_deref(), Some(TOKEN));
        assert_eq!(verified.replay.as_deref(), Some(TOKEN));
    }
    // As a number, too.
    let request = changed("timestamp", Some(json!(TIMESTAMP)));
    assert!(request.verify(&source(&[KEY])).await.is_ok());
    let upper = SIGNATURE.to_ascii_uppercase();
    let request = changed("signature", Some(json!(upper)));
    assert!(request.verify(&source(&[KEY])).await.is_ok());
}

/// A forged complaint suppresses a victim.
#[tokio::test]
async fn each_single_change_is_refused() {
    let source = source(&[KEY]);
    for signature in with_changed_bytes(SIGNATURE.as_bytes()) {
        let signature = String::from_utf8(signature).expect("ASCII");
        assert!(
            changed("signature", Some(json!(signature)))
                .is_forged(&source)
                .await
        );
    }
    for forged in [
        changed("timestamp", Some(json!("1539112501"))),
        changed("timestamp", None),
        changed("token", Some(json!(TOKEN.replace('7', "8")))),
        changed("token", Some(json!(""))),
        changed("token", None),
        changed("signature", Some(json!(""))),
        changed("signature", Some(json!(&SIGNATURE[2..]))),
        changed("signature", Some(json!(format!("{SIGNATURE}00")))),
        changed("signature", Some(json!("é".repeat(32)))),
        changed("signature", None),
        posted(&json!(null)),
        posted(&json!([])),
    ] {
        assert!(forged.is_forged(&source).await);
    }
    // The same text, cut elsewhere, is signed alike; but the time is then another one.
    let moved =
        json!({"timestamp": "153911250", "token": format!("0{TOKEN}"), "signature": SIGNATURE});
    assert!(posted(&moved).is_forbidden(&source).await);
    let other = super::mailgun::source(&[OTHER_KEY]);
    assert!(signed().is_forged(&other).await);
    for body in ["", "not JSON", "[", "é"] {
        let refused = signed().with_body(body).verify(&source).await;
        assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
    }
}

/// Time and token are signed as one text: where they meet must not be moved, or a token could come twice.
#[tokio::test]
async fn a_token_cannot_lend_its_beginning_to_the_timestamp() {
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signature = hmac::sign(&key, format!("{TIMESTAMP}e0b54771").as_bytes());
    let hex = signature.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let hex: String = hex.collect();
    let with = |timestamp: &str, token: &str| {
        posted(&json!({"timestamp": timestamp, "token": token, "signature": hex}))
    };
    let source = source(&[KEY]);
    let whole = with(&TIMESTAMP.to_string(), "e0b54771");
    assert!(whole.verify(&source).await.is_ok());
    let moved = with(&format!("{TIMESTAMP}e0"), "b54771");
    let refused = moved.verify(&source).await;
    assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
}

/// An event of a subaccount is signed by its own key and by its parent's.
#[tokio::test]
async fn the_parents_signature_is_good_for_a_subaccount() {
    let of_subaccount = |parent: &str| {
        let zeros = "0".repeat(64);
        json!({"timestamp": TIMESTAMP.to_string(), "token": TOKEN, "signature": zeros, "parent-signature": parent})
    };
    let source = source(&[KEY]);
    assert!(
        posted(&of_subaccount(SIGNATURE))
            .verify(&source)
            .await
            .is_ok()
    );
    assert!(
        posted(&of_subaccount(&"0".repeat(64)))
            .is_forged(&source)
            .await
    );
}

/// A token is remembered only as long as its timestamp is fresh.
#[tokio::test]
async fn what_is_stale_is_refused() {
    for (now, is_fresh) in [
        (TIMESTAMP - 301, false),
        (TIMESTAMP - 300, true),
        (TIMESTAMP + 300, true),
        (TIMESTAMP + 301, false),
    ] {
        let request = signed().at(at(now));
        assert_eq!(request.is_forbidden(&source(&[KEY])).await, !is_fresh);
        assert_eq!(request.verify(&source(&[KEY])).await.is_ok(), is_fresh);
    }
}

/// An empty key is a key that everybody knows.
#[test]
fn a_source_without_a_key_is_none() {
    for settings in [
        "signing_keys = []",
        "signing_keys = ''",
        "signing_keys = ' , '",
    ] {
        let settings: WebhookSettings = toml::from_str(settings).expect(settings);
        assert!(Source::new("mailgun", &settings).is_err());
    }
    assert!(toml::from_str::<WebhookSettings>("signing_keys = 'a'\nkey = 'b'").is_err());
    let settings: WebhookSettings = toml::from_str("signing_keys = 'hunter2'").expect("settings");
    assert!(!format!("{settings:?}").contains("hunter2"));
}

fn report(name: &str) -> Vec<Report> {
    let events = fixture(EVENTS);
    let body = json!({"signature": proof(), "event-data": events[name]});
    read(&source(&[KEY]), body.to_string().as_bytes()).expect(name)
}

/// Each event that Mailgun documents, as we name it.
#[test]
fn each_documented_event_is_read() {
    let of = |what: &str| what.replace('@', "alice@example.com");
    for (name, expected) in [
        ("accepted", &["queued | accepted | - | - | @ | -"][..]),
        ("delivered", &["delivered | delivered | - | - | @ | 250"]),
        (
            "permanent",
            &[
                "bounced | failed/permanent/bounce | invalid_recipient | Hard/invalid_recipient | @ | 5.1.1",
            ],
        ),
        (
            "suppress_bounce",
            &[
                "bounced | failed/permanent/suppress-bounce | provider_suppressed | Hard/invalid_recipient | @ | 605",
            ],
        ),
        (
            "suppress_complaint",
            &[
                "failed | failed/permanent/suppress-complaint | provider_suppressed | - | @ | 607",
                "complained | failed/permanent/suppress-complaint | - | - | @ | 607",
            ],
        ),
        (
            "suppress_unsubscribe",
            &[
                "failed | failed/permanent/suppress-unsubscribe | provider_suppressed | - | @ | 606",
                "unsubscribed | failed/permanent/suppress-unsubscribe | - | - | @ | 606",
            ],
        ),
        (
            "temporary",
            &["deferred | failed/temporary/generic | undetermined | - | @ | 498"],
        ),
        (
            "greylisted",
            &["deferred | failed/temporary/greylisted | throttled | - | @ | 450"],
        ),
        ("rejected", &["failed | rejected | rejected | - | - | -"]),
        ("opened", &["opened | opened | - | - | @ | -"]),
        ("clicked", &["clicked | clicked | - | - | @ | -"]),
        (
            "unsubscribed",
            &["unsubscribed | unsubscribed | - | - | @ | -"],
        ),
        ("complained", &["complained | complained | - | - | @ | -"]),
        ("stored", &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|line| of(line)).collect();
        assert_eq!(lines(&report(name)), expected, "{name}");
    }
    let clicked = &report("clicked")[0];
    let id = "20130503182626.18666.16540@samples.mailgun.org";
    assert_eq!(clicked.external_id.as_deref(), Some(id));
    assert_eq!(clicked.message_id, None);
    assert!(
        clicked
            .detail
            .contains(&("url", "http://mailgun.net".into()))
    );
    assert_eq!(
        clicked.source_key,
        "Ase7i2zsRYeDXztHGENqRC:1521233195.375624"
    );
    let told = clicked.occurred_at.expect("a time");
    assert_eq!(
        told.duration_since(at(1_521_233_195))
            .expect("later")
            .as_millis(),
        375
    );
}

/// A permanent failure blames the recipient only where the server did.
#[test]
fn a_permanent_failure_is_read_by_reason_then_by_reply() {
    for (reason, code, message, expected) in [
        (
            "bounce",
            550,
            "5.1.1 no such user",
            "Hard/invalid_recipient",
        ),
        ("bounce", 550, "5.7.1 rejected by policy", "Soft/policy"),
        ("bounce", 552, "5.2.2 over quota", "Soft/mailbox_full"),
        ("espblock", 550, "5.1.1 no such user", "Soft/reputation"),
        ("blacklisted", 550, "5.1.1 no such user", "Soft/reputation"),
        ("old", 602, "Too old", "Soft/undetermined"),
        ("generic", 550, "", "Soft/undetermined"),
    ] {
        let event = json!({
            "event": "failed", "severity": "permanent", "reason": reason, "recipient": "a@example.org", "id": "1",
            "delivery-status": {"code": code, "message": message},
        });
        let body = json!({"event-data": event}).to_string();
        let reports = read(&source(&[KEY]), body.as_bytes()).expect("readable");
        let bounce = reports[0].bounce.expect("a bounce");
        let found = format!("{:?}/{}", bounce.kind, bounce.class.as_str());
        assert_eq!(found, expected, "{reason} {message}");
    }
}

/// By it the event finds its message. Mailgun puts a text there instead when the variables were too long.
#[test]
fn our_id_comes_back() {
    for (variables, expected) in [
        (json!({"postroad_id": OUR_ID}), OUR_ID.parse().ok()),
        (json!({"postroad_id": "theirs"}), None),
        (json!("too large"), None),
    ] {
        let event = json!({"event": "opened", "id": "1", "user-variables": variables});
        let body = json!({"event-data": event}).to_string();
        let reports = read(&source(&[KEY]), body.as_bytes()).expect("readable");
        assert_eq!(reports[0].message_id, expected);
    }
}

/// What is no event waits in the inbox for somebody to look at it.
#[test]
fn what_is_no_event_is_unreadable() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"event-data": {}}"#,
        r#"{"event-data": {"event": 1}}"#,
    ] {
        assert!(read(&source(&[KEY]), body.as_bytes()).is_err(), "{body}");
    }
}
