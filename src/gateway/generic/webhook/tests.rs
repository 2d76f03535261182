use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const PUBLIC: &str = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";

/// Vectors of the standard's own libraries (`libraries/javascript/src/webhook.test.ts` @10d3e46): id, time, body.
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const AT: u64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn source(secret: &str, previous: Option<&str>) -> Source {
    let settings = WebhookSettings {
        secret: Some(secret.into()),
        previous_secret: previous.map(Into::into),
        freshness: None,
    };
    Source::new("own", &settings).expect("a source")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value).expect("a value");
        (HeaderName::from_static(name), value)
    });
    pairs.collect()
}

async fn verified(
    source: &Source,
    headers: &HeaderMap,
    body: &[u8],
    now: u64,
) -> Result<Verified, Refused> {
    let body = Bytes::copy_from_slice(body);
    let posted = Posted {
        url: "https://post.example.org/webhooks/own",
        query: None,
        headers,
        body: &body,
        now: UNIX_EPOCH + Duration::from_secs(now),
    };
    source.verify(&posted).await
}

fn signed(id: &str, at: &str, signature: &str) -> HeaderMap {
    headers(&[
        ("webhook-id", id),
        ("webhook-timestamp", at),
        ("webhook-signature", signature),
    ])
}

/// The published vector passes, and nothing passes that differs from it in anything.
#[tokio::test]
async fn the_published_vector_passes_and_each_change_of_it_is_refused() {
    let ours = source(SECRET, None);
    let at = AT.to_string();
    let good = signed(ID, &at, SIGNATURE);
    let passed = verified(&ours, &good, BODY, AT)
        .await
        .expect("it is genuine");
    assert_eq!(passed.key.as_deref(), Some(ID));
    // While its sender rotates, several signatures stand there, and we know two keys.
    let several = signed(ID, &at, &format!("v1,AAAA v2,xyz {SIGNATURE}"));
    assert!(verified(&ours, &several, BODY, AT).await.is_ok());
    assert!(
        verified(&source(OTHER, Some(SECRET)), &good, BODY, AT)
            .await
            .is_ok()
    );

    let unauthenticated = |result| matches!(result, Err(Refused::Unauthenticated(_)));
    assert!(unauthenticated(
        verified(&source(OTHER, None), &good, BODY, AT).await
    ));
    for changed in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[changed] ^= 1;
        assert!(unauthenticated(verified(&ours, &good, &body, AT).await));
    }
    for wrong in [
        signed("msg_q5jXN8AQM9LWM0D4loKWxJek", &at, SIGNATURE),
        signed(ID, "1614265331", SIGNATURE),
        signed(ID, &at, "v1,h0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        signed(ID, &at, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        signed(ID, &at, "v1,"),
        headers(&[("webhook-id", ID), ("webhook-timestamp", &at)]),
        headers(&[("webhook-id", ID), ("webhook-signature", SIGNATURE)]),
        headers(&[("webhook-timestamp", &at), ("webhook-signature", SIGNATURE)]),
        HeaderMap::new(),
    ] {
        assert!(
            unauthenticated(verified(&ours, &wrong, BODY, AT).await),
            "{wrong:?}"
        );
    }
    let mut twice = good.clone();
    twice.append("webhook-id", HeaderValue::from_static("another"));
    assert!(unauthenticated(verified(&ours, &twice, BODY, AT).await));
}

/// What was captured is worth nothing later, nor is what was made for later.
#[tokio::test]
async fn a_request_is_accepted_for_five_minutes_before_and_after_its_time() {
    let ours = source(SECRET, None);
    let good = signed(ID, &AT.to_string(), SIGNATURE);
    for now in [AT - 300, AT + 300] {
        assert!(verified(&ours, &good, BODY, now).await.is_ok());
    }
    for now in [AT - 301, AT + 301] {
        let refused = verified(&ours, &good, BODY, now).await;
        assert!(matches!(refused, Err(Refused::Forbidden(_))));
    }
}

/// A sender whose key we need not keep secret.
#[tokio::test]
async fn an_ed25519_signature_is_checked_by_the_public_key() {
    // `libraries/go/webhook_asymmetric_test.go` @5fb2ce9.
    let signature = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(
        &STANDARD
            .decode("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
            .expect("base64"),
    );
    let public = ring::signature::KeyPair::public_key(&pair.expect("a key"))
        .as_ref()
        .to_vec();
    let ours = source(&format!("whpk_{}", STANDARD.encode(public)), None);
    let good = signed(ID, &AT.to_string(), signature);
    assert!(verified(&ours, &good, BODY, AT).await.is_ok());
    assert!(
        verified(&source(PUBLIC, None), &good, BODY, AT)
            .await
            .is_err()
    );
    assert!(verified(&ours, &good, b"{}", AT).await.is_err());
}

/// A key that cannot be one would refuse everything later.
#[test]
fn settings_without_a_usable_key_are_refused_without_showing_it() {
    let build = |secret: &str| {
        let settings = WebhookSettings {
            secret: Some(secret.into()),
            ..WebhookSettings::default()
        };
        Source::new("own", &settings)
    };
    assert!(build(SECRET).is_ok() && build(PUBLIC).is_ok());
    for wrong in [
        "",
        "x",
        "whsec_AAAA",
        "whsec_***",
        "whpk_AAAA",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ] {
        let error = build(wrong).err().expect(wrong);
        assert!(wrong.len() < 4 || !error.contains(wrong), "{error}");
    }
    assert!(Source::new("own", &WebhookSettings::default()).is_err());
}

fn parsed(body: &str) -> Result<Vec<Report>, Unreadable> {
    let stored = Stored {
        query: None,
        content_type: None,
        body: body.as_bytes(),
        received_at: UNIX_EPOCH + Duration::from_secs(AT),
    };
    source(SECRET, None).parse(&stored)
}

/// All that can be said of an event arrives.
#[test]
fn an_event_is_read_whole() {
    let body = r#"{"id":"e1","type":"bounced","message_id":"01a1fd79-0000-7000-8000-000000000001","occurred_at":"2026-11-21T12:00:00Z",
        "recipient":"ada@example.org","bounce":"hard","class":"invalid_recipient","code":"5.1.1","text":"no such user"}"#;
    let [report] = &parsed(body).expect("an event")[..] else {
        panic!("not one")
    };
    let mut expected = Report::new(EventType::Bounced, "bounced", "e1");
    expected.message_id = Some(
        "01a1fd79-0000-7000-8000-000000000001"
            .parse()
            .expect("a uuid"),
    );
    expected.occurred_at = rfc3339::parse("2026-11-21T12:00:00Z");
    expected.recipient = Some("ada@example.org".into());
    expected.bounce = Some(Bounce {
        kind: BounceKind::Hard,
        class: BounceClass::InvalidRecipient,
    });
    expected.code = Some("5.1.1".into());
    expected.text = Some("no such user".into());
    assert_eq!(*report, expected);

    let body = r#" [{"id":"e2","type":"received","recipient":"+15005550006","wish":"stop"},
        {"id":"e3","type":"clicked","external_id":"x1","url":"https://example.org/"}]"#;
    let [stop, click] = &parsed(body).expect("events")[..] else {
        panic!("not two")
    };
    assert_eq!(stop.wish, Some(Wish::Stop));
    assert_eq!(stop.occurred_at, Some(UNIX_EPOCH + Duration::from_secs(AT)));
    assert_eq!(click.external_id.as_deref(), Some("x1"));
    assert_eq!(click.detail, [("url", "https://example.org/".to_owned())]);
    assert_eq!(parsed("[]"), Ok(vec![]));
}

/// Half an event is none: what is guessed suppresses the wrong person.
#[test]
fn what_is_no_event_of_ours_is_unreadable() {
    for wrong in [
        "",
        "{",
        "null",
        "7",
        "{}",
        r#"{"id":"e","type":"delivered"}"#,
        r#"{"id":"","type":"delivered","external_id":"x"}"#,
        r#"{"id":"e","type":"queued","external_id":"x"}"#,
        r#"{"id":"e","type":"Delivered","external_id":"x"}"#,
        r#"{"id":"e","type":"bounced","external_id":"x"}"#,
        r#"{"id":"e","type":"bounced","external_id":"x","bounce":"hard","class":"new"}"#,
        r#"{"id":"e","type":"delivered","external_id":"x","bounce":"hard"}"#,
        r#"{"id":"e","type":"received","wish":"go"}"#,
        r#"{"id":"e","type":"delivered","external_id":"x","occurred_at":"yesterday"}"#,
        r#"{"id":"e","type":"delivered","external_id":"x","colour":"red"}"#,
        r#"{"id":"e","type":"delivered","message_id":"7"}"#,
    ] {
        assert!(parsed(wrong).is_err(), "{wrong}");
    }
    let one = r#"{"id":"e","type":"received"}"#;
    let many = |count| format!("[{}]", vec![one; count].join(","));
    assert!(parsed(&many(EVENTS_MAX)).is_ok());
    assert!(parsed(&many(EVENTS_MAX + 1)).is_err());
    let long = format!(r#"{{"id":"{}","type":"received"}}"#, "e".repeat(256));
    assert!(parsed(&long).is_err());
}

proptest! {
    /// What a verified sender posts may still be anything; its words do not reach the error.
    #[test]
    fn no_body_panics_and_no_error_repeats_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        word in "[a-z]{12}",
    ) {
        let body = String::from_utf8_lossy(&bytes);
        let _ = parsed(&body);
        let wrong = format!(r#"{{"id":"e","type":"{word}","{word}":"{word}"}}"#);
        let error = parsed(&wrong).expect_err("no event");
        prop_assert!(!error.to_string().contains(&word));
    }
}
