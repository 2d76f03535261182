//! Mail by SMTP, to a relay or a submission server (RFC 5321, RFC 6409).
//!
//! A mail is one transaction on a kept session. What matters is how far it came: a failure before the dot that
//! ends the mail was written cannot have sent it, silence after it may have, and only that is `Unknown`. The
//! session speaks the protocol itself, rather than by `lettre`, whose client does not tell these two apart,
//! reads on after STARTTLS with text that came before it, and has a packet of each mail wait for a delayed
//! acknowledgement (45 ms a mail to Postfix's `smtp-sink` on loopback, 0.7 ms without); `lettre` builds the mails.
//!
//! # Reasons
//!
//! | reason | fault | |
//! |---|---|---|
//! | `connect_failed` `connect_timeout` `connection_lost` `service_unavailable` `service_closing` `protocol_error` | gateway | no server, or one that gives up before it heard of the recipient |
//! | `tls_failed` `tls_not_offered` `credentials_not_encrypted` | gateway | no encryption where it is needed |
//! | `auth_refused` `auth_not_offered` | gateway | the login |
//! | `relaying_denied` | gateway | a server that carries no mail for us, or will not talk to us |
//! | `sender_refused` | gateway, message | not from this address by this server; the message's when the message named it |
//! | `sender_missing` | gateway | no sender configured |
//! | `deadline_passed` | transient | before the final dot |
//! | `connection_lost` `service_closing` | transient | from the recipient on: it may be this message that the server cannot stand |
//! | `throttled` | gateway, transient | too much, too fast: 421 4.7.z to anything, other 4yz whose words say so |
//! | `try_later` `mailbox_full` `too_many_recipients` | transient | 4yz, 5.2.2, 552 to `RCPT`, words that say so |
//! | `reputation_refused` | transient | our address or domain is on a list |
//! | `no_reply` `protocol_error` | unknown | after the final dot |
//! | `mailbox_unavailable` `mailbox_disabled` `domain_takes_no_mail` | recipient | 5.1.1, 5.2.1, 5.1.2 and the like, 550 that says it, unless the words say something else |
//! | `invalid_address` | recipient, message | 5.1.3, or found here; in another field than the recipient the message's |
//! | `smtputf8_required` | message | a local part that is not ASCII, and a server without SMTPUTF8 |
//! | `message_too_large` `content_refused` `policy_refused` `refused` | message | other 5yz |
//! | `invalid_header` `header_not_allowed` `invalid_attachment` | message | found here |

mod classify;
mod config;
mod session;
pub mod webhook;
mod wire;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use self::classify::Failure;
use self::config::Config;
pub use self::config::{Settings, Tls};
use self::session::{Limits, Session};
use super::check::{Checked, Wrong};
use super::{Gateway, mime};
use crate::model::message::{Channel, Priority, Rendered};
use crate::model::outcome::{Accepted, Fault, PROVIDER_TEXT_MAX, SendError, shorten};

/// Hands mails to one server.
pub struct Smtp {
    name: String,
    from: Option<mime::Mailbox>,
    config: Config,
    /// One permit for each session that may be open.
    permits: Semaphore,
    /// Sessions between two mails, the one used last at the end: it is the least likely to have been closed.
    kept: Mutex<Vec<Session>>,
}

impl Smtp {
    /// Builds it. Connects with the first mail.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            name: name.into(),
            from: mime::sender(settings.from.as_deref())?,
            config: Config::new(settings)?,
            permits: Semaphore::new(settings.connections.into()),
            kept: Mutex::default(),
        })
    }

    /// A kept session that nothing is known against. The others on the way are dropped.
    fn take_kept(&self) -> Option<Session> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| kept.pop()).find(Session::is_usable)
    }

    fn keep(&self, session: Session) {
        if session.is_usable() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(session);
        }
    }

    async fn open(&self, deadline: Instant) -> Result<Session, SendError> {
        let limit = deadline.min(Instant::now() + self.config.connect_timeout);
        Session::open(&self.config, limit).await.map_err(|failure| {
            match (Instant::now() >= deadline, SendError::from(failure)) {
                (true, error) if error.reason == "connect_timeout" => deadline_passed(),
                (_, error) => error,
            }
        })
    }

    async fn hand_over(
        &self,
        mail: &mime::Mail,
        limits: Limits,
    ) -> Result<session::Accepted, SendError> {
        let deadline = limits.deadline;
        let judged = |failure: Failure| failure.of_mail(!mail.copies.is_empty());
        if let Some(mut session) = self.take_kept() {
            let first_limit = Instant::now() + self.config.connect_timeout;
            match session.send(mail, limits, first_limit).await {
                Err(failure) if failure.is_of_old_session() => {}
                result => {
                    self.keep(session);
                    return result.map_err(judged);
                }
            }
        }
        let mut session = self.open(deadline).await?;
        let result = session.send(mail, limits, deadline).await;
        self.keep(session);
        result.map_err(judged)
    }
}

#[async_trait]
impl Gateway for Smtp {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &[Channel::Email]
    }

    /// Connects, greets, encrypts, logs in and says goodbye.
    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        let session = self.open(deadline).await.map_err(|error| {
            let setting = match error.reason {
                "auth_refused" => "username and password",
                "auth_not_offered" => "username",
                "tls_failed" | "tls_not_offered" | "credentials_not_encrypted" => "tls",
                _ => "host and port",
            };
            Wrong::new(setting, error)
        })?;
        session.quit(deadline).await;
        Ok(match (&self.config.login, &self.from) {
            (Some(_), Some(_)) => Checked::Taken,
            (None, Some(_)) => Checked::TakenBut("without a login"),
            (Some(_), None) => {
                Checked::TakenBut("without from: messages that name no sender are not sent")
            }
            (None, None) => Checked::TakenBut(
                "without a login, and without from: messages that name no sender are not sent",
            ),
        })
    }

    /// Answers with the Message-ID, without brackets, as external id, and with the server's reply as text.
    ///
    /// The reply to the final dot may come after `deadline`: by then the server has the mail, and whoever gives up sends it
    /// twice (RFC 5321, section 4.5.3.2.6). It is waited for as long as the settings say, unless the message is an alarm.
    ///
    /// The fate of the recipient is the fate of the message; copies that were refused are named by their replies
    /// in the text.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        let mail = mime::build(message, self.from.as_ref())?;
        let _permit = timeout_at(deadline.into(), self.permits.acquire())
            .await
            .map_err(|_| deadline_passed())?;
        if Instant::now() >= deadline {
            return Err(deadline_passed());
        }
        let after_dot = match message.priority {
            // An alarm that comes twice is better than one that comes late.
            Priority::P0 | Priority::P1 => Duration::ZERO,
            Priority::P2 | Priority::P3 | Priority::P4 => self.config.data_dot_timeout,
        };
        let limits = Limits {
            deadline,
            after_dot,
        };
        let accepted = self.hand_over(&mail, limits).await;
        let accepted = accepted.map_err(|error| error.blaming_sender_of(message))?;
        let mut text = accepted.reply.text();
        for (_, refused) in &accepted.refused_copies {
            text = format!("{text}; copy refused: {}", refused.text());
        }
        Ok(Accepted {
            external_id: Some(mail.message_id),
            provider_text: Some(shorten(&text, PROVIDER_TEXT_MAX)),
        })
    }
}

fn deadline_passed() -> SendError {
    SendError::new(Fault::Transient { retry_after: None }, "deadline_passed")
}
