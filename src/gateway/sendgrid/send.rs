//! A message → the body of `POST /v3/mail/send`
//! (<https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send>).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::config::Config;
use crate::gateway::mime::{Fields, File, Mailbox, Parties};
use crate::model::message::Rendered;
use crate::model::outcome::{Blame, Fault, SendError};

#[derive(Serialize)]
struct Mail<'a> {
    personalizations: [Personalization<'a>; 1],
    from: Address<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Address<'a>>,
    subject: &'a str,
    content: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    categories: Vec<&'a str>,
    custom_args: CustomArgs,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_pool_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Personalization<'a> {
    to: [Address<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cc: Vec<Address<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bcc: Vec<Address<'a>>,
}

#[derive(Serialize)]
struct Address<'a> {
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
struct Attachment<'a> {
    content: String,
    filename: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    disposition: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_id: Option<&'a str>,
}

#[derive(Serialize)]
struct CustomArgs {
    /// By which our message id comes back in events.
    postroad_id: String,
}

/// What SendGrid takes: so many categories, of so many characters.
const CATEGORIES_MAX: usize = 10;
const CATEGORY_MAX: usize = 255;

/// The body of the request, in JSON.
pub(super) fn body(config: &Config, message: &Rendered) -> Result<Vec<u8>, SendError> {
    let fields = Fields::read(message, config.from.as_ref())?;
    let text = fields.text.map(|value| ("text/plain", value));
    let html = fields.html.map(|value| ("text/html", value));
    let content = text.into_iter().chain(html); // in this order, or it is refused
    let headers = fields.headers.iter();
    let categories = fields
        .tags
        .iter()
        .filter(|t| t.chars().count() <= CATEGORY_MAX);
    let mail = Mail {
        personalizations: [personalization(&fields.parties)],
        from: address(&fields.parties.from),
        reply_to: fields.parties.reply_to.as_ref().map(address),
        subject: fields.subject,
        content: content
            .map(|(kind, value)| Content { kind, value })
            .collect(),
        attachments: fields.files.iter().map(attachment).collect(),
        headers: headers
            .map(|(name, value)| (*name, value.as_str()))
            .collect(),
        categories: categories.copied().take(CATEGORIES_MAX).collect(),
        custom_args: CustomArgs {
            postroad_id: message.message_id.to_string(),
        },
        ip_pool_name: message.ip_pool.as_deref().map(|pool| config.ip_pool(pool)),
    };
    let refused = |_| SendError::new(Fault::Permanent(Blame::Message), "rejected");
    serde_json::to_vec(&mail).map_err(refused)
}

/// Each address once, since SendGrid refuses a mail that names one twice.
fn personalization(parties: &Parties) -> Personalization<'_> {
    let recipient: &str = parties.recipient.as_ref();
    let mut seen = vec![recipient.to_ascii_lowercase()];
    let mut once = |mailbox: &&Mailbox| {
        let email: &str = mailbox.email.as_ref();
        let email = email.to_ascii_lowercase();
        let is_new = !seen.contains(&email);
        seen.push(email);
        is_new
    };
    let cc = parties.cc.iter().filter(&mut once).map(copy).collect();
    let bcc = parties.bcc.iter().filter(&mut once).map(copy).collect();
    Personalization {
        to: [Address {
            email: recipient,
            name: None,
        }],
        cc,
        bcc,
    }
}

fn address(mailbox: &Mailbox) -> Address<'_> {
    Address {
        email: mailbox.email.as_ref(),
        name: mailbox.name.clone(),
    }
}

/// Names of recipients must have neither commas nor semicolons ("Limitations").
fn copy(mailbox: &Mailbox) -> Address<'_> {
    let name = mailbox.name.as_ref();
    Address {
        email: mailbox.email.as_ref(),
        name: name.map(|name| name.replace([',', ';'], " ")),
    }
}

fn attachment<'a>(file: &'a File<'_>) -> Attachment<'a> {
    Attachment {
        content: STANDARD.encode(&file.bytes),
        filename: file.name,
        kind: file.media_type,
        disposition: match file.content_id {
            Some(_) => "inline",
            None => "attachment",
        },
        content_id: file.content_id,
    }
}
