//! `POST /webhooks/{gateway}`: what providers report, on the open Internet.
//!
//! What is not proven to be its provider's own is refused, counted, and nothing of it is kept: 404 where no such endpoint
//! is configured (one without a secret never is), 401 where the proof is missing or wrong, 403 where it is stale, was
//! used before, or comes from an address that may not post; by what its head lacks before its body is read. Only what is durable is answered 2xx; 503 asks the provider
//! to send it again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HOST};

use super::Request;
use super::respond::{Refusal, Response, whole};
use super::route::Handler;
use crate::db::inbox::{Arrival, Kept};
use crate::gateway::endpoints::{Endpoint, Endpoints};
use crate::gateway::http;
use crate::gateway::source::{Action, Posted, Refused};
use crate::ingest::{Inbox, NotStored};
use crate::telemetry::names;
use crate::telemetry::samples::Samples;

/// Where they are posted. OVH signs nothing and calls by `GET`: what its URL holds stands for a signature, in the query or
/// as a last segment.
pub(super) const PATTERNS: [&str; 4] = [
    "/webhooks/{gateway}",
    "/webhooks/{gateway}/{secret}",
    "/api/webhooks/communication/{gateway}",
    "/api/webhooks/communication/{gateway}/{secret}",
];

/// How long the confirmation of a subscription may take.
const CONFIRM: Duration = Duration::from_secs(10);

/// Refusals are logged once in so long, with their number.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What a content type may have, in bytes, to be kept.
const CONTENT_TYPE_MAX: usize = 300;

/// What became of the requests of all endpoints since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Stored, and answered 2xx.
    pub stored: AtomicU64,
    /// Answered 2xx, and stored before.
    pub duplicate: AtomicU64,
    /// Answered 2xx, with nothing to store: test calls, confirmed subscriptions.
    pub ignored: AtomicU64,
    /// 401.
    pub unauthenticated: AtomicU64,
    /// 403.
    pub forbidden: AtomicU64,
    /// 400, 408, 413: no request of a provider.
    pub malformed: AtomicU64,
    /// 404.
    pub unknown: AtomicU64,
    /// 503: to be sent again.
    pub unavailable: AtomicU64,
}

impl Counts {
    /// Adds them, for a scrape.
    pub(super) fn collect(&self, samples: &mut Samples) {
        for (result, count) in [
            ("stored", &self.stored),
            ("duplicate", &self.duplicate),
            ("ignored", &self.ignored),
            ("unauthenticated", &self.unauthenticated),
            ("forbidden", &self.forbidden),
            ("malformed", &self.malformed),
            ("unknown", &self.unknown),
            ("unavailable", &self.unavailable),
        ] {
            samples.add(
                &names::WEBHOOK_REQUESTS,
                &[result],
                count.load(Ordering::Relaxed) as f64,
            );
        }
    }
}

/// Answers them.
pub(super) struct Webhooks {
    endpoints: Arc<Endpoints>,
    inbox: Inbox,
    /// Without a slash at the end.
    public_url: Option<String>,
    is_tls: bool,
    client: reqwest::Client,
    counts: Arc<Counts>,
    refusals: Mutex<Refusals>,
}

/// Since the last line about them.
#[derive(Default)]
struct Refusals {
    count: u64,
    logged_at: Option<Instant>,
}

impl Webhooks {
    /// # Errors
    ///
    /// When the machine has no certificate authorities to trust.
    pub(super) fn new(
        endpoints: Arc<Endpoints>,
        inbox: Inbox,
        settings: &super::Settings,
        counts: Arc<Counts>,
    ) -> Result<Self, String> {
        let public_url = settings.public_url.as_deref();
        Ok(Self {
            endpoints,
            inbox,
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            is_tls: settings.tls_certificate.is_some(),
            client: http::client()?,
            counts,
            refusals: Mutex::default(),
        })
    }

    async fn take(&self, request: Request) -> Result<Response, Refusal> {
        let name = request.parameters.first().map_or("", String::as_str);
        let Some((name, endpoint)) = self.endpoints.get(name) else {
            return Err(Refusal::not_found());
        };
        let (name, endpoint) = (name.to_owned(), endpoint);
        let answered = self.take_for(&name, endpoint, request).await;
        if let Err(refusal) = &answered {
            self.note(&name, refusal);
        }
        answered
    }

    async fn take_for(
        &self,
        name: &str,
        endpoint: &Endpoint,
        mut request: Request,
    ) -> Result<Response, Refusal> {
        if !endpoint.allows(request.client) {
            let error = "this address may not post here";
            return Err(Refusal::new(StatusCode::FORBIDDEN, error));
        }
        let url = self.url(&request);
        let early = Posted {
            url: &url,
            query: request.query(),
            headers: &request.headers,
            body: &Bytes::new(),
            now: SystemTime::now(),
        };
        endpoint.source.admit(&early).map_err(refused)?;
        let body = request.body(endpoint.max_body_bytes).await?;
        let posted = Posted {
            url: &url,
            query: request.query(),
            headers: &request.headers,
            body: &body,
            now: SystemTime::now(),
        };
        let verified = endpoint.source.verify(&posted).await.map_err(refused)?;
        let count = match verified.action {
            Action::Ignore => &self.counts.ignored,
            Action::Confirm(url) => {
                self.confirm(name, &url).await?;
                &self.counts.ignored
            }
            Action::Store => {
                let arrival = arrival(name, &request, body, verified.replay);
                match self.inbox.store(arrival, verified.key.as_deref()).await {
                    Ok(Kept::Stored { .. }) => &self.counts.stored,
                    Ok(Kept::Duplicate) => &self.counts.duplicate,
                    Ok(Kept::Replayed) => {
                        let error = "its token or signature was used before";
                        return Err(Refusal::new(StatusCode::FORBIDDEN, error));
                    }
                    Err(error @ (NotStored::Busy | NotStored::Failed)) => {
                        return Err(Refusal::busy(error.to_string()));
                    }
                }
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        let (content_type, answer) = endpoint.source.answer();
        Ok(whole(StatusCode::OK, content_type, answer))
    }

    /// The URL as the provider knows it. Without a configured one, as it was called: by the host that it names.
    fn url(&self, request: &Request) -> String {
        let path = request.uri.path_and_query().map_or("/", |p| p.as_str());
        if let Some(public_url) = &self.public_url {
            return format!("{public_url}{path}");
        }
        let scheme = if self.is_tls { "https" } else { "http" };
        let host = request.header(HOST.as_str()).unwrap_or_default();
        format!("{scheme}://{host}{path}")
    }

    /// Confirms a subscription: the URL is one that the source took for its provider's own.
    async fn confirm(&self, name: &str, url: &str) -> Result<(), Refusal> {
        let asked = http::call(self.client.get(url), Instant::now() + CONFIRM).await;
        let status = asked.map(|answer| answer.status);
        match status {
            Ok(status) if status.is_success() => {
                tracing::info!(endpoint = name, "a subscription is confirmed");
                Ok(())
            }
            Ok(status) => {
                tracing::warn!(endpoint = name, %status, "a subscription could not be confirmed");
                Err(Refusal::busy("the subscription could not be confirmed"))
            }
            Err(error) => {
                tracing::warn!(
                    endpoint = name,
                    reason = error.reason,
                    "a subscription could not be confirmed"
                );
                Err(Refusal::busy("the subscription could not be confirmed"))
            }
        }
    }

    /// Logs refusals, without anything of the request, and not as often as anyone may make them.
    fn note(&self, name: &str, refusal: &Refusal) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.count += 1;
        if refusals
            .logged_at
            .is_none_or(|at| at.elapsed() >= LOG_EVERY)
        {
            let (count, status) = (refusals.count, refusal.status().as_u16());
            let why = refusal.error();
            tracing::warn!(
                endpoint = name,
                status,
                why,
                count,
                "webhook requests were refused; the last one"
            );
            *refusals = Refusals {
                count: 0,
                logged_at: Some(Instant::now()),
            };
        }
    }
}

#[async_trait]
impl Handler for Webhooks {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        let answered = self.take(request).await;
        if let Err(refusal) = &answered {
            let count = match refusal.status() {
                StatusCode::UNAUTHORIZED => &self.counts.unauthenticated,
                StatusCode::FORBIDDEN => &self.counts.forbidden,
                StatusCode::NOT_FOUND => &self.counts.unknown,
                StatusCode::SERVICE_UNAVAILABLE => &self.counts.unavailable,
                _ => &self.counts.malformed,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        answered
    }
}

fn refused(refused: Refused) -> Refusal {
    match refused {
        Refused::Unauthenticated(why) => Refusal::unauthenticated(why, "Basic realm=\"webhooks\""),
        Refused::Forbidden(why) => Refusal::new(StatusCode::FORBIDDEN, why),
        Refused::Malformed(why) => Refusal::new(StatusCode::BAD_REQUEST, why),
        Refused::Unavailable(why) => Refusal::busy(why),
    }
}

fn arrival(name: &str, request: &Request, body: Bytes, replay_key: Option<String>) -> Arrival {
    let content_type = request
        .header(CONTENT_TYPE.as_str())
        .filter(|text| text.len() <= CONTENT_TYPE_MAX);
    Arrival {
        gateway: name.to_owned(),
        delivery_key: String::new(), // the inbox's to fill in
        replay_key,
        query: request.query().map(without_secrets),
        content_type: content_type.map(str::to_owned),
        body,
    }
}

/// A query without what stands for a signature: it proved the request, and is not to be kept.
fn without_secrets(query: &str) -> String {
    let names = ["secret", "token"];
    let pairs = query.split('&').filter(|pair| {
        // By the name as sources read it: `%73ecret` is one, too.
        let mut read = url::form_urlencoded::parse(pair.as_bytes());
        !read.any(|(name, _)| names.contains(&&*name))
    });
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inbox is read by operators, and copied with backups.
    #[test]
    fn a_secret_in_a_url_is_not_kept() {
        for (query, kept) in [
            ("id=7&secret=hunter2&ptt=4", "id=7&ptt=4"),
            ("secret=hunter2", ""),
            ("%73ecret=hunter2&id=7", "id=7"),
            ("secrets=1&a", "secrets=1&a"),
        ] {
            assert_eq!(without_secrets(query), kept);
        }
    }
}
