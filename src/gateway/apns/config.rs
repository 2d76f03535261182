//! Settings as an operator writes them → what requests are made with.

use std::path::PathBuf;

use p256::ecdsa::SigningKey;
use p256::pkcs8::DecodePrivateKey as _;
use serde::Deserialize;
use url::Url;

use super::token::Tokens;
use crate::gateway::http;
use crate::gateway::push::jwt;

/// Its settings: key, key id, team id and topic are needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The `.p8` file of an APNs authentication key (`APNS_KEY_FILE`).
    pub key_file: Option<PathBuf>,
    /// The key's id, ten characters (`APNS_KEY_ID`).
    pub key_id: Option<String>,
    /// The developer team's id, ten characters (`APNS_TEAM_ID`).
    pub team_id: Option<String>,
    /// The app's bundle id (`APNS_TOPIC`); pushes that are no plain notifications get Apple's suffix for their type.
    pub topic: Option<String>,
    /// For which builds of the app (`APNS_ENVIRONMENT`): tokens of one environment are bad in the other.
    pub environment: Environment,
    /// Base URL instead of the environment's (`APNS_API_URL`).
    pub api_url: Option<String>,
}

/// Which of Apple's services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Builds from the App Store, TestFlight and enterprise distribution.
    #[default]
    Production,
    /// Development builds.
    Sandbox,
}

impl Environment {
    fn api_url(self) -> &'static str {
        match self {
            Self::Production => "https://api.push.apple.com/",
            Self::Sandbox => "https://api.sandbox.push.apple.com/",
        }
    }
}

pub(super) struct Config {
    pub(super) api_url: Url,
    pub(super) topic: String,
    pub(super) tokens: Tokens,
}

impl Config {
    /// Checks the settings and reads the key. Messages name the setting, and show nothing of the key.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let path = settings
            .key_file
            .as_ref()
            .ok_or("needs key_file (APNS_KEY_FILE), the .p8 file of an APNs key")?;
        let pem = jwt::read_file("key_file", path)?;
        let key = SigningKey::from_pkcs8_pem(pem.trim()).map_err(|_| {
            format!(
                "key_file {} holds no P-256 private key (PKCS #8, PEM)",
                path.display()
            )
        })?;
        let api_url = settings.api_url.as_deref();
        let api_url = api_url.unwrap_or(settings.environment.api_url());
        Ok(Self {
            api_url: http::base_url(api_url)?,
            topic: name("topic (APNS_TOPIC)", settings.topic.as_deref())?,
            tokens: Tokens::new(
                key,
                name("key_id (APNS_KEY_ID)", settings.key_id.as_deref())?,
                name("team_id (APNS_TEAM_ID)", settings.team_id.as_deref())?,
            ),
        })
    }
}

fn name(setting: &str, value: Option<&str>) -> Result<String, String> {
    let value = value.ok_or_else(|| format!("needs {setting}"))?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    match !value.is_empty() && value.bytes().all(fits) {
        true => Ok(value.to_owned()),
        false => Err(format!(
            "{setting} must be of letters, digits, dots and hyphens"
        )),
    }
}
