//! Bandwidth: the request that it gets, and what its answers mean.

use postroad::gateway::Gateway as _;
use postroad::gateway::bandwidth::{Bandwidth, Settings};
use postroad::model::message::Sms;
use postroad::model::outcome::{Accepted, Blame, Fault, SendError};
use serde_json::json;

use super::*;
use crate::support::http_double::{HttpDouble, Request};

/// The answer in Bandwidth's guide (github.com/Bandwidth/api-docs @055e778, `site/docs/messaging/createMessage.mdx`).
pub(super) const ACCEPTED: &str = r#"{"id": "14762070468292kw2fuqty55yp2b2", "owner": "+12345678901",
    "applicationId": "93de2206-9669-4e07-948d-329f4b722ee", "time": "2021-07-21T21:00:45.179Z", "segmentCount": 1,
    "direction": "out", "to": ["+12345678902"], "from": "+12345678901", "text": "Hello World", "tag": "test message",
    "priority": "default"}"#;

fn settings(double: &HttpDouble) -> Settings {
    Settings {
        account_id: "9900000".into(),
        api_token: Some("token".into()),
        api_secret: Some(PASSWORD.into()),
        application_id: "93de2206-9669-4e07-948d-329f4b722ee2".into(),
        from: Some("+12345678901".into()),
        api_url: format!("{}/api/v2", double.url()),
    }
}

fn built(settings: &Settings) -> Bandwidth {
    Bandwidth::new("bandwidth", settings).expect("settings that make sense")
}

/// A gateway to `double`.
pub(super) fn gateway(double: &HttpDouble) -> Bandwidth {
    built(&settings(double))
}

async fn request(message: &Rendered) -> anyhow::Result<Request> {
    let double = HttpDouble::answering(202, ACCEPTED).await;
    gateway(&double).send(message, later()).await?;
    Ok(double.requests().remove(0))
}

/// What comes of a message that gets this answer.
async fn outcome(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Accepted, SendError> {
    let double = HttpDouble::start().await;
    double.answer(status, headers, body.to_owned());
    gateway(&double).send(&message(Channel::Sms), later()).await
}

async fn error(status: u16, body: &str) -> SendError {
    outcome(status, &[], body).await.expect_err("refused")
}

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const RECIPIENT: Fault = Fault::Permanent(Blame::Recipient);
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

/// The request of Bandwidth's guide, with its values.
#[tokio::test]
async fn a_message_is_posted_as_the_guide_says() -> anyhow::Result<()> {
    let message = Rendered {
        recipient: "+12345678902".into(),
        body: Some("Hey, check this out!".into()),
        ..message(Channel::Sms)
    };
    let request = request(&message).await?;
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/api/v2/users/9900000/messages");
    assert_eq!(
        request.header("content-type"),
        "application/json; charset=utf-8"
    );
    // printf token:correct-horse | base64
    assert_eq!(
        request.header("authorization"),
        "Basic dG9rZW46Y29ycmVjdC1ob3JzZQ=="
    );
    assert_eq!(
        request.json(),
        json!({
            "to": ["+12345678902"],
            "from": "+12345678901",
            "text": "Hey, check this out!",
            "applicationId": "93de2206-9669-4e07-948d-329f4b722ee2",
            "tag": message.message_id.to_string(),
            "priority": "default",
        })
    );
    Ok(())
}

/// Whatever a message has for a text message goes along, and P0 goes first.
#[tokio::test]
async fn sender_media_validity_and_priority_go_along() -> anyhow::Result<()> {
    let options = Options {
        from: Some("+12345678999".into()),
        sms: Sms {
            media_urls: vec!["https://x.org/a.png".into()],
            validity_seconds: Some(60),
        },
        ..Options::default()
    };
    let message = Rendered {
        priority: Priority::P0,
        options: Arc::new(options),
        ..message(Channel::Sms)
    };
    let json = request(&message).await?.json();
    assert_eq!(json["from"], "+12345678999");
    assert_eq!(json["media"], json!(["https://x.org/a.png"]));
    assert_eq!(json["priority"], "high");
    let expiration = json["expiration"].as_str().expect("a time");
    assert!(
        expiration.ends_with('Z') && expiration.len() == 20,
        "{expiration}"
    );
    Ok(())
}

/// No text can become another field, or another recipient.
#[tokio::test]
async fn hostile_text_stays_in_its_field() -> anyhow::Result<()> {
    let hostile = "x\", \"to\": [\"+1900\"], \"y\": \"\r\nX-Evil: 1";
    let options = Options {
        from: Some(hostile.into()),
        ..Options::default()
    };
    let message = Rendered {
        recipient: hostile.into(),
        body: Some(hostile.into()),
        options: Arc::new(options),
        ..message(Channel::Sms)
    };
    let request = request(&message).await?;
    let json = request.json();
    assert_eq!(json["to"], json!([hostile]));
    assert_eq!(
        (&json["from"], &json["text"]),
        (&json!(hostile), &json!(hostile))
    );
    assert_eq!(json.as_object().expect("an object").len(), 6);
    assert!(request.headers.get("x-evil").is_none());
    Ok(())
}

/// Events name it by Bandwidth's id.
#[tokio::test]
async fn an_accepted_message_has_bandwidths_id() -> anyhow::Result<()> {
    let accepted = outcome(202, &[], ACCEPTED).await?;
    let id = "14762070468292kw2fuqty55yp2b2";
    assert_eq!(accepted.external_id.as_deref(), Some(id));
    Ok(())
}

/// 2xx alone is no success.
#[tokio::test]
async fn a_success_without_an_id_is_unknown() {
    for unreadable in ["", "<html></html>", "{}", r#"{"id": 7}"#, r#"{"id": ""}"#] {
        let error = error(202, unreadable).await;
        let expected = (Fault::Unknown, "answer_unreadable");
        assert_eq!((error.fault, error.reason), expected, "{unreadable}");
    }
}

/// The fields that an error names tell whose fault it was. A recipient is suppressed for its own fault only.
#[tokio::test]
async fn a_refusal_is_whose_field_is_wrong() {
    for (fields, fault, reason) in [
        (&["to"][..], RECIPIENT, "invalid_number"),
        (&["to[0]"], RECIPIENT, "invalid_number"),
        (&["to", "text"], MESSAGE, "rejected"),
        (&["from"], GATEWAY, "sender_refused"),
        (&["to", "from"], GATEWAY, "sender_refused"),
        (&["applicationId", "to"], GATEWAY, "unauthorized"),
        (&["media"], MESSAGE, "media_refused"),
        (&["text"], MESSAGE, "rejected"),
        (&["topic"], MESSAGE, "rejected"),
        (&[], MESSAGE, "rejected"),
    ] {
        let errors: Vec<_> = fields
            .iter()
            .map(|field| json!({"fieldName": field, "description": "is wrong"}))
            .collect();
        let body = json!({
            "type": "request-validation",
            "description": "Your request could not be accepted",
            "fieldErrors": errors,
        });
        let error = error(400, &body.to_string()).await;
        assert_eq!((error.fault, error.reason), (fault, reason), "{fields:?}");
        assert_eq!(error.code.as_deref(), Some("request-validation"));
    }
}

/// The answers of Bandwidth's page on errors (`site/docs/messaging/errors.mdx` @011ab6c).
#[tokio::test]
async fn documented_errors_are_told_apart() {
    for (status, body, fault, reason, code) in [
        (
            400,
            r#"{"type": "request-validation", "description": "Your request could not be accepted"}"#,
            MESSAGE,
            "rejected",
            "request-validation",
        ),
        (
            401,
            r#"{"type": "unauthorized", "description": "Authentication Failed"}"#,
            GATEWAY,
            "unauthorized",
            "unauthorized",
        ),
        (
            403,
            r#"{"type": "forbidden", "description": "Access Denied"}"#,
            GATEWAY,
            "unauthorized",
            "forbidden",
        ),
        (
            404,
            r#"{"timestamp": "2019-09-09T19:02:19.253+0000", "status": 404, "error": "Not Found", "message": "Not Found"}"#,
            GATEWAY,
            "endpoint_not_found",
            "404",
        ),
        (
            415,
            r#"{"type": "unsupported-content-type", "description": "Content type 'text/plain;charset=UTF-8' not supported."}"#,
            GATEWAY,
            "endpoint_not_found",
            "unsupported-content-type",
        ),
        (
            429,
            r#"{"type": "max-message-queue-size-exceeded", "description": "The SMS queue for your account is full"}"#,
            GATEWAY,
            "throttled",
            "max-message-queue-size-exceeded",
        ),
        (500, "<html></html>", GATEWAY, "provider_unavailable", "500"),
        (503, "", GATEWAY, "provider_unavailable", "503"),
    ] {
        let error = error(status, body).await;
        assert_eq!((error.fault, error.reason), (fault, reason), "{status}");
        assert_eq!(error.code.as_deref(), Some(code), "{status}");
    }
}

/// The queue takes minutes to empty; asking again at once fills it no less.
#[tokio::test]
async fn a_throttled_send_waits_as_long_as_it_is_told() {
    let error = outcome(429, &[("retry-after", "7")], "{}")
        .await
        .expect_err("throttled");
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(error.fault, Fault::Gateway { retry_after });
}

/// One caller's wrong sender must not close the gateway for the others.
#[tokio::test]
async fn a_refused_sender_is_the_fault_of_who_named_it() {
    let body = r#"{"type": "request-validation", "fieldErrors": [{"fieldName": "from", "description": "x"}]}"#;
    let double = HttpDouble::answering(400, body).await;
    let options = Options {
        from: Some("Nobody".into()),
        ..Options::default()
    };
    let own = Rendered {
        options: Arc::new(options),
        ..message(Channel::Sms)
    };
    let error = gateway(&double).send(&own, later()).await;
    assert_eq!(error.expect_err("refused").fault, MESSAGE);
}

/// Settings are logged, and errors too.
#[tokio::test]
async fn the_secret_is_in_no_debug_output_and_no_error() {
    let double = HttpDouble::answering(401, "{}").await;
    let settings = settings(&double);
    let error = built(&settings)
        .send(&message(Channel::Sms), later())
        .await
        .expect_err("refused");
    assert!(!format!("{settings:?} {error} {error:?}").contains(PASSWORD));
}
