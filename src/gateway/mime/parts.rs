//! Text, HTML, images and files → the parts of a mail (RFC 2046, RFC 2387).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, Message, MessageBuilder, MultiPart, SinglePart};

use super::refused;
use crate::model::message::{self, Rendered};
use crate::model::outcome::{Blame, SendError};

/// Puts the content of `message` under the header that `builder` holds.
///
/// Text and HTML together are `multipart/alternative`, HTML and its inline images `multipart/related`, files
/// make it `multipart/mixed`. Without HTML, an inline image is a file like any other.
pub(super) fn finish(builder: MessageBuilder, message: &Rendered) -> Result<Message, SendError> {
    let mut images = Vec::new();
    let mut files = Vec::new();
    for attachment in &message.options.attachments {
        let part = file(attachment)?;
        if attachment.content_id.is_some() && message.html.is_some() {
            images.push(part);
        } else {
            files.push(part);
        }
    }
    let html = message.html.as_deref().map(|html| {
        let html = SinglePart::html(crlf(html));
        if images.is_empty() {
            Part::Single(html)
        } else {
            Part::Multi(with(MultiPart::related().singlepart(html), images))
        }
    });
    let content = match (message.body.as_deref(), html) {
        (Some(text), Some(html)) => {
            let text = MultiPart::alternative().singlepart(SinglePart::plain(crlf(text)));
            Part::Multi(html.added_to(text))
        }
        (None, Some(html)) => html,
        (text, None) => Part::Single(SinglePart::plain(crlf(text.unwrap_or_default()))),
    };
    let content = if files.is_empty() {
        content
    } else {
        let mixed = match content {
            Part::Single(part) => MultiPart::mixed().singlepart(part),
            Part::Multi(part) => MultiPart::mixed().multipart(part),
        };
        Part::Multi(with(mixed, files))
    };
    match content {
        Part::Single(part) => builder.singlepart(part),
        Part::Multi(part) => builder.multipart(part),
    }
    .map_err(|_| refused(Blame::Message, "invalid_address"))
}

enum Part {
    Single(SinglePart),
    Multi(MultiPart),
}

impl Part {
    fn added_to(self, whole: MultiPart) -> MultiPart {
        match self {
            Self::Single(part) => whole.singlepart(part),
            Self::Multi(part) => whole.multipart(part),
        }
    }
}

fn with(whole: MultiPart, parts: Vec<SinglePart>) -> MultiPart {
    parts.into_iter().fold(whole, MultiPart::singlepart)
}

/// Padding may be there or not; line breaks are taken out before.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file of a mail, checked.
pub(in crate::gateway) struct File<'a> {
    /// For the reader; without control characters.
    pub(in crate::gateway) name: &'a str,
    /// Its media type, no composite one.
    pub(in crate::gateway) media_type: &'a str,
    /// What it holds.
    pub(in crate::gateway) bytes: Vec<u8>,
    /// By which the html refers to it.
    pub(in crate::gateway) content_id: Option<&'a str>,
}

impl<'a> File<'a> {
    /// Checks it.
    pub(super) fn read(attachment: &'a message::Attachment) -> Result<Self, SendError> {
        let invalid = || refused(Blame::Message, "invalid_attachment");
        if attachment.filename.contains(char::is_control) {
            return Err(refused(Blame::Message, "invalid_header"));
        }
        let content_id = attachment.content_id.as_deref();
        if content_id.is_some_and(|id| !is_content_id(id)) {
            return Err(invalid());
        }
        let mut base64 = attachment.content.clone();
        base64.retain(|c| !c.is_ascii_whitespace());
        Ok(Self {
            name: &attachment.filename,
            media_type: media_type(attachment.content_type.as_deref())?,
            bytes: BASE64.decode(base64).map_err(|_| invalid())?,
            content_id,
        })
    }
}

fn file(attachment: &message::Attachment) -> Result<SinglePart, SendError> {
    let invalid = || refused(Blame::Message, "invalid_attachment");
    let file = File::read(attachment)?;
    let kind = ContentType::parse(file.media_type).map_err(|_| invalid())?;
    let bytes = Body::new_with_encoding(file.bytes, ContentTransferEncoding::Base64)
        .map_err(|_| invalid())?;
    let disposition = match file.content_id {
        None => Attachment::new(file.name.to_owned()),
        Some(id) => Attachment::new_inline_with_name(id.to_owned(), file.name.to_owned()),
    };
    Ok(disposition.body(bytes, kind))
}

/// The media type to state. Composite types must not be base64 (RFC 2046, section 5), so such a file travels
/// as bytes of no stated type.
fn media_type(stated: Option<&str>) -> Result<&str, SendError> {
    const BYTES: &str = "application/octet-stream";
    let stated = stated.unwrap_or(BYTES);
    let composite = ["multipart/", "message/"].iter().any(|prefix| {
        stated
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    if composite {
        return Ok(BYTES);
    }
    let readable = stated.is_ascii() && !stated.contains(char::is_control);
    if !readable || ContentType::parse(stated).is_err() {
        return Err(refused(Blame::Message, "invalid_attachment"));
    }
    Ok(stated)
}

/// Printable ASCII that fits between angle brackets (RFC 2392).
fn is_content_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'\\');
    (1..=200).contains(&id.len()) && id.bytes().all(allowed)
}

/// Text whose line ends are CRLF, whichever they were; and without NUL, which mail cannot carry.
fn crlf(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                lines.push_str("\r\n");
            }
            '\n' => lines.push_str("\r\n"),
            '\0' => {}
            _ => lines.push(character),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lone CR or LF in a body is a line end to its author, and an attack on the way.
    #[test]
    fn every_line_end_becomes_crlf() {
        assert_eq!(
            crlf("a\nb\r\nc\rd\n\r\ne\r"),
            "a\r\nb\r\nc\r\nd\r\n\r\ne\r\n"
        );
    }
}
