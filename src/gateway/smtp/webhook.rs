//! Mails that come back: delivery status notifications (RFC 3464) and abuse reports (RFC 5965), posted as they are.
//!
//! A relay has no events; it sends mails, to the address that ours came from. That mailbox is piped here, whole mails one
//! by one, under a bearer token or HTTP Basic. With Postfix, an alias: `bounces: "|curl -fsS --data-binary @- -H
//! 'Content-Type: message/rfc822' -H 'Authorization: Bearer …' https://post.example.org/webhooks/smtp"`.
//!
//! Which message it is about, the returned mail says: its `Message-ID` is ours, `<message id>@<domain of the sender>`. The
//! envelope sender of a mail is the address of its `From`, so that there is no VERP. Where nothing of the mail is returned,
//! the notification may name it: by `Original-Envelope-Id`, which is our message id (the gateway gives it as `ENVID`, RFC
//! 3461), `X-Original-Message-ID`, as Gmail does, `In-Reply-To` or `References`. One that does none of it stays unread in the inbox.
//!
//! Anybody can mail such a report: it is [unproven](WebhookSource::unproven). It counts for a mail that we know and that
//! was sent, and suppresses none but its own recipients, for its tenant. Of such a mail the id cannot be guessed, which is
//! what a forger fails at: whoever knows it has the mail.
//!
//! | what comes | event |
//! |---|---|
//! | action `failed` | `bounced`, by code and text ([`bounce::classify`](crate::model::bounce::classify)) |
//! | action `delayed` | `deferred` |
//! | action `delivered`, `relayed` | `delivered` |
//! | feedback `abuse`, `fraud` | `complained` |
//! | feedback `opt-out` | `unsubscribed` |
//! | feedback `auth-failure`, `not-spam`, `virus`, `other` | none: nobody complained |
//! | a bounce of qmail (`qsbmf`) | `bounced` |
//! | an automatic reply (RFC 3834), any other mail | none |
//!
//! A bounce in the words of its server alone (`X-Failed-Recipients`, Exim before 4.83) stays unread in the inbox.

mod arf;
mod dsn;
mod fields;
mod mail;
mod qsbmf;

use async_trait::async_trait;
use uuid::Uuid;

use self::mail::Part;
use crate::gateway::credentials::Credentials;
pub use crate::gateway::credentials::Settings as WebhookSettings;
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::message::Channel;
use crate::model::outcome::shorten;
use crate::model::report::Report;

/// Checks and reads mails that come back.
pub struct Source {
    name: String,
    credentials: Credentials,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        Ok(Self {
            name: name.into(),
            credentials: settings.credentials()?,
        })
    }
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self, posted: &Posted<'_>) -> Result<(), Refused> {
        self.credentials.check(posted.headers)
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        self.credentials.check(posted.headers)?;
        Ok(Verified::default())
    }

    /// The token is the mail server's, which posts whatever mail arrives.
    fn unproven(&self) -> Option<Channel> {
        Some(Channel::Email)
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let parts = mail::parts(stored.body);
        let root = parts
            .first()
            .ok_or_else(|| Unreadable("not a mail".into()))?;
        let find = |kind: &str| parts.iter().find(|part| part.kind.starts_with(kind));
        let delivery_status =
            find("message/delivery-status").or_else(|| find("message/global-delivery-status"));
        if let Some(status) = delivery_status {
            let about = About::find(&parts, dsn::names_of_mail(&status.body));
            return dsn::read(status, &about, stored);
        }
        if let Some(feedback) = find("message/feedback-report") {
            return arf::read(feedback, &About::find(&parts, Vec::new()), stored);
        }
        let first_text = parts.iter().find(|part| part.kind == "text/plain");
        if let Some(text) = first_text.filter(|text| qsbmf::is_bounce(&text.body)) {
            let returned = mail::message_id(qsbmf::split(&text.body).1);
            let about = About::find(&parts, returned.into_iter().collect());
            return qsbmf::read(&text.body, about.as_ref().ok_or_else(no_mail)?, stored);
        }
        match root.kind.as_str() {
            "multipart/report" => Err(Unreadable("a report of another kind".into())),
            _ if root.is_bounce => Err(Unreadable("a bounce that is no report by RFC 3464".into())),
            _ => Ok(Vec::new()),
        }
    }
}

/// What a returned mail was, and the report that returns it.
struct About {
    /// Ours.
    message_id: Option<Uuid>,
    /// Its `Message-ID`, without brackets.
    external_id: String,
    /// By which events of this report are told from others': its own `Message-ID`.
    report_id: Option<String>,
    /// When the report was written.
    date: Option<i64>,
}

impl About {
    /// `named` are ids by which the report itself calls the mail.
    fn find(parts: &[Part<'_>], named: Vec<String>) -> Option<Self> {
        let root = parts.first()?;
        let returned = parts[1..].iter().filter(|part| {
            matches!(
                part.kind.as_str(),
                "message/rfc822"
                    | "message/global"
                    | "text/rfc822-headers"
                    | "message/rfc822-headers"
                    | "message/global-headers"
            )
        });
        // One of ours, if there is any; a mail may have been returned inside another.
        let ids: Vec<String> = returned
            .filter_map(|part| mail::message_id(&part.body))
            .chain(named)
            .chain(root.answers.iter().cloned())
            .filter(|id| id.len() <= 255)
            .collect();
        let ours = |id: &&String| {
            let local = id.split('@').next()?; // of an envelope id there is no more
            Uuid::try_parse(local).ok().filter(|_| local.len() == 36)
        };
        let found = ids.iter().find_map(|id| Some((ours(&id)?, id)));
        let (message_id, external_id) = match found {
            Some((message_id, id)) => (Some(message_id), id.clone()),
            None => (None, ids.first()?.clone()),
        };
        Some(Self {
            message_id,
            external_id: shorten(&external_id, 255),
            report_id: root.message_id.as_deref().map(|id| shorten(id, 200)),
            date: root.date,
        })
    }
}

/// The report about no mail that is known.
fn no_mail() -> Unreadable {
    Unreadable(
        "the mail that it is about has no id, neither where it is returned nor in the report"
            .into(),
    )
}

#[cfg(test)]
mod mailers;
#[cfg(test)]
mod tests;
