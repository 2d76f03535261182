//! Settings as an operator writes them → a configuration that is known to make sense.

use reqwest::Url;
use serde::Deserialize;

use crate::gateway::aws::{self, Credentials, Signer};
use crate::gateway::http;
use crate::model::secret::Secret;

/// Its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who signs. Needs the permission `sns:Publish`.
    pub access_key_id: Secret,
    /// Its secret.
    pub secret_access_key: Secret,
    /// With temporary credentials.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// One that sends SMS: `eu-central-1`.
    pub region: String,
    /// Instead of the region's endpoint.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Shown as the sender, where the country allows it: 3 to 11 letters, digits and hyphens, one letter at least.
    #[serde(default)]
    pub sender_id: Option<String>,
    /// The number to send from, in E.164; one of the account's by default.
    #[serde(default)]
    pub origination_number: Option<String>,
    /// By default promotional for newsletters and campaigns, transactional for the rest.
    #[serde(default)]
    pub sms_type: Option<SmsType>,
    /// The most that one SMS may cost, in US dollars: `"0.50"`.
    #[serde(default)]
    pub max_price: Option<String>,
}

/// How carriers treat an SMS, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmsType {
    /// At the lowest cost.
    Promotional,
    /// As reliably as possible.
    Transactional,
}

/// What requests are made with.
pub(super) struct Config {
    pub(super) url: Url,
    pub(super) signer: Signer,
    pub(super) sender_id: Option<String>,
    pub(super) origination_number: Option<String>,
    pub(super) sms_type: Option<SmsType>,
    pub(super) max_price: Option<String>,
}

impl Config {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let endpoint = aws::endpoint("sns", &settings.region)?;
        let url = http::base_url(settings.api_url.as_deref().unwrap_or(&endpoint))?;
        if settings
            .sender_id
            .as_deref()
            .is_some_and(|id| !is_sender_id(id))
        {
            return Err(
                "sender_id must be 3 to 11 letters, digits and hyphens, with a letter".into(),
            );
        }
        let price = settings.max_price.as_deref();
        if price.is_some_and(|price| !price.parse().is_ok_and(|p: f64| p.is_finite() && p > 0.0)) {
            return Err("max_price must be an amount in US dollars, such as \"0.50\"".into());
        }
        let credentials = Credentials {
            access_key_id: settings.access_key_id.clone(),
            secret_access_key: settings.secret_access_key.clone(),
            session_token: settings.session_token.clone(),
        };
        Ok(Self {
            url,
            signer: Signer::new(credentials, &settings.region, "sns")?,
            sender_id: settings.sender_id.clone(),
            origination_number: settings.origination_number.clone(),
            sms_type: settings.sms_type,
            max_price: settings.max_price.clone(),
        })
    }
}

/// SNS Developer Guide, "Sender IDs".
fn is_sender_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let has_letter = id.bytes().any(|b| b.is_ascii_alphabetic());
    (3..=11).contains(&id.len()) && id.bytes().all(allowed) && has_letter
}
