//! Links of ours in mails: the way out of a newsletter (RFC 8058), and opens and clicks where the gateway reports none.
//!
//! They are put in just before a gateway gets the message, so that each has them by the name of the gateway that sends it.

mod html;
pub mod settings;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use url::Url;

pub use self::settings::Settings;
use super::check::{Checked, Wrong};
use super::{Batch, Gateway, Member};
use crate::model::link::{Keys, Kind, Link, Purpose};
use crate::model::message::{Channel, MessageType, Rendered};
use crate::model::outcome::{Accepted, Blame, Fault, SendError};

const LIST_UNSUBSCRIBE: &str = "List-Unsubscribe";
const LIST_UNSUBSCRIBE_POST: &str = "List-Unsubscribe-Post";

/// Makes links.
pub struct Links {
    /// Without a slash at the end.
    public_url: String,
    keys: Arc<Keys>,
    message_types: Vec<MessageType>,
    unsubscribe_mailto: Option<String>,
}

impl Links {
    /// `None` without a secret: then there are no links.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(settings: &Settings, public_url: Option<&str>) -> Result<Option<Self>, String> {
        let Some(secret) = &settings.secret else {
            return Ok(None);
        };
        let keys = Keys::new(secret, &settings.previous_secrets)?;
        let public_url = public_url.ok_or("needs server.public_url (POSTROAD_PUBLIC_URL)")?;
        let mailto = settings.unsubscribe_mailto.as_deref();
        let mailto = mailto.map(|address| {
            let address = address.strip_prefix("mailto:").unwrap_or(address);
            let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | ',' | '"');
            match address.contains('@') && address.chars().all(is_plain) {
                true => Ok(address.to_owned()),
                false => Err("unsubscribe_mailto must be an address, maybe with ?subject=…"),
            }
        });
        Ok(Some(Self {
            public_url: public_url.trim_end_matches('/').to_owned(),
            keys: Arc::new(keys),
            message_types: settings.message_types.clone(),
            unsubscribe_mailto: mailto.transpose()?,
        }))
    }

    /// What opens them again.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }

    /// `message` with the links that belong into it when `gateway` sends it; `tracks`: with opens and clicks.
    fn mark(&self, message: &Rendered, gateway: &str, tracks: bool) -> Rendered {
        let mut marked = message.clone();
        let theirs = own_header(message, LIST_UNSUBSCRIBE);
        let way_out = self.way_out(message, gateway);
        if !way_out.is_empty() {
            let headers = &mut Arc::make_mut(&mut marked.options).headers;
            headers.extend(
                way_out
                    .into_iter()
                    .map(|(name, value)| (name.into(), value)),
            );
        }
        if let Some(html) = &message.html
            && self.rewrites(message, tracks)
        {
            let link = |target: &str| {
                if self.stays(target, theirs) {
                    return None;
                }
                let target = target.to_owned();
                self.url(message, gateway, Purpose::Click { target })
            };
            let pixel = self.url(message, gateway, Purpose::Open);
            marked.html = Some(html::rewrite(html, link, pixel.as_deref()).into());
        }
        marked
    }

    /// Whether [`mark`](Self::mark) changes more than the header: links, and a pixel.
    fn rewrites(&self, message: &Rendered, tracks: bool) -> bool {
        tracks && message.html.is_some() && self.is_tracked(message)
    }

    /// Both header fields of RFC 8058, section 3.1, which asks for one https URL; none where it has its own, or needs none.
    fn way_out(&self, message: &Rendered, gateway: &str) -> Vec<(&'static str, String)> {
        if !wants_way_out(message) {
            return Vec::new();
        }
        let purpose = Purpose::Unsubscribe {
            recipient: message.recipient.clone(),
            tenant_id: message.tenant_id,
        };
        let url = self.url(message, gateway, purpose);
        let Some(url) = url.filter(|url| url.starts_with("https://")) else {
            return Vec::new();
        };
        let value = match &self.unsubscribe_mailto {
            Some(address) => format!("<{url}>, <mailto:{address}>"),
            None => format!("<{url}>"),
        };
        let one_click = "List-Unsubscribe=One-Click".to_owned();
        vec![
            (LIST_UNSUBSCRIBE, value),
            (LIST_UNSUBSCRIBE_POST, one_click),
        ]
    }

    fn is_tracked(&self, message: &Rendered) -> bool {
        message
            .options
            .tracking
            .unwrap_or_else(|| self.message_types.contains(&message.message_type))
    }

    /// Whether a link is left as it is: a way out must work whatever becomes of ours.
    fn stays(&self, target: &str, list_unsubscribe: Option<&str>) -> bool {
        let ours = target.strip_prefix(&self.public_url);
        ours.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || list_unsubscribe.is_some_and(|value| value.contains(&format!("<{target}>")))
            || target.to_ascii_lowercase().contains("unsubscribe")
            || Url::parse(target).is_err()
    }

    fn url(&self, message: &Rendered, gateway: &str, purpose: Purpose) -> Option<String> {
        let kind: Kind = purpose.kind();
        let token = self.keys.seal(&Link {
            message_id: message.message_id,
            gateway: gateway.to_owned(),
            purpose,
        })?;
        Some(format!("{}/{}/{token}", self.public_url, kind.segment()))
    }
}

/// Who gets one did not ask for this one.
const fn is_bulk(message_type: MessageType) -> bool {
    matches!(
        message_type,
        MessageType::Newsletter | MessageType::Campaign
    )
}

/// Whether it needs a way out that it does not have itself.
fn wants_way_out(message: &Rendered) -> bool {
    is_bulk(message.message_type)
        && own_header(message, LIST_UNSUBSCRIBE).is_none()
        && own_header(message, LIST_UNSUBSCRIBE_POST).is_none()
}

fn own_header<'a>(message: &'a Rendered, name: &str) -> Option<&'a str> {
    let mut headers = message.options.headers.iter();
    headers
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// A gateway whose mails have our links.
pub struct Linked {
    inner: Arc<dyn Gateway>,
    links: Arc<Links>,
    tracks: bool,
}

impl Linked {
    /// `tracks`: it reports neither opens nor clicks itself.
    pub fn new(inner: Arc<dyn Gateway>, links: Arc<Links>, tracks: bool) -> Self {
        Self {
            inner,
            links,
            tracks,
        }
    }
}

#[async_trait]
impl Gateway for Linked {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn channels(&self) -> &[Channel] {
        self.inner.channels()
    }

    fn takes(&self, recipient: &str) -> bool {
        self.inner.takes(recipient)
    }

    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        if message.channel != Channel::Email {
            return self.inner.send(message, deadline).await;
        }
        let marked = self.links.mark(message, self.name(), self.tracks);
        self.inner.send(&marked, deadline).await
    }

    async fn check(&self, deadline: Instant) -> Result<Checked, Wrong> {
        self.inner.check(deadline).await
    }

    fn batch(&self) -> Option<&dyn Batch> {
        self.inner.batch().is_some().then_some(self as _)
    }
}

impl Linked {
    /// `member` with its way out.
    fn with_way_out<'a>(&self, member: &Member<'a>) -> Member<'a> {
        let mut member = member.clone();
        if member.message.channel == Channel::Email {
            let way_out = self.links.way_out(member.message, self.name());
            member.headers.extend(way_out);
        }
        member
    }
}

/// The way out is a header field, which each mail of a call can have for itself. Links and pixels are in the content: mails
/// that get these go alone. That costs no batch, since each provider that has a call for several counts opens and clicks
/// itself.
#[async_trait]
impl Batch for Linked {
    fn most(&self) -> usize {
        self.inner.batch().map_or(2, Batch::most)
    }

    fn carries(&self, member: &Member<'_>) -> bool {
        let message = member.message;
        let is_alike =
            message.channel != Channel::Email || !self.links.rewrites(message, self.tracks);
        let inner = self.inner.batch().filter(|_| is_alike);
        inner.is_some_and(|batch| batch.carries(&self.with_way_out(member)))
    }

    async fn send_batch(
        &self,
        members: &[Member<'_>],
        deadline: Instant,
    ) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
        let members: Vec<_> = members.iter().map(|m| self.with_way_out(m)).collect();
        let is_uneven = |two: &[Member<'_>]| two[0].headers.len() != two[1].headers.len();
        match self.inner.batch() {
            Some(batch) if !members.windows(2).any(is_uneven) => {
                batch.send_batch(&members, deadline).await
            }
            // One's address is too long for a link; or the gateway found meanwhile that it cannot: they are sent alone.
            _ => Err(SendError::new(
                Fault::Permanent(Blame::Message),
                "batch_refused",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
