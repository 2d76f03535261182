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

/// Of `SendBulkEmail`, an entry each.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BulkSuccess {
    bulk_email_entry_results: Vec<EntryResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EntryResult {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    message_id: Option<String>,
}

/// Judges `answer` to a batch, whose content is that of `first`: an answer each, in their order.
pub(super) fn judge_batch(
    answer: &Answer,
    first: &Rendered,
) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
    if answer.status != StatusCode::OK {
        return Err(refusal(answer, first));
    }
    let results: BulkSuccess =
        serde_json::from_slice(&answer.body).map_err(|_| answer.garbled())?;
    let results = results.bulk_email_entry_results.into_iter();
    Ok(results.map(|result| judge_entry(result, first)).collect())
}

fn judge_entry(result: EntryResult, message: &Rendered) -> Result<Accepted, SendError> {
    let text = result.error.as_deref().unwrap_or_default();
    if result.status == "SUCCESS" {
        let external_id = result.message_id.filter(|id| !id.is_empty());
        return match external_id {
            Some(id) => Ok(Accepted {
                external_id: Some(id),
                provider_text: None,
            }),
            None => Err(SendError::new(Fault::Unknown, "answer_garbled")),
        };
    }
    let (fault, reason) = entry_fault(&result.status, text, message);
    Err(SendError::new(fault, reason)
        .with_code(loggable(&result.status))
        .with_text(text))
}

/// Whose fault the status of an entry tells (`BulkEmailEntryResult`).
fn entry_fault(status: &str, text: &str, message: &Rendered) -> (Fault, &'static str) {
    const GATEWAY: Fault = Fault::Gateway { retry_after: None };
    const MESSAGE: Fault = Fault::Permanent(Blame::Message);
    match status {
        "MESSAGE_REJECTED" if text.contains("not verified") => (GATEWAY, "identity_not_verified"),
        "MAIL_FROM_DOMAIN_NOT_VERIFIED" => (GATEWAY, "identity_not_verified"),
        "INVALID_PARAMETER" if is_about_address(text) => {
            (blame_for_address(message), "invalid_address")
        }
        "MESSAGE_REJECTED" | "INVALID_PARAMETER" | "TEMPLATE_NOT_FOUND" => (MESSAGE, "rejected"),
        "CONFIGURATION_SET_NOT_FOUND" | "INVALID_SENDING_POOL_NAME" => {
            (GATEWAY, "configuration_not_found")
        }
        "ACCOUNT_SUSPENDED" => (GATEWAY, "account_suspended"),
        "ACCOUNT_SENDING_PAUSED" | "CONFIGURATION_SET_SENDING_PAUSED" => {
            (GATEWAY, "sending_paused")
        }
        "ACCOUNT_THROTTLED" => (GATEWAY, "throttled"),
        "ACCOUNT_DAILY_QUOTA_EXCEEDED" => (GATEWAY, "quota_exceeded"),
        "TRANSIENT_FAILURE" | "FAILED" => (Fault::Transient { retry_after: None }, "send_failed"),
        _ => (Fault::Unknown, "answer_garbled"),
    }
}

/// Whether the account's user lacks a permission, and its credentials are good.
pub(super) fn is_denied(answer: &Answer) -> bool {
    answer.status == StatusCode::FORBIDDEN && code_of(answer).0.starts_with("AccessDenied")
}

fn refusal(answer: &Answer, message: &Rendered) -> SendError {
    let (code, text) = code_of(answer);
    let Some((fault, reason)) = fault(&code, &text, message) else {
        return answer.fault_by_status();
    };
    let fault = match fault {
        Fault::Gateway { .. } => Fault::Gateway {
            retry_after: answer.retry_after(),
        },
        fault => fault,
    };
    SendError::new(fault, reason)
        .with_code(loggable(&code))
        .with_text(&text)
}

/// Code and words of a refusal.
fn code_of(answer: &Answer) -> (String, String) {
    let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
    let header = answer.headers.get("x-amzn-errortype");
    let named = header.and_then(|value| value.to_str().ok());
    // `TooManyRequestsException:http://internal.amazon.com/coral/…`, or `com.amazonaws…#TooManyRequestsException`
    let code = named.unwrap_or(&failure.code).split(':').next();
    let code = code.unwrap_or_default().rsplit('#').next();
    (code.unwrap_or_default().to_owned(), failure.message)
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
