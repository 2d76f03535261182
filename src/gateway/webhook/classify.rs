//! A receiver's answer → accepted, or whose fault it was.

use crate::gateway::http::Answer;
use crate::model::outcome::{Blame, Fault, SendError};

/// Judges an answer as Standard Webhooks 1.0.0 says: 2xx is success, 410 ends the endpoint, everything else may be
/// better another time. Never the gateway's fault: one receiver that is down says nothing about the others.
///
/// # Errors
///
/// All but 2xx.
pub(crate) fn judge(answer: &Answer) -> Result<(), SendError> {
    let transient = Fault::Transient {
        retry_after: answer.retry_after(),
    };
    let (fault, reason) = match answer.status.as_u16() {
        200..=299 => return Ok(()),
        300..=399 => (transient, "redirected"),
        410 => (Fault::Permanent(Blame::Recipient), "endpoint_gone"),
        413 => (Fault::Permanent(Blame::Message), "message_too_large"),
        429 => (transient, "throttled"),
        400..=499 => (transient, "rejected"),
        500..=599 => (transient, "receiver_unavailable"),
        _ => (transient, "unexpected_answer"),
    };
    Err(SendError::new(fault, reason)
        .with_code(answer.status.as_str())
        .with_text(&answer.text()))
}

/// As [`judge`], for a request that had no answer.
pub(crate) fn judge_failure(error: SendError) -> SendError {
    match error.fault {
        _ if error.reason == "address_not_public" => address_not_allowed(),
        Fault::Gateway { retry_after } => SendError {
            fault: Fault::Transient { retry_after },
            ..error
        },
        _ => error,
    }
}

/// Not this address. The message's fault rather than the recipient's: what a name points to may change, and so may
/// `allow_private`.
pub(crate) fn address_not_allowed() -> SendError {
    SendError::new(Fault::Permanent(Blame::Message), "address_not_allowed")
}
