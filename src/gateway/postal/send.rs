//! A message → a request.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Serialize;

use super::config::Config;
use crate::gateway::mime::{self, Address, Fields, File, Mailbox};
use crate::model::message::Rendered;
use crate::model::outcome::{Blame, Fault, SendError};

/// Parameters of `send/message`.
#[derive(Serialize)]
struct Message<'a> {
    to: [&'a str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cc: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bcc: Vec<String>,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_body: Option<&'a str>,
    tag: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment<'a>>,
}

#[derive(Serialize)]
struct Attachment<'a> {
    name: &'a str,
    content_type: &'a str,
    data: String,
}

/// Parameters of `send/raw`.
#[derive(Serialize)]
struct Raw<'a> {
    mail_from: &'a str,
    rcpt_to: Vec<&'a str>,
    data: String,
}

/// A request to be made.
pub(super) struct Request<'a> {
    pub(super) url: &'a Url,
    /// In JSON.
    pub(super) body: Vec<u8>,
    /// By which the answer names the recipient.
    pub(super) recipient: Address,
}

/// The request that sends `message`.
pub(super) fn request<'a>(
    config: &'a Config,
    message: &Rendered,
) -> Result<Request<'a>, SendError> {
    let fields = Fields::read(message, config.from.as_ref())?;
    let recipient = fields.parties.recipient.clone();
    let (url, body) = match needs_raw(&fields) {
        true => (&config.raw_url, raw(config, message)?),
        false => (&config.message_url, by_fields(message, &fields)?),
    };
    Ok(Request {
        url,
        body,
        recipient,
    })
}

/// Inline images have no parameter, and what is blank is refused, although it may well be meant.
fn needs_raw(fields: &Fields<'_>) -> bool {
    let is_blank = |text: Option<&str>| text.is_none_or(|text| text.trim().is_empty());
    let is_blank_file =
        |file: &File<'_>| file.bytes.trim_ascii().is_empty() || is_blank(Some(file.name));
    fields.has_inline_images()
        || is_blank(fields.text) && is_blank(fields.html)
        || fields.files.iter().any(is_blank_file)
}

fn by_fields(message: &Rendered, fields: &Fields<'_>) -> Result<Vec<u8>, SendError> {
    let written = |mailboxes: &[Mailbox]| mailboxes.iter().map(ToString::to_string).collect();
    let parties = &fields.parties;
    let mut headers: BTreeMap<&str, String> = fields.headers.iter().cloned().collect();
    headers.extend(fields.tags_line()?.map(|tags| ("X-Tags", tags)));
    let files = fields.files.iter().map(|file| Attachment {
        name: file.name,
        content_type: file.media_type,
        data: STANDARD.encode(&file.bytes),
    });
    to_json(&Message {
        to: [parties.recipient.as_ref()],
        cc: written(&parties.cc),
        bcc: written(&parties.bcc),
        from: parties.from.to_string(),
        reply_to: parties.reply_to.as_ref().map(Mailbox::to_string),
        subject: fields.subject,
        plain_body: fields.text,
        html_body: fields.html,
        tag: message.message_id.to_string(),
        headers,
        attachments: files.collect(),
    })
}

fn raw(config: &Config, message: &Rendered) -> Result<Vec<u8>, SendError> {
    let tag = message.message_id.to_string();
    let ours = [("X-Postal-Tag", tag.as_str())];
    let mail = mime::build_with(message, config.from.as_ref(), &ours)?;
    let recipients = [&mail.recipient].into_iter().chain(&mail.copies);
    to_json(&Raw {
        mail_from: mail.sender.as_ref(),
        rcpt_to: recipients.map(AsRef::as_ref).collect(),
        data: STANDARD.encode(&mail.bytes),
    })
}

/// Cannot fail for these types; a panic would cost more than the arm.
fn to_json(parameters: &impl Serialize) -> Result<Vec<u8>, SendError> {
    let fault = Fault::Permanent(Blame::Message);
    serde_json::to_vec(parameters).map_err(|_| SendError::new(fault, "rejected"))
}
