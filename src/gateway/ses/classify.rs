//! An answer of SES → accepted, or whose fault it was.

use reqwest::StatusCode;
use serde::Deserialize;

use crate::gateway::aws;
use crate::gateway::http::{Answer, loggable};
use crate::model::message::Rendered;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Success {
    message_id: String,
}

/// Spelled differently by AWS's services and their front ends.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    #[serde(rename = "__type", alias = "code", alias = "Code")]
    code: String,
    #[serde(alias = "Message")]
    message: String,
}

/// Judges `answer` to `message`.
pub(super) fn judge(answer: &Answer, message: &Rendered) -> Result<Accepted, SendError> {
    if answer.status != StatusCode::OK {
        return Err(refusal(answer, message));
    }
    match serde_json::from_slice::<Success>(&answer.body) {
        Ok(Success { message_id }) if !message_id.is_empty() => Ok(Accepted {
            external_id: Some(message_id),
            provider_text: None,
        }),
        _ => Err(answer.garbled()),
    }
}

fn refusal(answer: &Answer, message: &Rendered) -> SendError {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let header = answer.headers.get("x-amzn-errortype");
    let named = header.and_then(|value| value.to_str().ok());
    // `TooManyRequestsException:http://internal.amazon.com/coral/…`, or `com.amazonaws…#TooManyRequestsException`
    let code = named
        .unwrap_or(&failure.code)
        .split(':')
        .next()
        .unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let Some((fault, reason)) = fault(code, &failure.message, message) else {
        return answer.fault_by_status();
    };
    let fault = match fault {
        Fault::Gateway { .. } => Fault::Gateway {
            retry_after: answer.retry_after(),
        },
        fault => fault,
    };
    SendError::new(fault, reason)
        .with_code(loggable(code))
        .with_text(&failure.message)
}

/// Whose fault an error tells (`SendEmail`, "Errors"; Developer Guide, "Amazon SES API error codes").
fn fault(code: &str, text: &str, message: &Rendered) -> Option<(Fault, &'static str)> {
    const GATEWAY: Fault = Fault::Gateway { retry_after: None };
    const MESSAGE: Fault = Fault::Permanent(Blame::Message);
    if text.contains("Daily message quota exceeded") {
        return Some((GATEWAY, "quota_exceeded"));
    }
    if text.contains("Maximum sending rate exceeded") {
        return Some((GATEWAY, "throttled"));
    }
    Some(match code {
        "MessageRejected" if text.contains("not verified") => (GATEWAY, "identity_not_verified"),
        "MailFromDomainNotVerifiedException" => (GATEWAY, "identity_not_verified"),
        "AccountSuspendedException" => (GATEWAY, "account_suspended"),
        "SendingPausedException" => (GATEWAY, "sending_paused"),
        "NotFoundException" => (GATEWAY, "configuration_not_found"),
        "BadRequestException" if is_about_address(text) => {
            (blame_for_address(message), "invalid_address")
        }
        "BadRequestException" | "MessageRejected" => (MESSAGE, "rejected"),
        _ => return aws::common_fault(code, text),
    })
}

fn is_about_address(text: &str) -> bool {
    let words = [
        "Missing final '@domain'",
        "Illegal address",
        "Domain starts with dot",
        "Domain ends with dot",
        "Domain contains",
        "Local address contains",
        "Invalid domain name",
    ];
    words.iter().any(|words| text.contains(words))
}

/// SES does not tell which address was wrong; only where there is but one can it be the recipient's.
fn blame_for_address(message: &Rendered) -> Fault {
    let options = &message.options;
    let is_alone = options.from.is_none()
        && options.reply_to.is_none()
        && options.cc.is_empty()
        && options.bcc.is_empty();
    Fault::Permanent(if is_alone {
        Blame::Recipient
    } else {
        Blame::Message
    })
}
