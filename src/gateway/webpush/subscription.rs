//! A recipient: the subscription that a browser handed to its page, as JSON.

use p256::PublicKey;
use serde::Deserialize;
use url::Url;

use super::config::decode;
use crate::model::outcome::{Blame, Fault, SendError};

/// Where to and for whom.
pub(super) struct Subscription {
    pub(super) endpoint: Url,
    pub(super) keys: Keys,
}

/// The browser's keys (RFC 8291, section 2).
pub(super) struct Keys {
    pub(super) public: PublicKey,
    pub(super) auth: Vec<u8>,
}

#[derive(Deserialize)]
struct Json {
    endpoint: String,
    keys: JsonKeys,
}

#[derive(Deserialize)]
struct JsonKeys {
    p256dh: String,
    auth: String,
}

impl Subscription {
    /// Reads it. Endpoints are https, or http too when private ones are allowed.
    ///
    /// # Errors
    ///
    /// `invalid_subscription`, the recipient's fault.
    pub(super) fn parse(recipient: &str, allow_private: bool) -> Result<Self, SendError> {
        Self::read(recipient, allow_private).ok_or_else(|| {
            SendError::new(Fault::Permanent(Blame::Recipient), "invalid_subscription")
        })
    }

    fn read(recipient: &str, allow_private: bool) -> Option<Self> {
        let json: Json = serde_json::from_str(recipient).ok()?;
        let mut endpoint: Url = json.endpoint.parse().ok()?;
        let is_allowed = match endpoint.scheme() {
            "https" => true,
            "http" => allow_private,
            _ => false,
        };
        let is_plain = endpoint.username().is_empty() && endpoint.password().is_none();
        if !is_allowed || !is_plain || endpoint.host().is_none() {
            return None;
        }
        endpoint.set_fragment(None);
        let auth = decode(&json.keys.auth).filter(|auth| auth.len() == 16)?;
        let public = decode(&json.keys.p256dh).filter(|point| point.len() == 65)?;
        let keys = Keys {
            public: PublicKey::from_sec1_bytes(&public).ok()?,
            auth,
        };
        Some(Self { endpoint, keys })
    }
}
