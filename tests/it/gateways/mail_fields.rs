//! What the gateways share whose provider builds the mail: mails to try them with, and fields that try to leave
//! their place.

use postroad::gateway::Gateway;
use postroad::model::outcome::{Blame, Fault, SendError};
use proptest::prelude::*;
use serde_json::Value;

use super::injection::{FIELDS, Field, hostile, mail_where};
use super::*;
use crate::support::http_double::{HttpDouble, Request};

/// `SGVsbG8=`.
pub(super) const HELLO: &str = "SGVsbG8=";

/// A mail with everything that a mail can have, but for inline images.
pub(super) fn full_mail() -> Rendered {
    let mut message = mail_with(|options| {
        options.from = Some("\"Lovelace, Ada\" <ada@notes.example>".into());
        options.reply_to = Some("Answers <answers@notes.example>".into());
        options.cc = vec!["Charles <charles@example.org>".into()];
        options.bcc = vec!["mary@example.org".into()];
        let headers = [
            ("X-Note", "Grüße"),
            ("List-Unsubscribe", "<https://example.org/u>"),
        ];
        options.headers = headers.map(|(n, v)| (n.into(), v.into())).into();
        options.tags = vec!["notes".into(), "engine g".into(), "notes".into()];
        options.attachments = vec![attachment("notes.txt", HELLO)];
    });
    message.html = Some("<p>The engine</p>".into());
    message.ip_pool = Some("alerts".into());
    message
}

/// A mail with an image in its HTML, and with copies.
pub(super) fn mail_with_image() -> Rendered {
    let mut message = mail_with(|options| {
        options.cc = vec!["charles@example.org".into()];
        options.bcc = vec!["mary@example.org".into()];
        let mut image = attachment("engine.png", HELLO);
        image.content_type = Some("image/png".into());
        image.content_id = Some("engine".into());
        options.attachments = vec![image];
    });
    message.html = Some("<img src=\"cid:engine\">".into());
    message
}

/// The only request that was made.
pub(super) fn only(double: &HttpDouble) -> Request {
    let mut requests = double.requests();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

/// What `gateway` makes of one answer.
pub(super) async fn error_of(
    gateway: &dyn Gateway,
    double: &HttpDouble,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> SendError {
    double.answer(status, headers, body.to_owned());
    let message = message(gateway.channels()[0]);
    let error = gateway.send(&message, later()).await.expect_err("refused");
    for secret in [PASSWORD, "hunter2"] {
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    error
}

/// A gateway, and how its provider reads a request.
struct Api {
    gateway: Box<dyn Gateway>,
    double: HttpDouble,
    /// To whom it goes, copies too, bare or with names.
    recipients: fn(&Request) -> Vec<String>,
    /// Which fields it has.
    names: fn(&Request) -> Vec<String>,
}

async fn apis() -> Vec<Api> {
    let postal = HttpDouble::start().await;
    postal.answer(200, &[], postal::SUCCESS);
    let ses = HttpDouble::start().await;
    ses.answer(200, &[], ses::SUCCESS);
    let sendgrid = HttpDouble::start().await;
    sendgrid.answer(202, &sendgrid::SUCCESS, "");
    let mailgun = HttpDouble::start().await;
    mailgun.answer(200, &[], mailgun::SUCCESS);
    vec![
        Api {
            gateway: Box::new(postal::postal(&postal)),
            double: postal,
            recipients: |request| strings(&request.json(), &["/to", "/cc", "/bcc", "/rcpt_to"]),
            names: json_names,
        },
        Api {
            gateway: Box::new(ses::ses(&ses)),
            double: ses,
            recipients: |request| {
                let lists = ["ToAddresses", "CcAddresses", "BccAddresses"];
                let lists = lists.map(|list| format!("/Destination/{list}"));
                strings(&request.json(), &lists.each_ref().map(String::as_str))
            },
            names: json_names,
        },
        Api {
            gateway: Box::new(sendgrid::sendgrid(&sendgrid)),
            double: sendgrid,
            recipients: |request| {
                let json = request.json();
                let lists = json["personalizations"][0].as_object().expect("an object");
                let all = lists
                    .values()
                    .flat_map(|list| list.as_array().expect("a list"));
                all.map(|entry| entry["email"].as_str().expect("an address").to_owned())
                    .collect()
            },
            names: json_names,
        },
        Api {
            gateway: Box::new(mailgun::mailgun(&mailgun)),
            double: mailgun,
            recipients: |request| {
                let fields = form_fields(request).into_iter();
                let to = fields.filter(|(name, _)| matches!(name.as_str(), "to" | "cc" | "bcc"));
                to.map(|(_, value)| value).collect()
            },
            names: |request| {
                form_fields(request)
                    .into_iter()
                    .map(|(name, _)| name)
                    .collect()
            },
        },
    ]
}

fn json_names(request: &Request) -> Vec<String> {
    let json = request.json();
    json.as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

fn strings(json: &Value, lists: &[&str]) -> Vec<String> {
    let lists = lists
        .iter()
        .filter_map(|list| json.pointer(list)?.as_array());
    let all = lists
        .flatten()
        .map(|text| text.as_str().expect("text").to_owned());
    all.collect()
}

fn form_fields(request: &Request) -> Vec<(String, String)> {
    if request.header("content-type").starts_with("multipart/") {
        let parts = mailgun::parts(request).into_iter();
        return parts
            .map(|part| {
                (
                    part.name,
                    String::from_utf8_lossy(&part.content).into_owned(),
                )
            })
            .collect();
    }
    request.form()
}

/// All that a request may have, at whichever provider; `h:` stands for Mailgun's headers.
const NAMES: &[&str] = &[
    "to",
    "cc",
    "bcc",
    "from",
    "reply_to",
    "subject",
    "plain_body",
    "html_body",
    "tag",
    "headers",
    "attachments",
    "mail_from",
    "rcpt_to",
    "data",
    "FromEmailAddress",
    "Destination",
    "ReplyToAddresses",
    "Content",
    "EmailTags",
    "ConfigurationSetName",
    "personalizations",
    "content",
    "categories",
    "custom_args",
    "text",
    "html",
    "attachment",
    "message",
    "o:tag",
    "v:postroad_id",
    "h:Reply-To",
];

/// CR, LF and NUL belong in no field but the content.
#[tokio::test]
async fn a_line_end_in_a_field_is_refused_by_every_mail_api() {
    for api in apis().await {
        for field in FIELDS {
            if matches!(field, Field::Body | Field::Html) {
                continue;
            }
            for end in ["\r\n", "\n", "\r", "\0"] {
                for text in [
                    format!("a@example.org{end}Bcc: eve@example.org"),
                    format!("A{end}Bcc: eve@example.org{end} <a@example.org>"),
                    format!("a@example.org{end}"),
                ] {
                    let result = api.gateway.send(&mail_where(field, &text), later()).await;
                    let error = result.expect_err("refused");
                    let blame = match field {
                        Field::Recipient => Blame::Recipient,
                        _ => Blame::Message,
                    };
                    assert_eq!(error.fault, Fault::Permanent(blame), "{field:?} {text:?}");
                    let reasons = ["invalid_address", "invalid_header", "invalid_attachment"];
                    assert!(reasons.contains(&error.reason), "{}", error.reason);
                }
            }
        }
        assert!(api.double.requests().is_empty(), "{}", api.gateway.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the text and wherever it stands: it is refused, or the request has the fields that Postroad wrote and
    /// goes to the recipients that it named.
    #[test]
    fn no_text_makes_a_field_or_a_recipient_at_any_mail_api(
        index in 0..FIELDS.len(),
        text in hostile(),
        with_file: bool,
    ) {
        let field = FIELDS[index];
        let mut message = mail_where(field, &text);
        if !with_file {
            Arc::make_mut(&mut message.options).attachments.clear();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let tried = runtime.block_on(async {
            let mut tried = Vec::new();
            for api in apis().await {
                let sent = api.gateway.send(&message, later()).await;
                tried.push((sent.is_ok(), api.double.requests(), api.recipients, api.names));
            }
            tried
        });
        for (is_sent, requests, recipients, names) in tried {
            prop_assert_eq!(requests.len(), usize::from(is_sent));
            for request in requests {
                let recipients = recipients(&request);
                let copies = usize::from(matches!(field, Field::Cc | Field::Bcc));
                prop_assert!((1..=1 + copies).contains(&recipients.len()), "{:?}", recipients);
                let is_asked_for = matches!(field, Field::Cc | Field::Bcc | Field::Recipient);
                prop_assert!(is_asked_for || recipients == [RECIPIENT], "{:?}", recipients);
                for name in names(&request) {
                    let is_header = matches!(field, Field::HeaderName | Field::HeaderValue)
                        && name.strip_prefix("h:").is_some_and(|header| !header.contains(':'));
                    prop_assert!(is_header || NAMES.contains(&name.as_str()), "{:?}", name);
                }
            }
        }
    }
}
