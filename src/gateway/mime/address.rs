//! Addresses as callers write them → addresses that are safe in a header and in an SMTP command.

use lettre::Address;
use lettre::message::Mailbox;

/// Not an address. Says no more, since what it was must not be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Invalid;

/// Reads `ada@example.org`. The domain becomes ASCII (IDNA A-labels); the local part stays as it is.
///
/// Stricter than RFC 5321: white space, control characters and angle brackets are refused even in a quoted
/// local part, since not every relay parses those the same way.
pub(in crate::gateway) fn address(text: &str) -> Result<Address, Invalid> {
    let dangerous =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '\u{feff}');
    if text.contains(dangerous) {
        return Err(Invalid);
    }
    let (local, domain) = text.rsplit_once('@').ok_or(Invalid)?;
    let domain = if domain.is_ascii() {
        domain.to_owned()
    } else {
        idna::domain_to_ascii(domain).map_err(|_| Invalid)?
    };
    if domain.len() > DOMAIN_MAX {
        return Err(Invalid);
    }
    Address::new(local, domain).map_err(|_| Invalid)
}

/// In bytes (RFC 5321, section 4.5.3.1.2). The local part's 64 are checked by the parser.
const DOMAIN_MAX: usize = 255;

/// Reads an address, or `Name <address>` where the name may stand in double quotes.
pub(in crate::gateway) fn mailbox(text: &str) -> Result<Mailbox, Invalid> {
    if text.contains(char::is_control) {
        return Err(Invalid);
    }
    let text = text.trim();
    let Some(before_close) = text.strip_suffix('>') else {
        return Ok(Mailbox::new(None, address(text)?));
    };
    let (name, inner) = before_close.rsplit_once('<').ok_or(Invalid)?;
    let name = unquote(name.trim());
    Ok(Mailbox::new(
        (!name.is_empty()).then_some(name),
        address(inner)?,
    ))
}

/// Reads the setting `from` of a gateway.
pub(in crate::gateway) fn sender(from: Option<&str>) -> Result<Option<Mailbox>, String> {
    from.map(mailbox)
        .transpose()
        .map_err(|Invalid| "from must be an address, or \"Name <address>\"".into())
}

/// The content of a quoted string (RFC 5322, section 3.2.4); other text as it is.
fn unquote(name: &str) -> String {
    let quoted = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return name.to_owned();
    };
    let mut content = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => content.extend(characters.next()),
            _ => content.push(character),
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A domain in any script reaches a relay that knows ASCII only.
    #[test]
    fn a_domain_becomes_a_labels_and_the_local_part_stays() {
        let address = address("jörg@bücher.example").expect("an address");
        assert_eq!(address.domain(), "xn--bcher-kva.example");
        assert_eq!(address.user(), "jörg");
    }

    /// What could end a command or a header field early never becomes an address.
    #[test]
    fn what_could_leave_its_place_is_refused() {
        for text in [
            "ada@example.org\r\nDATA",
            "ada@example.org\n",
            "ada\0@example.org",
            "a b@example.org",
            "\"a>b\"@example.org",
            "ada@example.org> SIZE=1",
            "<ada@example.org>",
            "ada@",
            "@example.org",
            "ada",
            "",
            "ada@exa mple.org",
            "ada@ex\u{2028}ample.org",
        ] {
            assert_eq!(address(text), Err(Invalid), "{text:?} was accepted");
        }
    }

    /// Both forms in which people write a sender.
    #[test]
    fn a_mailbox_may_have_a_name_with_or_without_quotes() {
        let plain = mailbox("Ada Lovelace <ada@example.org>").expect("a mailbox");
        assert_eq!(plain.name.as_deref(), Some("Ada Lovelace"));
        let quoted = mailbox(r#""Lovelace, \"A\"" <ada@example.org>"#).expect("a mailbox");
        assert_eq!(quoted.name.as_deref(), Some("Lovelace, \"A\""));
        assert_eq!(mailbox("ada@example.org").expect("a mailbox").name, None);
        assert_eq!(
            mailbox("<ada@example.org>").expect("a mailbox").email,
            plain.email
        );
        assert!(mailbox("Ada\r\nBcc: eve@example.org <ada@example.org>").is_err());
    }
}
