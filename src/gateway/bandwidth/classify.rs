//! Bandwidth's answer → accepted, or whose fault it was.

use serde::Deserialize;

use crate::gateway::http::Answer;
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

#[derive(Deserialize)]
struct Created {
    id: String,
}

/// An error: `{"type": "request-validation", "description": …, "fieldErrors": [{"fieldName", "description"}]}`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Refused {
    r#type: Option<String>,
    description: Option<String>,
    field_errors: Vec<FieldError>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FieldError {
    field_name: String,
    description: String,
}

/// Judges an answer. Nothing is sent on a 4xx or 5xx, so that those are certain. The codes of four digits come with
/// callbacks only.
///
/// # Errors
///
/// By the error's type and fields where they tell more than the status. A success without an id is `Unknown`.
pub(super) fn judge(answer: &Answer) -> Result<Accepted, SendError> {
    if answer.status.is_success() {
        return match serde_json::from_slice::<Created>(&answer.body) {
            Ok(created) if !created.id.is_empty() => Ok(Accepted {
                external_id: Some(created.id),
                provider_text: None,
            }),
            _ => Err(SendError::new(Fault::Unknown, "answer_unreadable").with_text(&answer.text())),
        };
    }
    let error = answer.fault_by_status();
    let Ok(refused) = serde_json::from_slice::<Refused>(&answer.body) else {
        return Err(error);
    };
    let error = match answer.status.as_u16() {
        400 => by_field(&refused.field_errors),
        // What we asked for cannot be asked here: a wrong api_url, or a bug of ours, but not the message's doing.
        406 | 415 => SendError::new(Fault::Gateway { retry_after: None }, "endpoint_not_found"),
        _ => error,
    };
    let words: Vec<&str> = refused
        .description
        .iter()
        .map(String::as_str)
        .chain(refused.field_errors.iter().map(|e| e.description.as_str()))
        .filter(|words| !words.is_empty())
        .collect();
    let code = refused.r#type.filter(|code| !code.is_empty());
    Err(error
        .with_code(code.unwrap_or_else(|| answer.status.as_str().into()))
        .with_text(&match words.is_empty() {
            true => answer.text(),
            false => words.join("; "),
        }))
}

/// Whose the first field is that is named. A recipient is blamed only when nothing else is wrong.
fn by_field(errors: &[FieldError]) -> SendError {
    let gateway = Fault::Gateway { retry_after: None };
    let is = |error: &FieldError, name: &str| {
        error
            .field_name
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
    };
    let any = |name: &str| errors.iter().any(|error| is(error, name));
    if any("applicationId") {
        SendError::new(gateway, "unauthorized")
    } else if any("from") {
        SendError::new(gateway, "sender_refused")
    } else if any("media") {
        SendError::new(Fault::Permanent(Blame::Message), "media_refused")
    } else if !errors.is_empty() && errors.iter().all(|error| is(error, "to")) {
        SendError::new(Fault::Permanent(Blame::Recipient), "invalid_number")
    } else {
        SendError::new(Fault::Permanent(Blame::Message), "rejected")
    }
}
