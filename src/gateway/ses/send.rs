//! A message → the parameters of `SendEmail`
//! (<https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::config::Config;
use crate::gateway::Member;
use crate::gateway::mime::{self, Fields, Mailbox, Recipient};
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

/// The parameters of `SendBulkEmail`
/// (<https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html>).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendBulkEmail<'a> {
    from_email_address: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reply_to_addresses: Vec<String>,
    default_content: DefaultContent<'a>,
    bulk_email_entries: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_set_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DefaultContent<'a> {
    template: Template<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Template<'a> {
    template_content: TemplateContent<'a>,
    /// JSON in a string: there is nothing to replace, but SES wants it said.
    template_data: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<Header<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateContent<'a> {
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    destination: Destination<'a>,
    /// All of its tags: whether they would be added to those of all entries, the reference does not say.
    replacement_tags: Vec<Tag>,
    /// Beside those of the template.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replacement_headers: Vec<Header<'a>>,
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

/// Mails of one call of `SendBulkEmail`.
pub(super) const BATCH_MAX: usize = 50;

/// In bytes: a template that travels with the call may make 1 MB of JSON, which escapes characters.
const TEMPLATE_MAX: usize = 400_000;

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

/// The body of the request that sends the content of `first` to each of `recipients`.
pub(super) fn batch_body(
    config: &Config,
    first: &Rendered,
    recipients: &[Recipient<'_>],
) -> Result<Vec<u8>, SendError> {
    let fields = Fields::read(first, config.from.as_ref())?;
    let refused = |reason| SendError::new(Fault::Permanent(Blame::Message), reason);
    let fits = |recipient: &Recipient<'_>| {
        recipient.to.user().is_ascii()
            && fields.headers.len() + recipient.headers.len() <= HEADERS_MAX
            && recipient.headers.iter().all(|(_, value)| is_simple(value))
    };
    if needs_raw(&fields) || fields.parties.needs_smtputf8() || !recipients.iter().all(fits) {
        return Err(refused("batch_refused")); // by itself each is told what it is, or goes as it can
    }
    let entries = recipients.iter().map(|recipient| Entry {
        destination: Destination {
            to_addresses: [recipient.to.as_ref()],
            cc_addresses: Vec::new(),
            bcc_addresses: Vec::new(),
        },
        replacement_tags: tags(recipient.message, &fields),
        replacement_headers: headers(&recipient.headers),
    });
    let request = SendBulkEmail {
        from_email_address: mime::ascii(&fields.parties.from),
        reply_to_addresses: fields.parties.reply_to.iter().map(mime::ascii).collect(),
        default_content: DefaultContent {
            template: Template {
                template_content: TemplateContent {
                    subject: fields.subject,
                    text: fields.text,
                    html: fields.html,
                },
                template_data: "{}",
                headers: headers(&fields.headers),
            },
        },
        bulk_email_entries: entries.collect(),
        configuration_set_name: config.configuration_set(first.ip_pool.as_deref()),
    };
    serde_json::to_vec(&request).map_err(|_| refused("rejected"))
}

/// Whether SES would make of `member` as a template what it would make of it as a mail: only without `{{`, with which
/// a replacement begins, within a template's size, and without what needs `Raw` content.
pub(super) fn is_literal_template(member: &Member<'_>) -> bool {
    let Member { message, headers } = member;
    let options = &message.options;
    let texts = [&message.subject, &message.body, &message.html];
    let texts = || texts.into_iter().flatten().map(AsRef::as_ref);
    let mut values = options.headers.iter();
    options.attachments.is_empty()
        && options.headers.len() + headers.len() <= HEADERS_MAX
        && !values.any(|(name, value)| name.contains("{{") || value.contains("{{"))
        && !headers.iter().any(|(_, value)| value.contains("{{"))
        && texts().map(str::len).sum::<usize>() <= TEMPLATE_MAX
        && !texts().any(|text: &str| text.contains("{{"))
}

fn needs_raw(fields: &Fields<'_>) -> bool {
    !fields.files.is_empty()
        || fields.headers.len() > HEADERS_MAX
        || !fields.headers.iter().all(|(_, value)| is_simple(value))
}

/// Whether it can be the value of a header field without being `Raw`.
fn is_simple(value: &str) -> bool {
    (1..=HEADER_VALUE_MAX).contains(&value.len())
}

fn headers<'a>(fields: &'a [(&'a str, String)]) -> Vec<Header<'a>> {
    let headers = fields.iter();
    headers
        .map(|(name, value)| Header { name, value })
        .collect()
}

fn simple<'a>(fields: &'a Fields<'_>) -> Content<'a> {
    let text = |data| Text {
        data,
        charset: "UTF-8",
    };
    Content::Simple {
        subject: text(fields.subject),
        body: Body {
            text: fields.text.map(text),
            html: fields.html.map(text),
        },
        headers: headers(&fields.headers),
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
