//! Gathers the modules' settings over `default.toml`, and checks the whole before any start.

mod check;
mod environment;
mod interpolate;
mod problem;
mod shown;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use crate::gateway::endpoints::EndpointSettings;
use crate::gateway::links;
use crate::gateway::registry::{GatewaySettings, Routes, other_name};
use crate::model::message::{Channel, MessageType};
use crate::model::price::Prices;
use crate::model::secret::Secret;
use crate::telemetry::otlp;
use crate::{maintain, outbound, server, worker};

/// Every setting with its documentation.
pub const DEFAULTS: &str = include_str!("default.toml");

/// The whole configuration, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[database]`.
    pub database: DatabaseSettings,
    /// `[redis]`.
    pub redis: RedisSettings,
    /// `[server]`.
    pub server: server::Settings,
    /// `[api]`.
    pub api: server::api::Settings,
    /// `[metrics]`.
    #[serde(default)]
    pub metrics: server::MetricsSettings,
    /// `[telemetry]`.
    pub telemetry: otlp::Settings,
    /// `[worker]`.
    pub worker: worker::Settings,
    /// `[maintain]`.
    pub maintain: maintain::Settings,
    /// `[outbound]`.
    pub outbound: outbound::Settings,
    /// `[tracking]`: links of ours in mails.
    pub tracking: links::Settings,
    /// `[channels]`: the order of each channel's gateways.
    pub channels: BTreeMap<Channel, Vec<String>>,
    /// `[routes.TYPE]`: gateways of some types of messages.
    pub routes: Routes,
    /// `[ip_pools]`: the IP pool of mails that name none, by message type.
    pub ip_pools: BTreeMap<MessageType, String>,
    /// `[sms_prices.GATEWAY]`: the price of a part, by prefix.
    pub sms_prices: Prices,
    /// `[gateways.NAME]`.
    pub gateways: BTreeMap<String, GatewaySettings>,
    /// `[webhooks.NAME]`: where providers post.
    pub webhooks: BTreeMap<String, EndpointSettings>,
    /// Each gateway's settings on one line, secrets masked.
    #[serde(skip)]
    pub shown_gateways: BTreeMap<String, String>,
    /// The same of the endpoints.
    #[serde(skip)]
    pub shown_webhooks: BTreeMap<String, String>,
    /// What of each gateway's settings must not be shown.
    #[serde(skip)]
    pub gateway_secrets: BTreeMap<String, Vec<Secret>>,
}

/// `[database]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Where Postroad lives.
    #[serde(default)]
    pub url: Option<Secret>,
}

/// `[redis]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// Where rate limits are shared.
    #[serde(default)]
    pub url: Option<Secret>,
}

/// A setting that cannot be used. Its text is one line, and shows no secret.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    /// Its dotted path, such as `worker.pools.P1.concurrency`, or the file.
    pub setting: String,
    /// What was wrong and what would be right.
    pub problem: String,
}

impl ConfigError {
    /// `problem` may be of several lines.
    pub fn new(setting: impl Into<String>, problem: impl AsRef<str>) -> Self {
        let words: Vec<_> = problem.as_ref().split_whitespace().collect();
        Self {
            setting: setting.into(),
            problem: words.join(" "),
        }
    }
}

impl Config {
    /// Reads `file`, if there is one, and the environment; checks everything, down to building each gateway once.
    /// Needs a Tokio runtime around it, which gateways use.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => Some(fs::read_to_string(path).map_err(|error| {
                ConfigError::new(
                    path.display().to_string(),
                    format!("cannot be read: {error}"),
                )
            })?),
            None => None,
        };
        let name = file.map_or_else(String::new, |path| path.display().to_string());
        let file = text.as_deref().map(|text| (name.as_str(), text));
        Self::from_parts(file, &|name| std::env::var(name).ok())
    }

    /// What decides by which gateway and IP pool a message goes, beside the order of its channel.
    pub fn rules(&self) -> worker::settings::Rules {
        let ip_pools = self.ip_pools.iter();
        worker::settings::Rules {
            routes: self.routes.clone(),
            ip_pools: ip_pools
                .map(|(of, pool)| (*of, pool.as_str().into()))
                .collect(),
            sms_prices: self.sms_prices.clone(),
        }
    }

    /// As [`load`](Self::load), from a file's name and text, and a lookup of environment variables.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn from_parts(
        file: Option<(&str, &str)>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let secrets = RefCell::new(Vec::new());
        let recorded = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            if problem::is_secret(&name.to_ascii_lowercase()) {
                secrets.borrow_mut().push(value.clone());
            }
            Some(value)
        };
        let mut result = Self::read(file, &recorded);
        // A reader may quote what it was given, also where a secret was put into the wrong setting.
        if let Err(error) = &mut result {
            for secret in secrets.borrow().iter() {
                error.problem = error.problem.replace(secret, "***");
            }
        }
        result
    }

    fn read(
        file: Option<(&str, &str)>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut settings = problem::parse("default.toml", DEFAULTS)?;
        if let Some((name, text)) = file {
            overlay(&mut settings, problem::parse(name, text)?);
        }
        let hidden = environment::hidden(variable)?;
        let visible = |name: &str| variable(name).filter(|_| !hidden.contains(&name));
        interpolate::interpolate(&mut settings, &visible)?;
        if let Some(Value::Table(gateways)) = settings.get_mut("gateways") {
            environment::add_gateways(gateways, variable)?;
        }
        if let Some(Value::Table(webhooks)) = settings.get_mut("webhooks") {
            environment::add_webhooks(webhooks, variable)?;
        }
        let shown_gateways = shown::tables(&settings, "gateways");
        let shown_webhooks = shown::tables(&settings, "webhooks");
        let gateway_secrets = shown::secrets(&settings);
        let mut config: Self = problem::deserialize(settings)?;
        config.shown_gateways = shown_gateways;
        config.shown_webhooks = shown_webhooks;
        config.gateway_secrets = gateway_secrets;
        let Self {
            channels,
            routes,
            gateways,
            ..
        } = &mut config;
        let by_type = routes.values_mut().flat_map(BTreeMap::values_mut);
        for names in channels.values_mut().chain(by_type) {
            for name in &mut *names {
                if let Some(other) = other_name(name)
                    && !gateways.contains_key(name)
                {
                    *name = other.into();
                }
            }
            let mut seen = BTreeSet::new();
            names.retain(|name| seen.insert(name.clone()));
        }
        check::check(&config)?;
        config.report_to_us();
        Ok(config)
    }
}

impl Config {
    /// Names our webhooks to the gateways that take them with each message.
    fn report_to_us(&mut self) {
        let Some(public_url) = &self.server.public_url else {
            return;
        };
        let public_url = public_url.trim_end_matches('/');
        for (name, gateway) in &mut self.gateways {
            if let GatewaySettings::Twilio(settings) = gateway {
                settings.report_to(&format!("{public_url}/webhooks/{name}"));
            }
        }
    }
}

/// Lays `over` on `base`: tables key by key, everything else whole.
fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => overlay(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
