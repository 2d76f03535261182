//! A message → an Internet mail (RFC 5322, MIME), for the gateways that hand over whole mails;
//! and its parts, checked alike, for those whose provider builds the mail.
//!
//! What comes out is 7-bit (non-ASCII text is quoted-printable or base64), has CRLF line ends only and no line
//! above 998 bytes (RFC 5322, section 2.1.1), whatever went in. One exception: an address whose local part is
//! not ASCII stands in the header as UTF-8, for which [`Mail::needs_smtputf8`] is set (RFC 6532).

mod address;
mod batch;
mod fields;
mod header;
mod parties;
mod parts;

pub(super) use address::{Invalid, mailbox, sender};
pub(super) use batch::{Recipient, Recipients};
pub(super) use fields::{Fields, goes_to_one};
pub(super) use header::ascii;
pub(super) use lettre::Address;
pub(super) use lettre::message::Mailbox;
pub(super) use parties::Parties;
pub(super) use parts::File;

use lettre::message::Message;

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
    build_with(message, default_from, &[])
}

/// As [`build`], with header fields of ours, which replace the caller's of the same name.
pub(super) fn build_with(
    message: &Rendered,
    default_from: Option<&Mailbox>,
    ours: &[(&str, &str)],
) -> Result<Mail, SendError> {
    let options = &message.options;
    let parties = Parties::read(message, default_from)?;
    let copies = parties.copies();
    let needs_smtputf8 = parties.needs_smtputf8();
    let Parties {
        from,
        recipient,
        reply_to,
        cc,
        bcc: _,
    } = parties;

    let message_id = format!("{}@{}", message.message_id, from.email.domain());
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, recipient.clone()))
        .message_id(Some(format!("<{message_id}>")))
        .date_now();
    if let Some(reply_to) = reply_to {
        builder = builder.reply_to(reply_to);
    }
    if !cc.is_empty() {
        builder = builder.raw_header(header::mailboxes("Cc", &cc));
    }
    if let Some(subject) = &message.subject {
        builder = builder.raw_header(header::subject(subject)?);
    }
    for (name, value) in &options.headers {
        let field = header::custom(name, value)?;
        if !ours.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name)) {
            builder = builder.raw_header(field);
        }
    }
    for (name, value) in ours {
        builder = builder.raw_header(header::text(name, value)?);
    }
    if !options.tags.is_empty() {
        builder = builder.raw_header(header::text("X-Tags", &options.tags.join(", "))?);
    }
    let bytes = parts::finish(builder, message)?.formatted();
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
