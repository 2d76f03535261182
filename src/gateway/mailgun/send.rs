//! A message → a form (<https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages>).

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder};
use serde_json::{Map, Value};

use super::config::Config;
use crate::gateway::Member;
use crate::gateway::mime::{self, Fields, File, Mailbox, Recipient};
use crate::model::message::Rendered;
use crate::model::outcome::{Blame, Fault, SendError};

/// What Mailgun takes: so many tags, of so many characters.
const TAGS_MAX: usize = 10;
const TAG_MAX: usize = 128;

/// Mails of one call.
pub(super) const BATCH_MAX: usize = 1000;

/// By which our message id comes back in events.
const ID: &str = "v:postroad_id";

/// What the names of a recipient's variables begin with, after a `%`.
const VARIABLE: &str = "recipient";

/// The request that sends `message`, without credentials.
pub(super) fn request(
    client: &Client,
    config: &Config,
    message: &Rendered,
) -> Result<RequestBuilder, SendError> {
    let fields = Fields::read(message, config.from.as_ref())?;
    let mut common = parameters(config, message, &fields);
    common.push((ID.into(), message.message_id.to_string()));
    if fields.has_inline_images() {
        let mail = mime::build(message, config.from.as_ref())?;
        let whole = Part::bytes(mail.bytes).file_name("message.mime");
        let recipients = [mail.recipient].into_iter().chain(mail.copies);
        let form = recipients.fold(form(common), |form, to| form.text("to", to.to_string()));
        let request = client.post(config.mime_url.clone());
        return Ok(request.multipart(form.part("message", whole)));
    }
    let mut pairs = by_fields(&fields, [&fields.parties.recipient]);
    pairs.extend(common);
    posted(client, config, pairs, fields)
}

/// The request that sends the content of `first` to each of `recipients`. Their variables hold the ids and their own header
/// fields, and keep the recipients from seeing each other (User Manual, "Batch sending").
pub(super) fn batch_request(
    client: &Client,
    config: &Config,
    first: &Rendered,
    recipients: &[Recipient<'_>],
) -> Result<RequestBuilder, SendError> {
    let fields = Fields::read(first, config.from.as_ref())?;
    let mut pairs = by_fields(&fields, recipients.iter().map(|recipient| &recipient.to));
    pairs.extend(parameters(config, first, &fields));
    pairs.push((ID.into(), "%recipient.postroad_id%".into()));
    let mut variables: Vec<Map<String, Value>> = recipients
        .iter()
        .map(|r| {
            Map::from_iter([(
                "postroad_id".into(),
                r.message.message_id.to_string().into(),
            )])
        })
        .collect();
    let names = recipients.first().into_iter().flat_map(|r| &r.headers);
    for (nth, (name, value)) in names.enumerate() {
        let own = recipients.iter().map(|r| r.headers.get(nth));
        let own = own.map(|own| own.map_or("", |(_, value)| value.as_str()));
        if own.clone().all(|own| own == value) {
            pairs.push((format!("h:{name}"), value.clone()));
            continue;
        }
        let variable = name.to_ascii_lowercase().replace('-', "_");
        pairs.push((format!("h:{name}"), format!("%{VARIABLE}.{variable}%")));
        for (variables, own) in variables.iter_mut().zip(own) {
            variables.insert(variable.clone(), own.into());
        }
    }
    let addresses = recipients.iter().map(|recipient| recipient.to.to_string());
    let variables = variables.into_iter().map(Value::Object);
    let variables = Value::Object(addresses.zip(variables).collect()).to_string();
    pairs.push(("recipient-variables".into(), variables));
    posted(client, config, pairs, fields)
}

/// Whether Mailgun would put a recipient's variable in what stands here literally.
pub(super) fn has_variables(member: &Member<'_>) -> bool {
    let Member { message, headers } = member;
    let options = &message.options;
    let texts = [&message.subject, &message.body, &message.html];
    let texts = texts.into_iter().flatten().map(AsRef::as_ref);
    let parties = options.from.iter().chain(&options.reply_to);
    let own = headers.iter().map(|(_, value)| value);
    let more = options.headers.values().chain(own);
    let more = more.chain(&options.tags).chain(parties);
    let is_variable = |rest: &str| {
        let name = rest.get(..VARIABLE.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(VARIABLE))
    };
    texts
        .chain(more.map(String::as_str))
        .any(|text| text.split('%').skip(1).any(is_variable))
}

/// A call of `messages`.
fn posted(
    client: &Client,
    config: &Config,
    pairs: Vec<(String, String)>,
    fields: Fields<'_>,
) -> Result<RequestBuilder, SendError> {
    let request = client.post(config.messages_url.clone());
    if fields.files.is_empty() {
        return Ok(request.form(&pairs));
    }
    let mut form = form(pairs);
    for file in fields.files {
        form = form.part("attachment", part(file)?);
    }
    Ok(request.multipart(form))
}

/// What both calls take.
fn parameters(config: &Config, message: &Rendered, fields: &Fields<'_>) -> Vec<(String, String)> {
    let ascii = |tag: &&str| tag.replace(|c: char| !matches!(c, ' '..='~'), "_");
    let tags = fields
        .tags
        .iter()
        .map(ascii)
        .filter(|tag| tag.len() <= TAG_MAX);
    let mut pairs: Vec<_> = tags
        .take(TAGS_MAX)
        .map(|tag| ("o:tag".into(), tag))
        .collect();
    if let Some(pool) = message.ip_pool.as_deref() {
        pairs.push(("o:sending-ip-pool".into(), config.ip_pool(pool).into()));
    }
    pairs
}

/// What `messages` makes the mail of.
fn by_fields<'a>(
    fields: &Fields<'_>,
    recipients: impl IntoIterator<Item = &'a mime::Address>,
) -> Vec<(String, String)> {
    let parties = &fields.parties;
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut push = |name: &str, value: String| pairs.push((name.into(), value));
    push("from", parties.from.to_string());
    for recipient in recipients {
        push("to", recipient.to_string());
    }
    for copy in &parties.cc {
        push("cc", copy.to_string());
    }
    for copy in &parties.bcc {
        push("bcc", copy.to_string());
    }
    push("subject", fields.subject.into());
    if let Some(text) = fields.text {
        push("text", text.into());
    }
    if let Some(html) = fields.html {
        push("html", html.into());
    }
    if let Some(reply_to) = parties.reply_to.as_ref().map(Mailbox::to_string) {
        push("h:Reply-To", reply_to);
    }
    for (name, value) in &fields.headers {
        push(&format!("h:{name}"), value.clone());
    }
    pairs
}

fn form(pairs: Vec<(String, String)>) -> Form {
    let fields = pairs.into_iter();
    fields.fold(Form::new(), |form, (name, value)| form.text(name, value))
}

fn part(file: File<'_>) -> Result<Part, SendError> {
    Part::bytes(file.bytes)
        .file_name(file.name.to_owned())
        .mime_str(file.media_type)
        .map_err(|_| SendError::new(Fault::Permanent(Blame::Message), "invalid_attachment"))
}
