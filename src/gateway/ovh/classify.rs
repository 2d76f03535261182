//! OVH's answer → accepted, or whose fault it was.

use serde::Deserialize;
use serde_json::{Number, Value};

use crate::gateway::http::Answer;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// A success, which may have refused the receiver all the same.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Report {
    ids: Vec<Number>,
    invalid_receivers: Vec<String>,
    total_credits_removed: Option<Number>,
}

/// An error: `{"message": …, "errorCode": "NOT_CREDENTIAL", "httpCode": "403 Forbidden"}`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Refused {
    message: Option<String>,
    error_code: Option<String>,
}

/// Whether the request was refused only for its timestamp, and so was not acted upon.
pub(super) fn is_out_of_time(answer: &Answer) -> bool {
    !answer.status.is_success() && refused(answer).error_code.as_deref() == Some("QUERY_TIME_OUT")
}

fn refused(answer: &Answer) -> Refused {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// Judges an answer.
///
/// # Errors
///
/// By OVH's code where it is known, else by the status. A success without an id is `Unknown`, unless it names the
/// receiver as invalid.
pub(super) fn judge(answer: &Answer) -> Result<Accepted, SendError> {
    if answer.status.is_success() {
        let report: Report = serde_json::from_slice::<Value>(&answer.body)
            .and_then(serde_json::from_value)
            .unwrap_or_default();
        return match report.ids.first() {
            Some(id) => Ok(Accepted {
                external_id: Some(id.to_string()),
                provider_text: report
                    .total_credits_removed
                    .map(|credits| format!("{credits} credits")),
            }),
            None if !report.invalid_receivers.is_empty() => Err(SendError::new(
                Fault::Permanent(Blame::Recipient),
                "invalid_number",
            )
            .with_text("invalidReceivers")),
            None => {
                Err(SendError::new(Fault::Unknown, "answer_unreadable").with_text(&answer.text()))
            }
        };
    }
    let Refused {
        message,
        error_code,
    } = refused(answer);
    let retry_after = answer.retry_after();
    let gateway = |reason| SendError::new(Fault::Gateway { retry_after }, reason);
    let words = message.as_deref().unwrap_or_default();
    let error = match (error_code.as_deref(), answer.status.as_u16()) {
        (Some("QUERY_TIME_OUT"), _) => gateway("clock_refused"),
        (
            Some(
                "NOT_GRANTED_CALL" | "NOT_CREDENTIAL" | "INVALID_KEY" | "INVALID_CREDENTIAL"
                | "INVALID_SIGNATURE" | "FORBIDDEN",
            ),
            _,
        ) => gateway("unauthorized"),
        (_, 409) => SendError::new(Fault::Transient { retry_after }, "conflict"),
        (_, 460) => gateway("account_inactive"),
        // OVH has no code for an empty account, only words.
        (_, 400..=499) if words.to_ascii_lowercase().contains("credit") => gateway("no_credit"),
        _ => answer.fault_by_status(),
    };
    let error = error.with_code(match error_code {
        Some(code) if !code.is_empty() => code,
        _ => answer.status.as_str().to_owned(),
    });
    Err(match words {
        "" => error.with_text(&answer.text()),
        words => error.with_text(words),
    })
}
