//! SendGrid: the requests that it gets (`POST /v3/mail/send`), and what its answers mean.

use std::time::SystemTime;

use postroad::gateway::Gateway as _;
use postroad::gateway::sendgrid::{Sendgrid, Settings};
use postroad::model::outcome::{Blame, Fault};
use serde_json::json;

use super::mail_fields::{HELLO, error_of, full_mail, mail_with_image, only};
use super::*;
use crate::support::http_double::HttpDouble;

/// A success has no body, but this header.
pub(super) const SUCCESS: [(&str, &str); 1] = [("x-message-id", "14c5d75ce93.dfd.64b469")];

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

pub(super) fn sendgrid(double: &HttpDouble) -> Sendgrid {
    let settings = Settings {
        api_key: PASSWORD.into(),
        api_url: Some(double.url().into()),
        from: Some("Postroad <post@road.example>".into()),
        ip_pools: [("alerts".into(), "pool-7".into())].into(),
        batch: true,
    };
    Sendgrid::new("sendgrid", &settings).expect("settings that make sense")
}

fn refusal(field: Option<&str>, message: &str) -> String {
    json!({ "errors": [{ "message": message, "field": field, "help": null }] }).to_string()
}

/// Each parameter as the API reference names it; the custom argument comes back in events.
#[tokio::test]
async fn a_full_mail_is_posted_as_documented() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(202, &SUCCESS, "");
    let message = full_mail();
    let accepted = sendgrid(&double).send(&message, later()).await?;
    assert_eq!(
        accepted.external_id.as_deref(),
        Some("14c5d75ce93.dfd.64b469")
    );

    let request = only(&double);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v3/mail/send")
    );
    assert_eq!(
        request.header("authorization"),
        format!("Bearer {PASSWORD}")
    );
    assert_eq!(request.header("content-type"), "application/json");
    let expected = json!({
        "personalizations": [{
            "to": [{ "email": RECIPIENT }],
            "cc": [{ "email": "charles@example.org", "name": "Charles" }],
            "bcc": [{ "email": "mary@example.org" }],
        }],
        "from": { "email": "ada@notes.example", "name": "Lovelace, Ada" },
        "reply_to": { "email": "answers@notes.example", "name": "Answers" },
        "subject": "Notes",
        "content": [
            { "type": "text/plain", "value": BODY },
            { "type": "text/html", "value": "<p>The engine</p>" },
        ],
        "attachments": [{
            "content": HELLO, "filename": "notes.txt", "type": "text/plain", "disposition": "attachment",
        }],
        "headers": {
            "X-Note": "=?utf-8?b?R3LDvMOfZQ==?=",
            "List-Unsubscribe": "<https://example.org/u>",
        },
        "categories": ["notes", "engine g"],
        "custom_args": { "postroad_id": message.message_id.to_string() },
        "ip_pool_name": "pool-7",
    });
    assert_eq!(request.json(), expected);
    Ok(())
}

/// The HTML refers to the image by its content id.
#[tokio::test]
async fn an_image_is_inline_under_its_content_id() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(202, &SUCCESS, "");
    sendgrid(&double).send(&mail_with_image(), later()).await?;
    let expected = json!([{
        "content": HELLO, "filename": "engine.png", "type": "image/png", "disposition": "inline", "content_id": "engine",
    }]);
    assert_eq!(only(&double).json()["attachments"], expected);
    Ok(())
}

/// SendGrid refuses a mail that names an address twice, a name with a comma, and an eleventh category.
#[tokio::test]
async fn what_sendgrid_refuses_is_not_sent() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(202, &SUCCESS, "");
    let message = mail_with(|options| {
        options.cc = vec![
            "ADA@example.org".into(),
            "\"B, C; D\" <b@example.org>".into(),
        ];
        options.bcc = vec!["b@example.org".into()];
        options.tags = (0..11).map(|n| format!("t{n}")).collect();
    });
    sendgrid(&double).send(&message, later()).await?;
    let body = only(&double).json();
    let expected = json!([{ "to": [{ "email": RECIPIENT }], "cc": [{ "email": "b@example.org", "name": "B  C  D" }] }]);
    assert_eq!(body["personalizations"], expected);
    assert_eq!(body["categories"].as_array().map(Vec::len), Some(10));
    Ok(())
}

/// A `Reply-To` among the headers would be refused, so it goes where it belongs.
#[tokio::test]
async fn a_reply_to_header_becomes_the_parameter() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(202, &SUCCESS, "");
    let header = |value: &str| [("reply-to".to_owned(), value.to_owned())].into();
    let gateway = sendgrid(&double);
    let message = mail_with(|options| options.headers = header("B <b@example.org>"));
    gateway.send(&message, later()).await?;
    let body = only(&double).json();
    assert_eq!(
        body["reply_to"],
        json!({ "email": "b@example.org", "name": "B" })
    );
    assert_eq!(body.get("headers"), None);

    for (headers, reply_to) in [
        (header("a@x.org, b@x.org"), None),
        (header("a@x.org"), Some("b@x.org")),
    ] {
        let message = mail_with(|options| {
            options.headers = headers;
            options.reply_to = reply_to.map(Into::into);
        });
        let error = gateway.send(&message, later()).await.expect_err("refused");
        assert_eq!((error.fault, error.reason), (MESSAGE, "header_not_allowed"));
    }
    Ok(())
}

/// Each documented error, by whose fault it is.
#[tokio::test]
async fn each_error_blames_whom_it_should() {
    let recipient = Fault::Permanent(Blame::Recipient);
    let to = Some("personalizations.0.to.0.email");
    for (status, field, text, fault, reason) in [
        (
            400,
            to,
            "Does not contain a valid address.",
            recipient,
            "invalid_address",
        ),
        (
            400,
            Some("personalizations.0.cc.0.email"),
            "",
            MESSAGE,
            "invalid_address",
        ),
        (400, Some("from.email"), "", MESSAGE, "invalid_address"),
        (400, Some("ip_pool_name"), "", GATEWAY, "ip_pool_unknown"),
        (
            400,
            Some("subject"),
            "The subject is required.",
            MESSAGE,
            "rejected",
        ),
        (400, None, "Bad Request", MESSAGE, "rejected"),
        (401, None, "authorization required", GATEWAY, "unauthorized"),
        (
            401,
            None,
            "Maximum credits exceeded",
            GATEWAY,
            "quota_exceeded",
        ),
        (
            403,
            Some("from"),
            "The from address does not match a verified Sender Identity.",
            GATEWAY,
            "sender_refused",
        ),
        (403, None, "access forbidden", GATEWAY, "unauthorized"),
        (404, None, "", GATEWAY, "endpoint_not_found"),
        (413, None, "", MESSAGE, "message_too_large"),
        (429, None, "too many requests", GATEWAY, "throttled"),
        (500, None, "", GATEWAY, "provider_unavailable"),
        (503, None, "", GATEWAY, "provider_unavailable"),
    ] {
        let double = HttpDouble::start().await;
        let error = error_of(
            &sendgrid(&double),
            &double,
            status,
            &[],
            &refusal(field, text),
        )
        .await;
        assert_eq!(
            (error.fault, error.reason),
            (fault, reason),
            "{status} {field:?} {text}"
        );
    }
}

/// A caller may name any sender; the gateway is not shut to all for one of them.
#[tokio::test]
async fn a_refused_sender_that_the_message_named_is_the_messages_fault() {
    let told = refusal(Some("from"), "no verified Sender Identity");
    let double = HttpDouble::answering(403, told).await;
    let message = mail_with(|o| o.from = Some("al@notes.example".into()));
    let error = sendgrid(&double).send(&message, later()).await;
    let error = error.expect_err("refused");
    assert_eq!((error.fault, error.reason), (MESSAGE, "sender_refused"));
}

/// SendGrid says when the limit is over, though not by `Retry-After`.
#[tokio::test]
async fn throttling_lasts_until_the_reset() {
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock after 1970");
    let reset = (now.as_secs() + 60).to_string();
    let double = HttpDouble::start().await;
    let headers = [("x-ratelimit-reset", reset.as_str())];
    let error = error_of(&sendgrid(&double), &double, 429, &headers, "").await;
    let Fault::Gateway {
        retry_after: Some(asked),
    } = error.fault
    else {
        panic!("{error:?}");
    };
    assert!(
        asked > Duration::from_secs(30) && asked <= Duration::from_secs(60),
        "{asked:?}"
    );
}

/// The sandbox answers 200 to a mail that it drops; a page is no API's answer.
#[tokio::test]
async fn a_success_that_is_not_202_is_none() {
    for (status, body) in [(200, ""), (201, "{}"), (204, ""), (302, "<html>")] {
        let double = HttpDouble::start().await;
        let error = error_of(&sendgrid(&double), &double, status, &[], body).await;
        assert_eq!(
            (error.fault, error.reason),
            (GATEWAY, "unexpected_answer"),
            "{status}"
        );
    }
}

/// A connection costs three round trips, a mail should cost one.
#[tokio::test]
async fn mails_share_a_connection() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(202, &SUCCESS, "");
    let gateway = sendgrid(&double);
    for _ in 0..3 {
        gateway.send(&mail(), later()).await?;
    }
    assert_eq!((double.requests().len(), double.connections()), (3, 1));
    Ok(())
}
