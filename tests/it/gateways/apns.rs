//! APNs: what we ask of Apple, and how its answers are judged.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::DecodePrivateKey as _;
use postroad::gateway::Gateway as _;
use postroad::gateway::apns::{Apns, Settings};
use postroad::model::outcome::{Fault, SendError};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;

use super::push::*;
use super::*;
use crate::support::http_double::{HttpDouble, Request};

async fn taking() -> Provider<Apns> {
    let api = HttpDouble::start().await;
    let gateway = apns_at(&api);
    Provider { api, gateway }
}

/// The request that goes out.
async fn sent(message: &Rendered) -> anyhow::Result<Request> {
    let apns = taking().await;
    apns.gateway.send(message, later()).await?;
    Ok(apns.api.requests().remove(0))
}

/// The request of Apple's page "Sending notification requests to APNs", with what we add to its payload.
#[tokio::test]
async fn the_request_is_the_documented_one() -> anyhow::Result<()> {
    let apns = taking().await;
    let message = push_to(DEVICE);
    let id = message.message_id.to_string();
    apns.api.answer(200, &[("apns-id", &id.to_uppercase())], "");
    let accepted = apns.gateway.send(&message, later()).await?;
    assert_eq!(accepted.external_id, Some(id.clone()));
    let request = &apns.api.requests()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, format!("/3/device/{DEVICE}"));
    for (name, value) in [
        ("apns-push-type", "alert"),
        ("apns-topic", "com.example.MyApp"),
        ("apns-priority", "10"),
        ("apns-id", &id),
        ("apns-expiration", ""),
        ("apns-collapse-id", ""),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    let alert = json!({"title": "Breaking News", "body": "New news story available."});
    let expected = json!({"aps": {"alert": alert}, "postroad_message_id": id});
    assert_eq!(request.json(), expected);
    Ok(())
}

/// The token of Apple's page "Establishing a token-based connection to APNs", signed by the key in the form in which
/// Apple gives keys out.
#[tokio::test]
async fn the_provider_token_is_signed_by_our_key() -> anyhow::Result<()> {
    let request = sent(&push_to(DEVICE)).await?;
    let token = request
        .header("authorization")
        .strip_prefix("bearer ")
        .expect("a token");
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let (header, claims) = input.split_once('.').expect("three parts");
    let read = |part: &str| -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(
            &BASE64_URL_SAFE_NO_PAD.decode(part)?,
        )?)
    };
    assert_eq!(read(header)?, json!({"alg": "ES256", "kid": "ABC123DEFG"}));
    let claims = read(claims)?;
    assert_eq!(claims["iss"], "DEF123GHIJ");
    assert!(claims["iat"].as_u64().is_some_and(|at| at > 1_700_000_000));
    assert_eq!(claims.as_object().map(|claims| claims.len()), Some(2));
    let public = VerifyingKey::from(&SigningKey::from_pkcs8_pem(P256_KEY)?);
    let signature = Signature::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(signature)?)?;
    public.verify(input.as_bytes(), &signature)?;
    Ok(())
}

/// Apple throttles who makes a token or a connection for each message.
#[tokio::test]
async fn all_messages_share_a_connection_and_a_token() -> anyhow::Result<()> {
    let apns = taking().await;
    let message = push_to(DEVICE);
    apns.gateway.send(&message, later()).await?;
    let sends = (0..20).map(|_| apns.gateway.send(&message, later()));
    futures_util::future::try_join_all(sends).await?;
    let requests = apns.api.requests();
    assert_eq!((requests.len(), apns.api.connections()), (21, 1));
    let first = requests[0].header("authorization");
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization") == first)
    );
    Ok(())
}

/// Over TLS Apple speaks HTTP/2 only, and a client that does not offer it is turned away.
#[tokio::test]
async fn http_2_is_offered_in_the_tls_handshake() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (settings, _scratch) = apns_settings(&format!("https://{}", listener.local_addr()?));
    let apns = Apns::new("apns", &settings).map_err(anyhow::Error::msg)?;
    let hello = async {
        let (stream, _) = listener.accept().await?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let offered = start
            .client_hello()
            .alpn()
            .map(|names| names.map(<[u8]>::to_vec).collect::<Vec<_>>());
        anyhow::Ok(offered)
    };
    let message = push_to(DEVICE);
    let (offered, result) = tokio::join!(hello, apns.send(&message, later()));
    assert!(offered?.is_some_and(|names| names.contains(&b"h2".to_vec())));
    let error = result.expect_err("nobody answers");
    assert_eq!((error.fault, error.reason), (GATEWAY, "connect_failed"));
    Ok(())
}

/// Each option has its place.
#[tokio::test]
async fn every_option_goes_where_apple_reads_it() -> anyhow::Result<()> {
    let mut message = push_with(
        DEVICE,
        json!({
            "badge": 0, "sound": "chime.caf", "image": "https://example.org/a.png", "click_action": "STORY",
            "ttl": 60, "collapse_key": "story",
        }),
    );
    message.priority = Priority::P3;
    let request = sent(&message).await?;
    let sent = request.json();
    let aps = &sent["aps"];
    assert_eq!(
        (&aps["badge"], &aps["sound"]),
        (&json!(0), &json!("chime.caf"))
    );
    assert_eq!(
        (&aps["category"], &aps["mutable-content"]),
        (&json!("STORY"), &json!(1))
    );
    assert_eq!(sent["image"], "https://example.org/a.png");
    assert_eq!(request.header("apns-priority"), "5");
    assert_eq!(request.header("apns-collapse-id"), "story");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let expiration: u64 = request.header("apns-expiration").parse()?;
    assert!(
        (now..=now + 60).contains(&expiration),
        "{expiration} at {now}"
    );
    Ok(())
}

/// 0 is Apple's word for "now or never"; a time that has just passed would be the same by luck only.
#[tokio::test]
async fn no_time_to_live_is_now_or_never() -> anyhow::Result<()> {
    let request = sent(&push_with(DEVICE, json!({"ttl": 0}))).await?;
    assert_eq!(request.header("apns-expiration"), "0");
    Ok(())
}

/// A collapse id has at most 64 bytes.
#[tokio::test]
async fn a_long_collapse_key_is_shortened() -> anyhow::Result<()> {
    for (key, is_kept) in [
        ("k".repeat(64), true),
        ("k".repeat(65), false),
        ("a key".into(), false),
    ] {
        let request = sent(&push_with(DEVICE, json!({"collapse_key": key}))).await?;
        let id = request.header("apns-collapse-id");
        assert_eq!(id == key, is_kept, "{id}");
        assert!(!id.is_empty() && id.len() <= 64);
    }
    Ok(())
}

/// A background push with the priority of an alert is an error.
#[tokio::test]
async fn data_alone_is_a_background_push() -> anyhow::Result<()> {
    let message = Rendered {
        subject: None,
        body: None,
        ..push_data(DEVICE, json!({"sync": {"since": 12}}))
    };
    let request = sent(&message).await?;
    assert_eq!(request.header("apns-push-type"), "background");
    assert_eq!(request.header("apns-priority"), "5");
    let sent = request.json();
    assert_eq!(sent["aps"], json!({"content-available": 1}));
    assert_eq!(sent["sync"], json!({"since": 12}));
    Ok(())
}

/// Calls, activities and the like have topics of their own.
#[tokio::test]
async fn raw_headers_and_payload_are_merged() -> anyhow::Result<()> {
    let apns = json!({
        "headers": {"apns-push-type": "liveactivity", "apns-priority": "5"},
        "payload": {"aps": {"event": "update", "alert": {"body": null}}, "x": [1]},
    });
    let request = sent(&push_with(DEVICE, json!({"apns": apns}))).await?;
    assert_eq!(
        request.header("apns-topic"),
        "com.example.MyApp.push-type.liveactivity"
    );
    assert_eq!(request.header("apns-priority"), "5");
    let sent = request.json();
    assert_eq!(
        sent["aps"],
        json!({"alert": {"title": "Breaking News"}, "event": "update"})
    );
    assert_eq!(sent["x"], json!([1]));
    let own = sent_payload(json!({"aps": {"sound": "default"}, "y": 1})).await?;
    assert_eq!(
        (&own["aps"]["sound"], &own["y"]),
        (&json!("default"), &json!(1))
    );
    Ok(())
}

async fn sent_payload(apns: Value) -> anyhow::Result<Value> {
    Ok(sent(&push_with(DEVICE, json!({"apns": apns})))
        .await?
        .json())
}

/// What a caller may set is listed; credentials and identity are not on the list, and a header's value is one line.
#[tokio::test]
async fn a_hostile_field_is_refused_or_stays_in_its_place() -> anyhow::Result<()> {
    let apns = taking().await;
    for headers in [
        json!({"authorization": "bearer eve"}),
        json!({"apns-id": "eve"}),
        json!({"apns-topic": "a\r\nauthorization: eve"}),
        json!({"apns-collapse-id": "a\0"}),
        json!({"apns-priority": 10}),
    ] {
        let message = push_with(DEVICE, json!({"apns": {"headers": headers}}));
        let error = refusal(&apns.gateway, &message).await;
        assert_eq!(
            (error.fault, error.reason),
            (BAD_MESSAGE, "invalid_push_header"),
            "{headers}"
        );
    }
    let error = refusal(
        &apns.gateway,
        &push_data(DEVICE, json!({"aps": {"alert": "eve"}})),
    )
    .await;
    assert_eq!(
        (error.fault, error.reason),
        (BAD_MESSAGE, "reserved_data_key")
    );
    assert!(apns.api.requests().is_empty());

    let hostile = "\"}},\"aps\":{\"alert\":\"eve\"}\r\napns-topic: eve\0";
    let mut message = push_with(
        DEVICE,
        json!({"sound": hostile, "collapse_key": hostile, "click_action": hostile}),
    );
    message.subject = Some(hostile.into());
    let request = sent(&message).await?;
    assert_eq!(request.header("apns-topic"), "com.example.MyApp");
    let aps = &request.json()["aps"];
    assert_eq!(
        (&aps["alert"]["title"], &aps["sound"]),
        (&json!(hostile), &json!(hostile))
    );
    Ok(())
}

/// Apple's answer to a first message.
async fn on_answer(status: u16, headers: &[(&str, &str)], body: &str) -> SendError {
    let apns = taking().await;
    apns.api.answer(status, headers, body.to_owned());
    let error = refusal(&apns.gateway, &push_to(DEVICE)).await;
    assert_eq!(apns.api.requests().len(), 1, "tried twice");
    error
}

async fn on_reason(status: u16, reason: &str) -> (Fault, &'static str) {
    let error = on_answer(status, &[], &json!({"reason": reason}).to_string()).await;
    assert_eq!(error.code.as_deref(), Some(reason));
    (error.fault, error.reason)
}

/// The app is gone from the device.
#[tokio::test]
async fn an_unregistered_device_is_the_recipients_fault() {
    let body = json!({"reason": "Unregistered", "timestamp": 1_629_000_000_000_u64}).to_string();
    let error = on_answer(410, &[], &body).await;
    assert_eq!((error.fault, error.reason), (BAD_RECIPIENT, "unregistered"));
    assert_eq!(
        on_reason(410, "ExpiredToken").await,
        (BAD_RECIPIENT, "unregistered")
    );
}

/// In the wrong environment every token is "bad": nobody is suppressed until one of them was good.
#[tokio::test]
async fn a_bad_token_suppresses_only_where_another_one_works() -> anyhow::Result<()> {
    for (reason, ours) in [
        ("BadDeviceToken", "bad_device_token"),
        ("DeviceTokenNotForTopic", "token_not_for_topic"),
    ] {
        let apns = taking().await;
        let body = json!({"reason": reason}).to_string();
        apns.api.answer(400, &[], body.clone());
        apns.api.answer(200, &[], "");
        apns.api.answer(400, &[], body);
        let message = push_to(DEVICE);
        let error = refusal(&apns.gateway, &message).await;
        assert_eq!((error.fault, error.reason), (BAD_MESSAGE, ours));
        apns.gateway.send(&message, later()).await?;
        assert_eq!(refusal(&apns.gateway, &message).await.fault, BAD_RECIPIENT);
    }
    Ok(())
}

/// Ten in a row and none that works: the environment is wrong, and messages wait until it is mended.
#[tokio::test]
async fn nothing_but_bad_tokens_is_the_gateways_fault() {
    let apns = taking().await;
    apns.api.answer(400, &[], r#"{"reason": "BadDeviceToken"}"#);
    for _ in 1..10 {
        assert_eq!(
            refusal(&apns.gateway, &push_to(DEVICE)).await.fault,
            BAD_MESSAGE
        );
    }
    assert_eq!(
        refusal(&apns.gateway, &push_to(DEVICE)).await.fault,
        GATEWAY
    );
}

/// What Apple can read but will never send.
#[tokio::test]
async fn a_message_that_apple_refuses_is_the_messages_fault() {
    let expected = (BAD_MESSAGE, "message_too_large");
    assert_eq!(on_reason(413, "PayloadTooLarge").await, expected);
    for reason in [
        "BadCollapseId",
        "BadExpirationDate",
        "BadPriority",
        "InvalidPushType",
        "PayloadEmpty",
    ] {
        assert_eq!(
            on_reason(400, reason).await,
            (BAD_MESSAGE, "invalid_argument"),
            "{reason}"
        );
    }
}

/// Credentials and topic are ours to mend.
#[tokio::test]
async fn refused_credentials_are_the_gateways_fault() {
    for reason in ["InvalidProviderToken", "MissingProviderToken", "Forbidden"] {
        assert_eq!(
            on_reason(403, reason).await,
            (GATEWAY, "unauthorized"),
            "{reason}"
        );
    }
    for reason in ["BadTopic", "MissingTopic", "TopicDisallowed"] {
        assert_eq!(
            on_reason(400, reason).await,
            (GATEWAY, "topic_refused"),
            "{reason}"
        );
    }
    // A token of this minute is not expired: a clock is wrong, and a second one would be refused as well.
    let expected = (GATEWAY, "provider_token_expired");
    assert_eq!(on_reason(403, "ExpiredProviderToken").await, expected);
}

/// One busy device must not slow down all others.
#[tokio::test]
async fn throttling_is_the_devices_or_the_gateways() {
    let error = on_answer(
        429,
        &[("retry-after", "5")],
        r#"{"reason": "TooManyRequests"}"#,
    )
    .await;
    let retry_after = Some(Duration::from_secs(5));
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Transient { retry_after }, "device_throttled")
    );
    assert_eq!(
        on_reason(429, "TooManyProviderTokenUpdates").await,
        (GATEWAY, "throttled")
    );
}

/// An outage is Apple's, also when it is not Apple that answers.
#[tokio::test]
async fn an_outage_is_the_gateways_fault() {
    let expected = (GATEWAY, "provider_unavailable");
    for (status, reason) in [
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
        (503, "Shutdown"),
    ] {
        assert_eq!(on_reason(status, reason).await, expected, "{reason}");
    }
    let error = on_answer(503, &[], "<html>Service Unavailable</html>").await;
    assert_eq!((error.fault, error.reason), expected);
    let error = on_answer(200, &[], "<html>Welcome to this network</html>").await;
    assert_eq!((error.fault, error.reason), (GATEWAY, "unexpected_answer"));
}

/// A mistake stops the start, and shows no key.
#[test]
fn settings_that_cannot_work_are_refused_without_the_key() {
    let (good, scratch) = apns_settings("https://api.push.apple.com");
    let refused = |change: fn(&mut Settings)| {
        let mut settings = good.clone();
        change(&mut settings);
        let error = Apns::new("apns", &settings).err().expect("refused");
        for line in KEY_LINES {
            assert!(!error.contains(line), "{error}");
        }
        error
    };
    assert!(refused(|s| s.key_file = None).contains("APNS_KEY_FILE"));
    assert!(refused(|s| s.key_file = Some("/nowhere.p8".into())).contains("/nowhere.p8"));
    assert!(refused(|s| s.key_id = None).contains("APNS_KEY_ID"));
    assert!(refused(|s| s.team_id = Some("a b".into())).contains("APNS_TEAM_ID"));
    assert!(refused(|s| s.topic = Some(String::new())).contains("APNS_TOPIC"));
    assert!(refused(|s| s.api_url = Some("http://example.org".into())).contains("api_url"));
    std::fs::write(scratch.path().join("AuthKey.p8"), RSA_KEY).expect("a file");
    assert!(refused(|_| {}).contains("P-256"));
    assert!(toml::from_str::<Settings>("environment = 'staging'").is_err());
}
