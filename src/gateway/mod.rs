//! Gateways: each hands messages to one provider. A gateway knows no SQL.

pub mod apns;
mod aws;
pub mod bandwidth;
pub mod check;
mod credentials;
pub mod endpoints;
pub mod exchange;
pub mod fcm;
pub mod file;
pub mod generic;
pub mod http;
pub mod links;
pub mod mailgun;
mod mime;
pub mod ovh;
pub mod postal;
pub mod public;
pub mod push;
pub mod registry;
pub mod sendgrid;
pub mod ses;
pub mod smtp;
pub mod sns;
pub mod source;
pub mod stub;
#[cfg(test)]
mod testing;
pub mod twilio;
pub mod webhook;
pub mod webpush;

use std::time::Instant;

use async_trait::async_trait;

use self::check::{Checked, Wrong};
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

/// Hands messages to one provider.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Its name in the configuration, in events, and as a metric label.
    fn name(&self) -> &str;

    /// The channels that it serves.
    fn channels(&self) -> &[Channel];

    /// Whether it can send to a recipient written like this: of push gateways each knows only its own tokens. Routing
    /// passes over one that cannot.
    fn takes(&self, recipient: &str) -> bool {
        let _ = recipient;
        true
    }

    /// Hands `message` to the provider, and returns once the provider has answered.
    ///
    /// `Ok` means that the provider took responsibility (RFC 5321, section 6.1), not that anyone
    /// received it: delivery, bounce and complaint come later, as events.
    ///
    /// # Errors
    ///
    /// A [`SendError`], whose [`Fault`](crate::model::outcome::Fault) says whose fault it was, and so what
    /// the worker does next. A `deadline` that passes before the provider could have the message is
    /// `Transient`; one that passes once the message is under way is `Unknown`.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError>;

    /// Asks the provider whether it takes the credentials, without sending anything.
    ///
    /// # Errors
    ///
    /// The setting that is wrong, as far as the answer tells.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let _ = deadline;
        Ok(Checked::NotAsked("it has no credentials to be checked"))
    }

    /// Its provider's call for several messages at once, if it has one.
    fn batch(&self) -> Option<&dyn Batch> {
        None
    }
}

/// A message of a batch, and what of its mail is its own.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// The message.
    pub message: &'a Rendered,
    /// Header fields beside those that its options name.
    pub headers: Vec<(&'static str, String)>,
}

impl<'a> From<&'a Rendered> for Member<'a> {
    /// With nothing of its own.
    fn from(message: &'a Rendered) -> Self {
        Self {
            message,
            headers: Vec::new(),
        }
    }
}

/// A provider's call for several messages that share their content.
#[async_trait]
pub trait Batch: Send + Sync {
    /// The most messages in one call; 2 or more.
    fn most(&self) -> usize;

    /// Whether `member` may travel with others of the same content: only if the provider then makes of it what it
    /// would make of it alone.
    fn carries(&self, member: &Member<'_>) -> bool;

    /// Hands all of `members` to the provider in one call: an answer each, in their order.
    ///
    /// They differ in nothing but id, recipient, tenant, and the values of their own header fields, whose names are the
    /// same in the same order; no two have the same recipient, and the first one is [carried](Self::carries).
    ///
    /// # Errors
    ///
    /// What is wrong with the call as a whole, as [`Gateway::send`] tells it: each message's then. But whose a
    /// `Permanent` one is, nobody knows while there are several; none of them went out.
    async fn send_batch(
        &self,
        members: &[Member<'_>],
        deadline: Instant,
    ) -> Result<Vec<Result<Accepted, SendError>>, SendError>;
}
