use proptest::prelude::*;

use super::*;
use crate::gateway::testing;

const SECRET: &str = "c2VjcmV0LXNlY3JldC1z";

fn source() -> Source {
    let settings = WebhookSettings {
        secret: Some(SECRET.into()),
        previous_secret: Some("b2xkZXItb2xkZXItb2xk".into()),
    };
    Source::new("ovh", &settings).expect("a source")
}

fn verify(url: &str) -> Result<Verified, Refused> {
    testing::verify(&source(), url, &[], b"")
}

/// OVH does not sign; only the secret keeps others from saying that a number is gone.
#[test]
fn only_a_url_that_holds_the_secret_is_accepted() {
    let base = "https://post.example.org/webhooks/ovh";
    let call = "id=196&ptt=4&date=20261121120000";
    for right in [
        format!("{base}?secret={SECRET}&{call}"),
        format!("{base}?{call}&secret=b2xkZXItb2xkZXItb2xk"),
        format!("{base}/{SECRET}?{call}"),
    ] {
        let verified = verify(&right).expect(&right);
        assert_eq!(verified.key.as_deref(), Some("196:4:20261121120000::"));
    }
    for wrong in [
        format!("{base}?{call}"),
        format!("{base}?secret=&{call}"),
        format!("{base}?secret={SECRET}x&{call}"),
        format!("{base}?secret=C2VjcmV0LXNlY3JldC1z&{call}"),
        format!("{base}?Secret={SECRET}&{call}"),
        format!("{base}/{SECRET}/?{call}"),
        format!("{base}/x?{call}#/{SECRET}"),
        format!("{base}/{SECRET}?secret=x&{call}"),
    ] {
        let refused = verify(&wrong);
        assert!(
            matches!(refused, Err(Refused::Unauthenticated(_))),
            "{wrong}"
        );
    }
}

/// A short secret can be guessed over the Internet; one with other characters changes on the way.
#[test]
fn a_secret_must_be_long_and_plain() {
    let build = |secret: Option<&str>| {
        let settings = WebhookSettings {
            secret: secret.map(Into::into),
            previous_secret: None,
        };
        Source::new("ovh", &settings).map(drop)
    };
    assert!(build(Some(SECRET)).is_ok());
    for wrong in [
        None,
        Some(""),
        Some("short"),
        Some("with/slash/and/more/of/it"),
    ] {
        assert!(build(wrong).is_err(), "{wrong:?}");
    }
}

fn parse(query: &str, body: &str) -> Result<Vec<Report>, Unreadable> {
    testing::parse(&source(), Some(query), None, body.as_bytes())
}

/// Whichever way the fields come, it is the same event.
#[test]
fn a_call_is_read_from_its_query_its_form_or_its_json() {
    let expected = Report {
        external_id: Some("196".into()),
        code: Some("4".into()),
        detail: vec![("dlr", "1".into())],
        ..Report::new(EventType::Delivered, "ptt 4", "196:4")
    };
    for (query, body) in [
        (
            "secret=x&id=196&ptt=4&date=20261121120000&description=1&descriptionDlr=1",
            "",
        ),
        ("secret=x&id=196&ptt=4&dlr=1", ""),
        ("secret=x", "id=196&ptt=4&description=1"),
        (
            "secret=x",
            r#"{"id": 196, "ptt": "4", "descriptionDlr": 1}"#,
        ),
    ] {
        assert_eq!(
            parse(query, body).as_deref(),
            Ok(&[expected.clone()][..]),
            "{query} {body}"
        );
    }
    for wrong in ["ptt=4", "id=&ptt=4", "id=196", "id=196&ptt=x"] {
        assert!(parse(wrong, "").is_err(), "{wrong}");
    }
    assert!(parse("id=1&ptt=4", "{").is_err());
}

/// Only a number that is not there suppresses.
#[test]
fn codes_say_whose_fault_it_was() {
    use BounceClass::*;
    use EventType::*;
    let one = |ptt: u32, dlr: &str| {
        let reports = parse(&format!("id=1&ptt={ptt}&dlr={dlr}"), "").expect("reports");
        reports
            .first()
            .map(|r| (r.event_type, r.bounce.map(|b| (b.kind, b.class))))
    };
    let (hard, soft) = (BounceKind::Hard, BounceKind::Soft);
    for (ptt, expected) in [
        (2, (Deferred, None)),
        (3, (Sent, None)),
        (23, (Bounced, Some((hard, InvalidRecipient)))),
        (22, (Bounced, Some((soft, Undetermined)))),
        (24, (Bounced, Some((soft, MailboxUnavailable)))),
        (20, (Bounced, Some((soft, Undetermined)))),
        (29, (Failed, None)),
        (202, (Bounced, Some((soft, Policy)))),
    ] {
        assert_eq!(one(ptt, "2"), Some(expected), "{ptt}");
    }
    assert_eq!(one(9999, "1"), Some((Delivered, None)));
    assert_eq!(one(9999, "8"), None, "still under way");
}

proptest! {
    /// Whoever has the secret is not thereby trusted to keep to the documentation.
    #[test]
    fn no_call_makes_it_panic_or_grow(query in ".{0,200}", body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = testing::verify(&source(), &format!("https://x.org/a?secret={SECRET}&{query}"), &[], &body);
        for report in testing::parse(&source(), Some(&query), None, &body).unwrap_or_default() {
            prop_assert!(report.source_key.len() <= 100);
        }
    }
}
