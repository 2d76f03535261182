//! What happened to a message: the types of append-only events.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::message::{UnknownName, names};

names! {
    /// The type of a row in `delivery_events`.
    EventType, "event type" {
        /// Enqueued; the row in `messages` is this event.
        Queued = "queued",
        /// A gateway accepted it.
        Sent = "sent",
        /// An attempt failed; another follows.
        Deferred = "deferred",
        /// The recipient's side has it.
        Delivered = "delivered",
        /// Opened.
        Opened = "opened",
        /// A link in it was followed.
        Clicked = "clicked",
        /// The recipient did what the message was for.
        Converted = "converted",
        /// Refused by the recipient's side, hard or soft.
        Bounced = "bounced",
        /// Reported as spam.
        Complained = "complained",
        /// The recipient wants no more of them.
        Unsubscribed = "unsubscribed",
        /// Given up.
        Failed = "failed",
        /// Not sent in time.
        Expired = "expired",
        /// Withdrawn by the caller.
        Cancelled = "cancelled",
        /// Not sent: the address is on the suppression list.
        Suppressed = "suppressed",
        /// It may or may not have gone out, and it is held.
        Unknown = "unknown",
        /// A message came in.
        Received = "received",
    }
}
