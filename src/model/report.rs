//! What a gateway reports of a message over a webhook, in our words.

use std::time::SystemTime;

use uuid::Uuid;

use super::event::EventType;

/// One event as its provider reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Our id, where the provider echoes it.
    pub message_id: Option<Uuid>,
    /// The provider's id of the message, as `sent` recorded it.
    pub external_id: Option<String>,
    /// What happened.
    pub event_type: EventType,
    /// When, by the provider's clock.
    pub occurred_at: Option<SystemTime>,
    /// The provider's id of this event, or what identifies it among those of its message: the same event is kept once.
    pub source_key: String,
    /// Machine-readable, snake case, from a closed set, wherever the message did not arrive.
    pub reason: Option<&'static str>,
    /// Of `bounced`.
    pub bounce: Option<Bounce>,
    /// Whom it is about, where the message alone does not say: one of several recipients, or the sender of `received`.
    /// As the provider wrote it.
    pub recipient: Option<String>,
    /// What a person asked for by an inbound message.
    pub wish: Option<Wish>,
    /// The provider's own word for the event, such as `hard_bounce`; never lost.
    pub provider_event: String,
    /// The provider's own code: an enhanced status code (RFC 3463), a carrier's error.
    pub code: Option<String>,
    /// The provider's own words, at most [`PROVIDER_TEXT_MAX`](super::outcome::PROVIDER_TEXT_MAX) bytes.
    pub text: Option<String>,
    /// The link that was followed; the device or client, and the like: goes into the event's detail.
    pub detail: Vec<(&'static str, String)>,
}

impl Report {
    /// A report of which nothing more is known.
    pub fn new(
        event_type: EventType,
        provider_event: impl Into<String>,
        source_key: impl Into<String>,
    ) -> Self {
        Self {
            message_id: None,
            external_id: None,
            event_type,
            occurred_at: None,
            source_key: source_key.into(),
            reason: None,
            bounce: None,
            recipient: None,
            wish: None,
            provider_event: provider_event.into(),
            code: None,
            text: None,
            detail: Vec::new(),
        }
    }
}

/// A bounce, classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// For good, or for now.
    pub kind: BounceKind,
    /// Whose fault it was. Only the recipient's may suppress.
    pub class: BounceClass,
}

/// Whether a later try could arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BounceKind {
    /// It could not.
    Hard,
    /// It could.
    Soft,
}

/// Why it bounced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BounceClass {
    /// No such mailbox, number, token or domain: the recipient's fault.
    InvalidRecipient,
    /// The mailbox is full or disabled: the recipient's, for now.
    MailboxFull,
    /// The address is there, but takes no mail now: disabled, away, over quota.
    MailboxUnavailable,
    /// The message is too large, or malformed.
    Message,
    /// The content was taken for spam, or is against the receiver's policy.
    Policy,
    /// The sender or its host has a bad name: a block list.
    Reputation,
    /// SPF, DKIM, DMARC, TLS, or credentials: the sender's fault.
    Authentication,
    /// Too many at once.
    Throttled,
    /// Hosts, routes, networks.
    Network,
    /// An automatic answer that is no bounce in truth.
    AutoReply,
    /// Nothing said why.
    Undetermined,
}

impl BounceClass {
    /// As the event's reason says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRecipient => "invalid_recipient",
            Self::MailboxFull => "mailbox_full",
            Self::MailboxUnavailable => "mailbox_unavailable",
            Self::Message => "message_refused",
            Self::Policy => "policy",
            Self::Reputation => "reputation",
            Self::Authentication => "authentication",
            Self::Throttled => "throttled",
            Self::Network => "network",
            Self::AutoReply => "auto_reply",
            Self::Undetermined => "undetermined",
        }
    }

    /// Whether it speaks of the recipient, so that it counts towards a suppression.
    pub const fn is_recipients(self) -> bool {
        matches!(
            self,
            Self::InvalidRecipient | Self::MailboxFull | Self::MailboxUnavailable
        )
    }
}

/// What an inbound message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// STOP, and its like: no more messages.
    Stop,
    /// START, and its like: messages again.
    Start,
    /// HELP.
    Help,
}
