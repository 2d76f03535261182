//! What a provider posts to us: proven to be its own, then read.
//!
//! # Reasons of mail providers' reports
//!
//! | reason | event | |
//! |---|---|---|
//! | as [`BounceClass`](crate::model::report::BounceClass) says | `bounced` `deferred` | by the provider's fields, codes, text ([`bounce`](crate::model::bounce)) |
//! | `provider_suppressed` | `bounced` `failed` | not even tried: it is on the provider's own list |
//! | `content_refused` `policy` `rejected` | `failed` | the provider would not have the message |
//! | `quota_exceeded` | `failed` | of the account |
//! | `held` | `deferred` | until an operator of Postal releases it |
//! | `provider_gave_up` | `failed` | without a reply of the recipient's server |

pub mod fetch;
pub(super) mod fields;
pub mod list;
pub(super) mod rsa;

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::HeaderMap;

use crate::model::message::Channel;
use crate::model::report::Report;

/// A request as it came. Nothing in it is trusted.
pub struct Posted<'a> {
    /// The URL that the provider called, as it knows it: the configured public URL, with the request's path and query.
    pub url: &'a str,
    /// The query of the request, without the question mark.
    pub query: Option<&'a str>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte.
    pub body: &'a Bytes,
    /// When it came.
    pub now: SystemTime,
}

/// A request that is its provider's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The provider's id of this delivery, the same when it delivers again: it is stored once. Without one, the hash
    /// of the body serves.
    pub key: Option<String>,
    /// What is remembered so that a captured request is not accepted again, though it is not a repeated delivery:
    /// a token or a signature, for as long as its timestamp is fresh.
    pub replay: Option<String>,
    /// What is to be done beside, or instead of, storing it.
    pub action: Action,
}

/// What a verified request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// To be stored and parsed.
    #[default]
    Store,
    /// To confirm a subscription to a configured topic by getting this URL, which was checked by the source.
    Confirm(String),
    /// To be answered 2xx, and forgotten: a test call.
    Ignore,
}

/// Why a request is refused. Its text names no part of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 401: no signature, a wrong one, wrong credentials.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// 403: properly signed, but stale, replayed, or of a topic that is not ours.
    #[error("{0}")]
    Forbidden(&'static str),
    /// 400: it cannot be what the provider sends.
    #[error("{0}")]
    Malformed(&'static str),
    /// 503: the provider's key could not be had; it should try again.
    #[error("{0}")]
    Unavailable(&'static str),
}

/// A stored request, as it is read from the inbox.
pub struct Stored<'a> {
    /// As [`Posted::query`].
    pub query: Option<&'a str>,
    /// The `Content-Type` that came with it.
    pub content_type: Option<&'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// When it came.
    pub received_at: SystemTime,
}

/// A stored body that is not what its provider's documentation says. The text names no part of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// What a provider posts to us.
#[async_trait]
pub trait WebhookSource: Send + Sync {
    /// Its name: in the path, in the inbox, as the events' gateway, and as a metric label.
    fn name(&self) -> &str;

    /// Looks at what comes before the body, of which `posted` has none yet: whoever brings no proof, or wrong credentials,
    /// does not get to send one. What it lets through is still to be verified. By default all is, for the proof may be in
    /// the body.
    ///
    /// # Errors
    ///
    /// Why it is refused, as [`verify`](Self::verify) would.
    fn admit(&self, posted: &Posted<'_>) -> Result<(), Refused> {
        let _ = posted;
        Ok(())
    }

    /// Proves that the request is the provider's, was made lately, and is for us. It compares secrets in constant time,
    /// and fetches nothing because of what an unverified request says, but from hosts that are fixed.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused>;

    /// Reads a verified body into events, in their order. Events that have no meaning here are left out.
    ///
    /// # Errors
    ///
    /// The body is not what the provider documents.
    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable>;

    /// The channel whose messages its reports may be about, where what it verifies is no provider's proof: anybody can have
    /// it post what it does. Such a report is believed only of a message that is known, of its recipients, and for its
    /// tenant. `None`, the default: the provider vouches for what it says.
    fn unproven(&self) -> Option<Channel> {
        None
    }

    /// Content type and body of the answer to a request that was accepted; by default `application/json` and `{}`.
    fn answer(&self) -> (&'static str, &'static str) {
        ("application/json", "{}")
    }
}
