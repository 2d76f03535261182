//! Settings as an operator writes them → a configuration that is known to make sense.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use crate::model::duration;
use crate::model::secret::Secret;
use crate::tls;

/// Its settings. A server is needed, as `url` or as `host`; the rest has defaults.
///
/// Named one by one, `port`, `username`, `password` and `tls` override what the URL says.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `smtp://`, `smtp+starttls://` or `smtps://`, then `user:password@host:port`, percent-encoded, and
    /// optionally `?tls=none`, `opportunistic` or `required`.
    pub url: Option<Secret>,
    /// Name or address of the server, instead of a URL.
    pub host: Option<String>,
    /// By default 465 for `tls`, else 587 with credentials or `starttls`, else 25.
    pub port: Option<u16>,
    /// For AUTH, together with `password`.
    pub username: Option<String>,
    /// For AUTH, together with `username`.
    pub password: Option<Secret>,
    /// By default `tls` on port 465, else `opportunistic`.
    pub tls: Option<Tls>,
    /// Sender of mails that name none: an address, or `Name <address>`.
    pub from: Option<String>,
    /// How this client calls itself in EHLO; the host's name by default.
    pub hello: Option<String>,
    /// Sessions that may be open at once, and are kept for the next mails.
    pub connections: u16,
    /// For opening a session, up to and including the login.
    pub connect_timeout: duration::Text,
    /// For the reply to the final dot, counted from the dot, where `worker.send_timeout` leaves less. A server that takes
    /// longer has the mail and may get it again. Not for P0 and P1, which had rather come twice than late.
    pub data_dot_timeout: duration::Text,
    /// PEM file with the only certificate authorities to trust, instead of the machine's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            username: None,
            password: None,
            tls: None,
            from: None,
            hello: None,
            connections: 10,
            connect_timeout: duration::Text(Duration::from_secs(10)),
            data_dot_timeout: duration::Text(Duration::from_secs(120)),
            ca_file: None,
        }
    }
}

/// How a session is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// Never. Refused when credentials would leave the machine.
    None,
    /// By STARTTLS when the server offers it. The certificate is not checked, since whoever could forge it could
    /// as well withhold the offer (RFC 7435); but with credentials that leave the machine it means `starttls`.
    Opportunistic,
    /// By STARTTLS or not at all.
    Starttls,
    /// From the first byte (RFC 8314).
    Tls,
}

/// What sessions are opened with.
pub(super) struct Config {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: Option<Login>,
    pub(super) tls: Tls,
    /// Checks certificates or not, as [`Tls`] says.
    pub(super) tls_client: Arc<ClientConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) hello: String,
    pub(super) connect_timeout: Duration,
    pub(super) data_dot_timeout: Duration,
}

/// Credentials for AUTH.
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: Secret,
}

impl Config {
    /// Checks the settings. Messages name the setting, never its value if that may hold a secret.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let url = match (&settings.url, &settings.host) {
            (Some(_), Some(_)) => return Err("has both url and host; one of them is enough".into()),
            (None, None) => {
                return Err("needs url, such as \"smtp://relay.example.org\", or host".into());
            }
            (Some(url), None) => parse_url(url.expose())?,
            (None, Some(host)) => Target::of_host(host),
        };
        let username = settings.username.clone().or(url.username);
        let password = settings.password.clone().or(url.password);
        let login = match (username, password) {
            (Some(username), Some(password)) => Some(Login { username, password }),
            (None, None) => None,
            _ => return Err("needs both username and password, or neither".into()),
        };
        let port = settings.port.or(url.port);
        let tls = settings.tls.or(url.tls).unwrap_or(match port {
            Some(SUBMISSIONS) => Tls::Tls,
            _ => Tls::Opportunistic,
        });
        let leaves_machine = login.is_some() && !is_loopback(&url.host);
        let tls = match tls {
            Tls::None if leaves_machine => {
                return Err("would send its password unencrypted; set tls = \"starttls\"".into());
            }
            Tls::Opportunistic if leaves_machine => Tls::Starttls,
            tls => tls,
        };
        let verify = matches!(tls, Tls::Starttls | Tls::Tls) || settings.ca_file.is_some();
        if settings.connections == 0 {
            return Err("connections must be 1 or more".into());
        }
        for (setting, timeout) in [
            ("connect_timeout", settings.connect_timeout),
            ("data_dot_timeout", settings.data_dot_timeout),
        ] {
            if timeout.0.is_zero() {
                return Err(format!("{setting} must be more than 0"));
            }
        }
        Ok(Self {
            port: port.unwrap_or(match tls {
                Tls::Tls => SUBMISSIONS,
                Tls::Starttls => SUBMISSION,
                Tls::None | Tls::Opportunistic if login.is_some() => SUBMISSION,
                Tls::None | Tls::Opportunistic => RELAY,
            }),
            server_name: ServerName::try_from(url.host.clone()).ok(),
            host: url.host,
            login,
            tls,
            tls_client: tls::client(verify, settings.ca_file.as_deref())?,
            hello: hello(settings.hello.as_deref())?,
            connect_timeout: settings.connect_timeout.0,
            data_dot_timeout: settings.data_dot_timeout.0,
        })
    }
}

/// Submission over TLS (RFC 8314).
const SUBMISSIONS: u16 = 465;

/// Submission (RFC 6409).
const SUBMISSION: u16 = 587;

/// Relay (RFC 5321).
const RELAY: u16 = 25;

struct Target {
    host: String,
    port: Option<u16>,
    username: Option<String>,
    password: Option<Secret>,
    tls: Option<Tls>,
}

impl Target {
    fn of_host(host: &str) -> Self {
        Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: None,
            username: None,
            password: None,
            tls: None,
        }
    }
}

fn parse_url(text: &str) -> Result<Target, String> {
    let url = Url::parse(text).map_err(|error| format!("url cannot be read: {error}"))?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or("url has no host; expected smtp://user:password@host:port")?;
    let mut target = Target::of_host(host);
    target.port = url.port();
    let decoded = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| "url has a user or password that is not UTF-8".to_owned())
    };
    if !url.username().is_empty() {
        target.username = Some(decoded(url.username())?);
    }
    if let Some(password) = url.password() {
        target.password = Some(Secret::new(decoded(password)?));
    }
    target.tls = match url.scheme() {
        "smtp" => None,
        "smtp+starttls" => Some(Tls::Starttls),
        "smtps" => Some(Tls::Tls),
        _ => return Err("url must begin with smtp://, smtp+starttls:// or smtps://".into()),
    };
    for (key, value) in url.query_pairs() {
        target.tls = match (key.as_ref(), value.as_ref(), target.tls) {
            ("tls", "required", Some(Tls::Tls)) => Some(Tls::Tls),
            ("tls", "required", _) => Some(Tls::Starttls),
            ("tls", "opportunistic", None) => Some(Tls::Opportunistic),
            ("tls", "none", None) => Some(Tls::None),
            ("tls", "opportunistic" | "none", Some(_)) => {
                return Err("url asks for encryption by its scheme but not by ?tls=".into());
            }
            _ => return Err("url may have ?tls=required, opportunistic or none, no more".into()),
        };
    }
    Ok(target)
}

/// Whether what is sent to `host` stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The name to greet with: as set, else the host's, else an address literal (RFC 5321, section 4.1.3).
fn hello(set: Option<&str>) -> Result<String, String> {
    let valid = |name: &str| {
        !name.is_empty()
            && name.len() <= 255
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.[]:".contains(&b))
    };
    match set {
        Some(name) if valid(name) => Ok(name.into()),
        Some(_) => Err("hello must be a host name or an address in brackets".into()),
        None => Ok(hostname::get()
            .ok()
            .and_then(|name| name.into_string().ok())
            .filter(|name| valid(name))
            .unwrap_or_else(|| "[127.0.0.1]".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Result<Config, String> {
        Config::new(&Settings {
            url: Some(url.into()),
            ..Settings::default()
        })
    }

    fn shape(text: &str) -> (u16, Tls) {
        let config = url(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (config.port, config.tls)
    }

    /// The scheme alone gives port and encryption as mail programs know them.
    #[test]
    fn the_url_gives_port_and_encryption() {
        assert_eq!(shape("smtp://relay.example"), (25, Tls::Opportunistic));
        assert_eq!(shape("smtp://u:p@localhost"), (587, Tls::Opportunistic));
        assert_eq!(shape("smtps://u:p@relay.example"), (465, Tls::Tls));
        assert_eq!(shape("smtp://u:p@relay.example:465"), (465, Tls::Tls));
        assert_eq!(shape("smtp+starttls://relay.example"), (587, Tls::Starttls));
        assert_eq!(
            shape("smtp://relay.example:2525?tls=none"),
            (2525, Tls::None)
        );
        assert_eq!(
            shape("smtp://relay.example?tls=required"),
            (587, Tls::Starttls)
        );
        assert_eq!(shape("smtp://[::1]:2525"), (2525, Tls::Opportunistic));
        assert!(url("http://relay.example").is_err());
        assert!(url("smtps://relay.example?tls=none").is_err());
        assert!(url("smtp://relay.example?verify=no").is_err());
    }

    /// A password on the wire is a password lost; on this machine there is no wire.
    #[test]
    fn credentials_leave_the_machine_encrypted_only() {
        assert!(url("smtp://u:p@relay.example?tls=none").is_err());
        assert_eq!(shape("smtp://u:p@relay.example").1, Tls::Starttls);
        assert_eq!(shape("smtp://u:p@127.0.0.1?tls=none").1, Tls::None);
    }

    /// Passwords hold what URLs reserve.
    #[test]
    fn credentials_in_a_url_are_percent_decoded() {
        let login = url("smtps://post%40road:a%2Fb%3A%C3%A9@relay.example")
            .expect("a configuration")
            .login
            .expect("a login");
        assert_eq!(login.username, "post@road");
        assert_eq!(login.password, Secret::new("a/b:é"));
    }

    /// Settings are printed where a start fails; what they hide must stay hidden.
    #[test]
    fn neither_debug_output_nor_errors_show_a_password() {
        let settings: Settings =
            toml::from_str("url = 'smtp://u:hunter2@relay.example?tls=none'\npassword = 'hunter2'")
                .expect("settings");
        let error = Config::new(&settings).err().expect("an error");
        assert!(!format!("{settings:?} {error}").contains("hunter2"));
        let error = url("smtp://u:hunter2@relay.example:99999")
            .err()
            .expect("an error");
        assert!(!error.contains("hunter2"));
    }

    /// No time at all is a mistake: nothing could be sent, and everything would be sent twice.
    #[test]
    fn a_timeout_of_zero_is_refused_and_a_short_one_is_not() {
        for setting in ["connect_timeout", "data_dot_timeout"] {
            let with = |value: &str| {
                let text = format!("host = 'relay.example'\n{setting} = '{value}'");
                Config::new(&toml::from_str(&text).expect("settings")).map(drop)
            };
            let refusal = with("0s").expect_err("no time");
            assert!(refusal.contains(setting), "{refusal}");
            assert_eq!(with("1ms"), Ok(()));
        }
    }

    /// A typo in a setting must not become a default.
    #[test]
    fn unknown_and_half_settings_are_refused() {
        assert!(toml::from_str::<Settings>("hots = 'x'").is_err());
        assert!(Config::new(&Settings::default()).is_err());
        assert!(url("smtp://u@relay.example").is_err());
        let injected = Settings {
            host: Some("relay.example".into()),
            hello: Some("me\r\nMAIL FROM:<x@y>".into()),
            ..Settings::default()
        };
        assert!(Config::new(&injected).is_err());
    }
}
