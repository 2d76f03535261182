//! The certificates by which SNS signs: which URLs may name one, getting it, and whose it is.
//!
//! SNS publishes a leaf alone, without the authorities between it and a root, so that there is no chain to build. What
//! vouches for it is the TLS connection over which it came, to a host that is fixed; that it names SNS, and is valid
//! now, is checked besides.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::Url;
use tokio::sync::Mutex;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use x509_cert::Certificate as X509;
use x509_cert::der::{Decode as _, Encode as _};

use crate::gateway::source::Refused;
use crate::gateway::source::fetch::Fetch;
use crate::gateway::source::rsa::PublicKey;

/// What is kept: one a region, and the next ones during a rotation.
const KEPT_MAX: usize = 64;

/// Requests for certificates in [`PERIOD`]: a forged request can name one that does not exist.
const FETCHES_MAX: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

/// The hosts of SNS in the region of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    region: String,
    suffix: &'static str,
}

impl Place {
    /// Of a topic's ARN, `arn:aws:sns:eu-central-1:123456789012:name`.
    pub(super) fn of(topic: &str) -> Option<Self> {
        let parts: Vec<_> = topic.splitn(6, ':').collect();
        let ["arn", partition, "sns", region, account, name] = parts[..] else {
            return None;
        };
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let suffix = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return None,
        };
        let is_valid = region.len() >= 3
            && region.bytes().all(is_name)
            && !account.is_empty()
            && account.bytes().all(|b| b.is_ascii_digit())
            && !name.is_empty();
        is_valid.then(|| Self {
            region: region.to_owned(),
            suffix,
        })
    }

    /// The URL that `text` is, if it is of SNS in this region, over HTTPS, with nothing else in it than path and query.
    fn url(&self, text: &str) -> Option<Url> {
        let url: Url = text.parse().ok()?;
        let host = format!("sns.{}.{}", self.region, self.suffix);
        // Compared as it is written, too: no port, no user, no other spelling of the host.
        let begins = format!("https://{host}/");
        let is_plain = text.starts_with(&begins) && url.as_str().starts_with(&begins);
        let is_ours = url.scheme() == "https"
            && url.host_str() == Some(&host)
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none();
        (is_plain && is_ours).then_some(url)
    }

    /// The URL of a certificate: `/SimpleNotificationService-….pem`, and no query, by which SNS could be made to say
    /// other things.
    pub(super) fn certificate_url(&self, text: &str) -> Option<Url> {
        let url = self.url(text)?;
        let name = url.path().strip_prefix("/SimpleNotificationService-")?;
        let id = name.strip_suffix(".pem")?;
        let is_id = (8..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        (is_id && url.query().is_none()).then_some(url)
    }

    /// The URL that confirms a subscription to `topic`, and does nothing else.
    pub(super) fn subscribe_url(&self, text: &str, topic: &str) -> Option<Url> {
        let url = self.url(text)?;
        let values = |name: &str| -> Vec<_> {
            let pairs = url.query_pairs().filter(|(key, _)| key == name);
            pairs.map(|(_, value)| value.into_owned()).collect()
        };
        let is_confirmation = url.path() == "/"
            && values("Action") == ["ConfirmSubscription"]
            && values("TopicArn") == [topic]
            && values("Token").len() == 1;
        is_confirmation.then_some(url)
    }

    /// As whom SNS signs: the same name in most regions, one of their own in others (aws-sdk-java-v2,
    /// `sns-message-manager`; GovCloud's regions share one).
    fn names(&self) -> [String; 5] {
        let Self { region, suffix } = self;
        let shared = match region.starts_with("us-gov-") {
            true => "sns-us-gov-west-1.amazonaws.com",
            false => "sns.amazonaws.com",
        };
        [
            shared.to_owned(),
            "sns.amazonaws.com".to_owned(),
            format!("sns.{region}.{suffix}"),
            format!("sns-{region}.{suffix}"),
            format!("sns-signing.{region}.{suffix}"),
        ]
    }
}

/// A certificate's key, for as long as it is valid.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<PublicKey>,
    names: Arc<CertificateDer<'static>>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Certificate {
    /// Reads the first certificate of a PEM file.
    pub(super) fn from_pem(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?.into_owned();
        let certificate = X509::from_der(&der).ok()?.tbs_certificate;
        let spki = certificate.subject_public_key_info.to_der().ok()?;
        let validity = certificate.validity;
        Some(Self {
            key: Arc::new(PublicKey::from_spki(&spki)?),
            not_before: UNIX_EPOCH + validity.not_before.to_unix_duration(),
            not_after: UNIX_EPOCH + validity.not_after.to_unix_duration(),
            names: Arc::new(der),
        })
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Whether it names SNS in that place, among its alternative names (RFC 6125; the common name counts for nothing).
    fn is_of(&self, place: &Place) -> bool {
        let Ok(parsed) = ParsedCertificate::try_from(&*self.names) else {
            return false;
        };
        place.names().into_iter().any(|name| {
            ServerName::try_from(name).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        })
    }
}

/// Certificates by their URLs.
pub(super) struct Certificates {
    fetch: Arc<dyn Fetch>,
    kept: RwLock<HashMap<Url, Certificate>>,
    /// Since when how many were asked for; held by the one request that asks.
    asked: Mutex<Option<(Instant, u32)>>,
}

impl Certificates {
    pub(super) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self {
            fetch,
            kept: RwLock::default(),
            asked: Mutex::default(),
        }
    }

    /// The key of the certificate at `url`, which [`Place::certificate_url`] let pass.
    pub(super) async fn key(
        &self,
        url: &Url,
        place: &Place,
        now: SystemTime,
    ) -> Result<Arc<PublicKey>, Refused> {
        if let Some(key) = self.kept(url, now) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        if let Some(key) = self.kept(url, now) {
            return Ok(key);
        }
        let unavailable = Refused::Unavailable("the certificate of SNS could not be had");
        *asked = match *asked {
            Some((since, count)) if since.elapsed() < PERIOD => {
                if count >= FETCHES_MAX {
                    return Err(unavailable);
                }
                Some((since, count + 1))
            }
            _ => Some((Instant::now(), 1)),
        };
        let pem = self.fetch.get(url).await.ok_or(unavailable)?;
        let refused = Refused::Unauthenticated("the certificate is none of SNS");
        let certificate = Certificate::from_pem(&pem).ok_or(refused.clone())?;
        if !certificate.is_of(place) {
            return Err(refused);
        }
        if !certificate.is_valid(now) {
            return Err(Refused::Unauthenticated("the certificate is not valid now"));
        }
        let key = Arc::clone(&certificate.key);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, certificate| certificate.is_valid(now));
        if kept.len() < KEPT_MAX {
            kept.insert(url.clone(), certificate);
        }
        Ok(key)
    }

    fn kept(&self, url: &Url, now: SystemTime) -> Option<Arc<PublicKey>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let certificate = kept.get(url)?;
        certificate
            .is_valid(now)
            .then(|| Arc::clone(&certificate.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:mail";

    fn place(topic: &str) -> Place {
        Place::of(topic).expect(topic)
    }

    /// What a forged request names is fetched before anything in it is proven, so only one kind of URL may be.
    #[test]
    fn only_a_certificate_of_the_topics_region_is_fetched() {
        let eu = place(TOPIC);
        let id = "7ff5318490ec183fbaddaa2a969abfda";
        let good =
            format!("https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{id}.pem");
        assert!(eu.certificate_url(&good).is_some());
        let china = place("arn:aws-cn:sns:cn-north-1:123456789012:mail");
        let chinese =
            format!("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-{id}.pem");
        assert!(china.certificate_url(&chinese).is_some());
        assert!(eu.certificate_url(&chinese).is_none());
        let host = "sns.eu-central-1.amazonaws.com";
        for other in [
            good.replace("https", "http"),
            good.replace(host, "sns.us-east-1.amazonaws.com"),
            good.replace(host, "sns.eu-central-1.amazonaws.com.cn"),
            good.replace(host, "sns.eu-central-1.amazonaws.com.evil.example"),
            good.replace(host, "evil.example"),
            good.replace(host, "evil-sns.eu-central-1.amazonaws.com"),
            good.replace(host, "evil.example/sns.eu-central-1.amazonaws.com"),
            good.replace(host, "SNS.eu-central-1.amazonaws.com"),
            good.replace(host, &format!("{host}:443")),
            good.replace(host, &format!("{host}:8443")),
            good.replace(host, &format!("user@{host}")),
            good.replace(host, &format!("user:pw@{host}")),
            good.replace(host, &format!("{host}@evil.example")),
            good.replace(host, &format!("{host}.")),
            good.replace(host, "127.0.0.1"),
            good.replace(".pem", ".pem?Action=GetEndpointAttributes"),
            good.replace(".pem", ".pem#"),
            good.replace(".pem", ".key"),
            good.replace(id, ""),
            good.replace(id, "../../x"),
            good.replace(id, "..%2Fx1234567"),
            good.replace(id, &"a".repeat(200)),
            good.replace("/Simple", "/x/Simple"),
            good.replace("/Simple", "\\Simple"),
            good.replace("https://", "https:\\\\"),
            good.replace("https://", "https:///"),
            format!(" {good}"),
            format!("https://{host}/?x=.pem"),
            String::new(),
        ] {
            assert!(eu.certificate_url(&other).is_none(), "{other}");
        }
    }

    /// A confirmation is a request that we make, with whatever the message says: it must confirm and nothing else.
    #[test]
    fn only_the_confirmation_of_the_same_topic_is_called() {
        let eu = place(TOPIC);
        let good = format!(
            "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
        );
        assert!(eu.subscribe_url(&good, TOPIC).is_some());
        for other in [
            good.replace("ConfirmSubscription", "Unsubscribe"),
            good.replace(":mail", ":other"),
            good.replace("/?", "/x?"),
            good.replace("&Token=2336412f37", ""),
            format!("{good}&Action=DeleteTopic"),
            good.replace("sns.eu-central-1.amazonaws.com", "evil.example"),
        ] {
            assert!(eu.subscribe_url(&other, TOPIC).is_none(), "{other}");
        }
    }

    /// The host is made of the ARN, so it must be one.
    #[test]
    fn a_topic_that_is_none_has_no_place() {
        for none in [
            "",
            "arn:aws:sns:eu-central-1:123456789012",
            "arn:aws:sns:eu-central-1:123456789012:",
            "arn:aws:sqs:eu-central-1:123456789012:mail",
            "arn:aws:sns:evil.example/:123456789012:mail",
            "arn:aws:sns::123456789012:mail",
            "arn:aws:sns:eu-central-1:me:mail",
            "arn:evil:sns:eu-central-1:123456789012:mail",
        ] {
            assert_eq!(Place::of(none), None, "{none}");
        }
    }
}
