//! An answer of SNS, which is XML → accepted, or whose fault it was.

use reqwest::StatusCode;

use crate::gateway::aws;
use crate::gateway::http::{Answer, loggable};
use crate::model::outcome::{Accepted, Blame, Fault, PROVIDER_TEXT_MAX, SendError, shorten};

/// Judges `answer`.
pub(super) fn judge(answer: &Answer) -> Result<Accepted, SendError> {
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status == StatusCode::OK {
        let id = element(&body, "MessageId").filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| answer.garbled())?;
        return Ok(Accepted {
            external_id: Some(shorten(&id, PROVIDER_TEXT_MAX)),
            provider_text: None,
        });
    }
    let code = element(&body, "Code").unwrap_or_default();
    let text = element(&body, "Message").unwrap_or_default();
    let Some((fault, reason)) = fault(&code, &text) else {
        return Err(answer.fault_by_status());
    };
    let fault = match fault {
        Fault::Gateway { .. } => Fault::Gateway {
            retry_after: answer.retry_after(),
        },
        fault => fault,
    };
    Err(SendError::new(fault, reason)
        .with_code(loggable(&code))
        .with_text(&text))
}

/// Whose fault an error tells (API reference, `Publish`, "Errors").
fn fault(code: &str, text: &str) -> Option<(Fault, &'static str)> {
    const GATEWAY: Fault = Fault::Gateway { retry_after: None };
    const MESSAGE: Fault = Fault::Permanent(Blame::Message);
    const RECIPIENT: Fault = Fault::Permanent(Blame::Recipient);
    Some(match code.strip_suffix("Exception").unwrap_or(code) {
        "OptedOut" => (RECIPIENT, "opted_out"),
        "Verification" => (GATEWAY, "number_not_verified"),
        "InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid" | "Validation" => {
            if text.contains("origination") {
                (GATEWAY, "origination_missing")
            } else if text.contains("PhoneNumber") {
                // So it says as well of every number in a region that sends no SMS: none may be suppressed for it.
                (MESSAGE, "number_refused")
            } else if text.contains("too long") {
                (MESSAGE, "message_too_large")
            } else {
                (MESSAGE, "rejected")
            }
        }
        "KMSThrottling" => (GATEWAY, "throttled"),
        code if code.starts_with("KMS") => (GATEWAY, "encryption_failed"),
        _ => return aws::common_fault(code, text),
    })
}

/// The text of the first element of that name, which has neither attributes nor children.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.trim().replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&")) // last, or `&amp;lt;` would become `<`
}
