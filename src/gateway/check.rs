//! Whether a provider takes a gateway's credentials, asked by a call that sends nothing.

use super::http::Answer;
use crate::model::outcome::{Fault, SendError};

/// What a check found that found nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The provider took the credentials.
    Taken,
    /// It took them, with a remark.
    TakenBut(&'static str),
    /// It was not asked, and why.
    NotAsked(&'static str),
}

/// A setting that the provider does not take, or that leads nowhere.
///
/// Its `Display` is one line that is fit to be shown: reason and code, and what we found ourselves, never the provider's
/// words nor a secret.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {}", error.explained())]
pub struct Wrong {
    /// The setting to look at.
    pub setting: &'static str,
    /// What the provider said, if it said anything.
    pub error: SendError,
}

impl Wrong {
    /// `error` is about `setting`.
    pub const fn new(setting: &'static str, error: SendError) -> Self {
        Self { setting, error }
    }

    /// Whether the provider answered, and refused: waiting does not help then.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self.error.reason,
            "connect_failed"
                | "connect_timeout"
                | "connection_lost"
                | "deadline_passed"
                | "no_answer"
                | "no_reply"
                | "provider_unavailable"
                | "request_timeout"
                | "service_unavailable"
                | "throttled"
                | "time_unavailable"
                | "token_unavailable"
        )
    }
}

/// What is wrong, by what stands in the way of a good answer: 401 to 403 blame the `credentials`, 404 the `account` that
/// the URL names, anything else the URL itself.
pub(super) fn answered(
    answer: Result<Answer, SendError>,
    credentials: &'static str,
    account: &'static str,
) -> Result<Answer, Wrong> {
    let answer = answer.map_err(|error| Wrong::new("api_url", error))?;
    if answer.status.is_success() {
        return Ok(answer);
    }
    let error = answer.fault_by_status();
    Err(match answer.status.as_u16() {
        401..=403 => Wrong::new(credentials, error),
        404 => Wrong::new(account, error),
        _ => Wrong::new("api_url", error),
    })
}

/// The answer is a success, and not the provider's.
pub(super) fn unexpected() -> Wrong {
    let fault = Fault::Gateway { retry_after: None };
    Wrong::new("api_url", SendError::new(fault, "unexpected_answer"))
}
