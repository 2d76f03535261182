//! The recipients of a batch: who can be written to, and whose answer is whose.

use super::{Address, fields};
use crate::model::message::Rendered;
use crate::model::outcome::{Accepted, Fault, SendError};

/// Messages that share their content.
pub(in crate::gateway) struct Recipients<'a> {
    /// Those whose recipient is an address, in their order.
    pub(in crate::gateway) readable: Vec<(&'a Rendered, Address)>,
    /// One a message: why it cannot be sent.
    refusals: Vec<Option<SendError>>,
}

impl<'a> Recipients<'a> {
    /// Reads the recipient of each of `messages`.
    pub(in crate::gateway) fn read(messages: &[&'a Rendered]) -> Self {
        let mut readable = Vec::with_capacity(messages.len());
        let refusals = messages.iter().map(|message| {
            let recipient = fields::recipient(message);
            recipient.map(|to| readable.push((*message, to))).err()
        });
        Self {
            refusals: refusals.collect(),
            readable,
        }
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
