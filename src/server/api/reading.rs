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
        if value.contains('\0') {
            return Err(unstorable("the path").about(name));
        }
        parameters.insert(name.to_owned(), Value::String(value));
    }
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name.contains('\0') || value.contains('\0') {
            return Err(unstorable("the query").about(&name.replace('\0', "")));
        }
        let known = parameters.insert(name.to_string(), Value::String(value.into_owned()));
        if known.is_some() {
            return Err(Problem::bad_request("is given twice").about(&name));
        }
    }
    Ok(Value::Object(parameters).to_string())
}

/// 422: what of the request it is in, which is not shown to Postgres.
pub(super) fn unstorable(place: &str) -> Problem {
    let detail =
        format!("{place} has a NUL character, or half of a surrogate pair, which cannot be stored");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unstorable_value", detail)
}

/// Sees whether it is JSON whose texts can be stored, without keeping any of it. Postgres would see too, but quote it in its
/// log.
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
    })?;
    match has_unstorable_escape(body) {
        true => Err(unstorable("the body").at("#")),
        false => Ok(()),
    }
}

/// Whether JSON has an escape that stands for no character that Postgres stores in `jsonb`: NUL, or a surrogate that is not
/// one of a pair (RFC 8259, section 7; PostgreSQL's manual, 8.14.1).
pub(super) fn has_unstorable_escape(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        rest = &rest[at..];
        let (unit, after) = match escaped_unit(rest) {
            Some(unit) => (unit, &rest[6..]),
            None => {
                rest = rest.get(2..).unwrap_or_default();
                continue;
            }
        };
        rest = after;
        match unit {
            0 | 0xdc00..=0xdfff => return true,
            0xd800..=0xdbff => match escaped_unit(rest) {
                Some(0xdc00..=0xdfff) => rest = &rest[6..],
                _ => return true,
            },
            _ => {}
        }
    }
    false
}

/// The UTF-16 unit of the escape `\uXXXX` with which `json` begins, if it does.
fn escaped_unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
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
