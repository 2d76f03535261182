//! Configuration → the endpoints to which providers post, by name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::source::WebhookSource;
use super::{
    apns, bandwidth, fcm, generic, mailgun, ovh, postal, sendgrid, ses, smtp, sns, twilio, webpush,
};
use crate::model::network::Network;

/// What a body may have unless the settings say otherwise, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// One `[webhooks.NAME]` table of the configuration.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// The addresses that may post; anyone with the right signature when there is none.
    pub allow_from: Vec<Network>,
    /// What a body may have, in bytes.
    pub max_body_bytes: usize,
    /// Of its kind.
    pub source: SourceSettings,
}

/// The settings of each kind, by `type`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceSettings {
    /// Postal's webhooks.
    Postal(postal::webhook::WebhookSettings),
    /// Events of Amazon SES, which come through SNS.
    Ses(ses::webhook::WebhookSettings),
    /// SendGrid's event webhook.
    Sendgrid(sendgrid::webhook::WebhookSettings),
    /// Mailgun's webhooks.
    Mailgun(mailgun::webhook::WebhookSettings),
    /// Amazon SNS: what became of text messages.
    Sns(sns::webhook::WebhookSettings),
    /// Mails that come back: bounces (DSN) and complaints (ARF), posted as they are.
    Smtp(smtp::webhook::WebhookSettings),
    /// Twilio's status callbacks and inbound messages.
    Twilio(twilio::webhook::WebhookSettings),
    /// Bandwidth's message callbacks.
    Bandwidth(bandwidth::webhook::WebhookSettings),
    /// OVHcloud's callbacks.
    Ovh(ovh::webhook::WebhookSettings),
    /// Receipts of apps that got a push by Firebase.
    #[serde(alias = "firebase")]
    Fcm(fcm::webhook::WebhookSettings),
    /// Receipts of apps that got a push by Apple.
    Apns(apns::webhook::WebhookSettings),
    /// Receipts of browsers that got a push.
    Webpush(webpush::webhook::WebhookSettings),
    /// Events in our own words.
    Generic(generic::webhook::WebhookSettings),
}

impl SourceSettings {
    /// What a body may have unless the settings say otherwise: SendGrid gathers events for a while, and mails come whole.
    fn max_body_bytes(&self) -> usize {
        match self {
            Self::Sendgrid(_) | Self::Smtp(_) => MAX_BODY_BYTES * 8,
            _ => MAX_BODY_BYTES,
        }
    }

    /// How old a request may be, by the time in it.
    pub fn freshness(&self) -> Option<Duration> {
        match self {
            Self::Postal(settings) => Some(settings.freshness.0),
            Self::Ses(settings) => Some(settings.freshness.0),
            Self::Sns(settings) => Some(settings.freshness.0),
            Self::Sendgrid(settings) => Some(settings.freshness.0),
            Self::Mailgun(settings) => Some(settings.freshness.0),
            Self::Generic(settings) => settings.freshness.map(|freshness| freshness.0),
            Self::Smtp(_)
            | Self::Twilio(_)
            | Self::Bandwidth(_)
            | Self::Ovh(_)
            | Self::Fcm(_)
            | Self::Apns(_)
            | Self::Webpush(_) => None,
        }
    }

    fn build(&self, name: &str) -> Result<Arc<dyn WebhookSource>, String> {
        macro_rules! built {
            ($($kind:ident => $module:ident),* $(,)?) => {
                match self {
                    $(Self::$kind(s) => $module::webhook::Source::new(name, s).map(|s| Arc::new(s) as _),)*
                }
            };
        }
        built!(
            Postal => postal,
            Ses => ses,
            Sendgrid => sendgrid,
            Mailgun => mailgun,
            Sns => sns,
            Smtp => smtp,
            Twilio => twilio,
            Bandwidth => bandwidth,
            Ovh => ovh,
            Fcm => fcm,
            Apns => apns,
            Webpush => webpush,
            Generic => generic,
        )
    }
}

impl<'de> Deserialize<'de> for EndpointSettings {
    /// Takes out what all kinds have; the rest is the kind's, and complains of what it does not know.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = toml::Table::deserialize(deserializer)?;
        let allow_from = match table.remove("allow_from") {
            Some(list) => list.try_into().map_err(D::Error::custom)?,
            None => Vec::new(),
        };
        let max_body_bytes = match table.remove("max_body_bytes") {
            Some(bytes) => Some(bytes.try_into().map_err(D::Error::custom)?),
            None => None,
        };
        let source: SourceSettings = table
            .try_into()
            .map_err(|error: toml::de::Error| D::Error::custom(error.message()))?;
        Ok(Self {
            allow_from,
            max_body_bytes: max_body_bytes.unwrap_or_else(|| source.max_body_bytes()),
            source,
        })
    }
}

/// Where a provider posts.
pub struct Endpoint {
    /// Checks and reads what is posted.
    pub source: Arc<dyn WebhookSource>,
    /// What a body may have, in bytes.
    pub max_body_bytes: usize,
    allow_from: Vec<Network>,
}

impl Endpoint {
    /// One that takes bodies of up to a megabyte from anyone.
    pub fn new(source: Arc<dyn WebhookSource>) -> Self {
        Self {
            source,
            max_body_bytes: MAX_BODY_BYTES,
            allow_from: Vec::new(),
        }
    }

    /// Whether `client` may post at all.
    pub fn allows(&self, client: IpAddr) -> bool {
        self.allow_from.is_empty() || self.allow_from.iter().any(|n| n.contains(client))
    }
}

/// The endpoints of this process.
#[derive(Default)]
pub struct Endpoints(BTreeMap<String, Endpoint>);

/// An endpoint that cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
#[error("webhook endpoint {name}: {message}")]
pub struct EndpointConfigError {
    /// Its name in the configuration.
    pub name: String,
    /// What was wrong and what would be right.
    pub message: String,
}

impl Endpoints {
    /// Builds the endpoints named by `settings`.
    ///
    /// # Errors
    ///
    /// An endpoint with wrong settings.
    pub fn build(
        settings: &BTreeMap<String, EndpointSettings>,
    ) -> Result<Self, EndpointConfigError> {
        let mut by_name = BTreeMap::new();
        for (name, settings) in settings {
            let source = match settings.max_body_bytes {
                0 => Err("max_body_bytes must be more than 0".into()),
                _ => settings.source.build(name),
            };
            let source = source.map_err(|message| EndpointConfigError {
                name: name.clone(),
                message,
            })?;
            let endpoint = Endpoint {
                max_body_bytes: settings.max_body_bytes,
                allow_from: settings.allow_from.clone(),
                ..Endpoint::new(source)
            };
            by_name.insert(name.clone(), endpoint);
        }
        Ok(Self(by_name))
    }

    /// The same of endpoints that are there already.
    pub fn of(endpoints: impl IntoIterator<Item = (String, Endpoint)>) -> Self {
        Self(endpoints.into_iter().collect())
    }

    /// The endpoint of that name; `firebase` is `fcm` too.
    pub fn get(&self, name: &str) -> Option<(&str, &Endpoint)> {
        let found = self.0.get_key_value(name);
        let found = match name {
            "firebase" => found.or_else(|| self.0.get_key_value("fcm")),
            _ => found,
        };
        found.map(|(name, endpoint)| (name.as_str(), endpoint))
    }

    /// The most that a body of any of them may have, in bytes.
    pub fn max_body_bytes(&self) -> usize {
        let each = self.0.values().map(|endpoint| endpoint.max_body_bytes);
        each.max().unwrap_or_default()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERIC: &str = "type = 'generic'\nsecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n";

    fn read(more: &str) -> Result<EndpointSettings, String> {
        let read: Result<EndpointSettings, _> = toml::from_str(&format!("{GENERIC}{more}"));
        read.map_err(|error| error.to_string())
    }

    /// What all endpoints have stands beside what each kind has; a typo in either is told.
    #[test]
    fn an_endpoint_has_common_settings_and_its_kinds() {
        let settings = read("allow_from = ['192.0.2.0/24']\nmax_body_bytes = 5").expect("valid");
        assert_eq!(settings.max_body_bytes, 5);
        let settings = [("a".to_owned(), settings)].into();
        let endpoints = Endpoints::build(&settings).expect("built");
        let (_, endpoint) = endpoints.get("a").expect("it is there");
        assert!(endpoint.allows(IpAddr::from([192, 0, 2, 7])));
        assert!(!endpoint.allows(IpAddr::from([192, 0, 3, 7])));
        assert!(endpoints.get("firebase").is_none());

        assert_eq!(read("").expect("valid").max_body_bytes, MAX_BODY_BYTES);
        for wrong in ["allow = []", "allow_from = ['x']", "max_body_bytes = -1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let zero = [(
            "a".to_owned(),
            read("max_body_bytes = 0").expect("a number"),
        )]
        .into();
        assert!(Endpoints::build(&zero).is_err());
    }

    /// Some know Firebase Cloud Messaging by its owner's name.
    #[test]
    fn firebase_is_fcm() {
        let settings = [("fcm".to_owned(), read("").expect("valid"))].into();
        let endpoints = Endpoints::build(&settings).expect("built");
        assert_eq!(endpoints.get("firebase").map(|(name, _)| name), Some("fcm"));
    }
}
