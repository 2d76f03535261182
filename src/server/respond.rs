//! Answers.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use serde_json::{Value, json};

/// What a handler answers.
pub type Response = hyper::Response<Body>;

/// Its body, whole or a stream.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// `body` with its content type.
pub fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let body = Full::new(body.into()).map_err(|never| match never {});
    of(status, content_type, UnsyncBoxBody::new(body))
}

/// `body` as a line of JSON.
pub fn json(status: StatusCode, body: &Value) -> Response {
    whole(status, "application/json", format!("{body}\n"))
}

/// Chunks as they come, until the stream ends or fails: then the connection is cut, so that the client knows that
/// something is missing. A stream without an end (server-sent events) must end by itself when
/// [`Request::ending`](super::Request::ending) is cancelled.
pub fn stream(
    content_type: &'static str,
    chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    let body = StreamBody::new(chunks.map_ok(Frame::data));
    of(StatusCode::OK, content_type, UnsyncBoxBody::new(body))
}

fn of(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// An answer that says no: a status, and one sentence about it, `{"error": "…"}`. It repeats nothing that the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    error: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// One without further headers.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            headers: Vec::new(),
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found")
    }

    /// 405, with the methods that there are.
    pub fn method_not_allowed(allowed: &str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        match HeaderValue::from_str(allowed) {
            Ok(allowed) => refusal.with(ALLOW, allowed),
            Err(_) => refusal,
        }
    }

    /// 401, with the scheme that is expected.
    pub fn unauthenticated(error: impl Into<String>, scheme: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static(scheme))
    }

    /// 503, to be tried again after some seconds.
    pub fn busy(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error).with(RETRY_AFTER, 5)
    }

    /// The same, and the connection ends with it: what the client still sends is not looked at.
    #[must_use]
    pub(super) fn last(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// Its sentence.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Status, sentence and headers, for who answers in another form.
    pub(super) fn into_parts(self) -> (StatusCode, String, Vec<(HeaderName, HeaderValue)>) {
        (self.status, self.error, self.headers)
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let mut response = json(refusal.status, &json!({"error": refusal.error}));
        response.headers_mut().extend(
            refusal
                .headers
                .into_iter()
                .map(|(name, value)| (Some(name), value)),
        );
        response
    }
}

/// What every answer carries, unless its handler said otherwise: nothing is guessed, framed, cached, or loaded from
/// elsewhere. Over TLS of our own, browsers are told to stay with it.
pub(super) fn harden(headers: &mut HeaderMap, is_tls: bool) {
    let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if is_tls {
        headers
            .entry(STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static("max-age=31536000"));
    }
}
