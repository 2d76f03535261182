//! Delivery status notifications (RFC 3464).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail_parser::DateTime;

use super::fields::{self, Line};
use super::mail::Part;
use super::{About, no_mail};
use crate::gateway::source::{Stored, Unreadable};
use crate::model::bounce;
use crate::model::event::EventType;
use crate::model::outcome::{PROVIDER_TEXT_MAX, shorten};
use crate::model::report::{BounceKind, Report};

/// How many recipients are read of one notification.
const RECIPIENTS_MAX: usize = 1000;

/// What a notification says of one recipient.
#[derive(Default)]
pub(super) struct Recipient {
    original: Option<String>,
    last: Option<String>,
    action: Option<String>,
    status: Option<String>,
    diagnostic: Option<String>,
    remote_mta: Option<String>,
    last_attempt: Option<String>,
}

/// One event a recipient.
pub(super) fn read(
    status: &Part<'_>,
    about: &Option<About>,
    stored: &Stored<'_>,
) -> Result<Vec<Report>, Unreadable> {
    let about = about.as_ref().ok_or_else(no_mail)?;
    let recipients = recipients(&status.body);
    if recipients.is_empty() {
        return Err(Unreadable("the notification names no recipient".into()));
    }
    let reports = recipients.into_iter().enumerate();
    Ok(reports
        .filter_map(|(index, recipient)| recipient.report(index, about, stored))
        .collect())
}

/// How the notification itself calls the mail: what the sender gave as `ENVID` (RFC 3464, section 2.2.1), and what Gmail
/// adds.
pub(super) fn names_of_mail(body: &[u8]) -> Vec<String> {
    const NAMES: [&str; 3] = [
        "original-envelope-id",
        "x-original-message-id",
        "original-message-id",
    ];
    let named = fields::read(body)
        .into_iter()
        .filter_map(|line| match line {
            Line::Field(name, value) if NAMES.contains(&name.as_str()) => {
                let id = value.trim_matches(['<', '>', ' ']);
                Some(id.to_owned()).filter(|id| !id.is_empty())
            }
            _ => None,
        });
    named.take(NAMES.len()).collect()
}

/// One group of fields a recipient. Some writers leave out the blank line between two groups.
fn recipients(body: &[u8]) -> Vec<Recipient> {
    let mut recipients = Vec::new();
    let mut current = Recipient::default();
    for line in fields::read(body) {
        let is_next = match &line {
            Line::Blank => true,
            Line::Field(name, _) => match name.as_str() {
                "final-recipient" => current.last.is_some(),
                "original-recipient" => current.original.is_some() || current.action.is_some(),
                _ => false,
            },
        };
        if is_next && current.is_some() {
            recipients.push(std::mem::take(&mut current));
            if recipients.len() == RECIPIENTS_MAX {
                return recipients;
            }
        }
        if let Line::Field(name, value) = line {
            current.set(&name, value);
        }
    }
    if current.is_some() {
        recipients.push(current);
    }
    recipients
}

impl Recipient {
    /// One whom a server gave up in its own words.
    pub(super) fn failed(address: String, diagnostic: String) -> Self {
        Self {
            last: Some(address),
            action: Some("failed".into()),
            diagnostic: Some(diagnostic),
            ..Self::default()
        }
    }

    fn set(&mut self, name: &str, value: String) {
        let field = match name {
            "original-recipient" => &mut self.original,
            "final-recipient" => &mut self.last,
            "action" => &mut self.action,
            "status" => &mut self.status,
            "diagnostic-code" => &mut self.diagnostic,
            "remote-mta" => &mut self.remote_mta,
            "last-attempt-date" => &mut self.last_attempt,
            _ => return,
        };
        field.get_or_insert(value);
    }

    /// Whether it is of a recipient, and not the fields of the whole notification.
    fn is_some(&self) -> bool {
        self.last.is_some() || self.original.is_some()
    }

    pub(super) fn report(
        &self,
        index: usize,
        about: &About,
        stored: &Stored<'_>,
    ) -> Option<Report> {
        // `5.1.1`, maybe with a comment behind it.
        let status = self
            .status
            .as_deref()
            .and_then(|s| s.split_whitespace().next());
        let action = self
            .action
            .as_deref()
            .and_then(|s| s.split_whitespace().next());
        let action = action.map(str::to_ascii_lowercase);
        let class = status.and_then(|s| s.chars().next());
        let (event_type, word) = match (action.as_deref(), class) {
            (Some("failed"), _) => (EventType::Bounced, "failed"),
            (Some("delayed"), _) => (EventType::Deferred, "delayed"),
            (Some("delivered"), _) => (EventType::Delivered, "delivered"),
            (Some("relayed"), _) => (EventType::Delivered, "relayed"),
            (Some("expanded"), _) => return None,
            (_, Some('5')) => (EventType::Bounced, "failed"),
            (_, Some('4')) => (EventType::Deferred, "delayed"),
            (_, Some('2')) => (EventType::Delivered, "delivered"),
            _ => return None,
        };
        // Told apart by its place in the notification: what the same notification says again is no news.
        let id = about.report_id.as_deref().unwrap_or("dsn");
        let mut report = Report::new(event_type, word, format!("{id}:{index}:{word}"));
        report.message_id = about.message_id;
        report.external_id = Some(about.external_id.clone());
        let own = self.original.as_deref().and_then(fields::address);
        report.recipient = own.or_else(|| self.last.as_deref().and_then(fields::address));
        report.occurred_at = self.at(about, stored);
        report.code = status.map(|status| shorten(status, 32));
        report.text = self
            .diagnostic
            .as_deref()
            .map(|text| shorten(text, PROVIDER_TEXT_MAX));
        if let Some(mta) = &self.remote_mta {
            report.detail.push(("remote_mta", shorten(mta, 255)));
        }
        let text = self.diagnostic.as_deref().unwrap_or_default();
        match event_type {
            EventType::Bounced => {
                // A status that says no more than "failed" gives way to the one that the other server said.
                let vague = |status: &&str| status.ends_with(".0.0");
                let said = status.filter(vague).and_then(|_| bounce::status_in(text));
                let mut bounce =
                    bounce::classify(said.or(status), bounce::smtp_code_in(text), text);
                if class == Some('4') {
                    bounce.kind = BounceKind::Soft; // given up, after it had been told to come again
                }
                report.reason = Some(bounce.class.as_str());
                report.bounce = Some(bounce);
            }
            EventType::Deferred => report.reason = Some("delayed"),
            _ => {}
        }
        Some(report)
    }

    /// When it happened, and never later than we were told.
    fn at(&self, about: &About, stored: &Stored<'_>) -> Option<SystemTime> {
        let last = self.last_attempt.as_deref().and_then(|text| {
            let text = format!("{text}\n");
            let date = DateTime::parse_rfc822(&text).filter(DateTime::is_valid)?;
            Some(date.to_timestamp())
        });
        let seconds = u64::try_from(last.or(about.date)?).ok()?;
        let at = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
        Some(at.min(stored.received_at))
    }
}
