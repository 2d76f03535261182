//! Abuse reports of mailbox providers, known as feedback loops (RFC 5965; `not-spam`: RFC 6430). `opt-out` is of the
//! drafts before, and some providers still send it.

use std::time::{Duration, UNIX_EPOCH};

use super::fields::{self, Line};
use super::mail::Part;
use super::{About, no_mail};
use crate::gateway::source::{Stored, Unreadable};
use crate::model::event::EventType;
use crate::model::outcome::shorten;
use crate::model::report::Report;

/// The complaint, if it is one. Whose it is, providers hide: the returned mail says which message it was.
pub(super) fn read(
    feedback: &Part<'_>,
    about: &Option<About>,
    stored: &Stored<'_>,
) -> Result<Vec<Report>, Unreadable> {
    let lines = fields::read(&feedback.body);
    let value = |wanted: &str| {
        lines.iter().find_map(|line| match line {
            Line::Field(name, value) if name == wanted => Some(value.as_str()),
            _ => None,
        })
    };
    let kind = value("feedback-type")
        .ok_or_else(|| Unreadable("Feedback-Type is missing".into()))?
        .to_ascii_lowercase();
    let (event_type, reason) = match kind.as_str() {
        "abuse" => (EventType::Complained, "abuse"),
        "fraud" => (EventType::Complained, "fraud"),
        "opt-out" | "opt-out-list" => (EventType::Unsubscribed, "unsubscribed"),
        _ => return Ok(Vec::new()),
    };
    let about = about.as_ref().ok_or_else(no_mail)?;
    let id = about.report_id.as_deref().unwrap_or("arf");
    let mut report = Report::new(event_type, kind, format!("{id}:{reason}"));
    report.message_id = about.message_id;
    report.external_id = Some(about.external_id.clone());
    report.reason = Some(reason);
    let recipient = value("original-rcpt-to").or(value("removal-recipient"));
    report.recipient = recipient.and_then(fields::address);
    let seconds = about.date.and_then(|date| u64::try_from(date).ok());
    let at = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    report.occurred_at = at.map(|at| at.min(stored.received_at));
    if let Some(agent) = value("user-agent") {
        report.detail.push(("user_agent", shorten(agent, 255)));
    }
    Ok(vec![report])
}
