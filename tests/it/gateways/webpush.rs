//! Web Push: what we ask of push services, how their answers are judged, and where we do not go.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::{PublicKey, SecretKey, ecdh};
use postroad::gateway::Gateway as _;
use postroad::gateway::webpush::{Settings, WebPush};
use postroad::model::outcome::{Fault, SendError};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use serde_json::{Value, json};

use super::push::*;
use super::*;
use crate::support::http_double::{HttpDouble, Request};

fn bytes(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect(text)
}

/// A push service, and the gateway to it.
async fn service() -> (Provider<WebPush>, String) {
    let api = HttpDouble::start().await;
    api.answer(201, &[("location", "https://push.example/m/1")], "");
    let endpoint = subscription(&format!(
        "{}/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV?a=b",
        api.url()
    ));
    let gateway = webpush_with(&webpush_settings());
    (Provider { api, gateway }, endpoint)
}

/// The request that goes out for `message`, to whomever it is.
async fn sent(message: &Rendered) -> anyhow::Result<Request> {
    let (service, recipient) = service().await;
    let message = Rendered {
        recipient,
        ..message.clone()
    };
    service.gateway.send(&message, later()).await?;
    Ok(service.api.requests().remove(0))
}

/// What a browser makes of a body (RFC 8291, section 3.4), by HMAC alone.
fn decrypted(body: &[u8]) -> Value {
    let secret = SecretKey::from_slice(&bytes("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
        .expect("a key");
    let our_public = bytes(
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    );
    let (salt, rest) = body.split_at(16);
    assert_eq!(
        rest[..5],
        [0, 0, 16, 0, 65],
        "records of 4,096 bytes, a key of 65"
    );
    let (their_public, sealed) = rest[5..].split_at(65);
    let point = PublicKey::from_sec1_bytes(their_public).expect("a point");
    let shared = ecdh::diffie_hellman(secret.to_nonzero_scalar(), point.as_affine());
    let hmac = |key: &[u8], data: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
            .as_ref()
            .to_vec()
    };
    let prk = hmac(&bytes("BTBZMqHH6r4Tts7J_aSIgg"), shared.raw_secret_bytes());
    let info = [
        b"WebPush: info\0".as_slice(),
        &our_public,
        their_public,
        &[1],
    ]
    .concat();
    let prk = hmac(salt, &hmac(&prk, &info));
    let key = hmac(&prk, b"Content-Encoding: aes128gcm\0\x01");
    let nonce = hmac(&prk, b"Content-Encoding: nonce\0\x01");
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).expect("a key"));
    let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).expect("a nonce");
    let mut record = sealed.to_vec();
    let opened = key
        .open_in_place(nonce, Aad::empty(), &mut record)
        .expect("it was for us");
    let (last, text) = opened.split_last().expect("a delimiter");
    assert_eq!(*last, 2, "the delimiter of the last record");
    serde_json::from_slice(text).expect("JSON")
}

/// RFC 8030, section 5, RFC 8291, section 4 and RFC 8292, section 3.
#[tokio::test]
async fn the_request_is_the_one_of_the_rfcs() -> anyhow::Result<()> {
    let (service, recipient) = service().await;
    let message = push_to(&recipient);
    let accepted = service.gateway.send(&message, later()).await?;
    assert_eq!(
        accepted.external_id.as_deref(),
        Some("https://push.example/m/1")
    );
    let request = &service.api.requests()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV?a=b");
    for (name, value) in [
        ("ttl", "2419200"),
        ("urgency", "high"),
        ("topic", ""),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    let expected = json!({
        "notification": {"title": "Breaking News", "body": "New news story available."},
        "data": {"postroad_message_id": message.message_id.to_string()},
    });
    assert_eq!(decrypted(&request.body), expected);
    Ok(())
}

/// A push service learns who we are, and nobody can use that elsewhere (RFC 8292, section 2).
#[tokio::test]
async fn the_request_is_signed_for_its_push_service() -> anyhow::Result<()> {
    let (service, recipient) = service().await;
    service.gateway.send(&push_to(&recipient), later()).await?;
    service.gateway.send(&push_to(&recipient), later()).await?;
    let requests = service.api.requests();
    let authorization = requests[0].header("authorization");
    assert_eq!(
        requests[1].header("authorization"),
        authorization,
        "signed twice"
    );
    let (token, key) = authorization
        .strip_prefix("vapid t=")
        .and_then(|rest| rest.split_once(", k="))
        .expect("the scheme vapid");
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let (header, claims) = input.split_once('.').expect("three parts");
    let read = |part: &str| -> anyhow::Result<Value> { Ok(serde_json::from_slice(&bytes(part))?) };
    assert_eq!(read(header)?, json!({"typ": "JWT", "alg": "ES256"}));
    let claims = read(claims)?;
    assert_eq!(claims["aud"], service.api.url());
    assert_eq!(claims["sub"], "mailto:push@example.com");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let expires_at = claims["exp"].as_u64().expect("a number");
    assert!(expires_at > now && expires_at <= now + 86_400);
    let public = VerifyingKey::from_sec1_bytes(&bytes(key))?;
    public.verify(input.as_bytes(), &Signature::from_slice(&bytes(signature))?)?;
    Ok(())
}

/// Each option has its place: the push service's in the headers, the page's in what only it can read.
#[tokio::test]
async fn every_option_goes_where_it_is_read() -> anyhow::Result<()> {
    let mut message = push_with(
        "",
        json!({
            "badge": 3, "image": "/a.png", "click_action": "https://example.org/story", "ttl": 0,
            "collapse_key": "story",
            "webpush": {"headers": {"Urgency": "very-low"}, "notification": {"icon": "/i.png"}, "fcm_options": {"link": "x"}},
        }),
    );
    message.priority = Priority::P2;
    let request = sent(&message).await?;
    assert_eq!(
        (request.header("ttl"), request.header("urgency")),
        ("0", "very-low")
    );
    assert_eq!(request.header("topic"), "story");
    let expected = json!({
        "web_push": 8030,
        "notification": {
            "title": "Breaking News", "body": "New news story available.", "image": "/a.png", "tag": "story",
            "navigate": "https://example.org/story", "app_badge": "3", "icon": "/i.png",
        },
        "data": {"postroad_message_id": message.message_id.to_string()},
    });
    assert_eq!(decrypted(&request.body), expected);
    Ok(())
}

/// A topic has at most 32 characters of base64url (RFC 8030, section 5.4).
#[tokio::test]
async fn a_collapse_key_that_is_no_topic_is_hashed() -> anyhow::Result<()> {
    for (key, is_kept) in [
        ("k".repeat(32), true),
        ("k".repeat(33), false),
        ("story 1".into(), false),
    ] {
        let request = sent(&push_with("", json!({"collapse_key": key}))).await?;
        let topic = request.header("topic");
        assert_eq!(topic == key, is_kept, "{topic}");
        assert_eq!(topic.len(), 32);
    }
    Ok(())
}

/// 4,096 bytes are what every push service takes; the first byte more is refused here, not somewhere.
#[tokio::test]
async fn the_largest_payload_goes_out_and_a_larger_one_does_not() -> anyhow::Result<()> {
    let empty = Rendered {
        body: Some("".into()),
        ..push_to("")
    };
    let overhead = decrypted(&sent(&empty).await?.body).to_string().len();
    let with_body = |length: usize| Rendered {
        body: Some("x".repeat(length).into()),
        ..empty.clone()
    };
    let request = sent(&with_body(3993 - overhead)).await?;
    assert_eq!(request.body.len(), 4096);
    let (service, recipient) = service().await;
    let larger = Rendered {
        recipient,
        ..with_body(3994 - overhead)
    };
    let error = refusal(&service.gateway, &larger).await;
    assert_eq!(
        (error.fault, error.reason),
        (BAD_MESSAGE, "message_too_large")
    );
    assert!(service.api.requests().is_empty());
    Ok(())
}

/// A subscription is what a user sent to some page.
#[tokio::test]
async fn a_subscription_that_is_none_is_the_recipients_fault() {
    let gateway = webpush_with(&webpush_settings());
    let good = subscription("https://push.example/1");
    for (what, with) in [
        ("https://push.example/1", "ftp://push.example/1"),
        ("https://push.example/1", "https://user:pw@push.example/1"),
        ("https://push.example/1", "not a URL"),
        ("\"endpoint\"", "\"end\""),
        ("BTBZMqHH6r4Tts7J_aSIgg", "BTBZMqHH6r4Tts7J_aSI"),
        ("BCVxsr7N", "BCVxsr7M"),
        ("BCVxsr7N_eNgVRqvHtD0z", "BCVx"),
        ("\"p256dh\":\"B", "\"p256dh\":\"?"),
        ("}", ""),
    ] {
        let bad = good.replacen(what, with, 1);
        assert_ne!(bad, good);
        let error = refusal(&gateway, &push_to(&bad)).await;
        assert_eq!(
            (error.fault, error.reason),
            (BAD_RECIPIENT, "invalid_subscription"),
            "{bad}"
        );
    }
}

/// What a user wrote must not have us knock at the doors inside.
#[tokio::test]
async fn an_endpoint_inside_is_not_called() {
    let api = HttpDouble::start().await;
    let gateway = webpush_with(&Settings {
        allow_private: false,
        ..webpush_settings()
    });
    let port = api.url().rsplit_once(':').expect("a port").1;
    for host in [
        "127.0.0.1",
        "[::1]",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "localhost",
    ] {
        let endpoint = format!("https://{host}:{port}/push");
        let error = refusal(&gateway, &push_to(&subscription(&endpoint))).await;
        assert_eq!(
            (error.fault, error.reason),
            (BAD_RECIPIENT, "address_not_public"),
            "{host}"
        );
    }
    let error = refusal(
        &gateway,
        &push_to(&subscription(&format!("{}/push", api.url()))),
    )
    .await;
    assert_eq!(
        (error.fault, error.reason),
        (BAD_RECIPIENT, "invalid_subscription")
    );
    assert_eq!(api.connections(), 0);
}

/// Not even by way of a public place.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (inside, outside) = (HttpDouble::start().await, HttpDouble::start().await);
    outside.answer(307, &[("location", inside.url())], "");
    let gateway = webpush_with(&webpush_settings());
    let error = refusal(
        &gateway,
        &push_to(&subscription(&format!("{}/push", outside.url()))),
    )
    .await;
    assert_eq!(
        (error.fault, error.reason),
        (TRANSIENT, "unexpected_answer")
    );
    assert_eq!(inside.connections(), 0);
}

/// A header's value is one line, and the others are ours.
#[tokio::test]
async fn a_hostile_field_is_refused_or_stays_in_its_place() -> anyhow::Result<()> {
    let (service, recipient) = service().await;
    for headers in [
        json!({"Authorization": "vapid eve"}),
        json!({"Content-Encoding": "identity"}),
        json!({"Topic": "a\r\nAuthorization: eve"}),
        json!({"TTL": 60}),
    ] {
        let message = push_with(&recipient, json!({"webpush": {"headers": headers}}));
        let error = refusal(&service.gateway, &message).await;
        assert_eq!(
            (error.fault, error.reason),
            (BAD_MESSAGE, "invalid_push_header"),
            "{headers}"
        );
    }
    assert!(service.api.requests().is_empty());
    let hostile = "\"}},\"data\":{\"x\":\"eve\"}\r\nTTL: 1\0";
    let mut message = push_with(
        "",
        json!({"collapse_key": hostile, "click_action": hostile}),
    );
    message.subject = Some(hostile.into());
    let request = sent(&message).await?;
    assert_eq!(request.header("ttl"), "2419200");
    let payload = decrypted(&request.body);
    assert_eq!(payload["notification"]["title"], hostile);
    assert_eq!(payload["data"].as_object().map(|data| data.len()), Some(1));
    Ok(())
}

/// The answer of a push service to a first message: of one that is known, and of an endpoint that anybody may have set up.
async fn on_answer(status: u16, headers: &[(&str, &str)], body: &str) -> [SendError; 2] {
    let api = HttpDouble::start().await;
    api.answer(status, headers, body.to_owned());
    let known = Settings {
        push_services: vec!["127.0.0.1".into()],
        ..webpush_settings()
    };
    let message = push_to(&subscription(&format!("{}/push", api.url())));
    [
        refusal(&webpush_with(&known), &message).await,
        refusal(&webpush_with(&webpush_settings()), &message).await,
    ]
}

/// Fault and reason, which are the same wherever it came from.
async fn on_status(status: u16) -> (Fault, &'static str) {
    let [known, other] = on_answer(status, &[], "").await;
    assert_eq!((known.fault, known.reason), (other.fault, other.reason));
    (known.fault, known.reason)
}

/// The subscription ended (RFC 8030, section 7.3 says 404, push services say 410).
#[tokio::test]
async fn a_subscription_that_is_gone_is_the_recipients_fault() {
    assert_eq!(on_status(404).await, (BAD_RECIPIENT, "unregistered"));
    assert_eq!(on_status(410).await, (BAD_RECIPIENT, "unregistered"));
}

/// What no push service will ever take.
#[tokio::test]
async fn a_message_that_is_refused_is_the_messages_fault() {
    assert_eq!(on_status(413).await, (BAD_MESSAGE, "message_too_large"));
    assert_eq!(on_status(400).await, (BAD_MESSAGE, "rejected"));
}

/// One user's endpoint that fails must not get the gateway called broken for all others.
#[tokio::test]
async fn an_outage_is_the_gateways_fault_only_at_a_known_push_service() {
    let retry_after = Some(Duration::from_secs(30));
    for (status, reason) in [
        (429, "throttled"),
        (500, "provider_unavailable"),
        (503, "provider_unavailable"),
        (401, "vapid_refused"),
        (403, "vapid_refused"),
    ] {
        let [known, other] = on_answer(status, &[("retry-after", "30")], "").await;
        assert_eq!(
            (known.fault, known.reason),
            (Fault::Gateway { retry_after }, reason)
        );
        assert_eq!(
            (other.fault, other.reason),
            (Fault::Transient { retry_after }, reason)
        );
    }
    let nobody = subscription("http://127.0.0.1:1/push");
    let error = refusal(&webpush_with(&webpush_settings()), &push_to(&nobody)).await;
    assert_eq!((error.fault, error.reason), (TRANSIENT, "connect_failed"));
}

/// A subscription for another key is dead where ours is known to work; where it is not, ours is the wrong one. The words
/// are those of Chrome's, Mozilla's and Apple's services.
#[tokio::test]
async fn another_keys_subscription_is_dead_only_where_our_key_works() -> anyhow::Result<()> {
    for (status, body) in [
        (
            403,
            "the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.",
        ),
        (
            401,
            r#"{"code":401,"errno":109,"error":"Unauthorized","message":"VAPID public key mismatch"}"#,
        ),
        (400, r#"{"reason":"VapidPkHashMismatch"}"#),
    ] {
        let api = HttpDouble::start().await;
        api.answer(status, &[], body);
        api.answer(201, &[], "");
        api.answer(status, &[], body);
        let gateway = webpush_with(&webpush_settings());
        let message = push_to(&subscription(&format!("{}/push", api.url())));
        let error = refusal(&gateway, &message).await;
        assert_eq!((error.fault, error.reason), (TRANSIENT, "vapid_refused"));
        let accepted = gateway.send(&message, later()).await?;
        assert_eq!(accepted.external_id, Some(message.message_id.to_string()));
        let error = refusal(&gateway, &message).await;
        assert_eq!(
            (error.fault, error.reason),
            (BAD_RECIPIENT, "subscription_of_another_key")
        );
    }
    Ok(())
}

/// Keys come in the forms that tools make, and are shown in none.
#[test]
fn the_key_is_read_in_its_usual_forms_and_never_shown() {
    let with = |key: &str| {
        let settings = Settings {
            vapid_private_key: Some(key.into()),
            ..webpush_settings()
        };
        assert!(!format!("{settings:?}").contains(key.trim()));
        WebPush::new("webpush", &settings).err()
    };
    assert_eq!(with("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI=\n"), None);
    assert_eq!(with(P256_KEY), None);
    for bad in [
        "jpsQnnGQmL-YBIffH1136cspYG6",
        RSA_KEY,
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let error = with(bad).expect("refused");
        assert!(
            error.contains("vapid_private_key") && !error.contains(bad),
            "{error}"
        );
    }
    for subject in ["push@example.com", "http://example.com", "mailto:"] {
        let settings = Settings {
            vapid_subject: Some(subject.into()),
            ..webpush_settings()
        };
        let error = WebPush::new("webpush", &settings).err().expect("refused");
        assert!(error.contains("vapid_subject"), "{error}");
    }
}
