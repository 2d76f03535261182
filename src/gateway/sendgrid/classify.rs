//! An answer of SendGrid → accepted, or whose fault it was.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::StatusCode;
use serde::Deserialize;

use crate::gateway::http::{Answer, loggable};
use crate::model::outcome::{Accepted, Blame, Fault, PROVIDER_TEXT_MAX, SendError, shorten};

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Complaint>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    field: Option<String>,
}

/// Judges `answer`. Only 202 is a success: 200 is the sandbox's, which sends nothing.
pub(super) fn judge(answer: &Answer) -> Result<Accepted, SendError> {
    if answer.status == StatusCode::ACCEPTED {
        let id = answer.headers.get("x-message-id");
        let id = id.and_then(|id| id.to_str().ok());
        return Ok(Accepted {
            external_id: id.map(|id| shorten(id, PROVIDER_TEXT_MAX)),
            provider_text: None,
        });
    }
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    let first = body.errors.first();
    let field = first
        .and_then(|first| first.field.as_deref())
        .unwrap_or_default();
    let text = first
        .and_then(|first| first.message.as_deref())
        .unwrap_or_default();
    let Some((fault, reason)) = fault(answer, field, text) else {
        return Err(answer.fault_by_status());
    };
    let code = match loggable(field) {
        "" => answer.status.as_str(),
        field => field,
    };
    Err(SendError::new(fault, reason)
        .with_code(code)
        .with_text(text))
}

/// Whose fault an error tells ("Mail Send errors"). `field` is the path of what is wrong, if anything is.
fn fault(answer: &Answer, field: &str, text: &str) -> Option<(Fault, &'static str)> {
    const GATEWAY: Fault = Fault::Gateway { retry_after: None };
    let to_recipient = field.starts_with("personalizations.0.to");
    Some(match answer.status.as_u16() {
        400 if field.starts_with("ip_pool_name") => (GATEWAY, "ip_pool_unknown"),
        400 if to_recipient => (Fault::Permanent(Blame::Recipient), "invalid_address"),
        400 if field.ends_with(".email") => (Fault::Permanent(Blame::Message), "invalid_address"),
        401 if text.contains("credits exceeded") => (GATEWAY, "quota_exceeded"),
        403 if text.contains("Sender Identity") => (GATEWAY, "sender_refused"),
        429 => {
            let retry_after = answer.retry_after().or_else(|| until_reset(answer));
            (Fault::Gateway { retry_after }, "throttled")
        }
        _ => return None,
    })
}

/// `X-RateLimit-Reset` is the Unix time, in seconds, at which the limit is over.
fn until_reset(answer: &Answer) -> Option<Duration> {
    let reset = answer.headers.get("x-ratelimit-reset")?.to_str().ok()?;
    let reset = Duration::from_secs(reset.trim().parse().ok()?);
    answer.until(UNIX_EPOCH.checked_add(reset)?)
}
