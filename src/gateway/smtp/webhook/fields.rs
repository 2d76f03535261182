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

/// The address in `rfc822; ada@example.org`, or in what has no type. Brackets and comments fall away.
pub(super) fn address(value: &str) -> Option<String> {
    let value = value.split_once(';').map_or(value, |(_, address)| address);
    let value = value.split('(').next().unwrap_or_default().trim();
    let value = value.trim_matches(['<', '>', '"']).trim();
    let is_address =
        value.contains('@') && value.len() <= 320 && !value.contains(char::is_whitespace);
    is_address.then(|| value.to_owned())
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
}
