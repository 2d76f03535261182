//! Bounces of qmail, and of what descends from it: QSBMF, which is older than RFC 3464
//! (<https://cr.yp.to/proto/qsbmf.txt>). Paragraphs of plain text: the first begins `Hi. This is the`, those of
//! recipients with `<`, and one that begins with `-` ends them; behind it stands the mail. It bounces only what it gave up.

use super::About;
use super::dsn::Recipient;
use super::fields;
use crate::gateway::source::{Stored, Unreadable};
use crate::model::report::Report;

/// How every such bounce begins.
const BEGINNING: &[u8] = b"Hi. This is the";

/// How many recipients are read of one bounce.
const RECIPIENTS_MAX: usize = 1000;

/// What of a recipient's paragraph is read, in bytes.
const TEXT_MAX: usize = 2000;

/// Whether a mail's body is such a bounce.
pub(super) fn is_bounce(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(BEGINNING)
}

/// The paragraphs of the bounce, and what stands behind the one that ends them: the mail, or what is left of it.
pub(super) fn split(body: &[u8]) -> (&[u8], &[u8]) {
    let (mut at, mut is_first, mut end) = (0, true, None);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let is_blank = line.trim_ascii().is_empty();
        match end {
            None if is_first && line.starts_with(b"-") => end = Some(at),
            Some(end) if is_blank => return (&body[..end], body[at..].trim_ascii_start()),
            _ => {}
        }
        (at, is_first) = (at + line.len(), is_blank);
    }
    (&body[..end.unwrap_or(body.len())], &[])
}

/// One event a recipient.
pub(super) fn read(
    body: &[u8],
    about: &About,
    stored: &Stored<'_>,
) -> Result<Vec<Report>, Unreadable> {
    let (notes, _) = split(body);
    let recipients = paragraphs(notes)
        .filter(|paragraph| paragraph.starts_with(b"<"))
        .filter_map(recipient)
        .take(RECIPIENTS_MAX);
    let reports: Vec<_> = recipients
        .enumerate()
        .filter_map(|(index, recipient)| recipient.report(index, about, stored))
        .collect();
    match reports.is_empty() {
        true => Err(Unreadable("the bounce names no recipient".into())),
        false => Ok(reports),
    }
}

/// `<ada@example.org>:`, and in the lines that follow why.
fn recipient(paragraph: &[u8]) -> Option<Recipient> {
    let text = String::from_utf8_lossy(paragraph);
    let (address, why) = text.split_once(">:")?;
    let why: Vec<_> = why.split_whitespace().collect();
    let mut why = why.join(" ");
    why.truncate(why.floor_char_boundary(TEXT_MAX));
    // What qmail adds tells nothing more; what the other server said begins with its code.
    let said = why
        .split_once("Remote host said: ")
        .map(|(_, said)| said.to_owned());
    Some(Recipient::failed(
        fields::address(address)?,
        said.unwrap_or(why),
    ))
}

/// What stands between blank lines.
fn paragraphs(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            if line.trim_ascii().is_empty() {
                break;
            }
            end += line.len();
        }
        let (paragraph, others) = rest.split_at(end);
        rest = others;
        Some(paragraph)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mail that is returned may say anything, also that others bounced.
    #[test]
    fn only_what_stands_before_the_break_is_of_the_bounce() {
        let body = b"Hi. This is the qmail-send program.\r\n\r\n<a@x.org>:\r\nno\r\n\r\n--- Below\r\n\r\nSubject: x\r\n\r\n<b@x.org>:\r\nno\r\n";
        assert!(is_bounce(body) && !is_bounce(b"Hi. This is Ada."));
        let (notes, mail) = split(body);
        assert!(mail.starts_with(b"Subject: x"));
        assert_eq!(paragraphs(notes).count(), 2);
        let whole = &b"Hi. This is the end\n-not at the begin of a paragraph\n"[..];
        assert_eq!(split(whole), (whole, &b""[..]));
    }
}
