//! A message → the parameters of `SendEmail`
//! (<https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::config::Config;
use crate::gateway::mime::{self, Fields, Mailbox};
use crate::model::message::Rendered;
use crate::model::outcome::{Blame, Fault, SendError};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail<'a> {
    from_email_address: String,
    destination: Destination<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reply_to_addresses: Vec<String>,
    content: Content<'a>,
    email_tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_set_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Destination<'a> {
    to_addresses: [&'a str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cc_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bcc_addresses: Vec<String>,
}

#[derive(Serialize)]
enum Content<'a> {
    #[serde(rename_all = "PascalCase")]
    Simple {
        subject: Text<'a>,
        body: Body<'a>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        headers: Vec<Header<'a>>,
    },
    #[serde(rename_all = "PascalCase")]
    Raw { data: String },
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<Text<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Text<'a> {
    data: &'a str,
    charset: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Header<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    name: String,
    value: String,
}

/// What `Simple` content carries: so many header fields, and so long a value in bytes.
const HEADERS_MAX: usize = 15;
const HEADER_VALUE_MAX: usize = 995;

/// In characters, of a tag's name.
const TAG_MAX: usize = 256;

/// By which our message id comes back in events.
const ID_TAG: &str = "postroad_id";

/// The body of the request, in JSON.
pub(super) fn body(config: &Config, message: &Rendered) -> Result<Vec<u8>, SendError> {
    let fields = Fields::read(message, config.from.as_ref())?;
    let parties = &fields.parties;
    let refused = |reason| SendError::new(Fault::Permanent(Blame::Message), reason);
    if parties.needs_smtputf8() {
        // Not the recipient's fault: another gateway may reach them.
        return Err(refused("smtputf8_required"));
    }
    let written = |mailboxes: &[Mailbox]| mailboxes.iter().map(mime::ascii).collect();
    let request = SendEmail {
        from_email_address: mime::ascii(&parties.from),
        destination: Destination {
            to_addresses: [parties.recipient.as_ref()],
            cc_addresses: written(&parties.cc),
            bcc_addresses: written(&parties.bcc),
        },
        reply_to_addresses: parties.reply_to.iter().map(mime::ascii).collect(),
        content: match needs_raw(&fields) {
            true => Content::Raw {
                data: STANDARD.encode(&mime::build(message, config.from.as_ref())?.bytes),
            },
            false => simple(&fields),
        },
        email_tags: tags(message, &fields),
        configuration_set_name: config.configuration_set(message.ip_pool.as_deref()),
    };
    serde_json::to_vec(&request).map_err(|_| refused("rejected"))
}

fn needs_raw(fields: &Fields<'_>) -> bool {
    let is_long = |(_, value): &(&str, String)| value.len() > HEADER_VALUE_MAX || value.is_empty();
    !fields.files.is_empty()
        || fields.headers.len() > HEADERS_MAX
        || fields.headers.iter().any(is_long)
}

fn simple<'a>(fields: &'a Fields<'_>) -> Content<'a> {
    let text = |data| Text {
        data,
        charset: "UTF-8",
    };
    let headers = fields.headers.iter();
    Content::Simple {
        subject: text(fields.subject),
        body: Body {
            text: fields.text.map(text),
            html: fields.html.map(text),
        },
        headers: headers
            .map(|(name, value)| Header { name, value })
            .collect(),
    }
}

/// Each name once, ours first.
fn tags(message: &Rendered, fields: &Fields<'_>) -> Vec<Tag> {
    let mut tags = vec![Tag {
        name: ID_TAG.into(),
        value: message.message_id.to_string(),
    }];
    for tag in &fields.tags {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name: String = tag
            .chars()
            .map(|c| if allowed(c) { c } else { '_' })
            .take(TAG_MAX)
            .collect();
        if !tags.iter().any(|tag| tag.name == name) {
            let value = "true".into();
            tags.push(Tag { name, value });
        }
    }
    tags
}
