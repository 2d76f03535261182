//! A message → an Internet mail (RFC 5322, MIME), for the gateways that hand over whole mails.
//!
//! What comes out is 7-bit (non-ASCII text is quoted-printable or base64), has CRLF line ends only and no line
//! above 998 bytes (RFC 5322, section 2.1.1), whatever went in. One exception: an address whose local part is
//! not ASCII stands in the header as UTF-8, for which [`Mail::needs_smtputf8`] is set (RFC 6532).

mod address;
mod header;
mod parts;

pub(super) use address::{Invalid, mailbox};
pub(super) use lettre::Address;
pub(super) use lettre::message::Mailbox;

use lettre::message::{Mailboxes, Message, header as fields};

use crate::model::message::Rendered;
use crate::model::outcome::{Blame, Fault, SendError};

/// A mail and its envelope.
#[derive(Debug)]
pub(super) struct Mail {
    /// Envelope sender: the address of `From`.
    pub(super) sender: Address,
    /// The recipient that the message is for. Its fate is the message's.
    pub(super) recipient: Address,
    /// Copies, visible and hidden, each once and without the recipient.
    pub(super) copies: Vec<Address>,
    /// `<message id>@<domain of the sender>`, the same for each resend. Without angle brackets.
    pub(super) message_id: String,
    /// Whether an address has a local part that is not ASCII (RFC 6531).
    pub(super) needs_smtputf8: bool,
    /// Header and body, without dot-stuffing.
    pub(super) bytes: Vec<u8>,
}

/// Builds the mail that `message` is, from `default_from` unless its options name a sender.
///
/// # Errors
///
/// All before anything was sent:
///
/// | reason | fault | what is wrong |
/// |---|---|---|
/// | `invalid_address` | recipient, or message if it is another address | not an address, or CR, LF, NUL in it |
/// | `invalid_header` | message | CR, LF, NUL in subject, header, tag; a name that RFC 5322 does not allow |
/// | `header_not_allowed` | message | a header that is Postroad's or the relay's to write |
/// | `invalid_attachment` | message | base64, media type, file name or content id that is none |
/// | `sender_missing` | gateway | neither the message nor the configuration says from whom |
pub(super) fn build(message: &Rendered, default_from: Option<&Mailbox>) -> Result<Mail, SendError> {
    let options = &message.options;
    let of_message = |Invalid| refused(Blame::Message, "invalid_address");
    let parse = |text: &String| address::mailbox(text).map_err(of_message);

    let from = match (&options.from, default_from) {
        (Some(from), _) => parse(from)?,
        (None, Some(from)) => from.clone(),
        (None, None) => {
            let fault = Fault::Gateway { retry_after: None };
            return Err(SendError::new(fault, "sender_missing"));
        }
    };
    let recipient = address::address(&message.recipient)
        .map_err(|Invalid| refused(Blame::Recipient, "invalid_address"))?;
    let reply_to = options.reply_to.as_ref().map(parse).transpose()?;
    let cc: Vec<Mailbox> = options.cc.iter().map(parse).collect::<Result<_, _>>()?;
    let bcc: Vec<Mailbox> = options.bcc.iter().map(parse).collect::<Result<_, _>>()?;

    let message_id = format!("{}@{}", message.message_id, from.email.domain());
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, recipient.clone()))
        .message_id(Some(format!("<{message_id}>")))
        .date_now();
    if let Some(reply_to) = reply_to.clone() {
        builder = builder.reply_to(reply_to);
    }
    if !cc.is_empty() {
        builder = builder.header(fields::Cc::from(Mailboxes::from_iter(cc.clone())));
    }
    if let Some(subject) = &message.subject {
        builder = builder.raw_header(header::text("Subject", subject)?);
    }
    for (name, value) in &options.headers {
        builder = builder.raw_header(header::custom(name, value)?);
    }
    if !options.tags.is_empty() {
        builder = builder.raw_header(header::text("X-Tags", &options.tags.join(", "))?);
    }
    let bytes = parts::finish(builder, message)?.formatted();

    let mut copies: Vec<Address> = Vec::new();
    for copy in cc.into_iter().chain(bcc) {
        if copy.email != recipient && !copies.contains(&copy.email) {
            copies.push(copy.email);
        }
    }
    let needs_smtputf8 = [&from.email, &recipient]
        .into_iter()
        .chain(&copies)
        .chain(reply_to.as_ref().map(|mailbox| &mailbox.email))
        .any(|address| !address.user().is_ascii());
    if !header::is_safe(&bytes, needs_smtputf8) {
        return Err(refused(Blame::Message, "invalid_header"));
    }
    Ok(Mail {
        sender: from.email,
        recipient,
        copies,
        message_id,
        needs_smtputf8,
        bytes,
    })
}

/// A message that no gateway can send as it is.
fn refused(blame: Blame, reason: &'static str) -> SendError {
    SendError::new(Fault::Permanent(blame), reason)
}
