//! The recipients of a batch: who can be written to, and whose answer is whose.

use std::collections::HashSet;

use super::{Address, fields, header, refused};
use crate::gateway::Member;
use crate::model::message::Rendered;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// One who can be written to.
pub(in crate::gateway) struct Recipient<'a> {
    /// The message.
    pub(in crate::gateway) message: &'a Rendered,
    /// Its recipient.
    pub(in crate::gateway) to: Address,
    /// Its own header fields: name, and value as [`Fields`](super::Fields) has those of the content.
    pub(in crate::gateway) headers: Vec<(&'static str, String)>,
}

/// Messages that share their content.
pub(in crate::gateway) struct Recipients<'a> {
    /// Those whose recipient is an address, in their order.
    pub(in crate::gateway) readable: Vec<Recipient<'a>>,
    /// One a message: why it cannot be sent.
    refusals: Vec<Option<SendError>>,
}

impl<'a> Recipients<'a> {
    /// Reads the recipient of each of `members`.
    ///
    /// # Errors
    ///
    /// `Permanent`, so that they are sent apart: `invalid_header`, of which each is told by itself; `recipient_twice`
    /// when two are one once their domains are in ASCII, since a provider tells them apart by their addresses.
    pub(in crate::gateway) fn read(members: &[Member<'a>]) -> Result<Self, SendError> {
        let mut readable = Vec::with_capacity(members.len());
        let mut refusals = Vec::with_capacity(members.len());
        let mut seen = HashSet::with_capacity(members.len());
        for Member { message, headers } in members {
            let to = match fields::recipient(message) {
                Ok(to) => to,
                Err(refusal) => {
                    refusals.push(Some(refusal));
                    continue;
                }
            };
            if !seen.insert(AsRef::<str>::as_ref(&to).to_lowercase()) {
                return Err(refused(Blame::Message, "recipient_twice"));
            }
            let encoded = |(name, value): &(&'static str, String)| {
                header::encoded(name, value).map(|value| (*name, value))
            };
            let headers = headers.iter().map(encoded).collect::<Result<_, _>>()?;
            refusals.push(None);
            readable.push(Recipient {
                message,
                to,
                headers,
            });
        }
        Ok(Self { readable, refusals })
    }

    /// An answer for each message, from those to the readable ones. One that the provider left out is unknown.
    pub(in crate::gateway) fn answers(
        self,
        answers: impl IntoIterator<Item = Result<Accepted, SendError>>,
    ) -> Vec<Result<Accepted, SendError>> {
        let mut answers = answers.into_iter();
        let answers = self.refusals.into_iter().map(|refusal| match refusal {
            Some(refusal) => Err(refusal),
            None => answers
                .next()
                .unwrap_or_else(|| Err(SendError::new(Fault::Unknown, "answer_garbled"))),
        });
        answers.collect()
    }
}
