//! What providers post to us: which requests pass for theirs, and what is read from them.

mod forgery;
mod fuzz;
mod mailgun;
mod postal;
mod sendgrid;
mod ses;
mod sns;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use postroad::gateway::source::fetch::Fetch;
use postroad::gateway::source::{Posted, Refused, Stored, Verified, WebhookSource};
use postroad::model::report::Report;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::Value;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use url::Url;

/// RFC 7515, appendix A.2.
const RSA_KEY: &str = include_str!("../fixtures/rfc7515_a2_key.pem");

/// An id of ours, as providers echo it.
const OUR_ID: &str = "01a1fd79-5b1e-7c3a-8f00-0123456789ab";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A request as it comes.
#[derive(Clone)]
struct Request {
    headers: HeaderMap,
    body: Bytes,
    now: SystemTime,
}

impl Request {
    fn new(headers: &[(&'static str, &str)], body: impl Into<Bytes>, now: SystemTime) -> Self {
        let headers = headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().expect("a header's name");
            let value: HeaderValue = value.parse().expect("a header's value");
            (name, value)
        });
        Self {
            headers: headers.collect(),
            body: body.into(),
            now,
        }
    }

    /// The same with another body.
    fn with_body(&self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self.clone()
        }
    }

    /// The same at another time.
    fn at(&self, now: SystemTime) -> Self {
        Self {
            now,
            ..self.clone()
        }
    }

    /// The same with another value of a header, or without it.
    fn with_header(&self, name: &'static str, value: Option<&str>) -> Self {
        let mut changed = self.clone();
        changed.headers.remove(name);
        if let Some(value) = value {
            let value = value.parse().expect("a header's value");
            changed.headers.insert(name, value);
        }
        changed
    }

    /// The same with a header that is there twice.
    fn with_header_twice(&self, name: &'static str) -> Self {
        let mut changed = self.clone();
        let value = changed.headers[name].clone();
        changed.headers.append(name, value);
        changed
    }

    async fn verify(&self, source: &dyn WebhookSource) -> Result<Verified, Refused> {
        let posted = Posted {
            url: "https://post.example/webhooks/x",
            query: None,
            headers: &self.headers,
            body: &self.body,
            now: self.now,
        };
        source.verify(&posted).await
    }

    /// Whether it is refused as not being the provider's.
    async fn is_forged(&self, source: &dyn WebhookSource) -> bool {
        matches!(self.verify(source).await, Err(Refused::Unauthenticated(_)))
    }

    /// Whether it is refused though it is signed.
    async fn is_forbidden(&self, source: &dyn WebhookSource) -> bool {
        matches!(self.verify(source).await, Err(Refused::Forbidden(_)))
    }
}

/// What a source reads in a stored body.
fn read(source: &dyn WebhookSource, body: &[u8]) -> anyhow::Result<Vec<Report>> {
    let stored = Stored {
        query: None,
        content_type: None,
        body,
        received_at: at(1_700_000_000),
    };
    Ok(source.parse(&stored)?)
}

/// A report on one line: what happened, in whose words, why, hard or soft, to whom, and by what code.
fn line(report: &Report) -> String {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let bounce = report
        .bounce
        .map(|b| format!("{:?}/{}", b.kind, b.class.as_str()));
    [
        report.event_type.as_str().to_owned(),
        report.provider_event.clone(),
        or_dash(report.reason),
        bounce.unwrap_or_else(|| "-".into()),
        or_dash(report.recipient.as_deref()),
        or_dash(report.code.as_deref()),
    ]
    .join(" | ")
}

fn lines(reports: &[Report]) -> Vec<String> {
    reports.iter().map(line).collect()
}

/// A fixture.
fn fixture(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture in JSON")
}

/// The key of RFC 7515, which signs.
fn rsa() -> RsaKeyPair {
    let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_KEY.as_bytes()).expect("a key");
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key")
}

/// Its signature by SHA-256.
fn sign(message: &[u8]) -> Vec<u8> {
    let key = rsa();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
        .expect("a signature");
    signature
}

/// Answers each request with the same, and counts them.
struct Published {
    body: Mutex<Option<Bytes>>,
    asked: AtomicUsize,
}

impl Published {
    fn new(body: impl Into<Bytes>) -> Arc<Self> {
        Arc::new(Self {
            body: Mutex::new(Some(body.into())),
            asked: AtomicUsize::new(0),
        })
    }

    /// One that has nothing.
    fn nothing() -> Arc<Self> {
        Arc::new(Self {
            body: Mutex::new(None),
            asked: AtomicUsize::new(0),
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fetch for Published {
    async fn get(&self, _: &Url) -> Option<Bytes> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.clone()
    }
}

/// Each byte of `body` changed in turn, some of them, so that a signature that left out a part would be found.
fn with_changed_bytes(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let step = (body.len() / 40).max(1);
    (0..body.len()).step_by(step).map(|at| {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        changed
    })
}

/// Each endpoint is configured by itself: what one provider signed is worth nothing at another's.
#[tokio::test]
async fn no_source_takes_what_is_anothers() {
    let pem = sns::certificate(&["sns.amazonaws.com"], 2030);
    let settings = sns::settings(&[sns::TOPIC]);
    let ses =
        postroad::gateway::ses::webhook::Source::with_fetch("ses", &settings, Published::new(pem));
    let of_ses = sns::signed(|_| {}).to_string();
    let each: [(Box<dyn WebhookSource>, Request); 4] = [
        (
            Box::new(sendgrid::source(&[sendgrid::KEY])),
            sendgrid::signed(),
        ),
        (Box::new(mailgun::default_source()), mailgun::signed()),
        (Box::new(postal::default_source()), postal::signed()),
        (
            Box::new(ses.expect("settings")),
            Request::new(&[], of_ses, at(sns::NOW)),
        ),
    ];
    for (source, own) in &each {
        for (other, request) in &each {
            let passes = request.verify(&**source).await.is_ok();
            let name = (source.name(), other.name());
            assert_eq!(passes, std::ptr::eq(own, request), "{name:?}");
        }
    }
}
