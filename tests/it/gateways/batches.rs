//! Several messages by one call: what SES, SendGrid and Mailgun get, and what their answers mean for each message.

mod ses_entries;

use postroad::gateway::{Gateway, Member};
use postroad::model::outcome::{Accepted, Blame, Fault, SendError};
use serde_json::{Value, json};

use super::mail_fields::only;
use super::*;
use crate::support::http_double::{HttpDouble, Request};

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const MESSAGE: Fault = Fault::Permanent(Blame::Message);
const RECIPIENTS: [&str; 3] = ["ada@example.org", "charles@example.org", "mary@example.org"];

/// Messages that share `first`'s content.
fn shared(first: &Rendered, recipients: &[&str]) -> Vec<Rendered> {
    let to = |recipient: &&str| Rendered {
        message_id: Uuid::now_v7(),
        recipient: (*recipient).into(),
        ..first.clone()
    };
    recipients.iter().map(to).collect()
}

async fn send(
    gateway: &dyn Gateway,
    messages: &[Rendered],
    deadline: Instant,
) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
    let batch = gateway.batch().expect("a call for several");
    let members: Vec<Member<'_>> = messages.iter().map(Member::from).collect();
    batch.send_batch(&members, deadline).await
}

fn full() -> Rendered {
    let mut message = mail_with(|options| {
        options.reply_to = Some("Answers <answers@notes.example>".into());
        let unsubscribe = ("List-Unsubscribe", "<https://example.org/u>");
        options.headers = [unsubscribe].map(|(n, v)| (n.into(), v.into())).into();
        options.tags = vec!["notes".into()];
    });
    message.html = Some("<p>100% of { it }</p>".into());
    message.ip_pool = Some("alerts".into());
    message
}

/// SES's results, one for each of the entries.
pub(crate) fn results(statuses: &[(&str, &str)]) -> String {
    let entries = statuses.iter().zip(1..).map(|((status, error), nth)| {
        json!({ "Status": status, "Error": error, "MessageId": format!("id-{nth}") })
    });
    json!({ "BulkEmailEntryResults": entries.collect::<Vec<_>>() }).to_string()
}

/// A personalization each: nobody sees the others, and each event names its message.
#[tokio::test]
async fn sendgrid_gets_a_personalization_a_message() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(202, &sendgrid::SUCCESS, "");
    let messages = shared(&full(), &RECIPIENTS);
    let answers = send(&sendgrid::sendgrid(&double), &messages, later()).await?;
    assert_eq!(answers.len(), 3);
    for answer in answers {
        assert_eq!(
            answer?.external_id.as_deref(),
            Some("14c5d75ce93.dfd.64b469")
        );
    }
    let request = only(&double);
    assert_eq!(request.path, "/v3/mail/send");
    let own = |message: &Rendered| {
        let id = message.message_id.to_string();
        json!({ "to": [{ "email": message.recipient }], "custom_args": { "postroad_id": id } })
    };
    let expected = json!({
        "personalizations": messages.iter().map(own).collect::<Vec<_>>(),
        "from": { "email": "post@road.example", "name": "Postroad" },
        "reply_to": { "email": "answers@notes.example", "name": "Answers" },
        "subject": "Notes",
        "content": [
            { "type": "text/plain", "value": BODY },
            { "type": "text/html", "value": "<p>100% of { it }</p>" },
        ],
        "headers": { "List-Unsubscribe": "<https://example.org/u>" },
        "categories": ["notes"],
        "ip_pool_name": "pool-7",
    });
    assert_eq!(request.json(), expected);
    Ok(())
}

/// With variables for each recipient Mailgun sends to each alone, and returns each id in its events.
#[tokio::test]
async fn mailgun_gets_variables_for_each_recipient() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], mailgun::SUCCESS);
    let messages = shared(&full(), &RECIPIENTS);
    let answers = send(&mailgun::mailgun(&double), &messages, later()).await?;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let request = only(&double);
    assert!(request.path.ends_with("/messages"), "{}", request.path);
    let form = request.form();
    let all = |name: &str| -> Vec<&str> {
        let of_name = form.iter().filter(|(n, _)| n == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("to"), RECIPIENTS);
    assert_eq!(all("v:postroad_id"), ["%recipient.postroad_id%"]);
    assert_eq!(all("html"), ["<p>100% of { it }</p>"]);
    assert_eq!(all("o:sending-ip-pool"), ["60140bc1fee3e84dec5abeeb"]);
    let variables: Value = serde_json::from_str(all("recipient-variables")[0])?;
    for message in &messages {
        let own = json!({ "postroad_id": message.message_id.to_string() });
        assert_eq!(variables[&message.recipient], own);
    }
    assert_eq!(variables.as_object().map(serde_json::Map::len), Some(3));
    Ok(())
}

async fn gateways(double: &HttpDouble) -> [Box<dyn Gateway>; 3] {
    [
        Box::new(ses::ses(double)),
        Box::new(sendgrid::sendgrid(double)),
        Box::new(mailgun::mailgun(double)),
    ]
}

/// What is no address is not handed over, and takes nobody with it.
#[tokio::test]
async fn a_recipient_that_is_no_address_is_refused_alone() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer_by(|request: &Request| match request.path.as_str() {
        "/v3/mail/send" => (202, String::new()),
        path if path.ends_with("/messages") => (200, mailgun::SUCCESS.into()),
        _ => (200, results(&[("SUCCESS", ""); 2])),
    });
    for gateway in gateways(&double).await {
        let messages = shared(
            &mail(),
            &["ada@example.org", "\"a,b\"@x.org", "mary@example.org"],
        );
        let answers = send(&*gateway, &messages, later()).await?;
        let faults: Vec<_> = answers
            .iter()
            .map(|a| a.as_ref().err().map(|e| e.fault))
            .collect();
        let recipient = Some(Fault::Permanent(Blame::Recipient));
        assert_eq!(faults, [None, recipient, None], "{}", gateway.name());
        let body = double.requests().pop().expect("a request").body;
        assert!(!String::from_utf8_lossy(&body).contains("a,b"));

        let asked = double.requests().len();
        let answers = send(&*gateway, &shared(&mail(), &["x", "y"]), later()).await?;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(
            double.requests().len(),
            asked,
            "there was nobody to ask for"
        );
    }
    Ok(())
}

/// What is wrong with the call is told of the call, by the same rules as for one message.
#[tokio::test]
async fn a_call_that_fails_says_whose_fault_it_was() -> anyhow::Result<()> {
    for (status, fault) in [
        (503, GATEWAY),
        (401, GATEWAY),
        (400, MESSAGE),
        (413, MESSAGE),
    ] {
        let double = HttpDouble::answering(status, "").await;
        for gateway in gateways(&double).await {
            let error = send(&*gateway, &shared(&mail(), &RECIPIENTS), later()).await;
            let name = gateway.name();
            assert_eq!(error.expect_err(name).fault, fault, "{name} {status}");
        }
    }
    let double = HttpDouble::hanging().await;
    for gateway in gateways(&double).await {
        let error = send(&*gateway, &shared(&mail(), &RECIPIENTS), soon()).await;
        assert_eq!(
            error.expect_err("silence").fault,
            Fault::Unknown,
            "{}",
            gateway.name()
        );
    }
    Ok(())
}

/// A provider that would make something else of a mail in a batch gets it alone.
#[tokio::test]
async fn what_would_not_go_out_as_it_is_goes_alone() {
    let double = HttpDouble::start().await;
    let with = |change: fn(&mut Rendered)| {
        let mut message = mail();
        change(&mut message);
        message
    };
    let header = |value: &str| [("X-A".to_owned(), value.to_owned())].into();
    let image = || {
        let mut image = attachment("a.png", "SGVsbG8=");
        image.content_id = Some("a".into());
        vec![image]
    };
    // Whether SES, SendGrid and Mailgun carry it.
    let cases = [
        ("plain", mail(), [true, true, true]),
        (
            "one brace",
            with(|m| m.body = Some("{ a } } {".into())),
            [true, true, true],
        ),
        (
            "braces",
            with(|m| m.body = Some("Hi {{name}}".into())),
            [false, true, true],
        ),
        (
            "braces in the subject",
            with(|m| m.subject = Some("{{a".into())),
            [false, true, true],
        ),
        (
            "braces in html",
            with(|m| m.html = Some("{{{a}}}".into())),
            [false, true, true],
        ),
        (
            "braces in a header",
            mail_with(|o| o.headers = header("{{a}}")),
            [false, true, true],
        ),
        (
            "per cent",
            with(|m| m.body = Some("100% recipient".into())),
            [true, true, true],
        ),
        (
            "variable",
            with(|m| m.body = Some("a %recipient.x%".into())),
            [true, true, false],
        ),
        (
            "variable in capitals",
            with(|m| m.html = Some("%Recipient%".into())),
            [true, true, false],
        ),
        (
            "variable in a header",
            mail_with(|o| o.headers = header("%recipient_email%")),
            [true, true, false],
        ),
        (
            "cc",
            mail_with(|o| o.cc = vec!["b@x.org".into()]),
            [false; 3],
        ),
        (
            "bcc",
            mail_with(|o| o.bcc = vec!["b@x.org".into()]),
            [false; 3],
        ),
        (
            "file",
            mail_with(|o| o.attachments = vec![attachment("a", "SGVsbG8=")]),
            [false, true, true],
        ),
        (
            "inline image",
            mail_with(|o| o.attachments = image()),
            [false, true, false],
        ),
        (
            "large",
            with(|m| m.body = Some("a".repeat(400_001).into())),
            [false, true, true],
        ),
    ];
    for (what, message, expected) in cases {
        for (gateway, expected) in gateways(&double).await.iter().zip(expected) {
            let carried = gateway
                .batch()
                .expect("a call for several")
                .carries(&Member::from(&message));
            assert_eq!(carried, expected, "{} {what}", gateway.name());
        }
    }
}

/// Mailgun and its like tell recipients apart by their addresses: two that are one would get one id.
#[tokio::test]
async fn two_spellings_of_one_address_do_not_share_a_call() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    let twins = ["ada@b\u{fc}cher.example", "Ada@xn--bcher-kva.example"];
    for gateway in gateways(&double).await {
        let error = send(&*gateway, &shared(&mail(), &twins), later()).await;
        let error = error.expect_err(gateway.name());
        assert_eq!(
            (error.fault, error.reason),
            (MESSAGE, "recipient_twice"),
            "they are taken apart"
        );
    }
    assert!(double.requests().is_empty());
    Ok(())
}

/// What is refused is the number: the next call has fewer, and one alone needs no batch.
#[tokio::test]
async fn mailgun_gets_smaller_batches_when_it_refuses_large_ones() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    let mailgun = mailgun::mailgun(&double);
    let most = || mailgun.batch().map(|batch| batch.most());
    assert_eq!(most(), Some(1000));
    // So many mails, what Mailgun says, whose fault that is, and so many may go together from then on.
    let cases = [
        (
            8,
            (403, "Domain x is not allowed to send large batches yet"),
            MESSAGE,
            Some(4),
        ),
        (
            4,
            (
                400,
                "Rejected: Only 10 recipients per request is allowed on probation.",
            ),
            MESSAGE,
            Some(2),
        ),
        (
            2,
            (403, "Domain x is not allowed to send: inactive"),
            GATEWAY,
            Some(2),
        ),
        (
            2,
            (403, "Domain x is not allowed to send large batches yet"),
            MESSAGE,
            None,
        ),
    ];
    for (_, (status, text), ..) in cases {
        double.answer(status, &[], json!({ "message": text }).to_string());
    }
    for (count, (_, text), fault, expected) in cases {
        let recipients: Vec<String> = (0..count).map(|n| format!("r{n}@example.org")).collect();
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let error = send(&mailgun, &shared(&mail(), &recipients), later()).await;
        assert_eq!(error.expect_err(text).fault, fault, "{text}");
        assert_eq!(most(), expected, "{text}");
    }
    Ok(())
}
