//! Calls with an `Idempotency-Key`, which run once.

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;

use super::problem::Problem;
use crate::db::http::{Answer, Recalled};
use crate::server::request::Request;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A call that is to run once.
pub(super) struct Once<'a> {
    /// Its key.
    pub(super) key: Option<&'a str>,
    /// What of the call the fingerprint stands for, beside the body.
    pub(super) seed: String,
    /// It was answered before.
    pub(super) is_replay: bool,
}

impl Once<'_> {
    /// The answer that was given before; `None` when the call is to run now.
    pub(super) fn recalled(&mut self, recalled: Recalled) -> Result<Option<Answer>, Problem> {
        match recalled {
            Recalled::New => Ok(None),
            Recalled::Known(answer) => {
                self.is_replay = true;
                Ok(Some(answer))
            }
            Recalled::Running => {
                let detail = "a call with this key is running; ask again when it has been answered";
                let problem = Problem::new(StatusCode::CONFLICT, "call_is_running", detail);
                Err(problem.about("Idempotency-Key").with(RETRY_AFTER, 1.into()))
            }
            Recalled::Reused | Recalled::Seen => {
                let detail = "the key came with another call before";
                Err(
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", detail)
                        .about("Idempotency-Key"),
                )
            }
        }
    }
}

/// The idempotency key of a request, where it has one: 1 to 255 visible ASCII characters.
pub(super) fn idempotency_key(request: &Request) -> Result<Option<String>, Problem> {
    let wrong = || {
        Problem::bad_request("must be 1 to 255 visible ASCII characters, once")
            .about("Idempotency-Key")
    };
    if !request.headers.contains_key(IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    let key = request.header(IDEMPOTENCY_KEY).ok_or_else(wrong)?;
    match (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Some(key.to_owned())),
        false => Err(wrong()),
    }
}
