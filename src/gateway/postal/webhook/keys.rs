//! By which keys Postal signs: those of the settings, and those that its installation publishes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::Url;
use tokio::sync::Mutex;

use crate::gateway::source::Refused;
use crate::gateway::source::fetch::Fetch;
use crate::gateway::source::fields::Object;
use crate::gateway::source::rsa::{Hash, PublicKey};

/// Between two fetches, however many requests name keys that are not known.
const REST: Duration = Duration::from_secs(60);

/// What is kept of a set.
const KEYS_MAX: usize = 16;

pub(super) struct Keys {
    own: Vec<PublicKey>,
    url: Option<Url>,
    fetch: Arc<dyn Fetch>,
    published: RwLock<Arc<Vec<PublicKey>>>,
    /// When they were asked for last; held by the one request that asks.
    asked: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn new(own: Vec<PublicKey>, url: Option<Url>, fetch: Arc<dyn Fetch>) -> Self {
        Self {
            own,
            url,
            fetch,
            published: RwLock::default(),
            asked: Mutex::default(),
        }
    }

    /// Whether one of the keys made the signature. The key's `id` is what the request says: it never chooses which key
    /// is trusted, only whether it is worth to ask for new ones.
    pub(super) async fn check(
        &self,
        id: Option<&str>,
        hash: Hash,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        let is_good = |keys: &[PublicKey]| {
            let mut fitting = keys
                .iter()
                .filter(|key| key.size_bytes() == signature.len());
            fitting.any(|key| key.verifies(hash, message, signature))
        };
        let published = self.published();
        if is_good(&self.own) || is_good(&published) {
            return Ok(());
        }
        let mut known = self.own.iter().chain(published.iter());
        if id.is_none_or(|id| !known.any(|key| key.id == id)) {
            let fresh = self.refresh(&published).await?;
            if fresh.is_some_and(|fresh| is_good(&fresh)) {
                return Ok(());
            }
        }
        Err(Refused::Unauthenticated("the signature is wrong"))
    }

    fn published(&self) -> Arc<Vec<PublicKey>> {
        let published = self.published.read();
        Arc::clone(&published.unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys that are published now, if they may be others than `before`.
    async fn refresh(
        &self,
        before: &Arc<Vec<PublicKey>>,
    ) -> Result<Option<Arc<Vec<PublicKey>>>, Refused> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let mut asked = self.asked.lock().await;
        let now = self.published();
        if !Arc::ptr_eq(&now, before) {
            return Ok(Some(now));
        }
        let unavailable = Refused::Unavailable("the keys of Postal could not be had");
        if asked.is_some_and(|at| at.elapsed() < REST) {
            // Without any key nothing can be told of the request; with some it is most likely forged.
            return if now.is_empty() && self.own.is_empty() {
                Err(unavailable)
            } else {
                Ok(None)
            };
        }
        *asked = Some(Instant::now());
        let body = self.fetch.get(url).await.ok_or(unavailable.clone())?;
        let fresh = Arc::new(read(&body).ok_or(unavailable)?);
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *published = Arc::clone(&fresh);
        Ok(Some(fresh))
    }
}

/// A set of JSON Web Keys (RFC 7517, section 5): its RSA keys. What is not understood is passed over.
fn read(body: &[u8]) -> Option<Vec<PublicKey>> {
    let set = serde_json::from_slice(body).ok()?;
    let keys = Object::of(&set).list("keys").iter().map(Object::of);
    let keys = keys
        .filter(|key| key.text("kty") == Some("RSA"))
        .filter_map(|key| {
            let id = key.text("kid").unwrap_or_default();
            PublicKey::from_jwk(key.text("n")?, key.text("e")?, id)
        });
    let keys: Vec<_> = keys.take(KEYS_MAX).collect();
    Some(keys).filter(|keys| !keys.is_empty())
}
