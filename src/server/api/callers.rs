//! Who calls: API keys and tokens, checked once a second at most.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deadpool_postgres::Pool;
use hyper::header::AUTHORIZATION;
use serde_json::json;
use tokio::sync::Semaphore;

use super::jwt::{Claims, Verifier};
use super::key;
use super::limiter::Bucket;
use super::problem::Problem;
use super::roles::Roles;
use super::settings::Settings;
use crate::db::{DbError, http};
use crate::server::Request;

/// A key that was good is asked for again after so long; the call that notices does not wait for it.
const FRESH: Duration = Duration::from_secs(1);

/// After so long a call waits: a revoked key ends within this time.
const STALE: Duration = Duration::from_secs(2);

/// Tokens are believed for so long without another look, or until they expire.
const TOKEN_FRESH: Duration = Duration::from_secs(60);

/// How many callers are kept in memory.
const KEPT: usize = 10_000;

/// Connections that lookups may take at once, so that made up keys do not take them all.
const LOOKUPS: usize = 2;

/// Somebody who may call.
#[derive(Debug)]
pub(super) struct Caller {
    /// `key:12`, or `jwt:subject`: what the audit says, and whose idempotency keys they are.
    pub(super) id: String,
    /// The tenant to which it is bound.
    pub(super) tenant_id: Option<i64>,
    /// What it may do.
    pub(super) roles: Roles,
    /// What SQL is told of it.
    pub(super) json: String,
    /// What it may still ask.
    pub(super) bucket: Arc<Bucket>,
    /// When it expires.
    until: Option<Instant>,
}

impl Caller {
    /// Of whose share it takes what all share: all callers of a tenant are one, or keys of its own making were further shares.
    pub(super) fn owner(&self) -> String {
        match self.tenant_id {
            Some(tenant) => format!("tenant:{tenant}"),
            None => self.id.clone(),
        }
    }
}

/// Knows them.
pub(super) struct Callers(Arc<Shared>);

struct Shared {
    pool: Pool,
    tokens: Option<Verifier>,
    requests_per_second: u32,
    known: Mutex<HashMap<[u8; 32], Known>>,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
    lookups: Semaphore,
}

struct Known {
    caller: Arc<Caller>,
    checked_at: Instant,
    is_refreshing: bool,
    is_token: bool,
}

impl Callers {
    /// Asks over `pool`.
    ///
    /// # Errors
    ///
    /// Says which setting cannot be used.
    pub(super) fn new(pool: Pool, settings: &Settings) -> Result<Self, String> {
        Ok(Self(Arc::new(Shared {
            pool,
            tokens: Verifier::new(&settings.jwt)?,
            requests_per_second: settings.requests_per_second,
            known: Mutex::default(),
            buckets: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS),
        })))
    }

    /// Who sends a request.
    ///
    /// # Errors
    ///
    /// 401: nobody whom we know, with the reason; 503: the database does not answer.
    pub(super) async fn identify(&self, request: &Request) -> Result<Arc<Caller>, Problem> {
        let missing =
            || Problem::unauthenticated("a key is needed: Authorization: Bearer pr_live_…");
        let credentials = request.header(AUTHORIZATION.as_str()).ok_or_else(missing)?;
        let (scheme, credential) = credentials.split_once(' ').ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        self.identify_by(credential.trim()).await
    }

    /// Whose key or token it is.
    ///
    /// # Errors
    ///
    /// As those of [`identify`](Self::identify).
    pub(super) async fn identify_by(&self, credential: &str) -> Result<Arc<Caller>, Problem> {
        let hash = key::hash(credential);
        if let Some(caller) = self.remembered(hash) {
            return Ok(caller);
        }
        if key::is_well_formed(credential) {
            return self.0.look_up(hash).await;
        }
        match &self.0.tokens {
            Some(tokens) if credential.split('.').count() == 3 => {
                let claims = tokens.verify(credential).await;
                let claims = claims.map_err(Problem::unauthenticated)?;
                Ok(self.0.of_token(hash, claims))
            }
            _ => Err(Problem::unauthenticated("this is no key")),
        }
    }

    /// Whoever was checked a moment ago. Keys that are in use are checked again beside the calls.
    fn remembered(&self, hash: [u8; 32]) -> Option<Arc<Caller>> {
        let now = Instant::now();
        let mut known = lock(&self.0.known);
        let entry = known.get_mut(&hash)?;
        let age = now.saturating_duration_since(entry.checked_at);
        let bound = if entry.is_token { TOKEN_FRESH } else { STALE };
        if age > bound || entry.caller.until.is_some_and(|until| until <= now) {
            known.remove(&hash);
            return None;
        }
        if age > FRESH && !entry.is_token && !entry.is_refreshing {
            entry.is_refreshing = true;
            let shared = Arc::clone(&self.0);
            tokio::spawn(async move { shared.look_up(hash).await.map(drop) });
        }
        Some(Arc::clone(&entry.caller))
    }
}

impl Shared {
    /// Asks the database whose key it is.
    async fn look_up(&self, hash: [u8; 32]) -> Result<Arc<Caller>, Problem> {
        let asked_at = Instant::now();
        let row = self.ask(&hash).await?;
        let caller = match (row.refusal.as_deref(), row.key_id) {
            (None, Some(key_id)) => {
                let roles = row.roles.unwrap_or_default();
                let limit = row.requests_per_second.map(i32::unsigned_abs);
                self.caller(
                    format!("key:{key_id}"),
                    row.tenant_id,
                    Roles::of_names(roles.iter().map(String::as_str)),
                    limit,
                    row.left.and_then(|left| asked_at.checked_add(left)),
                )
            }
            (refusal, _) => {
                lock(&self.known).remove(&hash);
                return Err(Problem::unauthenticated(match refusal {
                    Some("revoked") => "the key was revoked",
                    Some("expired") => "the key has expired",
                    _ => "there is no such key",
                }));
            }
        };
        self.remember(hash, &caller, asked_at, false);
        Ok(caller)
    }

    async fn ask(&self, hash: &[u8; 32]) -> Result<http::KeyRow, DbError> {
        let _permit = self.lookups.acquire().await;
        let client = self.pool.get().await?;
        http::check_api_key(&client, hash).await
    }

    fn of_token(&self, hash: [u8; 32], claims: Claims) -> Arc<Caller> {
        let now = Instant::now();
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let left = Duration::from_secs(claims.expires_at).saturating_sub(since);
        // A subject may be of several tenants; what it does in one is nothing to the others.
        let id = match claims.tenant_id {
            Some(tenant) => format!("jwt:{}@{tenant}", claims.subject),
            None => format!("jwt:{}", claims.subject),
        };
        let caller = self.caller(
            id,
            claims.tenant_id,
            claims.roles,
            None,
            now.checked_add(left),
        );
        self.remember(hash, &caller, now, true);
        caller
    }

    fn caller(
        &self,
        id: String,
        tenant_id: Option<i64>,
        roles: Roles,
        requests_per_second: Option<u32>,
        until: Option<Instant>,
    ) -> Arc<Caller> {
        let limit = requests_per_second.unwrap_or(self.requests_per_second);
        let json = json!({"id": id, "tenant_id": tenant_id, "requests_per_second": limit});
        let json = json.to_string();
        let bucket = self.bucket(&id, limit);
        Arc::new(Caller {
            id,
            tenant_id,
            roles,
            json,
            bucket,
            until,
        })
    }

    /// The bucket of a caller, which outlives what is known of it: else a second look would fill it.
    fn bucket(&self, id: &str, per_second: u32) -> Arc<Bucket> {
        let mut buckets = lock(&self.buckets);
        if let Some(bucket) = buckets.get(id)
            && bucket.per_second() == per_second.max(1)
        {
            return Arc::clone(bucket);
        }
        make_room(&mut buckets, |_, bucket| Arc::strong_count(bucket) > 1);
        let bucket = Arc::new(Bucket::new(per_second, Instant::now()));
        buckets.insert(id.to_owned(), Arc::clone(&bucket));
        bucket
    }

    fn remember(&self, hash: [u8; 32], caller: &Arc<Caller>, checked_at: Instant, is_token: bool) {
        let entry = Known {
            caller: Arc::clone(caller),
            checked_at,
            is_refreshing: false,
            is_token,
        };
        let mut known = lock(&self.known);
        make_room(&mut known, |_, entry| entry.checked_at.elapsed() < STALE);
        known.insert(hash, entry);
    }
}

/// Keeps a map to its size: what is not worth keeping goes first, all of it if need be.
fn make_room<K: Eq + Hash, V>(map: &mut HashMap<K, V>, is_worth_it: impl Fn(&K, &V) -> bool) {
    if map.len() >= KEPT {
        map.retain(|key, value| is_worth_it(key, value));
        if map.len() >= KEPT {
            map.clear();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
