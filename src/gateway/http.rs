//! What all gateways over HTTP share: one client, deadlines, a bounded answer, and a first judgement by status.

use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};

use super::{exchange, public};
use crate::model::outcome::{Blame, Fault, SendError, shorten};
use crate::model::secret::Secret;
use crate::model::trace::TraceContext;
use crate::tls;

/// What is read of an answer, in bytes; the rest is left.
pub const ANSWER_MAX: usize = 256 * 1024;

/// <https://www.w3.org/TR/trace-context/>
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// For opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client as every gateway uses it: TLS by rustls against the machine's roots, HTTP/2 where offered, connections
/// kept for a minute, no redirect followed (a send must not go where the provider's host says), no proxy but the
/// environment's.
///
/// # Errors
///
/// When the machine has no usable certificates.
pub fn client() -> Result<Client, String> {
    build(builder()?)
}

/// What [`client`] builds, for a gateway that needs something else besides.
///
/// # Errors
///
/// When the machine has no usable certificates.
pub fn builder() -> Result<ClientBuilder, String> {
    let mut tls = (*tls::client(true, None)?).clone();
    tls.alpn_protocols = vec!["h2".into(), "http/1.1".into()]; // a TLS set-up that is brought along is left as it is
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_keepalive(Duration::from_secs(30))
        .user_agent(concat!("postroad/", env!("CARGO_PKG_VERSION"))))
}

/// Builds it.
///
/// # Errors
///
/// What was wrong with it.
pub fn build(builder: ClientBuilder) -> Result<Client, String> {
    builder
        .build()
        .map_err(|error| format!("HTTP client: {error}"))
}

/// Reads the base URL of a provider's API: `https`, or `http` to this machine (a sandbox, a test).
///
/// # Errors
///
/// Says what would be right.
pub fn base_url(text: &str) -> Result<Url, String> {
    let refused = || {
        "api_url must be an https URL, or an http one of this machine, without user, query or fragment".to_owned()
    };
    let mut url: Url = text.parse().map_err(|_| refused())?;
    let is_local = url
        .host_str()
        .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_plain || !(url.scheme() == "https" || url.scheme() == "http" && is_local) {
        return Err(refused());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path); // so that `join` keeps the last segment
    }
    Ok(url)
}

/// The value of a header that authorises a request: never shown, neither by `Debug` nor in HTTP/2's tables.
///
/// # Errors
///
/// When `text` cannot stand in a header.
pub fn credential(text: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| "has characters in its key that no key has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// A provider's error code, if it is one that may be logged: up to 64 letters, digits, `.`, `-` and `_`.
pub fn loggable(code: &str) -> &str {
    let of_code = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match code.len() <= 64 && code.bytes().all(of_code) {
        true => code,
        false => "garbled",
    }
}

/// A provider's answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// At most [`ANSWER_MAX`] bytes of the body.
    pub body: Bytes,
}

impl Answer {
    /// What `Retry-After` asks for (RFC 9110, section 10.2.3): seconds or a date. Garbage asks for nothing.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(Duration::from_secs(seconds.into()));
        }
        self.until(httpdate::parse_http_date(text).ok()?)
    }

    /// How long it is until then, from the time at which the provider says that it answered (RFC 9110, section 6.6.1): our
    /// clock may be wrong. `None` when it is past.
    pub fn until(&self, at: SystemTime) -> Option<Duration> {
        let date = self.headers.get(DATE).and_then(|date| date.to_str().ok());
        let answered = date.and_then(|date| httpdate::parse_http_date(date).ok());
        at.duration_since(answered.unwrap_or_else(SystemTime::now))
            .ok()
    }

    /// The body as text, cut to what an event keeps.
    pub fn text(&self) -> String {
        shorten(
            &String::from_utf8_lossy(&self.body),
            crate::model::outcome::PROVIDER_TEXT_MAX,
        )
    }

    /// The same with `***` for each of `secrets` in the body: some providers quote the key that they refuse.
    #[must_use]
    pub fn without(mut self, secrets: &[&Secret]) -> Self {
        for secret in secrets.iter().map(|secret| secret.expose()) {
            if !secret.is_empty()
                && self
                    .body
                    .windows(secret.len())
                    .any(|w| w == secret.as_bytes())
            {
                let text = String::from_utf8_lossy(&self.body).replace(secret, "***");
                self.body = text.into();
            }
        }
        self
    }

    /// The judgement of a success whose body is not what the provider documents. A page of HTML is not its API's, and
    /// blames the gateway (`unexpected_answer`); else the message may well have gone out (`answer_garbled`).
    pub fn garbled(&self) -> SendError {
        let kind = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_page = kind.is_some_and(|kind| kind.starts_with(b"text/html"));
        let (fault, reason) = match is_page {
            true => (Fault::Gateway { retry_after: None }, "unexpected_answer"),
            false => (Fault::Unknown, "answer_garbled"),
        };
        SendError::new(fault, reason)
            .with_code(self.status.as_str())
            .with_text(&self.text())
    }

    /// The judgement by status alone, for what a provider's own codes do not tell: 401, 402 and 403 blame our account,
    /// 404, 405 and 410 our configuration; 408 and 425 are nobody's, 413 is the message's; 429 throttles; 5xx is an outage
    /// (the provider answered, so it did not take the message); any other 4xx is the message's. But 502 and 504 (RFC 9110,
    /// sections 15.6.3 and 15.6.5), and 520 and 524 of Cloudflare, are a proxy that heard nothing, or nothing it understood,
    /// from whom it had handed the message to: silence, too.
    pub fn fault_by_status(&self) -> SendError {
        let retry_after = self.retry_after();
        let (fault, reason) = match self.status.as_u16() {
            401..=403 => (Fault::Gateway { retry_after }, "unauthorized"),
            404 | 405 | 410 => (Fault::Gateway { retry_after }, "endpoint_not_found"),
            408 | 425 => (Fault::Transient { retry_after }, "request_timeout"),
            413 => (Fault::Permanent(Blame::Message), "message_too_large"),
            429 => (Fault::Gateway { retry_after }, "throttled"),
            400..=499 => (Fault::Permanent(Blame::Message), "rejected"),
            502 | 504 | 520 | 524 => (Fault::Unknown, "no_answer"),
            500..=599 => (Fault::Gateway { retry_after }, "provider_unavailable"),
            // A redirect or another success than the documented one: it is not this API that answered.
            _ => (Fault::Gateway { retry_after }, "unexpected_answer"),
        };
        SendError::new(fault, reason)
            .with_code(self.status.as_str())
            .with_text(&self.text())
    }
}

tokio::task_local! {
    /// The trace of the message that is being sent.
    static TRACE: TraceContext;
}

/// Runs a send whose requests carry `trace` as their `traceparent`.
pub async fn traced<T>(trace: TraceContext, send: impl Future<Output = T>) -> T {
    TRACE.scope(trace, send).await
}

/// Sends a request, with the trace of its message if it has one, and reads the answer, both until `deadline`.
///
/// # Errors
///
/// `Gateway` (`connect_failed`) when no connection could be had: the message did not go out. `Transient`
/// (`deadline_passed`) when there was no time left to begin. `Unknown` (`no_answer`) once the request may have gone out.
/// `Permanent`, the recipient's (`address_not_public`), when a client with a guard ([`public`]) would not go there.
pub async fn call(request: RequestBuilder, deadline: Instant) -> Result<Answer, SendError> {
    let trace = TRACE.try_with(|trace| HeaderValue::from_str(&trace.to_string()));
    match trace {
        Ok(Ok(trace)) => {
            let headers = HeaderMap::from_iter([(TRACEPARENT, trace)]);
            call_untraced(request.headers(headers), deadline).await // which replaces a header of that name
        }
        _ => call_untraced(request, deadline).await,
    }
}

/// As [`call`], for services that may refuse a header that they do not know.
///
/// # Errors
///
/// As those of [`call`].
pub async fn call_untraced(
    request: RequestBuilder,
    deadline: Instant,
) -> Result<Answer, SendError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(SendError::new(
            Fault::Transient { retry_after: None },
            "deadline_passed",
        ));
    }
    let request = request.timeout(left);
    let sent = match exchange::is_recorded() {
        true => send_recorded(request).await,
        false => request.send().await,
    };
    let mut response = sent.map_err(|error| {
        let error = judge(&error);
        exchange::remark(&error.to_string());
        error
    })?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = ANSWER_MAX - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == ANSWER_MAX {
                    break;
                }
            }
            Ok(None) => break,
            // The status alone says enough of a refusal; of a success, the id is missing.
            Err(_) if !status.is_success() => break,
            Err(error) => return Err(judge(&error)),
        }
    }
    exchange::answer(status, &headers, &body);
    Ok(Answer {
        status,
        headers,
        body: body.freeze(),
    })
}

async fn send_recorded(request: RequestBuilder) -> reqwest::Result<Response> {
    let (client, request) = request.build_split();
    let request = request?;
    exchange::request(&request);
    client.execute(request).await
}

fn judge(error: &reqwest::Error) -> SendError {
    if public::refused(error) {
        SendError::new(Fault::Permanent(Blame::Recipient), "address_not_public")
    } else if error.is_builder() {
        SendError::new(Fault::Permanent(Blame::Message), "request_invalid")
    } else if error.is_connect() {
        SendError::new(Fault::Gateway { retry_after: None }, "connect_failed")
            .with_text(&innermost(error))
    } else {
        SendError::new(Fault::Unknown, "no_answer")
    }
}

/// What an error comes from: those around it name the URL, which may hold a secret.
fn innermost(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().expect("a header"));
        }
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            body: Bytes::new(),
        }
    }

    /// Credentials must not travel in the clear, but a sandbox on this machine has no certificate.
    #[test]
    fn a_base_url_is_https_or_local() {
        assert_eq!(
            base_url("https://api.example.org/v3").map(String::from),
            Ok("https://api.example.org/v3/".into())
        );
        assert!(base_url("http://127.0.0.1:8080").is_ok());
        for refused in [
            "http://api.example.org",
            "https://user:pw@api.example.org",
            "ftp://localhost",
            "api.example.org",
            "https://a.b/?x=1",
        ] {
            assert!(base_url(refused).is_err(), "{refused}");
        }
    }

    /// Both forms of the header are in use; garbage must not stop a retry.
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(
            answer(429, Some("7")).retry_after(),
            Some(Duration::from_secs(7))
        );
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let asked = answer(503, Some(&later)).retry_after().expect("a date");
        assert!(
            asked > Duration::from_secs(90) && asked <= Duration::from_secs(100),
            "{asked:?}"
        );
        for nothing in ["soon", "-1", "Thu, 01 Jan 1970 00:00:00 GMT"] {
            assert_eq!(answer(429, Some(nothing)).retry_after(), None, "{nothing}");
        }
    }

    /// An hour more or less by a clock of ours that is wrong would be an hour of waiting, or of asking in vain.
    #[test]
    fn a_date_is_measured_from_the_providers_own() {
        let mut answer = answer(503, Some("Thu, 01 Jan 2015 01:00:30 GMT"));
        assert_eq!(answer.retry_after(), None, "long past");
        let date = HeaderValue::from_static("Thu, 01 Jan 2015 01:00:00 GMT");
        answer.headers.insert(DATE, date);
        assert_eq!(answer.retry_after(), Some(Duration::from_secs(30)));
    }

    /// Postal quotes the key that it refuses; events are read by many.
    #[test]
    fn a_secret_in_an_answer_is_masked() {
        let body = Bytes::from_static(b"no such key: s3cret!");
        let answer = Answer {
            body,
            ..answer(401, None)
        }
        .without(&[&"s3cret".into(), &"".into()]);
        assert_eq!(answer.text(), "no such key: ***!");
    }

    /// A success that cannot be read may be one, unless it is a page: then something else answered.
    #[test]
    fn a_garbled_success_is_unknown_and_a_page_is_the_gateways() {
        let mut answer = answer(200, None);
        assert_eq!(answer.garbled().fault, Fault::Unknown);
        let page = HeaderValue::from_static("text/html; charset=utf-8");
        answer.headers.insert(CONTENT_TYPE, page);
        let gateway = Fault::Gateway { retry_after: None };
        assert_eq!(answer.garbled().fault, gateway);
    }

    /// Whose fault it was decides between retry, reroute and giving up.
    #[test]
    fn a_status_alone_tells_whose_fault_it_was() {
        let fault = |status| answer(status, None).fault_by_status().fault;
        for gateway in [302, 401, 403, 404, 429, 500, 503, 521, 522] {
            assert_eq!(
                fault(gateway),
                Fault::Gateway { retry_after: None },
                "{gateway}"
            );
        }
        for message in [400, 413, 422] {
            assert_eq!(
                fault(message),
                Fault::Permanent(Blame::Message),
                "{message}"
            );
        }
        assert_eq!(fault(408), Fault::Transient { retry_after: None });
        for silence in [502, 504, 520, 524] {
            assert_eq!(fault(silence), Fault::Unknown, "{silence}");
        }
    }
}
