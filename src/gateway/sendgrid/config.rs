//! Settings as an operator writes them → a configuration that is known to make sense.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::gateway::{http, mime};
use crate::model::secret::Secret;

/// Its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// An API key with the permission Mail Send.
    pub api_key: Secret,
    /// `https://api.sendgrid.com` by default; `https://api.eu.sendgrid.com` for subusers of the EU region.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Sender of mails that name none: an address, or `Name <address>`.
    #[serde(default)]
    pub from: Option<String>,
    /// IP pool of a message → SendGrid's name of it, where it differs.
    #[serde(default)]
    pub ip_pools: BTreeMap<String, String>,
    /// Whether mails that share their content go out by one call; yes by default.
    #[serde(default = "yes")]
    pub batch: bool,
}

const fn yes() -> bool {
    true
}

/// What requests are made with.
pub(super) struct Config {
    pub(super) url: Url,
    pub(super) scopes_url: Url,
    pub(super) key: Secret,
    pub(super) authorization: HeaderValue,
    pub(super) from: Option<mime::Mailbox>,
    ip_pools: BTreeMap<String, String>,
    pub(super) batch: bool,
}

impl Config {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let url = settings.api_url.as_deref();
        let base = http::base_url(url.unwrap_or("https://api.sendgrid.com"))?;
        let url = |path: &str| base.join(path).map_err(|error| format!("api_url: {error}"));
        Ok(Self {
            url: url("v3/mail/send")?,
            scopes_url: url("v3/scopes")?,
            authorization: http::credential(&format!("Bearer {}", settings.api_key.expose()))?,
            key: settings.api_key.clone(),
            from: mime::sender(settings.from.as_deref())?,
            ip_pools: settings.ip_pools.clone(),
            batch: settings.batch,
        })
    }

    /// SendGrid's name of `pool`.
    pub(super) fn ip_pool<'a>(&'a self, pool: &'a str) -> &'a str {
        self.ip_pools.get(pool).map_or(pool, String::as_str)
    }
}
