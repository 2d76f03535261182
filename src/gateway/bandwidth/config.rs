//! Settings as an operator writes them → a configuration that is known to make sense.

use reqwest::Url;
use serde::Deserialize;

use crate::gateway::http;
use crate::model::secret::Secret;

/// Its settings. All are needed but `from` and `api_url`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The account's number.
    pub account_id: String,
    /// The API user's name.
    pub api_token: Option<Secret>,
    /// The API user's password.
    pub api_secret: Option<Secret>,
    /// The messaging application that the sender belongs to, and whose callbacks are called.
    pub application_id: String,
    /// Sender of messages that name none: an E.164 number, a short code, or a name of up to 11 characters.
    pub from: Option<String>,
    /// Where the API is.
    pub api_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account_id: String::new(),
            api_token: None,
            api_secret: None,
            application_id: String::new(),
            from: None,
            api_url: "https://messaging.bandwidth.com/api/v2".into(),
        }
    }
}

/// What requests are made with.
pub(super) struct Config {
    /// `…/users/{account}/messages`.
    pub(super) messages_url: Url,
    pub(super) api_token: Secret,
    pub(super) api_secret: Secret,
    pub(super) application_id: String,
    pub(super) from: Option<String>,
}

impl Config {
    /// Checks the settings. Messages name the setting, never its value if that may hold a secret.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let account = &settings.account_id;
        if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err("needs account_id, of letters and digits".into());
        }
        let (Some(api_token), Some(api_secret)) = (&settings.api_token, &settings.api_secret)
        else {
            return Err("needs both api_token and api_secret".into());
        };
        if settings.application_id.is_empty() {
            return Err("needs application_id, the messaging application of its sender".into());
        }
        let messages_url = http::base_url(&settings.api_url)?
            .join(&format!("users/{account}/messages"))
            .map_err(|_| "api_url cannot be extended by a path")?;
        Ok(Self {
            messages_url,
            api_token: api_token.clone(),
            api_secret: api_secret.clone(),
            application_id: settings.application_id.clone(),
            from: settings.from.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is missing must stop the start, and say what it is without saying what the rest was.
    #[test]
    fn each_setting_that_is_missing_is_named() {
        let whole = [
            ("account_id", "123"),
            ("api_token", "hunter1"),
            ("api_secret", "hunter2"),
            ("application_id", "93de2206"),
        ];
        let build = |without: &str| {
            let lines = whole.iter().filter(|(name, _)| *name != without);
            let text: String = lines.map(|(n, v)| format!("{n} = '{v}'\n")).collect();
            Config::new(&toml::from_str(&text).expect("settings"))
        };
        let config = build("").expect("a configuration");
        assert_eq!(
            config.messages_url.as_str(),
            "https://messaging.bandwidth.com/api/v2/users/123/messages"
        );
        for (missing, _) in whole {
            let error = build(missing).err().expect(missing);
            assert!(error.contains(missing), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    }
}
