//! A message → the body of `POST /v3/mail/send`
//! (<https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send>).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::config::Config;
use crate::gateway::mime::{self, Fields, File, Mailbox, Parties, Recipient};
use crate::model::message::Rendered;
use crate::model::outcome::{Blame, Fault, SendError};

#[derive(Serialize)]
struct Mail<'a> {
    personalizations: Vec<Personalization<'a>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_args: Option<CustomArgs>,
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
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_args: Option<CustomArgs>,
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

/// Mails of one call.
pub(super) const PERSONALIZATIONS_MAX: usize = 1000;

/// What SendGrid takes: so many categories, of so many characters.
const CATEGORIES_MAX: usize = 10;
const CATEGORY_MAX: usize = 255;

/// The body of the request that sends `message`, in JSON.
pub(super) fn body(config: &Config, message: &Rendered) -> Result<Vec<u8>, SendError> {
    let fields = Fields::read(message, config.from.as_ref())?;
    let mail = Mail {
        custom_args: Some(CustomArgs::of(message)),
        ..mail(
            config,
            message,
            &fields,
            vec![personalization(&fields.parties)],
        )
    };
    written(&mail)
}

/// The body of the request that sends the content of `first` to each of `recipients`.
///
/// Where these have header fields of their own, each personalization names all of its mail's: whether they would be added
/// to those of the call or take their place, the reference does not say.
pub(super) fn batch_body(
    config: &Config,
    first: &Rendered,
    recipients: &[Recipient<'_>],
) -> Result<Vec<u8>, SendError> {
    let mut fields = Fields::read(first, config.from.as_ref())?;
    let has_own = recipients.iter().any(|r| !r.headers.is_empty());
    let common = match has_own {
        true => std::mem::take(&mut fields.headers),
        false => Vec::new(),
    };
    let personalizations = recipients.iter().map(|recipient| Personalization {
        headers: headers(common.iter().chain(&recipient.headers)),
        custom_args: Some(CustomArgs::of(recipient.message)),
        ..to_recipient(&recipient.to)
    });
    written(&mail(config, first, &fields, personalizations.collect()))
}

fn headers<'a>(fields: impl Iterator<Item = &'a (&'a str, String)>) -> BTreeMap<&'a str, &'a str> {
    fields
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// A mail without custom arguments of its own.
fn mail<'a>(
    config: &'a Config,
    message: &'a Rendered,
    fields: &'a Fields<'a>,
    personalizations: Vec<Personalization<'a>>,
) -> Mail<'a> {
    let plain = fields.text.map(|text| ("text/plain", text));
    let html = fields.html.map(|html| ("text/html", html));
    let content = plain.into_iter().chain(html); // in this order, or it is refused
    let categories = fields
        .tags
        .iter()
        .filter(|t| t.chars().count() <= CATEGORY_MAX);
    Mail {
        personalizations,
        from: address(&fields.parties.from),
        reply_to: fields.parties.reply_to.as_ref().map(address),
        subject: fields.subject,
        content: content
            .map(|(kind, value)| Content { kind, value })
            .collect(),
        attachments: fields.files.iter().map(attachment).collect(),
        headers: headers(fields.headers.iter()),
        categories: categories.copied().take(CATEGORIES_MAX).collect(),
        custom_args: None,
        ip_pool_name: message.ip_pool.as_deref().map(|pool| config.ip_pool(pool)),
    }
}

fn written(mail: &Mail<'_>) -> Result<Vec<u8>, SendError> {
    let refused = |_| SendError::new(Fault::Permanent(Blame::Message), "rejected");
    serde_json::to_vec(mail).map_err(refused)
}

impl CustomArgs {
    fn of(message: &Rendered) -> Self {
        Self {
            postroad_id: message.message_id.to_string(),
        }
    }
}

fn to_recipient(recipient: &mime::Address) -> Personalization<'_> {
    Personalization {
        to: [Address {
            email: recipient.as_ref(),
            name: None,
        }],
        cc: Vec::new(),
        bcc: Vec::new(),
        headers: BTreeMap::new(),
        custom_args: None,
    }
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
        cc,
        bcc,
        ..to_recipient(&parties.recipient)
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
