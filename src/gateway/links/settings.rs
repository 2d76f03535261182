//! `[tracking]` of the configuration.

use serde::Deserialize;

use crate::model::message::MessageType;
use crate::model::secret::Secret;

/// `[tracking]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seals our links: 32 bytes or more. Without it there are none.
    pub secret: Option<Secret>,
    /// Those before it: links in mails that were sent still work.
    pub previous_secrets: Vec<Secret>,
    /// Types of messages whose opens and clicks are counted, unless the message says otherwise.
    pub message_types: Vec<MessageType>,
    /// An address that unsubscribes who writes to it, named beside our link.
    pub unsubscribe_mailto: Option<String>,
}
