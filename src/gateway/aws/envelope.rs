//! What SNS posts to an HTTPS subscription: the envelope, its signature, and the confirmation of a subscription (SNS
//! Developer Guide, "HTTP/HTTPS notifications" and "Verifying the signatures of Amazon SNS messages").

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tracing::warn;

use super::certificate::{Certificate, Certificates, Place};
use crate::gateway::source::fetch::{Fetch, Http};
use crate::gateway::source::fields;
use crate::gateway::source::list::List;
use crate::gateway::source::rsa::{Hash, PublicKey};
use crate::gateway::source::{Action, Posted, Refused, Unreadable, Verified};
use crate::model::{duration, rfc3339};

/// The webhook's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// The topics whose messages are taken, by their ARNs. A subscription to one of them is confirmed.
    pub topic_arns: List<String>,
    /// Certificates in PEM by which SNS signs, instead of those that its messages name: nothing is fetched then. They
    /// are taken at the operator's word, whatever their names and dates.
    #[serde(default)]
    pub certificates: List<String>,
    /// How old a message may be. SNS tries for an hour at most, and keeps the time.
    #[serde(default = "freshness")]
    pub freshness: duration::Text,
}

const fn freshness() -> duration::Text {
    duration::Text(Duration::from_secs(3600))
}

/// What SNS posts, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::gateway) struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    /// The same when it is posted again.
    pub(in crate::gateway) message_id: String,
    topic_arn: String,
    #[serde(default)]
    subject: Option<String>,
    /// What was published to the topic.
    pub(in crate::gateway) message: String,
    /// When.
    pub(in crate::gateway) timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default, rename = "SubscribeURL")]
    subscribe_url: Option<String>,
}

impl Envelope {
    /// Reads one. A field that is there twice is refused.
    pub(in crate::gateway) fn read(body: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Unreadable(format!("no message of SNS at line {line}, column {column}"))
        })
    }

    /// Whether it was published to the topic, rather than about the subscription.
    pub(in crate::gateway) fn is_notification(&self) -> bool {
        self.kind == NOTIFICATION
    }

    /// What the signature is made over: names and values, a line each, in the order of the names.
    fn signed(&self) -> String {
        let text = |value: &Option<String>| value.clone();
        let subject = text(&self.subject);
        let message = Some(self.message.clone());
        let id = Some(self.message_id.clone());
        let topic = Some(self.topic_arn.clone());
        let kind = Some(self.kind.clone());
        let at = Some(self.timestamp.clone());
        let pairs = match self.is_notification() {
            true => vec![
                ("Message", message),
                ("MessageId", id),
                ("Subject", subject),
                ("Timestamp", at),
                ("TopicArn", topic),
                ("Type", kind),
            ],
            false => vec![
                ("Message", message),
                ("MessageId", id),
                ("SubscribeURL", text(&self.subscribe_url)),
                ("Timestamp", at),
                ("Token", text(&self.token)),
                ("TopicArn", topic),
                ("Type", kind),
            ],
        };
        let pairs = pairs.into_iter();
        let lines = pairs.filter_map(|(name, value)| Some(format!("{name}\n{}\n", value?)));
        lines.collect()
    }
}

const NOTIFICATION: &str = "Notification";
const CONFIRMATION: &str = "SubscriptionConfirmation";
const FAREWELL: &str = "UnsubscribeConfirmation";

/// Takes what SNS posts of certain topics.
pub(in crate::gateway) struct Receiver {
    name: String,
    topics: Vec<(String, Place)>,
    pinned: Vec<Arc<PublicKey>>,
    certificates: Certificates,
    freshness: Duration,
}

impl Receiver {
    /// One that gets certificates over HTTPS.
    pub(in crate::gateway) fn new(name: &str, settings: &WebhookSettings) -> Result<Self, String> {
        Self::with_fetch(name, settings, Arc::new(Http::new()?))
    }

    /// One that gets certificates as told.
    pub(in crate::gateway) fn with_fetch(
        name: &str,
        settings: &WebhookSettings,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Self, String> {
        let topics = settings.topic_arns.0.iter();
        let topics: Option<Vec<_>> = topics
            .map(|topic| Some((topic.clone(), Place::of(topic)?)))
            .collect();
        let topics = topics.filter(|topics| !topics.is_empty()).ok_or(
            "topic_arns must name topics, such as \"arn:aws:sns:eu-central-1:123456789012:mail\"",
        )?;
        let pinned = settings.certificates.0.iter().map(|pem| {
            let pem = pem.replace("\\n", "\n");
            Some(Certificate::from_pem(pem.as_bytes())?.key)
        });
        let pinned: Option<Vec<_>> = pinned.collect();
        Ok(Self {
            name: name.into(),
            topics,
            pinned: pinned.ok_or("certificates must be RSA certificates in PEM")?,
            certificates: Certificates::new(fetch),
            freshness: settings.freshness.0,
        })
    }

    pub(in crate::gateway) fn name(&self) -> &str {
        &self.name
    }

    /// Proves that SNS posted this, lately, for a topic of ours. What is cheap and asks nobody goes first.
    pub(in crate::gateway) async fn verify(
        &self,
        posted: &Posted<'_>,
    ) -> Result<Verified, Refused> {
        let header = |name| fields::header(posted.headers, name);
        if header("x-amz-sns-rawdelivery") == Some("true") {
            let problem = "raw message delivery is not signed; switch it off for the subscription";
            return Err(Refused::Unauthenticated(problem));
        }
        let malformed = Refused::Malformed("no message of SNS");
        let envelope = Envelope::read(posted.body).map_err(|_| malformed.clone())?;
        let kind = envelope.kind.as_str();
        // Values are divided by line ends alone in what is signed: an id of several lines would be another message's.
        let is_id = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic());
        if !matches!(kind, NOTIFICATION | CONFIRMATION | FAREWELL)
            || !is_id(&envelope.message_id)
            || header("x-amz-sns-message-type").is_some_and(|said| said != kind)
        {
            return Err(malformed);
        }
        let topic = self
            .topics
            .iter()
            .find(|(arn, _)| *arn == envelope.topic_arn);
        let (topic, place) = topic.ok_or(Refused::Forbidden("not a topic of ours"))?;
        let made = rfc3339::parse(&envelope.timestamp).ok_or(malformed.clone())?;
        fields::check_fresh(made, posted.now, self.freshness)?;
        self.check_signature(&envelope, place, posted).await?;

        let action = match kind {
            CONFIRMATION => {
                let url = envelope.subscribe_url.as_deref().unwrap_or_default();
                let url = place.subscribe_url(url, topic);
                Action::Confirm(url.ok_or(malformed)?.into())
            }
            FAREWELL => {
                let name = self.name.as_str();
                warn!(
                    gateway = name,
                    topic, "{name}: the subscription to {topic} has ended"
                );
                Action::Ignore
            }
            _ => Action::Store,
        };
        Ok(Verified {
            key: Some(fields::source_key(&[&envelope.message_id])),
            replay: None, // the key does as much, since the body is signed
            action,
        })
    }

    async fn check_signature(
        &self,
        envelope: &Envelope,
        place: &Place,
        posted: &Posted<'_>,
    ) -> Result<(), Refused> {
        let wrong = Refused::Unauthenticated("the signature is wrong");
        let hash = match envelope.signature_version.as_str() {
            "1" => Hash::Sha1,
            "2" => Hash::Sha256,
            _ => return Err(wrong),
        };
        let signature = STANDARD.decode(&envelope.signature);
        let signature = signature.map_err(|_| wrong.clone())?;
        let keys = match self.pinned.is_empty() {
            false => self.pinned.clone(),
            true => {
                let url = place.certificate_url(&envelope.signing_cert_url);
                let url = url.ok_or(Refused::Forbidden("no certificate of SNS is named"))?;
                vec![self.certificates.key(&url, place, posted.now).await?]
            }
        };
        let signed = envelope.signed();
        let is_good = |key: &Arc<PublicKey>| key.verifies(hash, signed.as_bytes(), &signature);
        match keys.iter().any(is_good) {
            true => Ok(()),
            false => Err(wrong),
        }
    }
}
