//! Webhooks: the request that a receiver gets, where it may be, and what its answers mean.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroad::gateway::Gateway as _;
use postroad::gateway::webhook::{Settings, Webhook};
use postroad::model::outcome::{Accepted, Blame, Fault, SendError};
use ring::hmac;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::support::http_double::HttpDouble;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn settings() -> Settings {
    Settings {
        secret: Some(SECRET.into()),
        allow_private: true,
        ..Settings::default()
    }
}

fn built(settings: &Settings) -> Webhook {
    Webhook::new("webhook", settings).expect("settings that make sense")
}

/// A gateway that may call this machine.
pub(super) fn gateway() -> Webhook {
    built(&settings())
}

fn to(url: &str) -> Rendered {
    Rendered {
        recipient: url.into(),
        ..message(Channel::Webhook)
    }
}

/// What comes of a message whose receiver gives this answer.
async fn outcome(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Accepted, SendError> {
    let receiver = HttpDouble::start().await;
    receiver.answer(status, headers, body.to_owned());
    gateway().send(&to(receiver.url()), later()).await
}

const MESSAGE: Fault = Fault::Permanent(Blame::Message);
const TRANSIENT: Fault = Fault::Transient { retry_after: None };

/// Standard Webhooks 1.0.0: the header, the signature over what was sent, and JSON.
#[tokio::test]
async fn a_message_is_posted_as_standard_webhooks_says() -> anyhow::Result<()> {
    let receiver = HttpDouble::start().await;
    let options = Options {
        tags: vec!["billing".into()],
        ..Options::default()
    };
    let message = Rendered {
        // Of 2024-12-31T23:59:59.999Z.
        message_id: "01941f29-7bff-7000-8000-000000000000".parse()?,
        subject: Some("Paid".into()),
        data: Some(RawValue::from_string(r#"{"invoice": 17}"#.into())?.into()),
        options: Arc::new(options),
        tenant_id: Some(7),
        ..to(&format!("{}/hooks/billing?key=1", receiver.url()))
    };
    gateway().send(&message, later()).await?;
    let request = receiver.requests().remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/hooks/billing?key=1");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(
        request.json(),
        json!({
            "message_id": "01941f29-7bff-7000-8000-000000000000",
            "type": "transactional",
            "timestamp": "2024-12-31T23:59:59Z",
            "priority": "P4",
            "tenant_id": 7,
            "tags": ["billing"],
            "subject": "Paid",
            "body": BODY,
            "data": {"invoice": 17},
        })
    );
    let id = request.header("webhook-id");
    assert_eq!(id, "01941f29-7bff-7000-8000-000000000000");
    let timestamp: u64 = request.header("webhook-timestamp").parse()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    assert!((now - 60..=now).contains(&timestamp), "{timestamp}");
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_"))?;
    let signed = format!("{id}.{timestamp}.{}", request.text());
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac));
    assert_eq!(request.header("webhook-signature"), expected);
    Ok(())
}

/// A receiver recognises a resend by its id; what it says is then the same.
#[tokio::test]
async fn every_attempt_has_the_same_id_and_body() -> anyhow::Result<()> {
    let receiver = HttpDouble::start().await;
    let first = to(receiver.url());
    let second = Rendered {
        attempt: 2,
        ..first.clone()
    };
    for message in [&first, &second] {
        let accepted = gateway().send(message, later()).await?;
        let id = first.message_id.to_string();
        assert_eq!(accepted.external_id, Some(id));
    }
    let requests = receiver.requests();
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    assert_eq!(requests[0].body, requests[1].body);
    Ok(())
}

fn with_headers(url: &str, headers: &[(&str, &str)]) -> Rendered {
    let headers = headers.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    let options = Options {
        headers: headers.collect(),
        ..Options::default()
    };
    Rendered {
        options: Arc::new(options),
        ..to(url)
    }
}

/// A receiver may want a token of its own; nobody may forge what we say about the request.
#[tokio::test]
async fn header_fields_go_along_unless_they_are_ours_or_hostile() -> anyhow::Result<()> {
    let receiver = HttpDouble::start().await;
    let own = with_headers(
        receiver.url(),
        &[("Authorization", "Bearer abc"), ("X-Team", "a")],
    );
    gateway().send(&own, later()).await?;
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("authorization"), "Bearer abc");
    assert_eq!(request.header("x-team"), "a");

    for (name, value, reason) in [
        ("Host", "evil.example", "header_not_allowed"),
        ("Content-Length", "0", "header_not_allowed"),
        ("Transfer-Encoding", "chunked", "header_not_allowed"),
        ("Webhook-Signature", "v1,x", "header_not_allowed"),
        ("X-A", "1\r\nX-Evil: 1", "invalid_header"),
        ("X-A", "1\n", "invalid_header"),
        ("X-A\r\nX-Evil", "1", "invalid_header"),
        ("", "1", "invalid_header"),
    ] {
        let message = with_headers(receiver.url(), &[(name, value)]);
        let error = gateway().send(&message, later()).await.expect_err(name);
        assert_eq!((error.fault, error.reason), (MESSAGE, reason), "{name:?}");
    }
    assert_eq!(receiver.requests().len(), 1);
    Ok(())
}

/// Whoever can enqueue must not reach what stands behind the firewall: by address in any spelling, or by name.
#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() -> anyhow::Result<()> {
    let receiver = HttpDouble::start().await;
    let port = receiver
        .url()
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    let strict = built(&Settings {
        allow_private: false,
        ..settings()
    });
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "localhost",
        "LOCALHOST",
    ] {
        let message = to(&format!("http://{host}:{port}/latest/meta-data/"));
        let error = strict.send(&message, later()).await.expect_err(host);
        let expected = (MESSAGE, "address_not_allowed");
        assert_eq!((error.fault, error.reason), expected, "{host}");
    }
    assert_eq!(receiver.connections(), 0);

    for host in ["127.0.0.1", "localhost"] {
        let message = to(&format!("http://{host}:{port}/"));
        gateway().send(&message, later()).await?;
    }
    assert_eq!(receiver.requests().len(), 2);
    Ok(())
}

/// A public receiver could otherwise point at a private one.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = HttpDouble::start().await;
    for status in [301, 302, 307, 308] {
        let error = outcome(status, &[("location", inside.url())], "")
            .await
            .expect_err("a redirect");
        assert_eq!((error.fault, error.reason), (TRANSIENT, "redirected"));
    }
    assert_eq!(inside.connections(), 0);
}

/// What is no URL to post to can never be one.
#[tokio::test]
async fn a_recipient_that_is_no_url_is_refused() {
    for wrong in [
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://user:pw@example.org/",
        "https://user@example.org/",
        "http://",
        "",
    ] {
        let error = gateway().send(&to(wrong), later()).await.expect_err(wrong);
        let expected = (Fault::Permanent(Blame::Recipient), "invalid_url");
        assert_eq!((error.fault, error.reason), expected, "{wrong}");
    }
}

/// Any 2xx is a success, with or without words.
#[tokio::test]
async fn any_2xx_is_accepted() -> anyhow::Result<()> {
    for status in [200, 201, 202, 204, 299] {
        outcome(status, &[], "").await?;
    }
    outcome(200, &[], "<html>thank you</html>").await?;
    Ok(())
}

/// Only 410 says never; the rest may be better another time, and blames this receiver alone.
#[tokio::test]
async fn everything_but_2xx_is_retried_unless_the_endpoint_is_gone() {
    for (status, fault, reason) in [
        (410, Fault::Permanent(Blame::Recipient), "endpoint_gone"),
        (413, MESSAGE, "message_too_large"),
        (400, TRANSIENT, "rejected"),
        (401, TRANSIENT, "rejected"),
        (404, TRANSIENT, "rejected"),
        (429, TRANSIENT, "throttled"),
        (500, TRANSIENT, "receiver_unavailable"),
        (502, TRANSIENT, "receiver_unavailable"),
        (504, TRANSIENT, "receiver_unavailable"),
    ] {
        let error = outcome(status, &[], "no").await.expect_err("refused");
        assert_eq!((error.fault, error.reason), (fault, reason), "{status}");
        assert_eq!(error.code, Some(status.to_string()));
    }
    let error = outcome(503, &[("retry-after", "120")], "")
        .await
        .expect_err("refused");
    let retry_after = Some(Duration::from_secs(120));
    assert_eq!(error.fault, Fault::Transient { retry_after });
}

/// One receiver that is down must not open the breaker for all the others.
#[tokio::test]
async fn a_receiver_that_is_not_there_is_not_the_gateways_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    for url in [
        format!("http://{address}/"),
        "http://nowhere.invalid/".into(),
    ] {
        let error = gateway()
            .send(&to(&url), later())
            .await
            .expect_err("nobody");
        assert_eq!((error.fault, error.reason), (TRANSIENT, "connect_failed"));
    }
}

/// Settings are logged, and errors too.
#[tokio::test]
async fn the_secret_is_in_no_debug_output_and_no_error() {
    let receiver = HttpDouble::answering(500, "no").await;
    let message = with_headers(receiver.url(), &[("Authorization", PASSWORD)]);
    let error = gateway()
        .send(&message, later())
        .await
        .expect_err("refused");
    let shown = format!("{:?} {error} {error:?}", settings());
    assert!(!shown.contains(&SECRET[6..]) && !shown.contains(PASSWORD));
}
