//! Settings as an operator writes them → a configuration that is known to make sense.

use reqwest::Url;
use serde::Deserialize;

use crate::gateway::http;
use crate::model::secret::Secret;

/// Its settings. The three keys and the service are needed.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The application's key.
    pub application_key: Option<Secret>,
    /// The application's secret, which signs and is never sent.
    pub application_secret: Option<Secret>,
    /// The key by which an account let the application in, for `POST /sms/*/jobs`.
    pub consumer_key: Option<Secret>,
    /// The SMS account, `sms-ab12345-1`.
    pub service: String,
    /// Sender of messages that name none, as registered at OVH. Without it a short number that can be answered.
    pub sender: Option<String>,
    /// Where the API is; `https://ca.api.ovh.com/1.0` for accounts in Canada.
    pub api_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            application_key: None,
            application_secret: None,
            consumer_key: None,
            service: String::new(),
            sender: None,
            api_url: "https://eu.api.ovh.com/1.0".into(),
        }
    }
}

/// What requests are made with.
pub(super) struct Config {
    /// `…/auth/time`.
    pub(super) time_url: Url,
    /// `…/sms/{service}/jobs`.
    pub(super) jobs_url: Url,
    pub(super) service_url: Url,
    pub(super) keys: Keys,
    pub(super) sender: Option<String>,
}

/// What signs a request.
pub(super) struct Keys {
    pub(super) application_key: Secret,
    pub(super) application_secret: Secret,
    pub(super) consumer_key: Secret,
}

impl Config {
    /// Checks the settings. Messages name the setting, never its value if that may hold a secret.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let needed = |name: &str, secret: &Option<Secret>| {
            secret.clone().ok_or_else(|| format!("needs {name}"))
        };
        let service = &settings.service;
        if service.is_empty()
            || !service
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err("needs service, the SMS account, such as \"sms-ab12345-1\"".into());
        }
        let base = http::base_url(&settings.api_url)?;
        let below = |path: &str| {
            base.join(path)
                .map_err(|_| "api_url cannot be extended by a path".to_owned())
        };
        Ok(Self {
            time_url: below("auth/time")?,
            service_url: below(&format!("sms/{service}"))?,
            jobs_url: below(&format!("sms/{service}/jobs"))?,
            keys: Keys {
                application_key: needed("application_key", &settings.application_key)?,
                application_secret: needed("application_secret", &settings.application_secret)?,
                consumer_key: needed("consumer_key", &settings.consumer_key)?,
            },
            sender: settings.sender.clone(),
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
            ("application_key", "hunter1"),
            ("application_secret", "hunter2"),
            ("consumer_key", "hunter3"),
            ("service", "sms-ab12345-1"),
        ];
        let build = |without: &str| {
            let lines = whole.iter().filter(|(name, _)| *name != without);
            let text: String = lines.map(|(n, v)| format!("{n} = '{v}'\n")).collect();
            Config::new(&toml::from_str(&text).expect("settings"))
        };
        let config = build("").expect("a configuration");
        assert_eq!(
            config.jobs_url.as_str(),
            "https://eu.api.ovh.com/1.0/sms/sms-ab12345-1/jobs"
        );
        for (missing, _) in whole {
            let error = build(missing).err().expect(missing);
            assert!(error.contains(missing), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    }
}
