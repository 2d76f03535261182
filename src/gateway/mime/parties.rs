//! From whom and to whom a mail goes.

use super::address::{self, Invalid};
use super::{Address, Mailbox, refused};
use crate::model::message::Rendered;
use crate::model::outcome::{Blame, Fault, SendError};

/// From whom and to whom a mail goes.
#[derive(Debug)]
pub(in crate::gateway) struct Parties {
    /// Its author.
    pub(in crate::gateway) from: Mailbox,
    /// The recipient that the message is for. Its fate is the message's.
    pub(in crate::gateway) recipient: Address,
    /// Where answers go.
    pub(in crate::gateway) reply_to: Option<Mailbox>,
    /// Further visible recipients, as the header names them.
    pub(in crate::gateway) cc: Vec<Mailbox>,
    /// Further hidden recipients.
    pub(in crate::gateway) bcc: Vec<Mailbox>,
}

impl Parties {
    /// Reads them from `message`, whose author is `default_from` unless its options name one.
    ///
    /// # Errors
    ///
    /// `invalid_address` and `sender_missing`, as [`build`](super::build) says.
    pub(super) fn read(
        message: &Rendered,
        default_from: Option<&Mailbox>,
    ) -> Result<Self, SendError> {
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
        Ok(Self {
            from,
            recipient: address::address(&message.recipient)
                .map_err(|Invalid| refused(Blame::Recipient, "invalid_address"))?,
            reply_to: options.reply_to.as_ref().map(parse).transpose()?,
            cc: options.cc.iter().map(parse).collect::<Result<_, _>>()?,
            bcc: options.bcc.iter().map(parse).collect::<Result<_, _>>()?,
        })
    }

    /// Copies, visible and hidden, each once and without the recipient.
    pub(in crate::gateway) fn copies(&self) -> Vec<Address> {
        let mut copies: Vec<Address> = Vec::new();
        for copy in self.cc.iter().chain(&self.bcc) {
            let is_there = |other: &Address| is_same(other, &copy.email);
            if !is_there(&self.recipient) && !copies.iter().any(is_there) {
                copies.push(copy.email.clone());
            }
        }
        copies
    }

    /// Whether an address has a local part that is not ASCII (RFC 6531).
    pub(in crate::gateway) fn needs_smtputf8(&self) -> bool {
        self.addresses().any(|address| !address.user().is_ascii())
    }

    /// Each address in it.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        let named = [&self.from].into_iter().chain(&self.reply_to);
        let named = named.chain(&self.cc).chain(&self.bcc);
        [&self.recipient]
            .into_iter()
            .chain(named.map(|mailbox| &mailbox.email))
    }
}

/// Domains have no case (RFC 5321, section 2.4).
fn is_same(one: &Address, other: &Address) -> bool {
    one.user() == other.user() && one.domain().eq_ignore_ascii_case(other.domain())
}
