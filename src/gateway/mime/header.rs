//! Header fields that callers may set, and none that they may not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{HeaderName, HeaderValue, Headers, Sender};
use lettre::message::{Mailbox, Mailboxes};

use super::refused;
use crate::model::outcome::{Blame, SendError};

/// Fields that are Postroad's to write, or the relay's (RFC 5322, sections 3.6.2 to 3.6.7; RFC 6376).
/// So is every `Content-…`; and what some relays send to further recipients by (section 3.6.6; SendGrid's `X-SMTPAPI`).
const RESERVED: [&str; 14] = [
    "From",
    "Sender",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Return-Path",
    "Received",
    "DKIM-Signature",
    "X-Tags",
    "X-SMTPAPI",
];

/// Fields that hold mailboxes: in a name that is quoted nothing may be encoded (RFC 2047, section 5), so that the whole name is.
const OF_MAILBOXES: [&str; 6] = [
    "Reply-To",
    "Mail-Reply-To",
    "Mail-Followup-To",
    "Errors-To",
    "Disposition-Notification-To",
    "Return-Receipt-To",
];

/// In bytes, so that name and colon fit on the first line.
const NAME_MAX: usize = 76;

/// In bytes, without CRLF (RFC 5322, section 2.1.1).
const LINE_MAX: usize = 998;

/// A field of the caller's. Non-ASCII values are encoded (RFC 2047) and long ones folded.
pub(super) fn custom(name: &str, value: &str) -> Result<HeaderValue, SendError> {
    let printable = name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if name.is_empty() || name.len() > NAME_MAX || !printable {
        return Err(refused(Blame::Message, "invalid_header"));
    }
    let begins = |start: &str| {
        let begin = name.get(..start.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    let reserved = RESERVED.iter().any(|r| r.eq_ignore_ascii_case(name))
        || begins("Content-")
        || begins("Resent-");
    if reserved {
        return Err(refused(Blame::Message, "header_not_allowed"));
    }
    let is_of_mailboxes = OF_MAILBOXES.iter().any(|of| of.eq_ignore_ascii_case(name));
    if is_of_mailboxes
        && !value.is_ascii()
        && let Ok(named) = value.parse::<Mailboxes>()
    {
        return Ok(mailboxes(name, &Vec::from_iter(named)));
    }
    text(name, value)
}

/// The value of a field of the caller's, for providers that write the field themselves.
pub(super) fn encoded(name: &str, value: &str) -> Result<String, SendError> {
    custom(name, value).map(on_one_line)
}

/// The value of a field: in ASCII, encoded (RFC 2047) where it was not, and on one line.
pub(super) fn on_one_line(field: HeaderValue) -> String {
    let mut header = Headers::new();
    header.insert_raw(field);
    unfolded(&header)
}

/// A mailbox in ASCII: a name in another script is encoded (RFC 2047).
pub(in crate::gateway) fn ascii(mailbox: &Mailbox) -> String {
    let mut header = Headers::new();
    header.set(Sender::from(mailbox.clone()));
    unfolded(&header)
}

/// A field of mailboxes, each on a line of its own.
pub(super) fn mailboxes(name: &str, mailboxes: &[Mailbox]) -> HeaderValue {
    let lines: Vec<String> = mailboxes
        .iter()
        .map(|mailbox| {
            let mut header = Headers::new();
            header.set(Sender::from(mailbox.clone()));
            let text = header.to_string();
            let value = text.split_once(':').map_or("", |(_, value)| value);
            value.trim().to_owned()
        })
        .collect();
    let name = HeaderName::new_from_ascii(name.to_owned()).expect("the name of a field");
    let encoded = lines.join(",\r\n ");
    HeaderValue::dangerous_new_pre_encoded(name, encoded.clone(), encoded)
}

/// The value of the only field, on one line.
fn unfolded(header: &Headers) -> String {
    let text = header.to_string().replace("\r\n", "");
    text.split_once(':')
        .map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// A field of free text.
pub(super) fn text(name: &str, value: &str) -> Result<HeaderValue, SendError> {
    let invalid = || refused(Blame::Message, "invalid_header");
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(invalid());
    }
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| invalid())?;
    Ok(HeaderValue::new(name, value.trim().replace('\t', " ")))
}

/// The longest word that a line has room for behind a field's name: text is folded between words.
const WORD_MAX: usize = LINE_MAX - NAME_MAX - 2;

/// What one encoded word holds, in bytes, so that it fits on the first line (RFC 2047, section 2).
const ENCODED_MAX: usize = 39;

/// The subject. All of it is encoded where a word is too long for a line, for that can be folded; where blanks would get lost between words that are encoded
/// one by one (RFC 2047, section 6.2); and where it would be read as encoded already.
pub(super) fn subject(value: &str) -> Result<HeaderValue, SendError> {
    let field = text("Subject", value)?;
    let value = value.trim();
    let fits = value.split([' ', '\t']).all(|word| word.len() <= WORD_MAX);
    let loses_blanks = !value.is_ascii() && value.contains("  ");
    if fits && !loses_blanks && !value.contains("=?") {
        return Ok(field);
    }
    let mut rest = value;
    let words = std::iter::from_fn(|| {
        let (word, left) = rest.split_at(rest.floor_char_boundary(ENCODED_MAX));
        rest = left;
        (!word.is_empty()).then(|| format!("=?utf-8?b?{}?=", STANDARD.encode(word)))
    });
    let encoded = words.collect::<Vec<_>>().join("\r\n ");
    let name = HeaderName::new_from_ascii_str("Subject");
    Ok(HeaderValue::dangerous_new_pre_encoded(
        name,
        value.to_owned(),
        encoded,
    ))
}

/// The last look at a whole mail: every line ends in CRLF and has at most 998 bytes, there is no other CR or LF
/// (which some relays take for a line end, and so for the end of the mail), no NUL, and nothing but ASCII, except
/// in the header if that may be UTF-8.
pub(super) fn is_safe(mail: &[u8], utf8_header: bool) -> bool {
    let mut lines = mail.split(|byte| *byte == b'\n');
    let ends_in_newline = lines.next_back().is_some_and(<[u8]>::is_empty);
    let mut may_be_utf8 = utf8_header;
    ends_in_newline
        && lines.all(|line| {
            let Some(line) = line.strip_suffix(b"\r") else {
                return false;
            };
            may_be_utf8 &= !line.is_empty();
            line.len() <= LINE_MAX
                && !line.iter().any(|byte| matches!(byte, b'\r' | 0))
                && (may_be_utf8 || line.is_ascii())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<HeaderValue, SendError>) -> Option<&'static str> {
        result.err().map(|error| error.reason)
    }

    /// A caller's header must not replace what identifies the mail or its parts.
    #[test]
    fn reserved_names_are_refused_in_any_case_and_others_are_not() {
        for name in [
            "from",
            "BCC",
            "Content-Type",
            "content-language",
            "Message-Id",
        ] {
            assert_eq!(
                reason(custom(name, "x")),
                Some("header_not_allowed"),
                "{name}"
            );
        }
        for name in [
            "List-Unsubscribe",
            "X-From",
            "Contents",
            "Reply-To",
            "Precedence",
        ] {
            assert_eq!(reason(custom(name, "x")), None, "{name}");
        }
    }

    /// RFC 5322, section 2.2: printable ASCII without colon.
    #[test]
    fn a_name_that_is_no_field_name_is_refused() {
        for name in ["", "X Y", "X:Y", "X\r\nBcc", "Ä", "X\0"] {
            assert_eq!(
                reason(custom(name, "x")),
                Some("invalid_header"),
                "{name:?}"
            );
        }
    }

    /// Providers put the value into a header as it is given, and some take ASCII only.
    #[test]
    fn a_value_for_a_provider_is_one_line_of_ascii() {
        let long = "<https://example.org/unsubscribe?id=1>, ".repeat(8);
        assert_eq!(
            encoded("List-Unsubscribe", &long).ok().as_deref(),
            Some(long.trim())
        );
        let value = encoded("X-Note", &"Grüße ".repeat(20)).expect("a value");
        assert!(
            value.is_ascii() && !value.contains(['\r', '\n']),
            "{value:?}"
        );
        assert!(value.starts_with("=?utf-8?b?"), "{value}");
        let name = "Jörg, der Lange".to_owned();
        let mailbox = Mailbox::new(Some(name), "j@example.org".parse().expect("an address"));
        let mailbox = ascii(&mailbox);
        assert!(
            mailbox.is_ascii() && mailbox.ends_with(" <j@example.org>"),
            "{mailbox}"
        );
    }

    /// Relays differ in what they take for the end of a mail; what is sent must leave no doubt.
    #[test]
    fn bare_line_ends_long_lines_and_eight_bit_bodies_are_not_safe() {
        assert!(is_safe(b"A: b\r\n\r\nbody\r\n", true));
        let utf8 = "To: j\u{f6}@x\r\n\r\nbody\r\n".as_bytes();
        assert!(is_safe(utf8, true));
        assert!(!is_safe(utf8, false));
        assert!(!is_safe(b"A: b\r\n\r\nbody\n.\nMAIL\r\n", true));
        assert!(!is_safe(b"A: b\r\n\r\nbody\r.\rMAIL\r\n", true));
        assert!(!is_safe(b"A: b\r\n\r\nbo\0dy\r\n", true));
        assert!(!is_safe(b"A: b\r\n\r\nno end", true));
        assert!(!is_safe("A: b\r\n\r\nb\u{f6}dy\r\n".as_bytes(), true));
        let line = |length| [&b"A: b\r\n\r\n"[..], &vec![b'x'; length], b"\r\n"].concat();
        assert!(is_safe(&line(998), true));
        assert!(!is_safe(&line(999), true));
    }
}
