//! Who we are, for push services (VAPID, RFC 8292).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p256::ecdsa::SigningKey;
use reqwest::header::HeaderValue;
use serde_json::json;
use url::Url;

use crate::gateway::push::jwt;

/// How long a token holds, in seconds; RFC 8292 allows 24 hours.
const LIFETIME: u64 = 12 * 3600;

/// Age at which a token is replaced, in seconds.
const RENEW_AGE: u64 = 6 * 3600;

/// Origins that are remembered. There are a handful of push services, but anybody can name others.
const ORIGINS_MAX: usize = 256;

/// Signs for one key.
pub(super) struct Vapid {
    key: SigningKey,
    public: String,
    subject: String,
    origins: Mutex<HashMap<String, Origin>>,
}

/// What is known about one push service.
struct Origin {
    authorization: HeaderValue,
    /// Seconds since 1970.
    issued_at: u64,
    /// Whether it has taken a message signed by this key.
    knows_key: bool,
}

impl Vapid {
    pub(super) fn new(key: SigningKey, subject: String) -> Self {
        let public = key.verifying_key().to_sec1_point(false);
        Self {
            public: jwt::base64url(public.as_bytes()),
            key,
            subject,
            origins: Mutex::default(),
        }
    }

    /// The `Authorization` header for an endpoint, at `now` in seconds since 1970.
    pub(super) fn authorization(&self, endpoint: &Url, now: u64) -> Option<HeaderValue> {
        let origin = endpoint.origin().ascii_serialization();
        let mut origins = self.origins();
        let known = origins.get(&origin);
        if let Some(known) = known
            && (known.issued_at..known.issued_at + RENEW_AGE).contains(&now)
        {
            return Some(known.authorization.clone());
        }
        let knows_key = known.is_some_and(|known| known.knows_key);
        let header = json!({"typ": "JWT", "alg": "ES256"});
        let claims = json!({"aud": origin, "exp": now + LIFETIME, "sub": self.subject});
        let token = jwt::es256(&self.key, &header, &claims);
        let mut authorization =
            HeaderValue::try_from(format!("vapid t={token}, k={}", self.public)).ok()?;
        authorization.set_sensitive(true);
        if origins.len() >= ORIGINS_MAX {
            origins.clear();
        }
        let fresh = Origin {
            authorization: authorization.clone(),
            issued_at: now,
            knows_key,
        };
        origins.insert(origin, fresh);
        Some(authorization)
    }

    /// Notes that this push service takes messages that are signed by our key.
    pub(super) fn accepted(&self, endpoint: &Url) {
        let origin = endpoint.origin().ascii_serialization();
        if let Some(known) = self.origins().get_mut(&origin) {
            known.knows_key = true;
        }
    }

    /// Whether it has taken any.
    pub(super) fn is_known_to(&self, endpoint: &Url) -> bool {
        let origin = endpoint.origin().ascii_serialization();
        self.origins()
            .get(&origin)
            .is_some_and(|known| known.knows_key)
    }

    fn origins(&self) -> std::sync::MutexGuard<'_, HashMap<String, Origin>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
