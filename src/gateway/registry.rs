//! Configuration → gateways, by name and by channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::links::{Linked, Links};
use super::{
    Gateway, apns, bandwidth, fcm, file, mailgun, ovh, postal, sendgrid, ses, smtp, sns, stub,
    twilio, webhook, webpush,
};
use crate::model::message::{Channel, MessageType};

/// One `[gateways.NAME]` table of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum GatewaySettings {
    /// Mail by SMTP submission or relay.
    Smtp(smtp::Settings),
    /// Push by Firebase Cloud Messaging.
    #[serde(alias = "firebase")]
    Fcm(fcm::Settings),
    /// Push to Apple devices.
    Apns(apns::Settings),
    /// Push to browsers.
    Webpush(webpush::Settings),
    /// Mail by Postal's API.
    Postal(postal::Settings),
    /// Mail by Amazon SES.
    Ses(ses::Settings),
    /// Mail by SendGrid.
    Sendgrid(sendgrid::Settings),
    /// Mail by Mailgun.
    Mailgun(mailgun::Settings),
    /// SMS by Amazon SNS.
    Sns(sns::Settings),
    /// Each message a file, for development.
    File(file::Settings),
    /// Answers as told, for tests and dry runs.
    Stub(stub::Settings),
    /// Text messages and calls by Twilio.
    Twilio(twilio::Settings),
    /// Text messages by Bandwidth.
    Bandwidth(bandwidth::Settings),
    /// Text messages by OVHcloud.
    Ovh(ovh::Settings),
    /// Signed requests to URLs.
    Webhook(webhook::Settings),
}

/// Gateways by message type and channel, first choice first.
pub type Routes = BTreeMap<MessageType, BTreeMap<Channel, Vec<String>>>;

/// Under which name a gateway may be known besides: Firebase is what FCM was part of when its users wrote their settings.
pub fn other_name(name: &str) -> Option<&'static str> {
    (name == "firebase").then_some("fcm")
}

impl GatewaySettings {
    /// Whether it reports opens and clicks of its mails itself; `None` when it sends no mails.
    const fn reports_opens(&self) -> Option<bool> {
        match self {
            Self::Smtp(_) | Self::File(_) => Some(false),
            Self::Postal(_) | Self::Ses(_) | Self::Sendgrid(_) | Self::Mailgun(_) => Some(true),
            _ => None,
        }
    }
}

/// The gateways of this process.
///
/// Each worker pool builds its own, so that no priority waits for another one's connections.
pub struct Registry {
    by_name: BTreeMap<String, Arc<dyn Gateway>>,
    by_channel: BTreeMap<Channel, Vec<Arc<dyn Gateway>>>,
    /// Instead of `by_channel`, for messages of a type.
    by_type: BTreeMap<(MessageType, Channel), Vec<Arc<dyn Gateway>>>,
    /// The channels with a gateway that has a call for several messages.
    batched: Vec<Channel>,
}

/// A gateway that cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
#[error("gateway {gateway}: {message}")]
pub struct GatewayConfigError {
    /// Its name in the configuration.
    pub gateway: String,
    /// What was wrong and what would be right.
    pub message: String,
}

impl Registry {
    /// Builds the gateways named by `settings`. `order` gives the gateways of a channel, first choice first;
    /// a channel that it does not name takes every gateway that serves it, in the order of their names.
    ///
    /// # Errors
    ///
    /// A gateway with wrong settings, an unknown name in `order`, or a gateway that does not serve the channel.
    pub fn build(
        settings: &BTreeMap<String, GatewaySettings>,
        order: &BTreeMap<Channel, Vec<String>>,
    ) -> Result<Self, GatewayConfigError> {
        Self::build_with(settings, order, None)
    }

    /// As [`build`](Self::build), with mails that have our links.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_with(
        settings: &BTreeMap<String, GatewaySettings>,
        order: &BTreeMap<Channel, Vec<String>>,
        links: Option<&Arc<Links>>,
    ) -> Result<Self, GatewayConfigError> {
        let mut by_name = BTreeMap::new();
        for (name, settings) in settings {
            let built: Result<Arc<dyn Gateway>, String> = match settings {
                GatewaySettings::Smtp(s) => smtp::Smtp::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::Fcm(s) => fcm::Fcm::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::Apns(s) => apns::Apns::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::Webpush(s) => {
                    webpush::WebPush::new(name, s).map(|g| Arc::new(g) as _)
                }
                GatewaySettings::Postal(s) => {
                    postal::Postal::new(name, s).map(|g| Arc::new(g) as _)
                }
                GatewaySettings::Ses(s) => ses::Ses::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::Sendgrid(s) => {
                    sendgrid::Sendgrid::new(name, s).map(|g| Arc::new(g) as _)
                }
                GatewaySettings::Mailgun(s) => {
                    mailgun::Mailgun::new(name, s).map(|g| Arc::new(g) as _)
                }
                GatewaySettings::Sns(s) => sns::Sns::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::File(s) => file::File::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::Stub(s) => stub::Stub::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::Twilio(s) => {
                    twilio::Twilio::new(name, s).map(|g| Arc::new(g) as _)
                }
                GatewaySettings::Bandwidth(s) => {
                    bandwidth::Bandwidth::new(name, s).map(|g| Arc::new(g) as _)
                }
                GatewaySettings::Ovh(s) => ovh::Ovh::new(name, s).map(|g| Arc::new(g) as _),
                GatewaySettings::Webhook(s) => {
                    webhook::Webhook::new(name, s).map(|g| Arc::new(g) as _)
                }
            };
            let gateway = built.map_err(|message| GatewayConfigError {
                gateway: name.clone(),
                message,
            })?;
            let gateway = match (settings.reports_opens(), links) {
                (Some(reports), Some(links)) => {
                    Arc::new(Linked::new(gateway, Arc::clone(links), !reports))
                }
                _ => gateway,
            };
            by_name.insert(name.clone(), gateway);
        }
        Self::from_gateways(by_name, order)
    }

    /// As [`build`](Self::build), with gateways that are there already.
    ///
    /// # Errors
    ///
    /// An unknown name in `order`, or a gateway that does not serve the channel.
    pub fn from_gateways(
        by_name: BTreeMap<String, Arc<dyn Gateway>>,
        order: &BTreeMap<Channel, Vec<String>>,
    ) -> Result<Self, GatewayConfigError> {
        let mut by_channel = BTreeMap::new();
        for channel in Channel::ALL {
            let gateways = match order.get(channel) {
                Some(names) => named(&by_name, names, *channel)?,
                None => by_name
                    .values()
                    .filter(|gateway| gateway.channels().contains(channel))
                    .cloned()
                    .collect(),
            };
            by_channel.insert(*channel, gateways);
        }
        let has_batch =
            |channel: &&Channel| by_name.values().any(|g| serves_in_batches(g, **channel));
        Ok(Self {
            batched: Channel::ALL.iter().filter(has_batch).copied().collect(),
            by_name,
            by_channel,
            by_type: BTreeMap::new(),
        })
    }

    /// Has messages of some types go by gateways of their own.
    ///
    /// # Errors
    ///
    /// An unknown name, or a gateway that does not serve the channel.
    pub fn with_routes(mut self, routes: &Routes) -> Result<Self, GatewayConfigError> {
        for (message_type, by_channel) in routes {
            for (channel, names) in by_channel {
                let gateways = named(&self.by_name, names, *channel)?;
                self.by_type.insert((*message_type, *channel), gateways);
            }
        }
        Ok(self)
    }

    /// The gateways of messages of `message_type` over `channel`, first choice first; empty when there is none.
    pub fn order(&self, channel: Channel, message_type: MessageType) -> &[Arc<dyn Gateway>] {
        match self.by_type.get(&(message_type, channel)) {
            Some(gateways) => gateways,
            None => self.for_channel(channel),
        }
    }

    /// Whether a gateway for `channel` has a call for several messages.
    pub fn has_batch(&self, channel: Channel) -> bool {
        self.batched.contains(&channel)
    }

    /// The most messages that one call of a gateway takes; 1 where each takes one.
    pub fn largest_batch(&self) -> usize {
        let batches = self.by_name.values().filter_map(|g| g.batch());
        batches.map(|batch| batch.most()).max().unwrap_or(1)
    }

    /// The gateways of `channel`, first choice first; empty when it has none.
    pub fn for_channel(&self, channel: Channel) -> &[Arc<dyn Gateway>] {
        self.by_channel.get(&channel).map_or(&[], Vec::as_slice)
    }

    /// The gateway of that name; `firebase` is another one of `fcm`.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Gateway>> {
        let gateway = self.by_name.get(name);
        gateway.or_else(|| self.by_name.get(other_name(name)?))
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Gateway>> {
        self.by_name.values()
    }

    /// Each channel with the names of its gateways, first choice first.
    pub fn names(&self) -> impl Iterator<Item = (Channel, Vec<&str>)> {
        self.by_channel
            .iter()
            .map(|(channel, gateways)| (*channel, gateways.iter().map(|g| g.name()).collect()))
    }
}

fn serves_in_batches(gateway: &Arc<dyn Gateway>, channel: Channel) -> bool {
    gateway.batch().is_some() && gateway.channels().contains(&channel)
}

fn named(
    by_name: &BTreeMap<String, Arc<dyn Gateway>>,
    names: &[String],
    channel: Channel,
) -> Result<Vec<Arc<dyn Gateway>>, GatewayConfigError> {
    names
        .iter()
        .map(|name| {
            let error = |message: String| GatewayConfigError {
                gateway: name.clone(),
                message,
            };
            let gateway = by_name.get(name).ok_or_else(|| {
                let known: Vec<_> = by_name.keys().map(String::as_str).collect();
                error(format!(
                    "is named for channel {channel} but not configured; configured: {}",
                    known.join(", ")
                ))
            })?;
            if gateway.channels().contains(&channel) {
                Ok(Arc::clone(gateway))
            } else {
                Err(error(format!("does not serve channel {channel}")))
            }
        })
        .collect()
}
