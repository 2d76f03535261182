//! The fields of a report: lines of `Name: value`, as a header has them.

/// In bytes; more of a value is left out. A Diagnostic-Code may quote a whole conversation.
const VALUE_MAX: usize = 2000;

/// A field, or the end of a group of them.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// Name in lower case, value on one line.
    Field(String, String),
    /// A blank line.
    Blank,
}

/// Reads fields. A value goes on in the lines that begin with a space (RFC 5322, section 2.2.3); what is no field is
/// passed over.
pub(super) fn read(body: &[u8]) -> Vec<Line> {
    let text = String::from_utf8_lossy(body);
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() {
            if !matches!(lines.last(), None | Some(Line::Blank)) {
                lines.push(Line::Blank);
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some(Line::Field(_, value)) = lines.last_mut()
                && value.len() < VALUE_MAX
            {
                value.push(' ');
                value.push_str(line.trim());
                value.truncate(value.floor_char_boundary(VALUE_MAX));
            }
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.trim();
            let value = &value[..value.floor_char_boundary(VALUE_MAX)];
            lines.push(Line::Field(
                name.trim().to_ascii_lowercase(),
                value.to_owned(),
            ));
        }
    }
    lines
}

/// The address in `rfc822; ada@example.org`, or in what has no type. Brackets and comments fall away. What a type `utf-8`
/// escapes, since not every server may pass it on as it is, is written out (RFC 6533, section 3).
pub(super) fn address(value: &str) -> Option<String> {
    let (kind, value) = value.split_once(';').unwrap_or(("", value));
    let value = value.split('(').next().unwrap_or_default().trim();
    let value = value.trim_matches(['<', '>', '"']).trim();
    let value = match kind.trim().eq_ignore_ascii_case("utf-8") {
        true => unescaped(value)?,
        false => value.to_owned(),
    };
    let is_address = value.contains('@')
        && value.len() <= 320
        && !value.contains(|c: char| c.is_whitespace() || c.is_control());
    is_address.then_some(value)
}

/// `jos\x{E9}@example.org` as `josé@example.org`; nothing when an escape is none.
fn unescaped(text: &str) -> Option<String> {
    let mut pieces = text.split("\\x{");
    let mut written = pieces.next()?.to_owned();
    for piece in pieces {
        let (point, rest) = piece.split_once('}')?;
        let is_point =
            (2..=6).contains(&point.len()) && point.bytes().all(|b| b.is_ascii_hexdigit());
        let point = u32::from_str_radix(point, 16).ok().filter(|_| is_point)?;
        written.push(char::from_u32(point)?);
        written.push_str(rest);
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports are written by many hands.
    #[test]
    fn fields_are_unfolded_and_named_in_lower_case() {
        let read = read(b"\r\nACTION : failed\r\nDiagnostic-Code: smtp;\r\n 550 no\r\n\tsuch user\r\n\r\n\r\nnonsense\r\nStatus:5.1.1");
        let field = |name: &str, value: &str| Line::Field(name.into(), value.into());
        assert_eq!(
            read,
            [
                field("action", "failed"),
                field("diagnostic-code", "smtp; 550 no such user"),
                Line::Blank,
                field("status", "5.1.1"),
            ]
        );
    }

    /// The type may be missing, or anything.
    #[test]
    fn an_address_is_found_behind_its_type() {
        for text in [
            "rfc822; ada@x.org",
            "RFC822;<ada@x.org>",
            "ada@x.org",
            "utf-8; ada@x.org (Ada)",
            "x; \"ada@x.org\"",
        ] {
            assert_eq!(address(text).as_deref(), Some("ada@x.org"), "{text}");
        }
        for text in ["rfc822; ada", "", "rfc822; a b@x.org"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    /// A server that may not write an address as it is writes it with escapes.
    #[test]
    fn an_address_that_is_not_ascii_is_written_out() {
        for text in [
            "utf-8; jos\\x{E9}@x.org",
            "UTF-8;<josé@x.org>",
            "rfc822; josé@x.org",
        ] {
            assert_eq!(address(text).as_deref(), Some("josé@x.org"), "{text}");
        }
        for text in [
            "utf-8; \\x{D800}@x.org",
            "utf-8; \\x{0A}@x.org",
            "utf-8; \\x{e9@x.org",
            "utf-8; \\x{+9}@x.org",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
        assert_eq!(
            address("rfc822; a\\x{40}x@x.org").as_deref(),
            Some("a\\x{40}x@x.org")
        );
    }
}
