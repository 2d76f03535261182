//! Settings as an operator writes them → a configuration that is known to make sense.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::gateway::{http, mime};
use crate::model::secret::Secret;

/// Its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The account's key, or a sending key of the domain.
    pub api_key: Secret,
    /// The domain that sends, as it is registered there.
    pub domain: String,
    /// Where the domain is registered.
    #[serde(default)]
    pub region: Region,
    /// Instead of the region's endpoint.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Sender of mails that name none: an address, or `Name <address>`.
    #[serde(default)]
    pub from: Option<String>,
    /// IP pool of a message → Mailgun's id of it, where it differs.
    #[serde(default)]
    pub ip_pools: BTreeMap<String, String>,
    /// Whether mails that share their content go out by one call; yes by default.
    #[serde(default = "yes")]
    pub batch: bool,
}

const fn yes() -> bool {
    true
}

/// Mailgun's regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// `api.mailgun.net`.
    #[default]
    #[serde(alias = "US")]
    Us,
    /// `api.eu.mailgun.net`.
    #[serde(alias = "EU")]
    Eu,
}

/// What requests are made with.
pub(super) struct Config {
    pub(super) messages_url: Url,
    pub(super) domain_url: Url,
    pub(super) mime_url: Url,
    pub(super) key: Secret,
    pub(super) authorization: HeaderValue,
    pub(super) from: Option<mime::Mailbox>,
    ip_pools: BTreeMap<String, String>,
    pub(super) batch: bool,
}

impl Config {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let endpoint = match settings.region {
            Region::Us => "https://api.mailgun.net",
            Region::Eu => "https://api.eu.mailgun.net",
        };
        let base = http::base_url(settings.api_url.as_deref().unwrap_or(endpoint))?;
        let domain = settings.domain.as_str();
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if !domain.bytes().all(is_name) || domain.trim_matches('.').is_empty() {
            return Err("domain must be a domain's name, such as \"mg.example.org\"".into());
        }
        let url = |path: &str| {
            base.join(&format!("v3/{domain}/{path}"))
                .map_err(|error| format!("api_url: {error}"))
        };
        let login = STANDARD.encode(format!("api:{}", settings.api_key.expose()));
        Ok(Self {
            messages_url: url("messages")?,
            domain_url: base
                .join(&format!("v3/domains/{domain}"))
                .map_err(|error| format!("api_url: {error}"))?,
            mime_url: url("messages.mime")?,
            authorization: http::credential(&format!("Basic {login}"))?,
            key: settings.api_key.clone(),
            from: mime::sender(settings.from.as_deref())?,
            ip_pools: settings.ip_pools.clone(),
            batch: settings.batch,
        })
    }

    /// Mailgun's id of `pool`.
    pub(super) fn ip_pool<'a>(&'a self, pool: &'a str) -> &'a str {
        self.ip_pools.get(pool).map_or(pool, String::as_str)
    }
}
