//! What is sent: a message as the worker claims it and as a gateway gets it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Declares a closed set of names that SQL, Rust, logs and metrics share.
macro_rules! names {
    ($(#[$meta:meta])* $type:ident, $what:literal { $($(#[$variant_meta:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $type { $($(#[$variant_meta])* #[serde(rename = $name)] $variant),+ }

        impl $type {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name that SQL, logs and metrics use.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, UnknownName> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownName { what: $what, accepted: concat!($($name, " "),+) }),
                }
            }
        }
    };
}
pub(crate) use names;

/// A name that is in none of the closed sets.
#[derive(Debug, thiserror::Error)]
#[error("unknown {what}; accepted: {accepted}")]
pub struct UnknownName {
    pub(super) what: &'static str,
    pub(super) accepted: &'static str,
}

names! {
    /// Over what a message goes out.
    Channel, "channel" {
        /// Mail, by SMTP or a mail provider's API.
        Email = "email",
        /// Text message to an E.164 number.
        Sms = "sms",
        /// Notification to a device token or a Web Push subscription.
        Push = "push",
        /// Call to an E.164 number, text to speech.
        Voice = "voice",
        /// Message shown inside an application.
        InApp = "in_app",
        /// HTTP POST to a URL.
        Webhook = "webhook",
    }
}

names! {
    /// The partition of the queue, and the worker pool that serves it. P0 goes first.
    Priority, "priority" {
        /// Emergencies.
        P0 = "P0",
        /// Alerts.
        P1 = "P1",
        /// Newsletters.
        P2 = "P2",
        /// Campaigns.
        P3 = "P3",
        /// Transactional.
        P4 = "P4",
    }
}

impl Priority {
    /// 0 to 4, as the queue tables store it.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The number that the queue tables store.
    pub const fn number(self) -> i16 {
        self as i16
    }
}

names! {
    /// Why the organisation sends it. Gives the default priority and the default `on_unknown`.
    MessageType, "message type" {
        /// P0; resent when unknown.
        Emergency = "emergency",
        /// P1; resent when unknown.
        Alert = "alert",
        /// P2; held when unknown.
        Newsletter = "newsletter",
        /// P3; held when unknown.
        Campaign = "campaign",
        /// P4; resent when unknown.
        Transactional = "transactional",
    }
}

names! {
    /// What follows when it cannot be known whether a message went out.
    OnUnknown, "on_unknown" {
        /// Send it again: a duplicate is better than a loss.
        Resend = "resend",
        /// Hold it until an event or an operator settles it: a loss is better than a duplicate.
        Hold = "hold",
    }
}

impl MessageType {
    /// The policy of a message that states none.
    pub const fn on_unknown(self) -> OnUnknown {
        match self {
            Self::Newsletter | Self::Campaign => OnUnknown::Hold,
            Self::Emergency | Self::Alert | Self::Transactional => OnUnknown::Resend,
        }
    }
}

/// `options` of `enqueue`, as far as a gateway needs them. What a channel has no use for is ignored by it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Sender instead of the configured one: an address, or `Name <address>`.
    pub from: Option<String>,
    /// Where answers go: an address, or `Name <address>`.
    pub reply_to: Option<String>,
    /// Further visible recipients of the same mail.
    pub cc: Vec<String>,
    /// Further hidden recipients of the same mail.
    pub bcc: Vec<String>,
    /// Further header fields, by name. Structural ones (From, To, Content-Type …) are refused.
    pub headers: BTreeMap<String, String>,
    /// Labels that the provider shows in its reports and returns in its events.
    pub tags: Vec<String>,
    /// Files that travel with a mail.
    pub attachments: Vec<Attachment>,
    /// See [`OnUnknown`]; absent means by message type.
    pub on_unknown: Option<OnUnknown>,
    /// Attempts for this message instead of its priority's.
    pub max_attempts: Option<i16>,
    /// Whether opens and clicks of a mail are counted by links of ours; absent means by message type.
    pub tracking: Option<bool>,
    /// The caller's trace, as a W3C `traceparent`; see [`TraceContext`](super::trace::TraceContext).
    pub traceparent: Option<String>,
    /// What only a text message has.
    pub sms: Sms,
    /// What only a call has.
    pub voice: Voice,
    /// What a push carries besides subject, body and data.
    pub push: Push,
}

/// `options.push` of `enqueue`. The title is the message's subject, the text its body, the rest its data.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Push {
    /// The number on the app's icon; 0 takes it away.
    pub badge: Option<u32>,
    /// Name of a sound that the app brings along, or `default`.
    pub sound: Option<String>,
    /// URL of a picture.
    pub image: Option<String>,
    /// What a tap opens: a URL, or an action (Android) that is also a category (Apple).
    pub click_action: Option<String>,
    /// How long the provider keeps it for a device that is away, in seconds up to [`Push::TTL_MAX`]; 0 is now or never.
    pub ttl: Option<u32>,
    /// Of messages with the same key a device that was away gets the last one.
    pub collapse_key: Option<String>,
    /// Merged into what is made for Android: FCM's `AndroidConfig`.
    pub android: Map<String, Value>,
    /// Merged into what is made for Apple: FCM's `ApnsConfig` (`headers`, `payload`), or, when it has `aps`, the payload itself.
    pub apns: Map<String, Value>,
    /// Merged into what is made for browsers: FCM's `WebpushConfig` (`headers`, `data`, `notification`, `fcm_options`).
    pub webpush: Map<String, Value>,
}

impl Push {
    /// 28 days, in seconds: the most that FCM keeps a message.
    pub const TTL_MAX: u32 = 2_419_200;
}

/// What only a text message has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sms {
    /// Where the provider finds pictures and other media to send along (MMS), where it can.
    pub media_urls: Vec<String>,
    /// For how long the provider may try; its own default when absent. 1 to 172,800 (two days).
    pub validity_seconds: Option<u32>,
}

/// What only a call has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Voice {
    /// In what language the text is spoken: a tag such as `fr-CA`, or a locale such as `fr` or `fr_CA`.
    pub language: Option<String>,
    /// Who speaks, by the provider's name.
    pub voice: Option<String>,
}

/// A file that travels with a mail.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Attachment {
    /// Its name for the reader.
    pub filename: String,
    /// Its media type; `application/octet-stream` when absent.
    pub content_type: Option<String>,
    /// The bytes, in base64.
    pub content: String,
    /// Set for an inline image: the html refers to it as `cid:<content_id>`.
    pub content_id: Option<String>,
}

/// A message that is ready for a gateway.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Its id, also the key by which a resend is recognised.
    pub message_id: Uuid,
    /// Over what it goes out.
    pub channel: Channel,
    /// Why it is sent.
    pub message_type: MessageType,
    /// Its priority.
    pub priority: Priority,
    /// The attempt this is, from 1.
    pub attempt: i16,
    /// Address, number, token or URL, as `enqueue` normalised it.
    pub recipient: String,
    /// Subject of a mail, title of a push.
    pub subject: Option<Arc<str>>,
    /// Plain text.
    pub body: Option<Arc<str>>,
    /// HTML alternative of a mail.
    pub html: Option<Arc<str>>,
    /// The message's data, for channels that carry data (push, in-app, webhook).
    pub data: Option<Arc<RawValue>>,
    /// The rest of what the caller said.
    pub options: Arc<Options>,
    /// Sending pool that the caller chose.
    pub ip_pool: Option<Arc<str>>,
    /// The tenant, for logs and provider metadata.
    pub tenant_id: Option<i64>,
}
