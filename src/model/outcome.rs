//! How a gateway call ends: accepted, or a fault told by whose it was.

use std::time::Duration;

use super::message::Rendered;

/// The provider took responsibility (RFC 5321, section 6.1). It does not mean that anyone received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The provider's id of the message, which its events will name.
    pub external_id: Option<String>,
    /// The provider's own word, at most [`PROVIDER_TEXT_MAX`] bytes. Goes into the event, never into a log.
    pub provider_text: Option<String>,
}

/// What is kept of a provider's own words, in bytes.
pub const PROVIDER_TEXT_MAX: usize = 500;

/// Whose fault a failed send was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody's for long: retry after the backoff, or after `retry_after` if that is later.
    Transient {
        /// What the provider asked for.
        retry_after: Option<Duration>,
    },
    /// The message's or its recipient's: never retry; it may suppress the recipient.
    Permanent(Blame),
    /// The gateway's (credentials, quota, outage): reroute; no attempt is counted.
    Gateway {
        /// What the provider asked for.
        retry_after: Option<Duration>,
    },
    /// Unknown, no reply came: a retry risks a duplicate, giving up a loss; the message's `on_unknown` decides.
    Unknown,
}

/// Who is to blame for a permanent failure. Only a recipient's may suppress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// This address, number or token can never work here: event `bounced`, hard.
    Recipient,
    /// This message can never be sent (content, size, a bad field, policy): event `failed`.
    Message,
}

/// A send that was not accepted.
///
/// Its `Display` is fit for a log: it names the reason and the code, never an address, a body or a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}{}", code.as_deref().map(|code| format!(" (code {code})")).unwrap_or_default())]
pub struct SendError {
    /// Decides what the worker does next.
    pub fault: Fault,
    /// Machine-readable, snake case, from a closed set a gateway: `mailbox_unavailable`, `connect_failed` …
    pub reason: &'static str,
    /// The provider's own code, such as an enhanced status code (RFC 3463) `5.1.1`.
    pub code: Option<String>,
    /// The provider's own words, at most [`PROVIDER_TEXT_MAX`] bytes. Goes into the event, never into a log.
    pub provider_text: Option<String>,
}

impl SendError {
    /// An error without code or text of a provider.
    pub const fn new(fault: Fault, reason: &'static str) -> Self {
        Self {
            fault,
            reason,
            code: None,
            provider_text: None,
        }
    }

    /// Whether a limit was exceeded: too many messages in too short a time, or a day's quota.
    pub fn is_throttled(&self) -> bool {
        matches!(self.reason, "throttled" | "quota_exceeded")
    }

    /// Whether the next gateway may well take the message although the fault is not this one's: what is wrong with it
    /// is wrong with it here.
    pub fn may_pass_elsewhere(&self) -> bool {
        matches!(
            self.reason,
            "service_closing"
                | "connection_lost"
                | "region_not_permitted"
                | "smtputf8_required"
                | "reputation_refused"
                | "sender_refused"
        )
    }

    /// The same, blamed on `message` if it is about a sender that `message` named: the gateway's own may do.
    #[must_use]
    pub fn blaming_sender_of(mut self, message: &Rendered) -> Self {
        if self.reason == "sender_refused" && message.options.from.is_some() {
            self.fault = Fault::Permanent(Blame::Message);
        }
        self
    }

    /// As its `Display`, with the text where that is ours and no provider's: why there was no connection.
    pub fn explained(&self) -> String {
        match (self.reason, &self.provider_text) {
            ("connect_failed" | "tls_failed", Some(text)) => format!("{self}: {text}"),
            _ => self.to_string(),
        }
    }

    /// Adds the provider's own code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the provider's own words, cut to [`PROVIDER_TEXT_MAX`].
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.provider_text = Some(shorten(text, PROVIDER_TEXT_MAX));
        self
    }
}

/// The longest prefix of `text` that has at most `max_bytes` and ends at a character, without NUL, which Postgres refuses.
pub fn shorten(text: &str, max_bytes: usize) -> String {
    let end = text.floor_char_boundary(max_bytes);
    text[..end].replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider's text may be cut in the middle of a character, and hold what Postgres refuses.
    #[test]
    fn provider_text_is_cut_at_a_character_and_has_no_nul() {
        assert_eq!(shorten("ab\0c", 10), "abc");
        assert_eq!(shorten("aé", 2), "a");
        assert_eq!(shorten("aé", 3), "aé");
    }

    /// What is logged must not tell who the recipient was.
    #[test]
    fn display_shows_reason_and_code_but_not_the_providers_text() {
        let error = SendError::new(Fault::Permanent(Blame::Recipient), "mailbox_unavailable")
            .with_code("5.1.1")
            .with_text("<ada@example.org>: no such user");
        assert_eq!(error.to_string(), "mailbox_unavailable (code 5.1.1)");
    }
}
