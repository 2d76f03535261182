//! A push service's answers: accepted, or whose fault it was (RFC 8030, sections 5 and 7.3; RFC 8292, section 4).

use uuid::Uuid;

use crate::gateway::http::Answer;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Whom an answer came from.
pub(super) struct Service {
    /// A push service that is known, whose faults are the gateway's.
    pub(super) is_known: bool,
    /// It has taken messages signed by our key.
    pub(super) knows_key: bool,
}

/// Words for "this subscription was made for another key": Chrome's, Mozilla's, Apple's.
const OTHER_KEY: [&str; 3] = [
    "do not correspond",
    "VAPID public key mismatch",
    "VapidPkHashMismatch",
];

/// Words of a token that is refused, where the status does not say so: Apple's, Chrome's.
const BAD_TOKEN: [&str; 3] = ["BadJwtToken", "ExpiredJwtToken", "UnauthorizedRegistration"];

/// Reads the answer to a push.
///
/// # Errors
///
/// A refusal, or an answer that is not a push service's.
pub(super) fn read(
    answer: &Answer,
    message_id: Uuid,
    service: &Service,
) -> Result<Accepted, SendError> {
    match answer.status.as_u16() {
        // 201 by the RFC, 202 for those that report back; some services say 200 or 204.
        200..=202 | 204 => {
            let location = answer
                .headers
                .get("location")
                .and_then(|url| url.to_str().ok());
            let location = location.filter(|url| url.len() <= 1024).map(str::to_owned);
            Ok(Accepted {
                external_id: Some(location.unwrap_or_else(|| message_id.to_string())),
                provider_text: None,
            })
        }
        _ => Err(refusal(answer, service)),
    }
}

fn refusal(answer: &Answer, service: &Service) -> SendError {
    let text = answer.text();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let recipient = Fault::Permanent(Blame::Recipient);
    let gateway = fault_of(service, answer.retry_after());
    let (fault, reason) = match answer.status.as_u16() {
        404 | 410 => (recipient, "unregistered"),
        400 | 401 | 403 if says(&OTHER_KEY) => match service.knows_key {
            true => (recipient, "subscription_of_another_key"),
            // None was ever taken: it is our key that is another one.
            false => (gateway, "vapid_refused"),
        },
        400 if says(&BAD_TOKEN) => (gateway, "vapid_refused"),
        401 | 403 => (gateway, "vapid_refused"),
        429 => (gateway, "throttled"),
        500..=599 => (gateway, "provider_unavailable"),
        _ => {
            let mut error = answer.fault_by_status();
            if matches!(error.fault, Fault::Gateway { .. }) {
                error.fault = gateway;
            }
            return error;
        }
    };
    SendError::new(fault, reason)
        .with_code(answer.status.as_str())
        .with_text(&text)
}

/// A failure that is neither the message's nor the recipient's: of a known push service the gateway's, of any other
/// endpoint its own, for whoever subscribes with a bad one must not get the gateway called broken.
pub(super) fn fault_of(service: &Service, retry_after: Option<std::time::Duration>) -> Fault {
    match service.is_known {
        true => Fault::Gateway { retry_after },
        false => Fault::Transient { retry_after },
    }
}
