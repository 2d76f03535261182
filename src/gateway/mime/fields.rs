//! A message → the fields of a mail, checked, for the gateways whose provider builds the mail.

use super::address::{self, Invalid};
use super::parties::Parties;
use super::parts::File;
use super::{Address, Mailbox, header, refused};
use crate::model::message::Rendered;
use crate::model::outcome::{Blame, SendError};

/// The fields of a mail. None of them holds a line end or another control character, but for the content.
pub(in crate::gateway) struct Fields<'a> {
    /// From whom and to whom.
    pub(in crate::gateway) parties: Parties,
    /// Empty when there is none.
    pub(in crate::gateway) subject: &'a str,
    /// Plain text.
    pub(in crate::gateway) text: Option<&'a str>,
    /// HTML alternative.
    pub(in crate::gateway) html: Option<&'a str>,
    /// The caller's header fields: name, and value in ASCII on one line. No `Reply-To`, it is among the parties.
    pub(in crate::gateway) headers: Vec<(&'a str, String)>,
    /// The caller's labels, each once.
    pub(in crate::gateway) tags: Vec<&'a str>,
    /// Files. One with a content id is an inline image; without HTML none has.
    pub(in crate::gateway) files: Vec<File<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads them from `message`, whose author is `default_from` unless its options name one.
    ///
    /// # Errors
    ///
    /// Those of [`build`](super::build), and two more, since a provider parses what it is given: `invalid_address`
    /// for a quoted local part, which not every parser ends at the same place; `header_not_allowed` for a
    /// `Reply-To` that is no single address, or beside the option `reply_to`.
    pub(in crate::gateway) fn read(
        message: &'a Rendered,
        default_from: Option<&Mailbox>,
    ) -> Result<Self, SendError> {
        let options = &message.options;
        let mut parties = Parties::read(message, default_from)?;
        let mut headers = Vec::with_capacity(options.headers.len());
        for (name, value) in &options.headers {
            let encoded = header::encoded(name, value)?;
            if !name.eq_ignore_ascii_case("Reply-To") {
                headers.push((name.as_str(), encoded));
                continue;
            }
            let refusal = || refused(Blame::Message, "header_not_allowed");
            let reply_to = address::mailbox(value).map_err(|Invalid| refusal())?;
            if parties.reply_to.replace(reply_to).is_some() {
                return Err(refusal());
            }
        }
        if !is_dot_atom(&parties.recipient) {
            return Err(refused(Blame::Recipient, "invalid_address"));
        }
        if !parties.addresses().all(is_dot_atom) {
            return Err(refused(Blame::Message, "invalid_address"));
        }
        let subject = message.subject.as_deref().unwrap_or_default();
        header::text("Subject", subject)?;
        let mut tags: Vec<&str> = Vec::with_capacity(options.tags.len());
        for tag in &options.tags {
            header::text("X-Tags", tag)?;
            let tag = tag.trim();
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let html = message.html.as_deref();
        let mut files = Vec::with_capacity(options.attachments.len());
        for attachment in &options.attachments {
            let mut file = File::read(attachment)?;
            file.content_id = file.content_id.filter(|_| html.is_some());
            files.push(file);
        }
        Ok(Self {
            parties,
            subject,
            text: message.body.as_deref(),
            html,
            headers,
            tags,
            files,
        })
    }

    /// The labels as the value of `X-Tags`, in which mails have them that name them nowhere else.
    pub(in crate::gateway) fn tags_line(&self) -> Result<Option<String>, SendError> {
        if self.tags.is_empty() {
            return Ok(None);
        }
        header::text("X-Tags", &self.tags.join(", ")).map(|field| Some(header::on_one_line(field)))
    }

    /// Whether HTML refers to images that travel with it.
    pub(in crate::gateway) fn has_inline_images(&self) -> bool {
        self.files.iter().any(|file| file.content_id.is_some())
    }
}

/// The recipient of `message`, as [`Fields::read`] reads it: for one of a batch, whose other fields are read once.
pub(super) fn recipient(message: &Rendered) -> Result<Address, SendError> {
    address::address(&message.recipient)
        .ok()
        .filter(is_dot_atom)
        .ok_or_else(|| refused(Blame::Recipient, "invalid_address"))
}

/// Whether nobody gets a copy: in a batch each copy would come once a message, or once for all.
pub(in crate::gateway) fn goes_to_one(message: &Rendered) -> bool {
    message.options.cc.is_empty() && message.options.bcc.is_empty()
}

/// Whether the local part stands without quotes (RFC 5322, section 3.4.1; RFC 6532 for other scripts).
fn is_dot_atom(address: &Address) -> bool {
    !address
        .user()
        .contains(['"', '(', ')', ',', ':', ';', '<', '>', '@', '[', '\\', ']'])
}

#[cfg(test)]
mod tests {
    use super::is_dot_atom;

    /// Mailgun splits at commas; an address that holds one would be two.
    #[test]
    fn a_quoted_local_part_is_no_dot_atom() {
        let parse = |text: &str| super::super::address::address(text).expect("an address");
        assert!(is_dot_atom(&parse("ada.lovelace+notes@example.org")));
        assert!(is_dot_atom(&parse("jörg@example.org")));
        assert!(!is_dot_atom(&parse("\"ada,eve\"@example.org")));
    }
}
