//! Postal's webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroad::gateway::postal::webhook::{Source, WebhookSettings};
use postroad::gateway::source::fetch::Http;
use postroad::gateway::source::list::List;
use postroad::model::duration;
use serde_json::json;

use super::*;
use crate::support::http_double::HttpDouble;

/// The public half of RFC 7515's key, as `openssl rsa -pubout` writes it.
const KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQAB";

/// Another key: that of SNS's certificate.
const OTHER_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAutFqueT3XgP13udzxE6UpbdjOtVO5DwoMpSMiDNMnGzF1TYH5/R2LPUOBeTB0SkKnR4kpNcUZhicpGD4aKciz/GEZ6wu65xncfT9H/KBOQwoXYTuClHwp6fYpGzcGFaFoEYMnijL/o4qmTSd+ukglQUgKpsDw4ofw6rUm2CttJo+GQSNQ9NfGR1h/0J+zsApkeSYrXRx5wNlu87z8os1C/6PBrUHwt3xXeafXzfwut8aRRYsS8BySOA9DAgLfNHlfdQCjKPXKrG/ussgReyWD6n/HH+j7Uha3xosTzQqJifcxlTq6MxWdPR6fDaJNvqw6DOE7UjUNxHguXHlVfxhlQIDAQAB";

const BODY: &str = r#"{"event":"MessageLoaded","timestamp":1477945177.12994,"uuid":"820b47a4-4dfd-42e4-ae6a-1e5bed5a33f9","payload":{"ip_address":"185.22.208.2","message":{"id":12345,"direction":"outgoing","to":"test@example.com"}}}"#;

/// Of that body by SHA-1 (`openssl dgst -sha1 -sign rfc7515_a2_key.pem`), which ring does not make.
const SHA1: &str = "eGYB77rQQ4v+bdbOAOw5PoMLNi0uDmOwQe2BCtZEGevLAb1UXSKhZtd0aFcwDFMgFky01Z3yk6EGtxvOK8UbSjfWK5xpCUraQy1ygZwvqwFjPCKvYeohCU8qSECrnSu6wAfWSkzkuKRmA6JaArxUfLahYp3zEniOHa2TxQ6/59FCbeBEJFEBYB1v/pvkqQu2PKWUkJNGPvej8sV5UglA5meJ83urbUR0+mbDu5OqGsXB26cQr+0j93sqcC1kIWlrhrLNPwd0Z/B08vVHGhrQ7avAaumNnU41BPDlD2PrCWKVucWq503DJ2GegKXrJd9UIsvXmQ7eRXC0/JuIIlpWVw==";

const UUID: &str = "820b47a4-4dfd-42e4-ae6a-1e5bed5a33f9";
const MADE: u64 = 1_477_945_177;
const SHA256_HEADER: &str = "x-postal-signature-256";
const SHA1_HEADER: &str = "x-postal-signature";
const ID_HEADER: &str = "x-postal-signature-kid";

pub(super) const EVENTS: &str = include_str!("../../fixtures/webhooks/postal/events.json");

fn settings(keys: &[&str]) -> WebhookSettings {
    WebhookSettings {
        public_keys: List(keys.iter().map(|key| (*key).into()).collect()),
        jwks_url: None,
        allow_sha1: false,
        freshness: duration::Text(Duration::from_secs(3600)),
    }
}

pub(super) fn source(keys: &[&str]) -> Source {
    let source = Source::with_fetch("postal", &settings(keys), Published::nothing());
    source.expect("settings that make sense")
}

pub(super) fn default_source() -> Source {
    source(&[KEY])
}

/// One that takes SHA-1.
fn old_source() -> Source {
    let settings = WebhookSettings {
        allow_sha1: true,
        ..settings(&[KEY])
    };
    Source::with_fetch("postal", &settings, Published::nothing()).expect("settings")
}

fn signature(body: &str) -> String {
    STANDARD.encode(sign(body.as_bytes()))
}

/// As Postal 3.2 and later posts it.
pub(super) fn signed() -> Request {
    let signature = signature(BODY);
    let headers = [(SHA256_HEADER, signature.as_str()), (SHA1_HEADER, SHA1)];
    Request::new(&headers, BODY, at(MADE + 60))
}

/// As an older one does.
fn signed_by_sha1() -> Request {
    Request::new(&[(SHA1_HEADER, SHA1)], BODY, at(MADE + 60))
}

/// A set of keys as an installation publishes it: that of RFC 7515, under a name.
fn jwks(id: &str) -> String {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    json!({"keys": [{"kty": "EC"}, {"kty": "RSA", "n": n, "e": "AQAB", "kid": id, "use": "sig", "alg": "RS256"}]}).to_string()
}

/// A signature by the configured key, in each form in which Postal shows it.
#[tokio::test]
async fn a_signature_by_a_configured_key_passes() {
    let record = format!("v=DKIM1; t=s; h=sha256; p={KEY};");
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{KEY}\n-----END PUBLIC KEY-----");
    for keys in [&[KEY][..], &[OTHER_KEY, KEY], &[&record], &[&pem]] {
        let verified = signed().verify(&source(keys)).await.expect("verified");
        assert_eq!(verified.key.as_deref(), Some(UUID));
        assert_eq!(verified.replay, None);
    }
    let named = signed().with_header(ID_HEADER, Some("whatever"));
    assert!(
        named.verify(&source(&[KEY])).await.is_ok(),
        "no name chooses what is trusted"
    );
}

/// A forged complaint suppresses a victim.
#[tokio::test]
async fn each_single_change_is_refused() {
    let (source, good) = (source(&[KEY]), signed());
    for body in with_changed_bytes(BODY.as_bytes()) {
        assert!(good.with_body(body).is_forged(&source).await);
    }
    for forged in [
        good.with_body(""),
        good.with_header(SHA256_HEADER, None),
        good.with_header(SHA256_HEADER, Some("")),
        good.with_header(SHA256_HEADER, Some("no base64!")),
        good.with_header(SHA256_HEADER, Some("AAAA")),
        good.with_header(SHA256_HEADER, Some(SHA1)),
        good.with_header(SHA256_HEADER, Some(&signature("another body"))),
        good.with_header_twice(SHA256_HEADER),
    ] {
        assert!(forged.is_forged(&source).await);
    }
    assert!(good.is_forged(&super::postal::source(&[OTHER_KEY])).await);
}

/// The older signature is taken only where it is allowed, and never in the place of a better one that is wrong.
#[tokio::test]
async fn sha1_counts_only_where_it_is_allowed_and_alone() {
    assert!(signed_by_sha1().is_forged(&source(&[KEY])).await);
    let old = old_source();
    assert!(signed_by_sha1().verify(&old).await.is_ok());
    for body in with_changed_bytes(BODY.as_bytes()) {
        assert!(signed_by_sha1().with_body(body).is_forged(&old).await);
    }
    let by_sha256 = signed_by_sha1().with_header(SHA1_HEADER, Some(&signature(BODY)));
    assert!(by_sha256.is_forged(&old).await);
    for wrong in ["", "AAAA", SHA1] {
        let both = signed().with_header(SHA256_HEADER, Some(wrong));
        assert!(both.is_forged(&old).await, "{wrong}");
    }
}

/// The time is in the body, which is signed.
#[tokio::test]
async fn what_is_stale_is_refused() {
    for (now, is_fresh) in [
        (MADE - 300, false), // and a fraction
        (MADE - 299, true),
        (MADE + 3600, true),
        (MADE + 3601, false),
    ] {
        let request = signed().at(at(now));
        assert_eq!(
            request.is_forbidden(&source(&[KEY])).await,
            !is_fresh,
            "{now}"
        );
        assert_eq!(request.verify(&source(&[KEY])).await.is_ok(), is_fresh);
    }
    let body = r#"{"event": "MessageLoaded"}"#;
    let untimed = signed()
        .with_body(body)
        .with_header(SHA256_HEADER, Some(&signature(body)));
    let refused = untimed.verify(&source(&[KEY])).await;
    assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
}

/// The installation publishes its keys: they are asked for once, and again when a request names one that is not known,
/// but then not for a minute, whatever anybody posts.
#[tokio::test]
async fn published_keys_are_asked_for_and_kept() {
    let of = |published: &Arc<Published>| {
        let settings = WebhookSettings {
            jwks_url: Some("https://postal.example.org/.well-known/jwks.json".into()),
            ..settings(&[])
        };
        Source::with_fetch("postal", &settings, Arc::clone(published) as _).expect("settings")
    };
    let published = Published::new(jwks("one"));
    let source = of(&published);
    let named = |id: &str| signed().with_header(ID_HEADER, Some(id));
    for request in [named("one"), signed(), named("two"), named("one")] {
        assert!(request.verify(&source).await.is_ok());
    }
    assert_eq!(published.asked(), 1);
    for id in ["one", "two", "three"] {
        let forged = named(id).with_body("{}");
        assert!(forged.is_forged(&source).await);
    }
    assert_eq!(published.asked(), 1, "within a minute");

    for body in [
        None,
        Some("<html>"),
        Some("{}"),
        Some(r#"{"keys": [{"kty": "RSA"}]}"#),
    ] {
        let published = body.map_or_else(Published::nothing, Published::new);
        let source = of(&published);
        for _ in 0..3 {
            let refused = signed().verify(&source).await;
            assert!(
                matches!(refused, Err(Refused::Unavailable(_))),
                "{refused:?}"
            );
        }
        assert_eq!(published.asked(), 1, "within a minute");
    }
}

/// The same over HTTP: from the URL of the settings and from nowhere else, wherever that points.
#[tokio::test]
async fn published_keys_come_over_http_and_no_redirect_is_followed() -> anyhow::Result<()> {
    let elsewhere = HttpDouble::answering(200, jwks("one")).await;
    let double = HttpDouble::start().await;
    let source = |double: &HttpDouble| {
        let settings = WebhookSettings {
            jwks_url: Some(format!("{}/.well-known/jwks.json", double.url())),
            ..settings(&[])
        };
        let http = Http::new().map(Arc::new)?;
        Source::with_fetch("postal", &settings, http)
    };
    double.answer(302, &[("location", elsewhere.url())], "");
    let redirected = source(&double).map_err(anyhow::Error::msg)?;
    let refused = signed().verify(&redirected).await;
    assert!(
        matches!(refused, Err(Refused::Unavailable(_))),
        "{refused:?}"
    );
    assert!(elsewhere.requests().is_empty());

    let direct = source(&elsewhere).map_err(anyhow::Error::msg)?;
    assert!(signed().verify(&direct).await.is_ok());
    assert_eq!(elsewhere.requests()[0].path, "/.well-known/jwks.json");
    Ok(())
}

/// Without a key anybody's word would be taken.
#[test]
fn a_source_without_a_key_is_none() {
    let with = |keys: &[&str], url: Option<&str>| {
        let settings = WebhookSettings {
            jwks_url: url.map(Into::into),
            ..settings(keys)
        };
        Source::with_fetch("postal", &settings, Published::nothing())
    };
    for (keys, url) in [
        (&[][..], None),
        (&["no key"][..], None),
        (&[KEY, "no key"], None),
        (&[], Some("http://postal.example.org/jwks")),
        (&[], Some("file:///etc/passwd")),
        (&[KEY], Some("no URL")),
    ] {
        assert!(with(keys, url).is_err(), "{keys:?} {url:?}");
    }
    assert!(
        with(
            &[],
            Some("https://postal.example.org/.well-known/jwks.json")
        )
        .is_ok()
    );
}

fn reports(name: &str) -> Vec<Report> {
    let body = fixture(EVENTS)[name].to_string();
    read(&source(&[KEY]), body.as_bytes()).expect(name)
}

/// Each event that Postal documents, as we name it.
#[test]
fn each_documented_event_is_read() {
    let of = |what: &str| what.replace('@', "test@example.com");
    for (name, expected) in [
        ("sent", Some("delivered | MessageSent | - | - | @ | -")),
        (
            "delayed",
            Some("deferred | MessageDelayed | throttled | - | @ | 4.7.1"),
        ),
        (
            "failed_by_reply",
            Some(
                "bounced | MessageDeliveryFailed | invalid_recipient | Hard/invalid_recipient | @ | 5.1.1",
            ),
        ),
        (
            "failed_by_policy",
            Some("bounced | MessageDeliveryFailed | policy | Soft/policy | @ | 5.7.1"),
        ),
        (
            "failed_by_postal",
            Some("failed | MessageDeliveryFailed | policy | - | @ | -"),
        ),
        ("held", Some("deferred | MessageHeld | held | - | @ | -")),
        (
            "held_by_list",
            Some("bounced | MessageHeld | provider_suppressed | Hard/invalid_recipient | @ | -"),
        ),
        (
            "bounced",
            Some("bounced | MessageBounced | undetermined | Soft/undetermined | @ | -"),
        ),
        (
            "clicked",
            Some("clicked | MessageLinkClicked | - | - | @ | -"),
        ),
        ("loaded", Some("opened | MessageLoaded | - | - | @ | -")),
        ("dns", None),
        ("limit", None),
        ("incoming", None),
    ] {
        let expected: Vec<_> = expected.map(of).into_iter().collect();
        assert_eq!(lines(&reports(name)), expected, "{name}");
    }
    let clicked = &reports("clicked")[0];
    assert_eq!(clicked.external_id.as_deref(), Some("12345"));
    assert_eq!(clicked.message_id, None, "the tag is another's");
    assert!(
        clicked
            .detail
            .contains(&("url", "https://atech.media".into()))
    );
    assert_eq!(clicked.source_key, "820b47a4-4dfd-42e4-ae6a-1e5bed5a33f8");
    assert!(
        clicked
            .occurred_at
            .is_some_and(|told| told > at(MADE) && told < at(MADE + 1))
    );
}

/// The tag that we give comes back, of a bounce in the original message.
#[test]
fn our_id_comes_back() {
    for name in ["sent", "bounced"] {
        let body = fixture(EVENTS)[name]
            .to_string()
            .replace("\"welcome\"", &format!("\"{OUR_ID}\""));
        let reports = read(&source(&[KEY]), body.as_bytes()).expect(name);
        assert_eq!(reports[0].message_id, OUR_ID.parse().ok(), "{name}");
    }
}

/// What is no event waits in the inbox for somebody to look at it.
#[test]
fn what_is_no_event_is_unreadable() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"event": "MessageSent"}"#,
        r#"{"event": "MessageSent", "payload": {"message": 1}}"#,
    ] {
        assert!(read(&source(&[KEY]), body.as_bytes()).is_err(), "{body}");
    }
}
