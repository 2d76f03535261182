//! An answer of Mailgun → accepted, or whose fault it was.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::gateway::http::Answer;
use crate::model::outcome::{Accepted, Blame, Fault, PROVIDER_TEXT_MAX, SendError, shorten};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    id: Option<String>,
    message: Option<String>,
    #[serde(rename = "retry-seconds")]
    retry_seconds: Option<u32>,
}

/// Judges `answer`.
pub(super) fn judge(answer: &Answer) -> Result<Accepted, SendError> {
    let body = serde_json::from_slice::<Body>(&answer.body).unwrap_or_default();
    if answer.status == StatusCode::OK {
        let id = body.id.as_deref().unwrap_or_default();
        let id = id.trim().trim_start_matches('<').trim_end_matches('>');
        if id.is_empty() {
            return Err(answer.garbled());
        }
        return Ok(Accepted {
            external_id: Some(shorten(id, PROVIDER_TEXT_MAX)),
            provider_text: body.message.map(|text| shorten(&text, PROVIDER_TEXT_MAX)),
        });
    }
    let text = body.message.as_deref().unwrap_or_default();
    let Some((fault, reason)) = fault(answer, &body, text) else {
        return Err(answer.fault_by_status());
    };
    Err(SendError::new(fault, reason)
        .with_code(answer.status.as_str())
        .with_text(text))
}

/// Whether `answer` refuses so many recipients at once, and not what they are sent: what a new domain or an account on
/// probation hears ("Domain … is not allowed to send large batches yet", 403; "Only 10 recipients per request is allowed
/// on probation", 400; "Too many recipients; max is 1000", 400).
pub(super) fn is_too_many(answer: &Answer) -> bool {
    let body = serde_json::from_slice::<Body>(&answer.body).unwrap_or_default();
    let text = body.message.unwrap_or_default().to_ascii_lowercase();
    let words = [
        "large batches",
        "recipients per request",
        "too many recipients",
    ];
    matches!(answer.status.as_u16(), 400 | 403) && words.iter().any(|words| text.contains(words))
}

/// Whose fault the words of an error tell: Mailgun has no codes (User Manual, "Sending messages" and "Errors").
fn fault(answer: &Answer, body: &Body, text: &str) -> Option<(Fault, &'static str)> {
    const GATEWAY: Fault = Fault::Gateway { retry_after: None };
    let text = text.to_ascii_lowercase();
    Some(match answer.status.as_u16() {
        400 if text.contains("not a valid address") => {
            let to_recipient = text.contains("'to' parameter") || text.starts_with("to parameter");
            let blame = match to_recipient {
                true => Blame::Recipient,
                false => Blame::Message,
            };
            (Fault::Permanent(blame), "invalid_address")
        }
        400 | 403 if text.contains("not allowed to send") => (GATEWAY, "domain_not_allowed"),
        400 | 403 | 404 if text.contains("ip pool") => (GATEWAY, "ip_pool_unknown"),
        429 => {
            let retry_after = answer
                .retry_after()
                .or(body.retry_seconds.map(|s| Duration::from_secs(s.into())))
                .or_else(|| time_in(answer, body.message.as_deref()?));
            (Fault::Gateway { retry_after }, "throttled")
        }
        _ => return None,
    })
}

/// "… limit exceeded, try again after Thu, 01 Jan 2026 00:00:00 GMT".
fn time_in(answer: &Answer, text: &str) -> Option<Duration> {
    let (_, date) = text.split_once("try again after ")?;
    let date = date.trim().trim_end_matches('.').replace(" UTC", " GMT");
    let at = httpdate::parse_http_date(&date).ok()?;
    answer.until(at)
}
