//! What OVH calls when a text message arrived or did not: a GET with `id`, `ptt`, `date` and `descriptionDlr` (or `dlr`)
//! (<https://help.ovhcloud.com>, "Everything you need to know about SMS users", section on callbacks). A POST of the same
//! fields as a form or as JSON is taken too.
//!
//! It is not signed. A secret in the URL stands for a signature: configure
//! `https://…/webhooks/ovh?secret=…` (or `…/webhooks/ovh/<secret>`) as the account's or the user's callback. The message
//! is known by the id that its job was given. What OVH calls on a STOP (`stopCallBack`) has no documented form: such a
//! call stays unread in the inbox.
//!
//! | ptt | event |
//! |---|---|
//! | 1, 2 | `deferred` |
//! | 3 | `sent` |
//! | 4 | `delivered` |
//! | 23, 27 | `bounced`, hard |
//! | 21, 24, 25, 26 | `bounced`, soft: the phone |
//! | 5, 6, 8, 20, 39, 73, 74 | `bounced`, soft: nobody says why |
//! | 28, 29, 33 | `failed`: the content |
//! | 76, 202 | `bounced`, soft: blocked on the way |
//! | another | by the DLR id: 1 `delivered`, 2 and 16 `bounced`, soft; else nothing |

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use crate::gateway::credentials::same;
use crate::gateway::source::{Posted, Refused, Stored, Unreadable, Verified, WebhookSource};
use crate::model::event::EventType;
use crate::model::outcome::shorten;
use crate::model::report::{Bounce, BounceClass, BounceKind, Report};
use crate::model::secret::Secret;

/// The fewest bytes of a secret in a URL: 128 bits in base64url are 22.
const SECRET_MIN: usize = 16;

/// Its settings. The secret is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// What the URL holds (`OVH_CALLBACK_SECRET`): letters, digits, `-` and `_`, 16 at least.
    pub secret: Option<Secret>,
    /// Accepted too, while it is being replaced.
    pub previous_secret: Option<Secret>,
}

/// Checks and reads what OVH calls.
pub struct Source {
    name: String,
    secrets: Vec<Secret>,
}

impl Source {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings, without any secret in them.
    pub fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        let mut secrets: Vec<_> = settings.secret.iter().collect();
        if secrets.is_empty() {
            return Err("needs secret (OVH_CALLBACK_SECRET), which its URL holds".into());
        }
        secrets.extend(&settings.previous_secret);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_good = |secret: &&&Secret| {
            let text = secret.expose();
            text.len() >= SECRET_MIN && text.bytes().all(is_plain)
        };
        if !secrets.iter().all(|secret| is_good(&secret)) {
            return Err(format!(
                "secret must have {SECRET_MIN} letters, digits, - and _, or more"
            ));
        }
        Ok(Self {
            name: name.into(),
            secrets: secrets.into_iter().cloned().collect(),
        })
    }
}

#[async_trait]
impl WebhookSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self, posted: &Posted<'_>) -> Result<(), Refused> {
        let from_query = posted.query.and_then(|query| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find_map(|(name, value)| (name == "secret").then(|| value.into_owned()))
        });
        let path = posted.url.split(['?', '#']).next().unwrap_or_default();
        let given = from_query
            .or_else(|| path.rsplit('/').next().map(str::to_owned))
            .unwrap_or_default();
        // Both are looked at, so that time does not tell which one it was.
        let matches = |secret: &&Secret| same(given.as_bytes(), secret.expose().as_bytes());
        if self.secrets.iter().filter(matches).count() == 0 {
            return Err(Refused::Unauthenticated("wrong secret in the URL"));
        }
        Ok(())
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        self.admit(posted)?;
        // A GET has no body whose hash could tell two calls apart.
        let fields = fields(posted.query, posted.body)
            .map_err(|_| Refused::Malformed("neither a form nor a JSON object"))?;
        let field = |name| fields.get(name).map_or("", String::as_str);
        let key = ["id", "ptt", "date", "descriptionDlr", "dlr"].map(field);
        Ok(Verified {
            key: Some(shorten(&key.join(":"), 200)),
            ..Verified::default()
        })
    }

    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let fields = fields(stored.query, stored.body)?;
        let number = |name: &str| {
            fields
                .get(name)
                .and_then(|text| text.trim().parse::<u32>().ok())
        };
        let id = fields
            .get("id")
            .filter(|id| !id.is_empty() && id.len() <= 64)
            .ok_or_else(|| Unreadable("id is missing".into()))?;
        let dlr = number("descriptionDlr")
            .or(number("dlr"))
            .or(number("description"));
        let Some(ptt) = number("ptt") else {
            return Err(Unreadable("ptt is missing".into()));
        };
        let Some((event_type, reason, bounce)) = by_ptt(ptt, dlr) else {
            return Ok(Vec::new());
        };
        let mut report = Report::new(event_type, format!("ptt {ptt}"), format!("{id}:{ptt}"));
        report.external_id = Some(id.clone());
        report.reason = reason;
        report.bounce = bounce;
        report.code = Some(ptt.to_string());
        if let Some(dlr) = dlr {
            report.detail.push(("dlr", dlr.to_string()));
        }
        Ok(vec![report])
    }
}

/// The fields of a call, whichever way they came; those of the body win.
fn fields(query: Option<&str>, body: &[u8]) -> Result<BTreeMap<String, String>, Unreadable> {
    let query = query.unwrap_or_default().as_bytes();
    let mut fields: BTreeMap<String, String> =
        url::form_urlencoded::parse(query).into_owned().collect();
    if body.trim_ascii_start().starts_with(b"{") {
        let object: BTreeMap<String, Value> = serde_json::from_slice(body)
            .map_err(|_| Unreadable("neither a form nor a JSON object".into()))?;
        for (name, value) in object {
            match value {
                Value::String(text) => fields.insert(name, text),
                Value::Number(number) => fields.insert(name, number.to_string()),
                _ => None,
            };
        }
    } else {
        fields.extend(url::form_urlencoded::parse(body).into_owned());
    }
    Ok(fields)
}

type Meaning = (EventType, Option<&'static str>, Option<Bounce>);

/// What OVH's codes mean (`GET /sms/ptts` describes each), and where they say nothing, the operator's receipt.
fn by_ptt(ptt: u32, dlr: Option<u32>) -> Option<Meaning> {
    let bounced = |reason, kind, class| {
        Some((
            EventType::Bounced,
            Some(reason),
            Some(Bounce { kind, class }),
        ))
    };
    let failed = |reason| Some((EventType::Failed, Some(reason), None));
    use BounceClass::{InvalidRecipient, MailboxUnavailable, Policy, Undetermined};
    match ptt {
        1 | 2 => Some((EventType::Deferred, Some("retrying"), None)),
        3 => Some((EventType::Sent, None, None)),
        4 => Some((EventType::Delivered, None, None)),
        23 => bounced("unknown_number", BounceKind::Hard, InvalidRecipient),
        // The subscriber takes no messages of this kind: for this sender as good as none.
        27 => bounced("number_blocked", BounceKind::Hard, InvalidRecipient),
        21 | 24..=26 => bounced("unreachable", BounceKind::Soft, MailboxUnavailable),
        5 | 6 | 8 | 20 | 39 | 73 | 74 => bounced("undelivered", BounceKind::Soft, Undetermined),
        28 | 29 | 33 => failed("content_refused"),
        76 | 202 => bounced("blocked", BounceKind::Soft, Policy),
        _ => match dlr {
            Some(1) => Some((EventType::Delivered, None, None)),
            Some(2 | 16) => bounced("undelivered", BounceKind::Soft, Undetermined),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests;
