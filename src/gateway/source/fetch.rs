//! Getting a provider's public key, from where the configuration or a fixed rule says.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Client, Url};

use crate::gateway::http;

/// For the whole of one request; less than the shortest time in which a provider wants its answer (Postal, 5 s).
const TIMEOUT: Duration = Duration::from_secs(4);

/// Gets what a URL names. Tests bring their own, so that no setting has to loosen the rules on hosts.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The body of a 200, at most [`http::ANSWER_MAX`] bytes of it; nothing when there is none to be had.
    async fn get(&self, url: &Url) -> Option<Bytes>;
}

/// Over HTTP, by the rules of [`http::client`]: the server's certificate is checked, no redirect is followed.
pub struct Http(Client);

impl Http {
    /// One with connections of its own.
    ///
    /// # Errors
    ///
    /// When the machine has no usable certificates.
    pub fn new() -> Result<Self, String> {
        Ok(Self(http::client()?))
    }
}

#[async_trait]
impl Fetch for Http {
    async fn get(&self, url: &Url) -> Option<Bytes> {
        let deadline = Instant::now() + TIMEOUT;
        let answer = http::call(self.0.get(url.clone()), deadline).await.ok()?;
        (answer.status == 200).then_some(answer.body)
    }
}
