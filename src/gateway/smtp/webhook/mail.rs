//! A mail → its parts, as deep as reports are nested.
//!
//! `mail-parser` reads header fields; bodies are cut up here, part by part and to a fixed depth. Its reading of whole
//! mails nests as deep as a mail does, and a hostile one nests a thousand mails in a few kilobytes.

use std::borrow::Cow;
use std::sync::LazyLock;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{HeaderName, Message, MessageParser, MimeHeaders};

/// How deep multiparts are opened: a report, inside what a mailing list or a filter made of it.
const DEPTH_MAX: usize = 3;

/// How many parts are looked at. Reports have three.
const PARTS_MAX: usize = 50;

static PARSER: LazyLock<MessageParser> = LazyLock::new(MessageParser::default);

/// A part, the root being the first.
pub(super) struct Part<'a> {
    /// Its media type, in lower case, `text/plain` when it has none.
    pub(super) kind: String,
    /// `Message-ID`, without brackets.
    pub(super) message_id: Option<String>,
    /// What it answers: `In-Reply-To`, then `References`.
    pub(super) answers: Vec<String>,
    /// `Date`, in Unix seconds.
    pub(super) date: Option<i64>,
    /// It says for whom it failed: `X-Failed-Recipients`, which Exim writes.
    pub(super) is_bounce: bool,
    /// Decoded. Of a multipart: as it stands.
    pub(super) body: Cow<'a, [u8]>,
}

/// The parts of a mail, in their order; none when it has no header.
pub(super) fn parts(mail: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    // A mailbox in mbox format begins each mail with such a line, and pipes hand it on.
    let mail = match mail.strip_prefix(b"From ") {
        Some(rest) => after_line(rest),
        None => mail,
    };
    add_parts(mail, DEPTH_MAX, &mut parts);
    parts
}

/// The `Message-ID` of a mail, or of the header of one.
pub(super) fn message_id(mail: &[u8]) -> Option<String> {
    let (header, _) = head_and_body(mail.trim_ascii_start());
    let head = PARSER.parse_headers(header)?;
    head.message_id().map(str::to_owned)
}

fn add_parts<'a>(piece: &'a [u8], depth: usize, parts: &mut Vec<Part<'a>>) {
    if parts.len() == PARTS_MAX {
        return;
    }
    let (header, body) = head_and_body(piece);
    let Some(head) = PARSER.parse_headers(header) else {
        // A part may have no header; a mail may not.
        if !parts.is_empty() {
            parts.push(Part {
                kind: "text/plain".into(),
                message_id: None,
                answers: Vec::new(),
                date: None,
                is_bounce: false,
                body: body.into(),
            });
        }
        return;
    };
    let content_type = head.content_type();
    let kind = content_type.map_or_else(
        || "text/plain".to_owned(),
        |kind| {
            let subtype = kind.subtype().unwrap_or("plain");
            format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase()
        },
    );
    let boundary = content_type
        .filter(|_| kind.starts_with("multipart/"))
        .and_then(|kind| kind.attribute("boundary"))
        .map(str::to_owned);
    parts.push(Part {
        kind,
        message_id: head.message_id().map(str::to_owned),
        answers: answers(&head),
        date: head
            .date()
            .filter(|date| date.is_valid())
            .map(|date| date.to_timestamp()),
        is_bounce: head.header("X-Failed-Recipients").is_some(),
        body: match boundary {
            Some(_) => body.into(),
            None => decoded(&head, body),
        },
    });
    if let Some(boundary) = boundary
        && depth > 0
    {
        for piece in between(body, boundary.as_bytes()) {
            add_parts(piece, depth - 1, parts);
        }
    }
}

fn answers(head: &Message<'_>) -> Vec<String> {
    [HeaderName::InReplyTo, HeaderName::References]
        .into_iter()
        .filter_map(|name| head.header(name)?.as_text_list())
        .flatten()
        .take(10)
        .map(|id| id.clone().into_owned())
        .collect()
}

/// A body that cannot be decoded is left as it is: what matters in it may still be read.
fn decoded<'a>(head: &Message<'_>, body: &'a [u8]) -> Cow<'a, [u8]> {
    let encoding = head.content_transfer_encoding().unwrap_or_default();
    let decoded = if encoding.eq_ignore_ascii_case("base64") {
        base64_decode(body)
    } else if encoding.eq_ignore_ascii_case("quoted-printable") {
        quoted_printable_decode(body)
    } else {
        None
    };
    decoded.map_or(body.into(), Cow::Owned)
}

/// What stands between the lines of a boundary (RFC 2046, section 5.1.1). The last line may be missing.
fn between<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let dashed = line
            .strip_prefix(b"--")
            .and_then(|line| line.strip_prefix(boundary));
        let is_last = dashed.map(|rest| rest.trim_ascii_end());
        if let Some(b"" | b"--") = is_last {
            if let Some(start) = start {
                pieces.push(&body[start..at]);
            }
            start = Some(at + line.len());
            if is_last == Some(b"--") || pieces.len() == PARTS_MAX {
                return pieces;
            }
        }
        at += line.len();
    }
    pieces.extend(start.map(|start| &body[start..]));
    pieces
}

/// What stands before the first blank line, and behind it.
fn head_and_body(mail: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if line.trim_ascii().is_empty() {
            break;
        }
    }
    mail.split_at(at)
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'\n');
    end.map_or(&[], |end| &text[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A boundary that begins another one, or that stands inside a line, is none.
    #[test]
    fn parts_are_what_stands_between_whole_boundary_lines() {
        let body = b"preamble\r\n--b\r\none\r\n--bb\r\nx --b\r\n--b  \r\ntwo\r\n--b--\r\nepilogue\r\n--b\r\n";
        let pieces = between(body, b"b");
        assert_eq!(pieces, [&b"one\r\n--bb\r\nx --b\r\n"[..], b"two\r\n"]);
        assert_eq!(between(b"--b\none", b"b"), [b"one"], "the end is missing");
        assert!(between(b"one", b"b").is_empty());
    }

    /// A few kilobytes must not cost a stack, nor a mail of many parts a memory.
    #[test]
    fn nesting_and_parts_are_bounded() {
        let mut nested = String::new();
        for depth in 0..2000 {
            nested += &format!(
                "Content-Type: multipart/mixed; boundary=\"b{depth}\"\r\n\r\n--b{depth}\r\n"
            );
        }
        assert_eq!(parts(nested.as_bytes()).len(), DEPTH_MAX + 1);
        let mails = "Content-Type: message/rfc822\r\n\r\n".repeat(50_000);
        assert_eq!(parts(mails.as_bytes()).len(), 1);
        let many = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\n\r\nx\r\n".repeat(10_000)
        );
        assert_eq!(parts(many.as_bytes()).len(), PARTS_MAX);
    }

    /// What a mailbox file puts before a mail is not of its header.
    #[test]
    fn a_from_line_is_passed_over() {
        let mail =
            b"From MAILER-DAEMON Sat Nov 21 12:00:00 2026\nMessage-ID: <a@x>\nSubject: x\n\nbody";
        assert_eq!(parts(mail)[0].message_id.as_deref(), Some("a@x"));
    }
}
