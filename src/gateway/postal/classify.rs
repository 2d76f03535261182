//! An answer of Postal → accepted, or whose fault it was.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::gateway::http::{Answer, loggable};
use crate::model::outcome::{Accepted, Blame, Fault, PROVIDER_TEXT_MAX, SendError, shorten};

#[derive(Deserialize)]
struct Body {
    status: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    /// The Message-ID, of which all recipients' messages are.
    message_id: Option<String>,
    /// By address.
    messages: BTreeMap<String, Message>,
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    id: u64,
    token: String,
}

/// Judges `answer` to a mail for `recipient` and copies of it.
pub(super) fn judge(answer: &Answer, recipient: &str) -> Result<Accepted, SendError> {
    if answer.status != StatusCode::OK {
        return Err(answer.fault_by_status());
    }
    let body: Body = serde_json::from_slice(&answer.body).map_err(|_| answer.garbled())?;
    match body.status.as_str() {
        "success" => accepted(body.data, recipient),
        "parameter-error" => {
            let fault = Fault::Permanent(Blame::Message);
            Err(refusal(fault, "rejected", "parameter-error", &body.data))
        }
        _ => {
            let code = body.data.code.as_deref().unwrap_or_default();
            let (fault, reason) = fault(code);
            Err(refusal(fault, reason, code, &body.data))
        }
    }
}

fn accepted(data: Data, recipient: &str) -> Result<Accepted, SendError> {
    if data.messages.is_empty() {
        let fault = Fault::Permanent(Blame::Message);
        return Err(SendError::new(fault, "rejected").with_code("no_messages"));
    }
    let own = data
        .messages
        .iter()
        .find(|(address, _)| address.eq_ignore_ascii_case(recipient) || data.messages.len() == 1);
    Ok(match own {
        Some((_, message)) => Accepted {
            external_id: Some(message.id.to_string()),
            provider_text: Some(shorten(&message.token, PROVIDER_TEXT_MAX)),
        },
        // Taken under another spelling, beside copies: which of them is ours cannot be told.
        None => Accepted {
            external_id: data.message_id,
            provider_text: None,
        },
    })
}

fn refusal(fault: Fault, reason: &'static str, code: &str, data: &Data) -> SendError {
    SendError::new(fault, reason)
        .with_code(loggable(code))
        .with_text(data.message.as_deref().unwrap_or_default())
}

/// Whose fault an error code tells (`docs/developer/api`, and the controllers that raise it).
fn fault(code: &str) -> (Fault, &'static str) {
    const GATEWAY: Fault = Fault::Gateway { retry_after: None };
    const MESSAGE: Fault = Fault::Permanent(Blame::Message);
    match code {
        "AccessDenied" | "InvalidServerAPIKey" => (GATEWAY, "unauthorized"),
        "ServerSuspended" => (GATEWAY, "account_suspended"),
        "UnauthenticatedFromAddress" => (GATEWAY, "sender_refused"),
        "TooManyToAddresses" | "TooManyCCAddresses" | "TooManyBCCAddresses" => {
            (MESSAGE, "too_many_recipients")
        }
        "NoContent" => (MESSAGE, "no_content"),
        "AttachmentMissingName" | "AttachmentMissingData" => (MESSAGE, "invalid_attachment"),
        "NoRecipients" | "FromAddressMissing" => (MESSAGE, "rejected"),
        _ => (Fault::Transient { retry_after: None }, "provider_error"),
    }
}
