//! What a request brings: parameters, and a body that says what it is.

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::encoding;
use super::problem::Problem;
use crate::server::request::Request;

/// What SQL gets of path and query: strings by name, as JSON.
pub(super) fn parameters(
    path: Vec<(&str, String)>,
    query: Option<&str>,
) -> Result<String, Problem> {
    let query = query.unwrap_or_default();
    if path.is_empty() && query.is_empty() {
        return Ok("{}".into());
    }
    let mut parameters = Map::new();
    for (name, value) in path {
        parameters.insert(name.to_owned(), Value::String(value));
    }
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let known = parameters.insert(name.to_string(), Value::String(value.into_owned()));
        if known.is_some() {
            return Err(Problem::bad_request("is given twice").about(&name));
        }
    }
    Ok(Value::Object(parameters).to_string())
}

/// Sees whether it is JSON, without keeping any of it. Postgres would see too, but quote it in its log.
pub(super) fn check_json(body: &[u8]) -> Result<(), Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Problem::bad_request("the body is not UTF-8").at("#"))?;
    let checked: Result<IgnoredAny, _> = serde_json::from_str(text);
    checked.map(drop).map_err(|error| {
        let place = format!(
            "the body is no JSON at line {}, column {}",
            error.line(),
            error.column()
        );
        Problem::bad_request(place).at("#")
    })
}

pub(super) fn is_gzip(request: &Request) -> Result<bool, Problem> {
    encoding::is_gzip(&request.headers).map_err(|()| {
        let detail = "of encodings, gzip alone is taken";
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            detail,
        )
        .about("Content-Encoding")
    })
}

pub(super) fn is_ndjson(request: &Request) -> bool {
    let given = request.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
    ]
    .iter()
    .any(|known| media_type.eq_ignore_ascii_case(known))
}
