//! The public keys that sign tokens (JWKS, RFC 7517), fetched and kept.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, Url};
use tokio::sync::Mutex;
use tracing::warn;

use super::settings::JwtSettings;
use crate::gateway::http;

/// After so long they are fetched anew.
const FRESH: Duration = Duration::from_secs(600);

/// A key that is not there is looked for again after so long, whoever asks for it and how often.
const PAUSE: Duration = Duration::from_secs(10);

/// The longest that a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The keys, and where they are.
pub(super) struct Jwks {
    source: Source,
    keys: RwLock<Arc<Vec<Key>>>,
    /// Who fetches holds it.
    state: Mutex<State>,
}

enum Source {
    Url(Url, Client),
    File(PathBuf),
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Default)]
struct State {
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Jwks {
    /// What is configured, not yet fetched.
    ///
    /// # Errors
    ///
    /// Says what would be right.
    pub(super) fn new(settings: &JwtSettings) -> Result<Option<Self>, String> {
        let source = match (&settings.jwks_url, &settings.jwks_file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err("api.jwt: jwks_url and jwks_file exclude each other".into());
            }
            (None, Some(path)) => Source::File(path.clone()),
            (Some(url), None) => {
                let url: Url = url
                    .parse()
                    .map_err(|_| "api.jwt.jwks_url is no URL".to_owned())?;
                let is_local = url
                    .host_str()
                    .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
                if !(url.scheme() == "https" || url.scheme() == "http" && is_local) {
                    return Err(
                        "api.jwt.jwks_url must be an https URL, or an http one of this machine"
                            .into(),
                    );
                }
                Source::Url(url, http::client()?)
            }
        };
        // Keys that others use too sign tokens for others too.
        if settings.issuer.is_none() || settings.audience.is_none() {
            return Err("api.jwt: issuer and audience are needed with a JWKS".into());
        }
        Ok(Some(Self {
            source,
            keys: RwLock::default(),
            state: Mutex::default(),
        }))
    }

    /// The key of a token. One that is not there is fetched, every ten seconds at most.
    ///
    /// # Errors
    ///
    /// There is none, in words for whoever sent the token.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, String> {
        let known = self.known(id, algorithm);
        if let (Some(key), Ok(state)) = (&known, self.state.try_lock()) {
            if state.fetched_at.is_some_and(|at| at.elapsed() < FRESH) {
                return Ok(key.clone());
            }
        } else if let Some(key) = known {
            return Ok(key); // somebody fetches; until then the old ones hold
        }
        let mut state = self.state.lock().await;
        let is_fresh = state.fetched_at.is_some_and(|at| at.elapsed() < FRESH);
        let known = self.known(id, algorithm);
        if let (Some(key), true) = (&known, is_fresh) {
            return Ok(key.clone());
        }
        if state.tried_at.is_none_or(|at| at.elapsed() >= PAUSE) {
            state.tried_at = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                    state.fetched_at = Some(Instant::now());
                }
                Err(error) => {
                    warn!(%error, "cannot fetch the keys of api.jwt; those from before hold on")
                }
            }
        }
        self.known(id, algorithm)
            .ok_or_else(|| "the token is signed by a key that is not known here".into())
    }

    fn known(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let mut fitting = keys.iter().filter(|key| key.algorithm == algorithm);
        let key = match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Some(only),
                _ => None, // which one of them would be a guess
            },
        };
        key.map(|key| key.key.clone())
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let text = match &self.source {
            Source::File(path) => tokio::fs::read(path)
                .await
                .map_err(|error| format!("{}: {error}", path.display()))?,
            Source::Url(url, client) => {
                let answer = client.get(url.clone()).timeout(TIMEOUT).send().await;
                let mut answer = answer.map_err(|error| error.without_url().to_string())?;
                if !answer.status().is_success() {
                    return Err(format!("status {}", answer.status()));
                }
                let mut text = Vec::new();
                while let Some(chunk) = answer
                    .chunk()
                    .await
                    .map_err(|error| error.without_url().to_string())?
                {
                    text.extend_from_slice(&chunk);
                    if text.len() > http::ANSWER_MAX {
                        return Err("it is too large".into());
                    }
                }
                text
            }
        };
        let set: JwkSet = serde_json::from_slice(&text).map_err(|_| "it is no JWKS".to_owned())?;
        Ok(set.keys.iter().filter_map(usable).collect())
    }
}

/// A key that signs by RS256 or ES256, and no other: a secret among public keys is none.
fn usable(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let (algorithm, said) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    if common.key_algorithm.is_some_and(|named| named != said) {
        return None;
    }
    Some(Key {
        id: common.key_id.clone(),
        algorithm,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}
