//! FCM's answers: accepted, or whose fault it was.
//!
//! The FCM error code in the details wins over the status of the call, and that over the HTTP status
//! (<https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode>).

use std::time::Duration;

use serde::Deserialize;

use crate::gateway::http::Answer;
use crate::gateway::push::Proof;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// After a refusal for quota without `Retry-After` (<https://firebase.google.com/docs/cloud-messaging/scale-fcm>).
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Sent {
    name: String,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: Status,
}

/// google.rpc.Status, as JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    status: String,
    message: String,
    details: Vec<Detail>,
}

/// One of several types; each has some of these.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    #[serde(rename = "@type")]
    kind: String,
    error_code: String,
    field_violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation {
    field: String,
}

/// Reads the answer to `messages:send`.
///
/// # Errors
///
/// A refusal, or an answer that is not FCM's.
pub(super) fn read(answer: &Answer, proof: &Proof) -> Result<Accepted, SendError> {
    if answer.status == 200 {
        return match serde_json::from_slice::<Sent>(&answer.body) {
            Ok(sent) if !sent.name.is_empty() => {
                proof.found();
                Ok(Accepted {
                    external_id: Some(sent.name),
                    provider_text: None,
                })
            }
            _ => Err(answer.fault_by_status()),
        };
    }
    Err(refusal(answer, proof))
}

fn refusal(answer: &Answer, proof: &Proof) -> SendError {
    let error = serde_json::from_slice::<Refusal>(&answer.body)
        .unwrap_or_default()
        .error;
    let fcm_code = error
        .details
        .iter()
        .find(|detail| detail.kind.ends_with("google.firebase.fcm.v1.FcmError"))
        .map(|detail| detail.error_code.as_str())
        .filter(|code| !code.is_empty());
    let code = fcm_code.unwrap_or(&error.status);
    let retry_after = answer.retry_after();
    let gateway = Fault::Gateway { retry_after };
    let (fault, reason) = match code {
        "UNREGISTERED" => {
            proof.found(); // it was a token of this project once
            (Fault::Permanent(Blame::Recipient), "unregistered")
        }
        "INVALID_ARGUMENT" if blames_token(&error) => {
            (Fault::Permanent(Blame::Recipient), "invalid_token")
        }
        "INVALID_ARGUMENT" => (Fault::Permanent(Blame::Message), "invalid_argument"),
        "SENDER_ID_MISMATCH" => (proof.refusal(), "sender_id_mismatch"),
        "QUOTA_EXCEEDED" | "RESOURCE_EXHAUSTED" => {
            let retry_after = retry_after.or(Some(QUOTA_PAUSE));
            (Fault::Gateway { retry_after }, "throttled")
        }
        "UNAVAILABLE" | "INTERNAL" => (gateway, "provider_unavailable"),
        "THIRD_PARTY_AUTH_ERROR" | "APNS_AUTH_ERROR" => (gateway, "third_party_auth_error"),
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => (gateway, "unauthorized"),
        _ => return answer.fault_by_status(),
    };
    SendError::new(fault, reason)
        .with_code(code)
        .with_text(&answer.text())
}

/// Whether the argument that was refused is the token. A field that is named decides, else the words do.
fn blames_token(error: &Status) -> bool {
    let mut fields = error
        .details
        .iter()
        .flat_map(|detail| &detail.field_violations)
        .peekable();
    match fields.peek() {
        Some(_) => fields
            .all(|violation| matches!(violation.field.as_str(), "message.token" | "message.fid")),
        None => error.message.contains("registration token is not a valid"),
    }
}
