use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::gateway::testing;

fn source() -> Source {
    let settings = WebhookSettings {
        username: "bandwidth".into(),
        password: Some("hunter2".into()),
        previous_password: Some("hunter1".into()),
    };
    Source::new("bandwidth", &settings).expect("a source")
}

/// Bandwidth does not sign; only the password keeps others from reporting in its name.
#[test]
fn only_the_callbacks_credentials_are_accepted() {
    let verify = |pair: &str| {
        let value = format!("Basic {}", STANDARD.encode(pair));
        testing::verify(
            &source(),
            "https://x.org/",
            &[("authorization", &value)],
            b"[]",
        )
    };
    assert!(verify("bandwidth:hunter2").is_ok());
    assert!(verify("bandwidth:hunter1").is_ok(), "while it is replaced");
    for wrong in [
        "bandwidth:hunter3",
        "bandwidth:",
        "other:hunter2",
        ":hunter2",
        "bandwidth:hunter2 ",
    ] {
        assert!(
            matches!(verify(wrong), Err(Refused::Unauthenticated(_))),
            "{wrong}"
        );
    }
    assert!(testing::verify(&source(), "https://x.org/", &[], b"[]").is_err());
}

/// Half a credential lets everybody in who leaves out the other half.
#[test]
fn settings_without_both_credentials_are_refused() {
    for wrong in [
        "",
        "username = 'a'",
        "password = 'hunter2'",
        "username = 'a'\npassword = ''",
        "username = 'a'\npassword = ' \t'",
        "username = ' '\npassword = 'hunter2'",
        "username = 'a:b'\npassword = 'hunter2'",
    ] {
        let error = Source::new("bandwidth", &toml::from_str(wrong).expect("settings"))
            .err()
            .expect(wrong);
        assert!(!error.contains("hunter2"));
    }
}

fn parse(body: &[u8]) -> Result<Vec<Report>, Unreadable> {
    testing::parse(&source(), None, Some("application/json"), body)
}

/// What Bandwidth's documentation shows.
#[test]
fn documented_callbacks_are_read() {
    let reports = parse(include_bytes!(
        "../../../../tests/fixtures/webhooks/bandwidth.json"
    ))
    .expect("reports");
    let at = |seconds: u64, millis: u32| {
        Some(UNIX_EPOCH + Duration::new(1_795_262_341 + seconds, millis * 1_000_000))
    };
    let delivered = Report {
        message_id: Uuid::try_parse("01920000-0000-7000-8000-000000000001").ok(),
        external_id: Some("14762070468292kw2fuqty55yp2b2".into()),
        occurred_at: at(0, 275),
        recipient: Some("+12345678902".into()),
        detail: vec![("carrier", "AT&T".into())],
        ..Report::new(
            EventType::Delivered,
            "message-delivered",
            "14762070468292kw2fuqty55yp2b2:message-delivered:+12345678902",
        )
    };
    let failed = Report {
        message_id: Uuid::try_parse("01920000-0000-7000-8000-000000000002").ok(),
        external_id: Some("14762070468292kw2fuqty55yp2b3".into()),
        occurred_at: at(1, 0),
        reason: Some("invalid_number"),
        bounce: Some(Bounce {
            kind: BounceKind::Hard,
            class: BounceClass::InvalidRecipient,
        }),
        recipient: Some("+12345678903".into()),
        code: Some("4720".into()),
        text: Some("rejected-unallocated-from-number".into()),
        ..Report::new(
            EventType::Bounced,
            "message-failed",
            "14762070468292kw2fuqty55yp2b3:message-failed:+12345678903",
        )
    };
    let received = Report {
        external_id: Some("14762070468292kw2fuqty55yp2b4".into()),
        occurred_at: at(2, 0),
        recipient: Some("+12345678902".into()),
        text: Some("Stop please".into()),
        detail: vec![("to", "+12345678901".into())],
        ..Report::new(
            EventType::Received,
            "message-received",
            "14762070468292kw2fuqty55yp2b4:message-received:+12345678901",
        )
    };
    assert_eq!(reports, [delivered, failed, received]);
}

fn failed(code: u32) -> Vec<Report> {
    let body =
        format!(r#"[{{"type": "message-failed", "errorCode": {code}, "message": {{"id": "1"}}}}]"#);
    parse(body.as_bytes()).expect("reports")
}

/// Only what is the recipient's may suppress, and a carrier's opt-out is the person's own word.
#[test]
fn error_codes_say_whose_fault_it_was() {
    use BounceClass::*;
    use EventType::*;
    let (hard, soft) = (BounceKind::Hard, BounceKind::Soft);
    for (code, event_type, reason, bounce) in [
        (
            4753,
            Bounced,
            "invalid_number",
            Some((hard, InvalidRecipient)),
        ),
        (
            4750,
            Bounced,
            "unreachable",
            Some((soft, MailboxUnavailable)),
        ),
        (4470, Bounced, "content_refused", Some((soft, Policy))),
        (4770, Failed, "rejected", None),
        (4791, Failed, "sender_refused", None),
        (4360, Failed, "expired", None),
        (5600, Bounced, "network_failed", Some((soft, Network))),
        (9902, Bounced, "undetermined", Some((soft, Undetermined))),
        (1, Failed, "failed", None),
    ] {
        let reports = failed(code);
        let [report] = &reports[..] else {
            panic!("{code}: {reports:?}")
        };
        assert_eq!(report.event_type, event_type, "{code}");
        assert_eq!(report.reason, Some(reason), "{code}");
        assert_eq!(report.bounce.map(|b| (b.kind, b.class)), bounce, "{code}");
    }
    let opt_out = failed(4775);
    let types: Vec<_> = opt_out.iter().map(|r| (r.event_type, r.wish)).collect();
    assert_eq!(types, [(Failed, None), (Unsubscribed, Some(Wish::Stop))]);
}

/// STOP alone is a wish; a word that is new to us is no event, and no error.
#[test]
fn inbound_words_and_unknown_types() {
    let stop = br#"[{"type": "message-received", "message": {"id": "1", "from": "+1", "text": " stop "}}]"#;
    assert_eq!(parse(stop).expect("reports")[0].wish, Some(Wish::Stop));
    let unknown = br#"[{"type": "message-pondered", "message": {"id": "1"}}]"#;
    assert_eq!(parse(unknown), Ok(vec![]));
    for wrong in [
        "",
        "{}",
        "[1]",
        r#"[{"type": "message-sent"}]"#,
        r#"[{"message": {"id": "1"}}]"#,
    ] {
        assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

proptest! {
    /// Whoever has the password is not thereby trusted to keep to the documentation.
    #[test]
    fn no_body_makes_it_panic_or_grow(body in proptest::collection::vec(any::<u8>(), 0..2000), text in ".{0,2000}", kind in "message-(failed|received|sent|x)", code in any::<u32>()) {
        let _ = parse(&body);
        let body = serde_json::json!([{"type": kind, "errorCode": code, "time": text, "to": text, "description": text, "message": {"id": text, "from": text, "text": text, "tag": text}}]);
        for report in parse(body.to_string().as_bytes()).expect("reports") {
            prop_assert!(report.text.is_none_or(|text| text.len() <= PROVIDER_TEXT_MAX));
            prop_assert!(report.source_key.len() <= 600);
        }
    }
}
