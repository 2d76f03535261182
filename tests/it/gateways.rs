//! Gateways: one suite that each must pass, and what each does for itself.

mod apns;
mod bandwidth;
mod batches;
mod checks;
mod conformance;
mod fcm;
mod file;
mod injection;
mod linked_batches;
mod links;
mod mail_fields;
mod mailgun;
mod ovh;
mod postal;
mod push;
mod push_options;
mod sendgrid;
mod ses;
mod smtp_copies;
mod smtp_faults;
mod smtp_mail;
mod smtp_session;
mod sns;
mod stub;
mod twilio;
mod webhook;
mod webpush;

use std::sync::Arc;
use std::time::{Duration, Instant};

use postroad::gateway::smtp::{Settings, Smtp, Tls};
use postroad::model::duration::Text;
use postroad::model::message::{Attachment, Channel, MessageType, Options, Priority, Rendered};
use uuid::Uuid;

use crate::support::smtp_sink::SmtpSink;

/// Words that must never reach a log.
const RECIPIENT: &str = "ada@example.org";
const BODY: &str = "The engine weaves algebraical patterns.";
const PASSWORD: &str = "correct-horse";

/// Far enough away that no test meets it by accident.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Near, for what hangs; far enough for what comes before on a busy machine.
fn soon() -> Instant {
    Instant::now() + Duration::from_millis(600)
}

/// A message with a plain body, for a recipient of the right form.
fn message(channel: Channel) -> Rendered {
    let recipient = match channel {
        Channel::Email => RECIPIENT,
        Channel::Sms | Channel::Voice => "+15005550006",
        Channel::Push | Channel::InApp => "token-1",
        Channel::Webhook => "https://example.org/hook",
    };
    Rendered {
        message_id: Uuid::now_v7(),
        channel,
        message_type: MessageType::Transactional,
        priority: Priority::P4,
        attempt: 1,
        recipient: recipient.into(),
        subject: (channel == Channel::Email).then(|| "Notes".into()),
        body: Some(BODY.into()),
        html: None,
        data: None,
        options: Arc::default(),
        ip_pool: None,
        tenant_id: None,
    }
}

fn mail() -> Rendered {
    message(Channel::Email)
}

/// A mail with these options.
fn mail_with(change: impl FnOnce(&mut Options)) -> Rendered {
    let mut options = Options::default();
    change(&mut options);
    Rendered {
        options: Arc::new(options),
        ..mail()
    }
}

fn attachment(filename: &str, content: &str) -> Attachment {
    Attachment {
        filename: filename.into(),
        content_type: Some("text/plain".into()),
        content: content.into(),
        content_id: None,
    }
}

/// What it takes to reach `sink` in plain text.
fn settings(sink: &SmtpSink) -> Settings {
    Settings {
        host: Some("127.0.0.1".into()),
        port: Some(sink.port()),
        tls: Some(Tls::None),
        from: Some("Postroad <post@road.example>".into()),
        data_dot_timeout: Text(Duration::from_millis(1)), // so that the deadline counts
        ..Settings::default()
    }
}

fn smtp(settings: &Settings) -> Smtp {
    Smtp::new("smtp", settings).expect("settings that make sense")
}

/// A gateway to `sink`, in plain text.
fn gateway(sink: &SmtpSink) -> Smtp {
    smtp(&settings(sink))
}
