//! How an answer leaves: its type, its encoding, and what the caller may still ask.

use hyper::header::{CONTENT_ENCODING, HeaderName, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};

use super::JSON;
use super::encoding;
use super::limiter::Taken;
use super::problem::PROBLEM_JSON;
use crate::db::http::Answer;
use crate::server::respond::{self, Response};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

pub(super) fn respond_with(request_headers: &HeaderMap, answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = match status.as_u16() {
        400.. => PROBLEM_JSON,
        _ => JSON,
    };
    let deflated = encoding::deflated(request_headers, &answer.body);
    let is_deflated = deflated.is_some();
    let mut response = respond::whole(status, content_type, deflated.unwrap_or(answer.body));
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_deflated {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// What the caller may still ask (draft-ietf-httpapi-ratelimit-headers).
pub(super) fn limit_headers(headers: &mut HeaderMap, taken: &Taken) {
    let seconds = taken.wait.as_secs_f64().ceil() as u64;
    let policy = format!("\"caller\";q={};w=1", taken.limit);
    let limit = format!("\"caller\";r={};t={seconds}", taken.remaining);
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, limit)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}
