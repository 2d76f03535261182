//! Settings as an operator writes them → a configuration that is known to make sense.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::Deserialize;

use crate::gateway::aws::{self, Credentials, Signer};
use crate::gateway::{http, mime};
use crate::model::secret::Secret;

/// Its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who signs. Needs the permission `ses:SendEmail`, `ses:SendRawEmail` for files, and `ses:SendBulkEmail` for
    /// mails that share their content; without the last one they go out one by one.
    pub access_key_id: Secret,
    /// Its secret.
    pub secret_access_key: Secret,
    /// With temporary credentials.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// Where the sender is verified: `eu-central-1`.
    pub region: String,
    /// Instead of the region's endpoint.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Sender of mails that name none: an address, or `Name <address>`.
    #[serde(default)]
    pub from: Option<String>,
    /// Says where events go, and by which IP pool mails leave.
    #[serde(default)]
    pub configuration_set: Option<String>,
    /// IP pool of a message → configuration set, instead of the one above.
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
    pub(super) bulk_url: Url,
    pub(super) account_url: Url,
    pub(super) signer: Signer,
    pub(super) from: Option<mime::Mailbox>,
    configuration_set: Option<String>,
    ip_pools: BTreeMap<String, String>,
    pub(super) batch: bool,
}

impl Config {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let endpoint = aws::endpoint("email", &settings.region)?;
        let base = http::base_url(settings.api_url.as_deref().unwrap_or(&endpoint))?;
        let credentials = Credentials {
            access_key_id: settings.access_key_id.clone(),
            secret_access_key: settings.secret_access_key.clone(),
            session_token: settings.session_token.clone(),
        };
        let url = |path: &str| base.join(path).map_err(|error| format!("api_url: {error}"));
        Ok(Self {
            url: url("v2/email/outbound-emails")?,
            bulk_url: url("v2/email/outbound-bulk-emails")?,
            account_url: url("v2/email/account")?,
            signer: Signer::new(credentials, &settings.region, "ses")?,
            from: mime::sender(settings.from.as_deref())?,
            configuration_set: settings.configuration_set.clone(),
            ip_pools: settings.ip_pools.clone(),
            batch: settings.batch,
        })
    }

    /// The configuration set of a message for `ip_pool`.
    pub(super) fn configuration_set(&self, ip_pool: Option<&str>) -> Option<&str> {
        let of_pool = ip_pool.and_then(|pool| self.ip_pools.get(pool));
        of_pool
            .or(self.configuration_set.as_ref())
            .map(String::as_str)
    }
}
