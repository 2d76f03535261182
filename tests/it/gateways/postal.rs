//! Postal: the requests that it gets (`send/message` and `send/raw` of its API), and what its answers mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::MessageParser;
use postroad::gateway::Gateway as _;
use postroad::gateway::postal::{Postal, Settings};
use postroad::model::outcome::{Blame, Fault};
use serde_json::json;

use super::mail_fields::{HELLO, error_of, full_mail, mail_with_image, only};
use super::*;
use crate::support::http_double::HttpDouble;

/// As Postal 3.3 answers, whose keys are bare addresses.
pub(super) const SUCCESS: &str = r#"{"status":"success","time":0.02,"flags":{},"data":{"message_id":"a@rp.postal.example",
    "messages":{"ada@example.org":{"id":12,"token":"tok12"}}}}"#;

pub(super) fn postal(double: &HttpDouble) -> Postal {
    let settings = Settings {
        api_url: double.url().into(),
        api_key: PASSWORD.into(),
        from: Some("Postroad <post@road.example>".into()),
    };
    Postal::new("postal", &settings).expect("settings that make sense")
}

/// An answer of status `error`.
fn refusal(code: &str, message: &str) -> String {
    json!({ "status": "error", "time": 0.0, "flags": {}, "data": { "code": code, "message": message } })
        .to_string()
}

/// Each parameter as the API reference names it; the tag comes back in events.
#[tokio::test]
async fn a_full_mail_is_posted_by_its_fields() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let message = full_mail();
    let accepted = postal(&double).send(&message, later()).await?;
    assert_eq!(accepted.external_id.as_deref(), Some("12"));
    assert_eq!(accepted.provider_text.as_deref(), Some("tok12"));

    let request = only(&double);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/api/v1/send/message")
    );
    assert_eq!(request.header("x-server-api-key"), PASSWORD);
    assert_eq!(request.header("content-type"), "application/json");
    let expected = json!({
        "to": [RECIPIENT],
        "cc": ["Charles <charles@example.org>"],
        "bcc": ["mary@example.org"],
        "from": "\"Lovelace, Ada\" <ada@notes.example>",
        "reply_to": "Answers <answers@notes.example>",
        "subject": "Notes",
        "plain_body": BODY,
        "html_body": "<p>The engine</p>",
        "tag": message.message_id.to_string(),
        "headers": {
            "X-Note": "=?utf-8?b?R3LDvMOfZQ==?=",
            "List-Unsubscribe": "<https://example.org/u>",
            "X-Tags": "notes, engine g",
        },
        "attachments": [{ "name": "notes.txt", "content_type": "text/plain", "data": HELLO }],
    });
    assert_eq!(request.json(), expected);
    Ok(())
}

/// `send/message` has no content ids, so an image in the HTML needs a whole mail.
#[tokio::test]
async fn a_mail_with_an_image_is_posted_whole() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let message = mail_with_image();
    postal(&double).send(&message, later()).await?;

    let request = only(&double);
    assert_eq!(request.path, "/api/v1/send/raw");
    let mut body = request.json();
    let data = body["data"].take();
    let copies = ["charles@example.org", "mary@example.org"];
    let expected = json!({
        "mail_from": "post@road.example",
        "rcpt_to": [RECIPIENT, copies[0], copies[1]],
        "data": null,
    });
    assert_eq!(body, expected);
    let data = STANDARD.decode(data.as_str().expect("base64"))?;
    let mail = MessageParser::default().parse(&data).expect("a mail");
    let tag = mail.header_raw("X-Postal-Tag").map(str::trim);
    assert_eq!(tag, Some(message.message_id.to_string().as_str()));
    assert_eq!(mail.attachment_count(), 1);
    Ok(())
}

/// Postal refuses a blank body, which a mail may have.
#[tokio::test]
async fn a_blank_mail_is_posted_whole() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let blank = Rendered {
        body: Some(" \n".into()),
        ..mail()
    };
    postal(&double).send(&blank, later()).await?;
    assert_eq!(only(&double).path, "/api/v1/send/raw");
    Ok(())
}

/// Copies have ids of their own; their events are not the message's.
#[tokio::test]
async fn the_external_id_is_the_recipients_among_the_copies() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    let of = |ada: &str| {
        let messages =
            json!({ "aaa@x.org": { "id": 1, "token": "a" }, ada: { "id": 2, "token": "b" } });
        json!({ "status": "success", "data": { "message_id": "m@rp", "messages": messages } })
            .to_string()
    };
    double.answer(200, &[], of("Ada@Example.org"));
    double.answer(200, &[], of("other@example.org"));
    let message = mail_with(|options| options.cc = vec!["aaa@x.org".into()]);
    let gateway = postal(&double);
    let own = gateway.send(&message, later()).await?;
    assert_eq!(own.external_id.as_deref(), Some("2"));
    let unclear = gateway.send(&message, later()).await?;
    assert_eq!(unclear.external_id.as_deref(), Some("m@rp"));
    Ok(())
}

/// The answer of a wrong key quotes it.
#[tokio::test]
async fn a_refused_key_is_the_gateways_fault_and_is_not_shown() {
    let double = HttpDouble::start().await;
    let told = refusal(
        "InvalidServerAPIKey",
        &format!("no credential has the key {PASSWORD}"),
    );
    let error = error_of(&postal(&double), &double, 200, &[], &told).await;
    assert_eq!(error.fault, Fault::Gateway { retry_after: None });
    assert_eq!(error.to_string(), "unauthorized (code InvalidServerAPIKey)");
    assert_eq!(
        error.provider_text.as_deref(),
        Some("no credential has the key ***")
    );
}

/// Each code of the controllers, by whose fault it is.
#[tokio::test]
async fn each_error_code_blames_whom_it_should() {
    let gateway = Fault::Gateway { retry_after: None };
    let message = Fault::Permanent(Blame::Message);
    for (code, fault, reason) in [
        ("AccessDenied", gateway, "unauthorized"),
        ("ServerSuspended", gateway, "account_suspended"),
        ("UnauthenticatedFromAddress", gateway, "sender_refused"),
        ("TooManyToAddresses", message, "too_many_recipients"),
        ("TooManyCCAddresses", message, "too_many_recipients"),
        ("TooManyBCCAddresses", message, "too_many_recipients"),
        ("NoContent", message, "no_content"),
        ("NoRecipients", message, "rejected"),
        ("FromAddressMissing", message, "rejected"),
        ("AttachmentMissingName", message, "invalid_attachment"),
        ("AttachmentMissingData", message, "invalid_attachment"),
        (
            "SomethingNew",
            Fault::Transient { retry_after: None },
            "provider_error",
        ),
    ] {
        let double = HttpDouble::start().await;
        let error = error_of(&postal(&double), &double, 200, &[], &refusal(code, "no")).await;
        assert_eq!((error.fault, error.reason), (fault, reason), "{code}");
    }
}

/// A caller may name any sender; the gateway is not shut to all for one of them.
#[tokio::test]
async fn a_refused_sender_that_the_message_named_is_the_messages_fault() {
    let told = refusal("UnauthenticatedFromAddress", "no");
    let double = HttpDouble::answering(200, told).await;
    let message = mail_with(|o| o.from = Some("al@notes.example".into()));
    let error = postal(&double).send(&message, later()).await;
    let error = error.expect_err("refused");
    let expected = (Fault::Permanent(Blame::Message), "sender_refused");
    assert_eq!((error.fault, error.reason), expected);
}

/// Postal says no with a 200 in two more ways.
#[tokio::test]
async fn a_refused_parameter_and_an_empty_success_are_the_messages_fault() {
    for body in [
        r#"{"status":"parameter-error","data":{"message":"`rcpt_to` is missing"}}"#,
        r#"{"status":"success","data":{"message_id":null,"messages":{}}}"#,
    ] {
        let double = HttpDouble::start().await;
        let error = error_of(&postal(&double), &double, 200, &[], body).await;
        assert_eq!(error.fault, Fault::Permanent(Blame::Message), "{body}");
        assert_eq!(error.reason, "rejected");
    }
}

/// What is not Postal's JSON came from something in between, or was cut.
#[tokio::test]
async fn an_outage_a_page_and_a_cut_answer_are_told_apart() {
    let gateway = Fault::Gateway { retry_after: None };
    let page = [("content-type", "text/html")];
    for (status, headers, body, fault, reason) in [
        (
            503,
            &page[..],
            "<h1>Unavailable</h1>",
            gateway,
            "provider_unavailable",
        ),
        (
            200,
            &page[..],
            "<h1>Log in</h1>",
            gateway,
            "unexpected_answer",
        ),
        (
            200,
            &[][..],
            "{\"status\":\"succ",
            Fault::Unknown,
            "answer_garbled",
        ),
    ] {
        let double = HttpDouble::start().await;
        let error = error_of(&postal(&double), &double, status, headers, body).await;
        assert_eq!((error.fault, error.reason), (fault, reason), "{body}");
    }
}
