//! Answers that say no: problem+json (RFC 9457).

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::db::DbError;
use crate::server::respond::{self, Refusal, Response};

/// Its media type.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A problem, as `postroad.problem` makes them in SQL.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: None,
            headers: Vec::new(),
        }
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// 400.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// 401. `detail` says no more than the caller may know.
    pub(super) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 503, to be tried again.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .with(RETRY_AFTER, HeaderValue::from_static("5"))
    }

    /// The same with a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same, about one place in the body (a JSON pointer as a fragment).
    pub(super) fn at(mut self, pointer: impl Into<String>) -> Self {
        let error = json!({"pointer": pointer.into(), "detail": self.detail});
        self.errors = Some(json!([error]));
        self
    }

    /// The same, about a header or a parameter.
    pub(super) fn about(mut self, parameter: &str) -> Self {
        let error = json!({"parameter": parameter, "detail": self.detail});
        self.errors = Some(json!([error]));
        self
    }

    /// What a failed call to the database means to its caller. What is not the caller's fault is logged, once, here.
    pub(super) fn of_database(error: &DbError) -> Self {
        let said = match error {
            DbError::Postgres(postgres) => postgres.as_db_error(),
            _ => None,
        };
        let code = error.code().unwrap_or_default();
        match (code, said) {
            // Raised by our own functions, in words that are meant for callers.
            (_, Some(said)) if code.starts_with("PR") => {
                // Of a hint, what is accepted; not how it is written in SQL.
                let hint = said.hint().filter(|hint| !hint.contains("=>"));
                let hint = hint.map(|hint| format!(". {hint}"));
                let detail = format!("{}{}", said.message(), hint.unwrap_or_default());
                let pointer = pointer_of(code, said.message());
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unfit_content", detail).at(pointer)
            }
            // Data that cannot be read: text with a NUL, a number out of range, JSON nested too deep.
            _ if code.starts_with("22") || code == "54001" => {
                let detail = "a value cannot be stored: a NUL character, a number out of range, or JSON nested too deep";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unstorable_value", detail)
            }
            ("40001" | "40P01", _) => {
                Self::unavailable("the call collided with another one; try again")
            }
            ("57014", _) => {
                tracing::warn!("a call of the HTTP API took too long");
                Self::unavailable("it took too long")
            }
            _ if code.is_empty()
                || code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57") =>
            {
                tracing::warn!(%error, "the HTTP API cannot reach its database");
                Self::unavailable("the database does not answer")
            }
            _ => {
                tracing::error!(%error, "a call of the HTTP API failed");
                let detail = "this request cannot be answered; the log says more";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            }
        }
    }
}

/// The field of a message that enqueue raised about.
fn pointer_of(code: &str, said: &str) -> &'static str {
    match code {
        "PR005" => "#/options",
        "PR004" => "#/template",
        _ if said.starts_with("html ") => "#/html",
        "PR003" => "#/body",
        _ => "#",
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        Self::of_database(&error)
    }
}

impl From<Refusal> for Problem {
    /// What the server refuses before the API is asked.
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::REQUEST_TIMEOUT => "too_slow",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::BAD_REQUEST => "invalid_request",
            _ => "refused",
        };
        let (status, detail, headers) = refusal.into_parts();
        Self {
            status,
            code,
            detail,
            errors: None,
            headers,
        }
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let Problem {
            status,
            code,
            detail,
            errors,
            headers,
        } = problem;
        let mut title = code.replace('_', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let mut body = json!({
            "type": format!("urn:postroad:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
        });
        if let Some(errors) = errors {
            body["errors"] = errors;
        }
        let mut response = respond::whole(status, PROBLEM_JSON, body.to_string());
        response
            .headers_mut()
            .extend(headers.into_iter().map(|(name, value)| (Some(name), value)));
        response
    }
}
