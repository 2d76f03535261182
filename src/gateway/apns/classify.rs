//! Apple's answers: accepted, or whose fault it was
//! (<https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns>).

use serde::Deserialize;
use uuid::Uuid;

use crate::gateway::http::Answer;
use crate::gateway::push::Proof;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    reason: String,
}

/// Apple's word for a token that is too old, which another token mends.
pub(super) const EXPIRED: &str = "provider_token_expired";

/// Reads the answer to a push whose `apns-id` is `message_id`.
///
/// # Errors
///
/// A refusal, or an answer that is not Apple's.
pub(super) fn read(
    answer: &Answer,
    message_id: Uuid,
    proof: &Proof,
) -> Result<Accepted, SendError> {
    if answer.status != 200 {
        return Err(refusal(answer, proof));
    }
    // A page that answers 200 to anything is not Apple's: there, a success has no body.
    if !answer.body.is_empty() {
        return Err(answer.fault_by_status());
    }
    proof.found();
    let id = answer
        .headers
        .get("apns-id")
        .and_then(|id| id.to_str().ok());
    Ok(Accepted {
        external_id: Some(id.map_or_else(|| message_id.to_string(), str::to_ascii_lowercase)),
        provider_text: None,
    })
}

fn refusal(answer: &Answer, proof: &Proof) -> SendError {
    let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let retry_after = answer.retry_after();
    let gateway = Fault::Gateway { retry_after };
    let message = Fault::Permanent(Blame::Message);
    let (fault, reason) = match refusal.reason.as_str() {
        "Unregistered" | "ExpiredToken" => {
            proof.found(); // it was a token of this app and environment once
            (Fault::Permanent(Blame::Recipient), "unregistered")
        }
        // Good tokens get these too, in the wrong environment or for the wrong app.
        "BadDeviceToken" => (proof.refusal(), "bad_device_token"),
        "DeviceTokenNotForTopic" => (proof.refusal(), "token_not_for_topic"),
        "PayloadTooLarge" => (message, "message_too_large"),
        "PayloadEmpty" | "BadExpirationDate" | "BadPriority" | "BadCollapseId" | "BadMessageId"
        | "InvalidPushType" | "DuplicateHeaders" | "MissingDeviceToken" | "BadPath"
        | "MethodNotAllowed" => (message, "invalid_argument"),
        "ExpiredProviderToken" => (gateway, EXPIRED),
        "InvalidProviderToken"
        | "MissingProviderToken"
        | "BadCertificate"
        | "BadCertificateEnvironment"
        | "Forbidden"
        | "BadEnvironmentKeyIdInToken"
        | "BadEnvironmentKeyInToken"
        | "UnrelatedKeyIdInToken" => (gateway, "unauthorized"),
        "BadTopic" | "MissingTopic" | "TopicDisallowed" => (gateway, "topic_refused"),
        // Too many for this one device: nobody else's sends are slowed down for it.
        "TooManyRequests" => (Fault::Transient { retry_after }, "device_throttled"),
        "TooManyProviderTokenUpdates" => (gateway, "throttled"),
        "InternalServerError" | "ServiceUnavailable" | "Shutdown" | "IdleTimeout" => {
            (gateway, "provider_unavailable")
        }
        _ => return answer.fault_by_status(),
    };
    SendError::new(fault, reason).with_code(refusal.reason)
}
