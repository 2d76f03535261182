//! What SES publishes to SNS: events of a configuration set (`eventType`), and the older notifications of an identity
//! (`notificationType`), which carry no tags and so no id of ours (SES Developer Guide, "Contents of event data that Amazon
//! SES publishes to Amazon SNS" and "Amazon SNS notification contents").
//!
//! | event | ours, one a recipient that it names |
//! |---|---|
//! | `Send` | `sent` |
//! | `Delivery` | `delivered` |
//! | `DeliveryDelay` | `deferred` |
//! | `Bounce` | `bounced`, by type and subtype, status, and diagnostic |
//! | `Complaint` | `complained`; not when it says `not-spam` or `auth-failure`; for a mail that SES did not try `failed`, too |
//! | `Reject` `Rendering Failure` | `failed` |
//! | `Open` `Click` | `opened` `clicked` |
//! | `Subscription` | `unsubscribed`, when it is from all or from one that was on |

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use serde_json::Value;

pub use crate::gateway::aws::envelope::WebhookSettings;
use crate::gateway::aws::envelope::{Envelope, Receiver};
use crate::gateway::source::fetch::Fetch;
use crate::gateway::source::fields::{self, Object};
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::bounce;
use crate::model::event::EventType;
use crate::model::report::{Bounce, BounceClass, BounceKind, Report};
use crate::model::rfc3339;

/// What SES publishes.
pub struct Source(Receiver);

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// No topic, or a certificate that is none.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        Receiver::new(name, settings).map(Self)
    }

    /// As [`new`](Self::new), with another way to get certificates.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_fetch(
        name: &str,
        settings: &WebhookSettings,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, String> {
        Receiver::with_fetch(name, settings, fetch).map(Self)
    }
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        self.0.verify(posted).await
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let envelope = Envelope::read(stored.body)?;
        if !envelope.is_notification() {
            return Ok(Vec::new());
        }
        // Said once, in plain words, to a topic that events are to be published to.
        if envelope
            .message
            .starts_with("Successfully validated SNS topic")
        {
            return Ok(Vec::new());
        }
        let event = fields::json(envelope.message.as_bytes())?;
        let event = Object::of(&event);
        let word = event.text("eventType").or(event.text("notificationType"));
        let word = word.ok_or(Unreadable("neither eventType nor notificationType".into()))?;
        let reading = Reading {
            event,
            word,
            mail: event.object("mail"),
            envelope: &envelope,
        };
        reading.reports()
    }
}

struct Reading<'a> {
    event: Object<'a>,
    word: &'a str,
    mail: Object<'a>,
    envelope: &'a Envelope,
}

impl<'a> Reading<'a> {
    fn reports(&self) -> Result<Vec<Report>, Unreadable> {
        Ok(match self.word {
            "Send" => self.each(
                EventType::Sent,
                self.destinations(),
                self.event.object("send"),
            ),
            "Delivery" => {
                let delivery = self.event.object("delivery");
                let recipients = recipients(delivery.list("recipients"))?;
                let said = delivery.text("smtpResponse");
                let reports = self.each(EventType::Delivered, recipients, delivery);
                with_text(reports, said)
            }
            "DeliveryDelay" => self.delayed()?,
            "Bounce" => self.bounced()?,
            "Complaint" => self.complained()?,
            "Reject" => {
                let reject = self.event.object("reject");
                let reports = self.each(EventType::Failed, self.sole_destination(), reject);
                let reports = with_text(reports, reject.text("reason"));
                with_reason(reports, "content_refused")
            }
            "Rendering Failure" => {
                let failure = self.event.object("failure");
                let reports = self.each(EventType::Failed, self.sole_destination(), failure);
                let reports = with_text(reports, failure.text("errorMessage"));
                with_reason(reports, "rejected")
            }
            "Open" => {
                let open = self.event.object("open");
                self.each(EventType::Opened, self.sole_destination(), open)
            }
            "Click" => {
                let click = self.event.object("click");
                self.each(EventType::Clicked, self.sole_destination(), click)
            }
            "Subscription" => self.subscription(),
            _ => Vec::new(),
        })
    }

    /// Whom the mail went to.
    fn destinations(&self) -> Vec<Recipient<'a>> {
        let list = self.mail.list("destination").iter();
        let addresses = list.filter_map(Value::as_str).take(fields::REPORTS_MAX);
        addresses.map(Recipient::of).collect()
    }

    /// Whom it went to if there was but one; else it is not known who of them it was.
    fn sole_destination(&self) -> Vec<Recipient<'a>> {
        match &self.destinations()[..] {
            [one] => vec![*one],
            _ => vec![Recipient::default()],
        }
    }

    /// A report for each recipient of what `inner` tells.
    fn each(
        &self,
        event_type: EventType,
        recipients: Vec<Recipient<'a>>,
        inner: Object<'_>,
    ) -> Vec<Report> {
        // The same in an event and in a notification of one thing.
        let id = inner
            .text("feedbackId")
            .unwrap_or(&self.envelope.message_id);
        let details = [
            ("url", inner.text("link").map(fields::detail)),
            ("client", inner.text("userAgent").map(fields::detail)),
            ("ip", inner.text("ipAddress").map(fields::word)),
        ];
        let details = details.into_iter();
        let details: Vec<_> = details
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let tags = self.mail.object("tags").list("postroad_id");
        let tag = tags.first().and_then(Value::as_str);
        let recipients = recipients.into_iter();
        let report = |to: Recipient<'_>| Report {
            message_id: tag.and_then(fields::our_id),
            external_id: self.mail.text("messageId").and_then(fields::external_id),
            occurred_at: self.time(inner),
            recipient: to.address.map(fields::address),
            code: to.status().map(fields::word),
            text: to.diagnostic.map(fields::words),
            detail: details.clone(),
            ..Report::new(
                event_type,
                fields::word(self.word),
                fields::source_key(&[id, to.address.unwrap_or_default()]),
            )
        };
        recipients.map(report).collect()
    }

    fn time(&self, inner: Object<'_>) -> Option<SystemTime> {
        let own = inner.text("timestamp").and_then(rfc3339::parse);
        own.or_else(|| rfc3339::parse(&self.envelope.timestamp))
    }

    fn delayed(&self) -> Result<Vec<Report>, Unreadable> {
        let delay = self.event.object("deliveryDelay");
        let kind = delay.text("delayType").unwrap_or_default();
        let recipients = recipients(delay.list("delayedRecipients"))?;
        let class = match kind {
            "MailboxFull" => BounceClass::MailboxFull,
            "SpamDetected" => BounceClass::Policy,
            "IPFailure" => BounceClass::Reputation,
            "SendingDeferral" => BounceClass::Throttled,
            "TransientCommunicationFailure" | "RecipientServerError" => BounceClass::Network,
            _ => BounceClass::Undetermined,
        };
        let reports = self.each(EventType::Deferred, recipients, delay);
        let reports = with_reason(reports, class.as_str());
        Ok(self.with_word(reports, &[kind]))
    }

    fn bounced(&self) -> Result<Vec<Report>, Unreadable> {
        let bounce = self.event.object("bounce");
        let kind = bounce.text("bounceType").unwrap_or_default();
        let subtype = bounce.text("bounceSubType").unwrap_or_default();
        let recipients = recipients(bounce.list("bouncedRecipients"))?;
        let verdicts: Vec<_> = recipients
            .iter()
            .map(|to| classify(kind, subtype, to))
            .collect();
        let reports = self.each(EventType::Bounced, recipients, bounce);
        let reports = reports.into_iter().zip(verdicts);
        let reports = reports.map(|(report, verdict)| Report {
            reason: Some(match is_suppressed(subtype) {
                true => "provider_suppressed",
                false => verdict.class.as_str(),
            }),
            bounce: Some(verdict),
            ..report
        });
        Ok(self.with_word(reports.collect(), &[kind, subtype]))
    }

    /// Each whom it names, as Amazon advises: feedback loops tell the domain of the person, not always who it was.
    fn complained(&self) -> Result<Vec<Report>, Unreadable> {
        let complaint = self.event.object("complaint");
        let kind = complaint.text("complaintFeedbackType").unwrap_or_default();
        let subtype = complaint.text("complaintSubType").unwrap_or_default();
        if matches!(kind, "not-spam" | "auth-failure") {
            return Ok(Vec::new());
        }
        let recipients = recipients(complaint.list("complainedRecipients"))?;
        let mut reports = Vec::new();
        if is_suppressed(subtype) {
            let failed = self.each(EventType::Failed, recipients.clone(), complaint);
            reports.extend(with_reason(failed, "provider_suppressed"));
        }
        reports.extend(self.each(EventType::Complained, recipients, complaint));
        Ok(self.with_word(reports, &[kind, subtype]))
    }

    fn subscription(&self) -> Vec<Report> {
        let subscription = self.event.object("subscription");
        let new = subscription.object("newTopicPreferences");
        let old = subscription.object("oldTopicPreferences");
        let topics = |preferences: Object<'a>, status: &str| -> Vec<&'a str> {
            let topics = preferences
                .list("topicSubscriptionStatus")
                .iter()
                .map(Object::of);
            let topics = topics.filter(|topic| topic.text("subscriptionStatus") == Some(status));
            topics.filter_map(|topic| topic.text("topicName")).collect()
        };
        let was_on = topics(old, "OptIn");
        let is_off = topics(new, "OptOut");
        let leaves_one = is_off.iter().any(|topic| was_on.contains(topic));
        if !new.is_true("unsubscribeAll") && !leaves_one {
            return Vec::new();
        }
        self.each(
            EventType::Unsubscribed,
            self.sole_destination(),
            subscription,
        )
    }

    /// Adds SES's own words for what kind of event it is.
    fn with_word(&self, reports: Vec<Report>, kinds: &[&str]) -> Vec<Report> {
        let kinds = kinds.iter().filter(|kind| !kind.is_empty());
        let words: Vec<_> = [&self.word].into_iter().chain(kinds).copied().collect();
        let word = fields::word(&words.join("/"));
        let reports = reports.into_iter();
        let reports = reports.map(|report| Report {
            provider_event: word.clone(),
            ..report
        });
        reports.collect()
    }
}

/// One whom an event names, and what it says of them.
#[derive(Clone, Copy, Default)]
struct Recipient<'a> {
    address: Option<&'a str>,
    status: Option<&'a str>,
    diagnostic: Option<&'a str>,
}

impl<'a> Recipient<'a> {
    fn of(address: &'a str) -> Self {
        Self {
            address: Some(address),
            ..Self::default()
        }
    }

    /// The status that is given, or the one in the server's words when it says little (`5.0.0`).
    fn status(&self) -> Option<&'a str> {
        let told = self.diagnostic.and_then(bounce::status_in);
        match self.status {
            Some(status) if !status.ends_with(".0.0") => Some(status),
            status => told.or(status),
        }
    }
}

fn recipient(value: &Value) -> Recipient<'_> {
    if let Some(address) = value.as_str() {
        return Recipient::of(address);
    }
    let object = Object::of(value);
    Recipient {
        address: object.text("emailAddress"),
        status: object.text("status"),
        diagnostic: object.text("diagnosticCode"),
    }
}

fn recipients(list: &[Value]) -> Result<Vec<Recipient<'_>>, Unreadable> {
    if list.is_empty() || list.len() > fields::REPORTS_MAX {
        return Err(Unreadable("no recipients, or too many".into()));
    }
    Ok(list.iter().map(recipient).collect())
}

/// On a suppression list of SES or of the account: not even tried.
fn is_suppressed(subtype: &str) -> bool {
    matches!(
        subtype,
        "Suppressed" | "OnAccountSuppressionList" | "OnTenantSuppressionList"
    )
}

/// By type and subtype; `General` says nothing, and then the server's reply does. A permanent bounce of which nothing
/// blames the sender is the address's, as SES takes it.
fn classify(kind: &str, subtype: &str, to: &Recipient<'_>) -> Bounce {
    use BounceClass::{InvalidRecipient, MailboxFull, Message, Network, Policy, Undetermined};
    let read = bounce::classify(to.status(), None, to.diagnostic.unwrap_or_default());
    let hard = Bounce {
        kind: BounceKind::Hard,
        class: InvalidRecipient,
    };
    let soft = |class| Bounce {
        kind: BounceKind::Soft,
        class,
    };
    match (kind, subtype) {
        ("Permanent", "NoEmail") => hard,
        ("Permanent", subtype) if is_suppressed(subtype) => hard,
        ("Permanent", _) => match read.class {
            Undetermined | InvalidRecipient => hard,
            class if class.is_recipients() => Bounce {
                class,
                kind: read.kind,
            },
            class => soft(class),
        },
        (_, "MailboxFull") => soft(MailboxFull),
        (_, "MessageTooLarge") => soft(Message),
        (_, "ContentRejected" | "AttachmentRejected") => soft(Policy),
        (_, "CustomTimeoutExceeded") => soft(Network),
        _ => soft(read.class),
    }
}

fn with_reason(reports: Vec<Report>, reason: &'static str) -> Vec<Report> {
    let reports = reports.into_iter();
    let reports = reports.map(|report| Report {
        reason: Some(reason),
        ..report
    });
    reports.collect()
}

fn with_text(reports: Vec<Report>, text: Option<&str>) -> Vec<Report> {
    let reports = reports.into_iter();
    let reports = reports.map(|report| Report {
        text: text.map(fields::words),
        code: text.and_then(bounce::status_in).map(fields::word),
        ..report
    });
    reports.collect()
}
