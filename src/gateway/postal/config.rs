//! Settings as an operator writes them → a configuration that is known to make sense.

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::gateway::{http, mime};
use crate::model::secret::Secret;

/// Its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the server is: `https://postal.example.org`.
    pub api_url: String,
    /// A credential of type API of the mail server.
    pub api_key: Secret,
    /// Sender of mails that name none: an address, or `Name <address>`.
    #[serde(default)]
    pub from: Option<String>,
}

/// What requests are made with.
pub(super) struct Config {
    pub(super) message_url: Url,
    pub(super) raw_url: Url,
    pub(super) lookup_url: Url,
    pub(super) key: Secret,
    pub(super) key_header: HeaderValue,
    pub(super) from: Option<mime::Mailbox>,
}

impl Config {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let base = http::base_url(&settings.api_url)?;
        let url = |path| base.join(path).map_err(|error| format!("api_url: {error}"));
        Ok(Self {
            message_url: url("api/v1/send/message")?,
            raw_url: url("api/v1/send/raw")?,
            lookup_url: url("api/v1/messages/message")?,
            key_header: http::credential(settings.api_key.expose())?,
            key: settings.api_key.clone(),
            from: mime::sender(settings.from.as_deref())?,
        })
    }
}
