//! Newsletters by one call: each with its own way out, and each the mail that it would be alone.

use std::collections::BTreeMap;

use postroad::gateway::links::{Links, Settings as LinkSettings};
use postroad::gateway::registry::{GatewaySettings, Registry};
use postroad::gateway::{Gateway, Member};
use postroad::model::link::{Kind, Purpose};
use serde_json::{Map, Value, json};

use super::batches::results;
use super::*;
use crate::support::http_double::{HttpDouble, Request};

const PUBLIC: &str = "https://road.example";
const RECIPIENTS: [&str; 3] = ["ada@example.org", "charles@example.org", "mary@example.org"];

/// Mails by name of a header, field or parameter.
type Mail = BTreeMap<String, Vec<String>>;

fn links(mailto: Option<&str>) -> Arc<Links> {
    let settings = LinkSettings {
        secret: Some("0123456789abcdef0123456789abcdef".into()),
        message_types: vec![MessageType::Newsletter],
        unsubscribe_mailto: mailto.map(Into::into),
        ..LinkSettings::default()
    };
    let links = Links::new(&settings, Some(PUBLIC)).expect("settings that make sense");
    Arc::new(links.expect("links"))
}

/// The gateway of this type at `double`, with our links, as a worker has it.
fn linked(kind: &str, double: &HttpDouble, links: &Arc<Links>) -> Arc<dyn Gateway> {
    let credentials = match kind {
        "ses" => "access_key_id = 'AKID'\nsecret_access_key = 'hunter2'\nregion = 'eu-central-1'",
        "mailgun" => "api_key = 'hunter2'\ndomain = 'mg.road.example'",
        _ => "api_key = 'hunter2'",
    };
    let settings = format!(
        "type = '{kind}'\napi_url = '{}'\nfrom = 'Postroad <post@road.example>'\n{credentials}",
        double.url()
    );
    let settings: GatewaySettings = toml::from_str(&settings).expect("settings");
    let settings = BTreeMap::from([("it".to_owned(), settings)]);
    let registry = Registry::build_with(&settings, &BTreeMap::new(), Some(links));
    let registry = registry.unwrap_or_else(|error| panic!("{error}"));
    Arc::clone(registry.get("it").expect("the gateway"))
}

/// A provider that takes all.
async fn accepting() -> HttpDouble {
    let double = HttpDouble::start().await;
    double.answer_by(|request: &Request| match request.path.as_str() {
        "/v3/mail/send" => (202, String::new()),
        "/v2/email/outbound-emails" => (200, ses::SUCCESS.into()),
        "/v2/email/outbound-bulk-emails" => (200, results(&[("SUCCESS", ""); 3])),
        _ => (200, mailgun::SUCCESS.into()),
    });
    double
}

/// A newsletter with all that a batch carries, and what looks like a variable and is none.
fn newsletters(change: impl FnOnce(&mut Options)) -> Vec<Rendered> {
    let mut message = mail_with(|options| {
        options.reply_to = Some("Answers <answers@notes.example>".into());
        options.headers = [("X-Issue".into(), "7 of {12}, 100%".into())].into();
        options.tags = vec!["notes".into()];
        change(options);
    });
    message.message_type = MessageType::Newsletter;
    message.html =
        Some(r#"<a href="https://example.org/?a=1&amp;b=%7B">{ 100%recipe } -id-</a>"#.into());
    let to = |recipient: &str| Rendered {
        message_id: Uuid::now_v7(),
        recipient: recipient.into(),
        ..message.clone()
    };
    RECIPIENTS.map(to).into()
}

/// What each recipient gets of a batch, and what of single sends.
async fn both_ways(kind: &str, messages: &[Rendered]) -> anyhow::Result<(Request, Vec<Request>)> {
    let double = accepting().await;
    let gateway = linked(
        kind,
        &double,
        &links(Some("leave@example.org?subject=leave")),
    );
    let members: Vec<Member<'_>> = messages.iter().map(Member::from).collect();
    let batch = gateway.batch().expect("a call for several");
    assert!(
        batch.carries(&members[0]),
        "{kind}: newsletters share a call"
    );
    let answers = batch.send_batch(&members, later()).await?;
    assert!(answers.iter().all(Result::is_ok), "{kind}: {answers:?}");
    for message in messages {
        gateway.send(message, later()).await?;
    }
    let mut requests = double.requests();
    assert_eq!(requests.len(), 1 + messages.len(), "{kind}");
    Ok((requests.remove(0), requests))
}

/// `text` with each `before NAME after` replaced by what `of` has by that name; a name without a value stays.
fn expand(text: &str, before: &str, after: &str, of: &Map<String, Value>) -> String {
    of.iter().fold(text.to_owned(), |text, (name, value)| {
        let value = value.as_str().expect("a text");
        text.replace(&format!("{before}{name}{after}"), value)
    })
}

/// Header fields by name.
fn sorted(headers: &Value) -> BTreeMap<String, Value> {
    let headers = headers.as_array().into_iter().flatten();
    let pair = |header: &Value| {
        let name = header["Name"].as_str().expect("a name").to_owned();
        (name, header["Value"].clone())
    };
    headers.map(pair).collect()
}

/// A mail of SES, however it was asked for.
fn of_ses(request: &Value, entry: Option<&Value>) -> Value {
    let whole = entry.unwrap_or(request);
    let (subject, text, html, mut headers) = match entry {
        None => {
            let simple = &request["Content"]["Simple"];
            let body = &simple["Body"];
            let data = |text: &Value| text["Data"].clone();
            let headers = sorted(&simple["Headers"]);
            (
                data(&simple["Subject"]),
                data(&body["Text"]),
                data(&body["Html"]),
                headers,
            )
        }
        Some(_) => {
            let template = &request["DefaultContent"]["Template"];
            let data = template["TemplateData"].as_str().expect("data");
            let data: Map<String, Value> = serde_json::from_str(data).expect("JSON");
            let made =
                |text: &Value| json!(expand(text.as_str().expect("text"), "{{", "}}", &data));
            let content = &template["TemplateContent"];
            let headers = sorted(&template["Headers"]);
            (
                made(&content["Subject"]),
                made(&content["Text"]),
                made(&content["Html"]),
                headers,
            )
        }
    };
    // Those of the entry are added, or replace those of the same name.
    headers.extend(sorted(&whole["ReplacementHeaders"]));
    let tags = whole.get("ReplacementTags").unwrap_or(&whole["EmailTags"]);
    json!({
        "from": request["FromEmailAddress"], "reply_to": request["ReplyToAddresses"],
        "to": whole["Destination"], "subject": subject, "text": text, "html": html,
        "headers": headers, "tags": sorted(tags), "set": request["ConfigurationSetName"],
    })
}

/// A mail of SendGrid: a personalization's fields stand before those of the call. Whether its headers are added to the
/// call's is said nowhere: `adds`.
fn of_sendgrid(request: &Value, nth: usize, adds: bool) -> Value {
    let mut mail = request.clone();
    let whole = mail.as_object_mut().expect("an object");
    let own = whole.remove("personalizations").expect("personalizations");
    let mut own = own[nth].clone();
    let own = own.as_object_mut().expect("an object");
    if let (true, Some(Value::Object(mut common))) = (adds, whole.get("headers").cloned()) {
        let more = own.remove("headers").and_then(|h| h.as_object().cloned());
        common.extend(more.unwrap_or_default());
        own.insert("headers".into(), Value::Object(common));
    }
    whole.append(own);
    mail
}

/// A mail of Mailgun: each recipient by itself, with its variables in each parameter.
fn of_mailgun(request: &Request, recipient: &str) -> Mail {
    let form = request.form();
    let of = form.iter().find(|(name, _)| name == "recipient-variables");
    let of = of.map(|(_, variables)| serde_json::from_str::<Value>(variables).expect("JSON"));
    let of = of.map(|all| all[recipient].as_object().expect("variables").clone());
    let mut mail = Mail::new();
    for (name, value) in form {
        if name == "recipient-variables" || name == "to" && value != recipient {
            continue;
        }
        let value = expand(&value, "%recipient.", "%", &of.clone().unwrap_or_default());
        mail.entry(name).or_default().push(value);
    }
    mail
}

/// Whoever reads a newsletter cannot tell by which call it came.
#[tokio::test]
async fn a_mail_of_a_batch_is_the_mail_that_it_is_alone() -> anyhow::Result<()> {
    let messages = newsletters(|_| ());
    let (batch, alone) = both_ways("ses", &messages).await?;
    let batch = batch.json();
    for (nth, alone) in alone.iter().enumerate() {
        let mail = of_ses(&batch, Some(&batch["BulkEmailEntries"][nth]));
        assert_eq!(mail, of_ses(&alone.json(), None));
    }
    let (batch, alone) = both_ways("sendgrid", &messages).await?;
    for (nth, alone) in alone.iter().enumerate() {
        for adds in [true, false] {
            let mail = of_sendgrid(&batch.json(), nth, adds);
            assert_eq!(mail, of_sendgrid(&alone.json(), 0, adds), "{adds}");
        }
    }
    let (batch, alone) = both_ways("mailgun", &messages).await?;
    for (recipient, alone) in RECIPIENTS.iter().zip(&alone) {
        let mail = of_mailgun(&batch, recipient);
        assert_eq!(mail, of_mailgun(alone, recipient));
        assert_eq!(mail["to"], [*recipient]);
    }
    Ok(())
}

/// A reader who leaves must not take another one off the list.
#[tokio::test]
async fn each_mail_of_a_batch_has_its_own_way_out() -> anyhow::Result<()> {
    let messages = newsletters(|_| ());
    let keys = links(None).keys();
    for kind in ["ses", "sendgrid", "mailgun"] {
        let (batch, _) = both_ways(kind, &messages).await?;
        for (nth, message) in messages.iter().enumerate() {
            let recipient = &message.recipient;
            let header = match kind {
                "ses" => of_ses(&batch.json(), Some(&batch.json()["BulkEmailEntries"][nth])),
                "sendgrid" => of_sendgrid(&batch.json(), nth, true),
                _ => {
                    json!({ "headers": { "List-Unsubscribe": of_mailgun(&batch, recipient)["h:List-Unsubscribe"][0] } })
                }
            };
            let header = header["headers"]["List-Unsubscribe"].as_str();
            let url = header.and_then(|value| value.strip_prefix('<')?.split_once('>'));
            let (url, rest) = url.unwrap_or_else(|| panic!("{kind}: {header:?}"));
            assert_eq!(rest, ", <mailto:leave@example.org?subject=leave>");
            let token = url.strip_prefix("https://road.example/u/").expect("ours");
            let link = keys.open(Kind::Unsubscribe, token).expect("a link");
            assert_eq!(link.message_id, message.message_id, "{kind}");
            let Purpose::Unsubscribe { recipient: own, .. } = link.purpose else {
                panic!("{link:?}")
            };
            assert_eq!(&own, recipient, "{kind}");
        }
    }
    Ok(())
}

/// What a provider would take for a variable, or cannot carry beside our two fields, goes alone; what it can does not.
#[tokio::test]
async fn a_newsletter_that_a_batch_would_change_goes_alone() {
    let double = HttpDouble::start().await;
    let header = |value: &str| [("X-A".to_owned(), value.to_owned())].into();
    let many = |count: usize| (0..count).map(|n| (format!("X-{n}"), "a".into())).collect();
    type Change = Box<dyn Fn(&mut Rendered)>;
    let options = |change: fn(&mut Options, BTreeMap<String, String>),
                   headers: BTreeMap<String, String>|
     -> Change {
        Box::new(move |message| change(Arc::make_mut(&mut message.options), headers.clone()))
    };
    let set = |o: &mut Options, headers| o.headers = headers;
    // Whether SES, SendGrid and Mailgun carry it.
    let cases: [(&str, Change, [bool; 3]); 8] = [
        ("plain", Box::new(|_| ()), [true; 3]),
        (
            "braces",
            Box::new(|m| m.body = Some("{{list_unsubscribe}}".into())),
            [false, true, true],
        ),
        (
            "variable",
            Box::new(|m| m.html = Some("%recipient.list_unsubscribe%".into())),
            [true, true, false],
        ),
        (
            "variable in a header",
            options(set, header("%recipient.x%")),
            [true, true, false],
        ),
        ("13 headers and ours", options(set, many(13)), [true; 3]),
        (
            "14 headers and ours",
            options(set, many(14)),
            [false, true, true],
        ),
        (
            "its own way out",
            options(
                set,
                [(
                    "list-unsubscribe".to_owned(),
                    "<https://x.org/{{a}}>".to_owned(),
                )]
                .into(),
            ),
            [false, true, true],
        ),
        (
            "copies",
            Box::new(|m| Arc::make_mut(&mut m.options).cc = vec!["b@x.org".into()]),
            [false; 3],
        ),
    ];
    for (what, change, expected) in cases {
        let mut message = newsletters(|options| options.headers.clear()).remove(0);
        change(&mut message);
        for (kind, expected) in ["ses", "sendgrid", "mailgun"].iter().zip(expected) {
            let gateway = linked(kind, &double, &links(None));
            let carried = gateway
                .batch()
                .expect("a call for several")
                .carries(&Member::from(&message));
            assert_eq!(carried, expected, "{kind}: {what}");
        }
    }
    // A configured address is content, too.
    let message = newsletters(|_| ()).remove(0);
    for (mailto, expected) in [
        ("a@x.org?subject={{a}}", [false, true, true]),
        ("a@x.org?subject=%recipient.a%", [true, true, false]),
    ] {
        for (kind, expected) in ["ses", "sendgrid", "mailgun"].iter().zip(expected) {
            let gateway = linked(kind, &double, &links(Some(mailto)));
            let carried = gateway
                .batch()
                .expect("a call for several")
                .carries(&Member::from(&message));
            assert_eq!(carried, expected, "{kind}: {mailto}");
        }
    }
}
