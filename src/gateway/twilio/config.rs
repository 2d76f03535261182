//! Settings as an operator writes them → a configuration that is known to make sense.

use serde::Deserialize;
use url::Url;

use crate::gateway::{http, public};
use crate::model::secret::Secret;

/// Its settings. The account, its token or an API key, and a sender are needed.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The account, `AC…`.
    pub account_sid: String,
    /// The account's token, unless there is an API key.
    pub auth_token: Option<Secret>,
    /// An API key, `SK…`, with `api_key_secret` instead of `auth_token`.
    pub api_key_sid: Option<String>,
    /// See `api_key_sid`.
    pub api_key_secret: Option<Secret>,
    /// Sender of messages that name none, and caller: an E.164 number, or for text messages a short code or a name.
    /// Without it there are no calls.
    pub from: Option<String>,
    /// A messaging service, `MG…`, that picks the sender of text messages that name none. It goes before `from`.
    pub messaging_service_sid: Option<String>,
    /// Where the API is.
    pub api_url: String,
    /// Where Twilio reports what becomes of a message; `message_id=…` is added to its query. By default the webhook of
    /// the gateway's own name below `server.public_url`, where that is on the Internet; empty: nowhere.
    pub status_callback: Option<String>,
    /// In what language calls are spoken that do not say.
    pub language: String,
    /// Who speaks in calls that do not say, by Twilio's name, such as `Polly.Joanna`.
    pub voice: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account_sid: String::new(),
            auth_token: None,
            api_key_sid: None,
            api_key_secret: None,
            from: None,
            messaging_service_sid: None,
            api_url: "https://api.twilio.com".into(),
            status_callback: None,
            language: "en-US".into(),
            voice: None,
        }
    }
}

/// What requests are made with.
pub(super) struct Config {
    /// `…/2010-04-01/Accounts/AC…/`.
    pub(super) account_url: Url,
    pub(super) username: String,
    pub(super) password: Secret,
    pub(super) from: Option<String>,
    pub(super) messaging_service_sid: Option<String>,
    pub(super) status_callback: Option<Url>,
    pub(super) language: String,
    pub(super) voice: Option<String>,
}

impl Config {
    /// Checks the settings. Messages name the setting, never its value if that may hold a secret.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let sid = check_sid("account_sid", "AC", Some(settings.account_sid.as_str()))?
            .ok_or("needs account_sid, which begins with AC")?;
        let key_sid = check_sid("api_key_sid", "SK", settings.api_key_sid.as_deref())?;
        let (username, password) = match (
            &settings.auth_token,
            key_sid,
            settings.api_key_secret.as_ref(),
        ) {
            (_, Some(key), Some(secret)) => (key, secret),
            (Some(token), None, None) => (sid.clone(), token),
            (_, Some(_), None) | (_, None, Some(_)) => {
                return Err("needs both api_key_sid and api_key_secret, or neither".into());
            }
            (None, None, None) => {
                return Err("needs auth_token, or api_key_sid and api_key_secret".into());
            }
        };
        let service = settings.messaging_service_sid.as_deref();
        let messaging_service_sid = check_sid("messaging_service_sid", "MG", service)?;
        if settings.from.is_none() && messaging_service_sid.is_none() {
            return Err("needs from, an E.164 number, or messaging_service_sid".into());
        }
        let account_url = http::base_url(&settings.api_url)?
            .join(&format!("2010-04-01/Accounts/{sid}/"))
            .map_err(|_| "api_url cannot be extended by a path")?;
        Ok(Self {
            account_url,
            username,
            password: password.clone(),
            from: settings.from.clone(),
            messaging_service_sid,
            status_callback: settings
                .status_callback
                .as_deref()
                .filter(|url| !url.is_empty())
                .map(callback)
                .transpose()?,
            language: super::twiml::language_tag(&settings.language)
                .ok_or("language must be a tag such as \"en-US\"")?,
            voice: settings.voice.clone(),
        })
    }
}

/// An identifier goes into a path or names an account: one of another kind is a mistake found early.
fn check_sid(setting: &str, prefix: &str, sid: Option<&str>) -> Result<Option<String>, String> {
    match sid {
        None | Some("") => Ok(None),
        Some(sid)
            if sid.starts_with(prefix) && sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            Ok(Some(sid.into()))
        }
        Some(_) => Err(format!(
            "{setting} must begin with {prefix} and have letters and digits only"
        )),
    }
}

impl Settings {
    /// Has what becomes of a message reported to `webhook`, unless the settings say where. A URL that Twilio would not
    /// call is left out: it refuses messages that name one (code 21609).
    pub fn report_to(&mut self, webhook: &str) {
        if self.status_callback.is_none()
            && callback(webhook).is_ok_and(|url| {
                public::is_public_host(&url)
                    && url.host_str().is_some_and(|h| h.contains(['.', ':']))
            })
        {
            self.status_callback = Some(webhook.into());
        }
    }
}

fn callback(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .filter(|url| url.host_str().is_some_and(|host| !host.contains('_'))) // Twilio refuses it
        .ok_or_else(|| "status_callback must be an http or https URL without _ in its host".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let base = "account_sid = 'AC0123'\nfrom = '+15005550006'\n";
        Config::new(&toml::from_str(&format!("{base}{text}")).expect("settings"))
    }

    /// With an API key, which can be revoked alone, the path still names the account.
    #[test]
    fn an_api_key_stands_in_for_the_token() {
        let by_token = config("auth_token = 't'").expect("a configuration");
        assert_eq!(by_token.username, "AC0123");
        let by_key = config("auth_token = 't'\napi_key_sid = 'SK9'\napi_key_secret = 's'")
            .expect("a configuration");
        assert_eq!(by_key.username, "SK9");
        assert_eq!(by_key.password, Secret::new("s"));
        assert_eq!(
            by_key.account_url.as_str(),
            "https://api.twilio.com/2010-04-01/Accounts/AC0123/"
        );
    }

    /// Twilio refuses a message whose callback it cannot call, and then nothing is sent at all.
    #[test]
    fn a_public_webhook_is_reported_to_unless_the_settings_say_where() {
        let reported = |set: Option<&str>, webhook: &str| {
            let mut settings = Settings {
                status_callback: set.map(Into::into),
                ..Settings::default()
            };
            settings.report_to(webhook);
            settings.status_callback
        };
        let webhook = "https://post.example.org/webhooks/twilio";
        assert_eq!(reported(None, webhook).as_deref(), Some(webhook));
        assert_eq!(reported(Some(""), webhook).as_deref(), Some(""));
        let other = Some("https://other.example.org/");
        assert_eq!(reported(other, webhook).as_deref(), other);
        for uncallable in [
            "http://127.0.0.1:8025/webhooks/twilio",
            "http://localhost:8025/webhooks/twilio",
            "https://10.0.0.1/webhooks/twilio",
            "https://my_host.org/webhooks/twilio",
        ] {
            assert_eq!(reported(None, uncallable), None, "{uncallable}");
        }
        assert!(
            config("auth_token = 't'\nstatus_callback = ''")
                .is_ok_and(|c| c.status_callback.is_none())
        );
    }

    /// Half a credential, or the wrong identifier in the right place, must stop the start.
    #[test]
    fn settings_that_cannot_work_are_refused_without_their_secrets() {
        for wrong in [
            "",
            "api_key_sid = 'SK9'",
            "auth_token = 'hunter2'\napi_key_secret = 'hunter2'",
            "auth_token = 'hunter2'\nmessaging_service_sid = 'AC1'",
            "auth_token = 'hunter2'\napi_url = 'http://api.example.org'",
            "auth_token = 'hunter2'\nstatus_callback = 'https://my_host.org/'",
            "auth_token = 'hunter2'\nlanguage = '<'",
        ] {
            let error = config(wrong).err().expect(wrong);
            assert!(!error.contains("hunter2"), "{error}");
        }
        let account = |sid: &str| {
            Config::new(&Settings {
                account_sid: sid.into(),
                auth_token: Some("t".into()),
                from: Some("+15005550006".into()),
                ..Settings::default()
            })
        };
        assert!(account("AC1").is_ok());
        for wrong in ["", "SK1", "AC1/../AC2", "AC1?x"] {
            assert!(account(wrong).is_err(), "{wrong}");
        }
    }
}
