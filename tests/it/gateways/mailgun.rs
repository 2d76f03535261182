//! Mailgun: the requests that it gets (`messages`, `messages.mime`), and what its answers mean.

use mail_parser::MessageParser;
use postroad::gateway::Gateway as _;
use postroad::gateway::mailgun::{Mailgun, Region, Settings};
use postroad::model::outcome::{Blame, Fault};
use serde_json::json;

use super::mail_fields::{error_of, full_mail, mail_with_image, only};
use super::*;
use crate::support::http_double::{HttpDouble, Request};

/// As the user manual gives it.
pub(super) const SUCCESS: &str =
    r#"{"message":"Queued. Thank you.","id":"<20111114174239.25659.5817@samples.mailgun.org>"}"#;

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

pub(super) fn mailgun(double: &HttpDouble) -> Mailgun {
    let settings = Settings {
        api_key: PASSWORD.into(),
        domain: "mg.road.example".into(),
        region: Region::Eu,
        api_url: Some(double.url().into()),
        from: Some("Postroad <post@road.example>".into()),
        ip_pools: [("alerts".into(), "60140bc1fee3e84dec5abeeb".into())].into(),
        batch: true,
    };
    Mailgun::new("mailgun", &settings).expect("settings that make sense")
}

/// A part of a form with files (RFC 7578): its name, its file name, its content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) filename: Option<String>,
    pub(super) content: Vec<u8>,
}

/// The parts of a form with files.
pub(super) fn parts(request: &Request) -> Vec<Part> {
    let header = format!("Content-Type: {}\r\n\r\n", request.header("content-type"));
    let mail = [header.as_bytes(), &request.body].concat();
    let parsed = MessageParser::default().parse(&mail).expect("a form");
    let parameter = |part: &mail_parser::MessagePart<'_>, name: &str| {
        use mail_parser::MimeHeaders as _;
        let value = part.content_disposition()?.attribute(name)?;
        Some(value.to_owned())
    };
    let parts = parsed.parts.iter().skip(1);
    parts
        .filter(|part| parameter(part, "name").is_some())
        .map(|part| Part {
            name: parameter(part, "name").unwrap_or_default(),
            filename: parameter(part, "filename"),
            content: part.contents().to_vec(),
        })
        .collect()
}

fn text(name: &str, content: &str) -> (String, String) {
    (name.to_owned(), content.to_owned())
}

/// Each field as the API reference names it; the variable comes back in events.
#[tokio::test]
async fn a_mail_without_files_is_a_plain_form() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let mut message = full_mail();
    Arc::make_mut(&mut message.options).attachments.clear();
    let accepted = mailgun(&double).send(&message, later()).await?;
    let id = "20111114174239.25659.5817@samples.mailgun.org";
    assert_eq!(accepted.external_id.as_deref(), Some(id));
    assert_eq!(
        accepted.provider_text.as_deref(),
        Some("Queued. Thank you.")
    );

    let request = only(&double);
    let target = (request.method.as_str(), request.path.as_str());
    assert_eq!(target, ("POST", "/v3/mg.road.example/messages"));
    assert_eq!(
        request.header("authorization"),
        "Basic YXBpOmNvcnJlY3QtaG9yc2U="
    );
    assert_eq!(
        request.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    let expected = [
        text("from", "\"Lovelace, Ada\" <ada@notes.example>"),
        text("to", RECIPIENT),
        text("cc", "Charles <charles@example.org>"),
        text("bcc", "mary@example.org"),
        text("subject", "Notes"),
        text("text", BODY),
        text("html", "<p>The engine</p>"),
        text("h:Reply-To", "Answers <answers@notes.example>"),
        text("h:List-Unsubscribe", "<https://example.org/u>"),
        text("h:X-Note", "=?utf-8?b?R3LDvMOfZQ==?="),
        text("o:tag", "notes"),
        text("o:tag", "engine g"),
        text("o:sending-ip-pool", "60140bc1fee3e84dec5abeeb"),
        text("v:postroad_id", &message.message_id.to_string()),
    ];
    assert_eq!(request.form(), expected);
    Ok(())
}

/// Files need a form that carries files.
#[tokio::test]
async fn a_mail_with_files_is_a_form_in_parts() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let message = full_mail();
    mailgun(&double).send(&message, later()).await?;
    let request = only(&double);
    assert_eq!(request.path, "/v3/mg.road.example/messages");
    let parts = parts(&request);
    let file = Part {
        name: "attachment".into(),
        filename: Some("notes.txt".into()),
        content: b"Hello".to_vec(),
    };
    assert!(parts.contains(&file), "{parts:?}");
    let to: Vec<_> = parts.iter().filter(|part| part.name == "to").collect();
    assert_eq!(to.len(), 1);
    assert_eq!(to[0].content, RECIPIENT.as_bytes());
    assert_eq!(parts.len(), 15);
    Ok(())
}

/// `messages` names inline images by their file names, so content ids need a whole mail.
#[tokio::test]
async fn a_mail_with_an_image_is_posted_whole() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let message = mail_with_image();
    mailgun(&double).send(&message, later()).await?;
    let request = only(&double);
    assert_eq!(request.path, "/v3/mg.road.example/messages.mime");
    let body = String::from_utf8_lossy(&request.body);
    let id = message.message_id;
    assert!(body.contains("Content-ID: <engine>"), "{body}");
    assert!(
        body.contains(&format!("Message-ID: <{id}@road.example>")),
        "{body}"
    );
    assert!(!body.to_ascii_lowercase().contains("\r\nbcc:"), "{body}");
    for to in [RECIPIENT, "charles@example.org", "mary@example.org"] {
        let part = format!("name=\"to\"\r\n\r\n{to}\r\n");
        assert!(body.contains(&part), "{body}");
    }
    assert!(
        body.contains(&format!("name=\"v:postroad_id\"\r\n\r\n{id}\r\n")),
        "{body}"
    );
    assert!(
        body.contains("name=\"message\"; filename=\"message.mime\""),
        "{body}"
    );
    Ok(())
}

/// A tag that Mailgun would refuse must not cost the mail.
#[tokio::test]
async fn tags_are_ascii_and_not_too_many() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let message = mail_with(|options| {
        let tags = (0..11).map(|n| format!("t{n}"));
        options.tags = ["grün".to_owned(), "x".repeat(129)]
            .into_iter()
            .chain(tags)
            .collect();
    });
    mailgun(&double).send(&message, later()).await?;
    let form = only(&double).form();
    let tags: Vec<_> = form.iter().filter(|(name, _)| name == "o:tag").collect();
    assert_eq!((tags.len(), tags[0].1.as_str()), (10, "gr_n"));
    Ok(())
}

/// Mailgun has no codes but words.
#[tokio::test]
async fn each_error_blames_whom_it_should() {
    let recipient = Fault::Permanent(Blame::Recipient);
    let address = "parameter is not a valid address. please check documentation";
    for (status, text, fault, reason) in [
        (400, format!("'to' {address}"), recipient, "invalid_address"),
        (400, format!("to {address}"), recipient, "invalid_address"),
        (400, format!("'cc' {address}"), MESSAGE, "invalid_address"),
        (400, format!("'from' {address}"), MESSAGE, "invalid_address"),
        (
            400,
            "Domain x.org is not allowed to send: unverified".into(),
            GATEWAY,
            "domain_not_allowed",
        ),
        (400, "IP pool not found".into(), GATEWAY, "ip_pool_unknown"),
        (
            400,
            "Need at least one of 'text' or 'html' parameters specified".into(),
            MESSAGE,
            "rejected",
        ),
        (401, "Forbidden".into(), GATEWAY, "unauthorized"),
        (402, "Payment required".into(), GATEWAY, "unauthorized"),
        (
            403,
            "x is not allowed to send large batches yet".into(),
            GATEWAY,
            "domain_not_allowed",
        ),
        (
            404,
            "Domain not found: x.org".into(),
            GATEWAY,
            "endpoint_not_found",
        ),
        (413, String::new(), MESSAGE, "message_too_large"),
        (429, "Too many requests".into(), GATEWAY, "throttled"),
        (500, String::new(), GATEWAY, "provider_unavailable"),
        (503, String::new(), GATEWAY, "provider_unavailable"),
        (502, String::new(), Fault::Unknown, "no_answer"),
    ] {
        let double = HttpDouble::start().await;
        let body = json!({ "message": text }).to_string();
        let error = error_of(&mailgun(&double), &double, status, &[], &body).await;
        assert_eq!(
            (error.fault, error.reason),
            (fault, reason),
            "{status} {text}"
        );
    }
}

/// Mailgun says when to come back in a header, in a number, or in words.
#[tokio::test]
async fn throttling_lasts_as_long_as_mailgun_says() {
    let at = std::time::SystemTime::now() + Duration::from_secs(60);
    let at = httpdate::fmt_http_date(at);
    let words =
        json!({ "message": format!("domain recipient limit exceeded, try again after {at}") });
    for (headers, body) in [
        (&[("retry-after", "60")][..], String::new()),
        (
            &[][..],
            r#"{"message":"slow down","retry-seconds":60}"#.into(),
        ),
        (&[][..], words.to_string()),
    ] {
        let double = HttpDouble::start().await;
        let error = error_of(&mailgun(&double), &double, 429, headers, &body).await;
        let Fault::Gateway {
            retry_after: Some(asked),
        } = error.fault
        else {
            panic!("{error:?} of {body}");
        };
        assert!(
            asked > Duration::from_secs(30) && asked <= Duration::from_secs(60),
            "{asked:?}"
        );
    }
}

/// Without an id its events are never found.
#[tokio::test]
async fn a_success_without_an_id_is_unknown() {
    for body in ["", "{}", r#"{"id":"<>"}"#, "Mailgun Magnificent API"] {
        let double = HttpDouble::start().await;
        let error = error_of(&mailgun(&double), &double, 200, &[], body).await;
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Unknown, "answer_garbled"),
            "{body}"
        );
    }
}

/// The domain is part of the path.
#[test]
fn a_domain_is_a_name_and_nothing_else() {
    for domain in ["", ".", "..", "a/../b", "a?b", "a b", "mg.x.org/messages#"] {
        let settings = format!("api_key = 'k'\ndomain = '{domain}'");
        let settings: Settings = toml::from_str(&settings).expect("settings");
        assert!(Mailgun::new("mailgun", &settings).is_err(), "{domain}");
    }
}
