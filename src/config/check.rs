//! Rules that types cannot say.

use std::time::Duration;

use super::{Config, ConfigError};
use crate::db::pool::Database;
use crate::gateway::endpoints::{EndpointConfigError, EndpointSettings, Endpoints};
use crate::gateway::links::Links;
use crate::gateway::registry::{GatewayConfigError, Registry};
use crate::model::message::Priority;
use crate::tls;
use crate::worker::settings::PoolSettings;

const DAY: Duration = Duration::from_secs(86_400);

/// Checks everything, down to building each gateway once.
///
/// # Errors
///
/// The first setting that cannot be used.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if let Some(url) = &config.database.url {
        Database::new(url.expose(), "postroad").map_err(|error| {
            let problem = format!("{error}; expected postgres://user:password@host:5432/name");
            ConfigError::new("database.url", problem.replace(url.expose(), "***"))
        })?;
    }
    if let Some(url) = &config.server.public_url {
        let host = url.strip_prefix("https://").or(url.strip_prefix("http://"));
        if host.is_none_or(str::is_empty) {
            let problem = format!("expected a URL such as https://post.example.org, got \"{url}\"");
            return Err(ConfigError::new("server.public_url", problem));
        }
    }
    check_server(config)?;
    check_api(config)?;
    let redis = config.redis.url.as_ref().map(|url| url.expose());
    if redis.is_some_and(|url| {
        !["redis://", "rediss://", "redis+unix://"]
            .iter()
            .any(|s| url.starts_with(s))
    }) {
        let problem = "expected a URL such as redis://host:6379/0";
        return Err(ConfigError::new("redis.url", problem));
    }
    Links::new(&config.tracking, config.server.public_url.as_deref())
        .map_err(|problem| ConfigError::new("tracking", problem))?;
    check_worker(config)?;
    check_maintain(config)?;
    check_outbound(config)?;
    check_gateways(config)
}

fn check_server(config: &Config) -> Result<(), ConfigError> {
    let server = &config.server;
    if server.max_connections < 1 {
        let problem = format!("must be 1 or more, got {}", server.max_connections);
        return Err(ConfigError::new("server.max_connections", problem));
    }
    for (setting, timeout) in [
        ("head_timeout", server.head_timeout),
        ("body_timeout", server.body_timeout),
    ] {
        if timeout.0.is_zero() {
            let setting = format!("server.{setting}");
            return Err(ConfigError::new(setting, "must be more than 0"));
        }
    }
    if let Err((setting, problem)) = config.telemetry.read() {
        return Err(ConfigError::new(setting, problem));
    }
    match (&server.tls_certificate, &server.tls_key) {
        (Some(certificate), Some(key)) => tls::server(certificate, key)
            .map(drop)
            .map_err(|problem| ConfigError::new("server.tls_certificate", problem)),
        (Some(_), None) => Err(ConfigError::new("server.tls_key", "is missing")),
        (None, Some(_)) => Err(ConfigError::new("server.tls_certificate", "is missing")),
        (None, None) => Ok(()),
    }
}

fn check_api(config: &Config) -> Result<(), ConfigError> {
    let api = &config.api;
    for (setting, value) in [
        ("connections", api.connections),
        ("requests_per_second", api.requests_per_second as usize),
        ("max_body_bytes", api.max_body_bytes),
    ] {
        if value < 1 {
            let setting = format!("api.{setting}");
            return Err(ConfigError::new(setting, "must be 1 or more"));
        }
    }
    api.jwt
        .check()
        .map_err(|problem| ConfigError::new("api.jwt", problem))
}

fn check_worker(config: &Config) -> Result<(), ConfigError> {
    let worker = &config.worker;
    if worker.send_timeout.0.is_zero() {
        return Err(ConfigError::new(
            "worker.send_timeout",
            "must be more than 0",
        ));
    }
    if worker.p1_gate < 1 {
        let problem = format!("must be 1 or more, got {}", worker.p1_gate);
        return Err(ConfigError::new("worker.p1_gate", problem));
    }
    for priority in Priority::ALL {
        let path = format!("worker.pools.{priority}");
        let pool = worker.pools.get(priority);
        let pool = pool.ok_or_else(|| ConfigError::new(&path, "is missing"))?;
        check_pool(&path, pool)?;
    }
    Ok(())
}

fn check_pool(path: &str, pool: &PoolSettings) -> Result<(), ConfigError> {
    let refused = |setting: &str, problem: String| {
        Err(ConfigError::new(format!("{path}.{setting}"), problem))
    };
    let [fewest, most] = pool.concurrency;
    if fewest < 1 || fewest > most {
        return refused(
            "concurrency",
            format!("expected [fewest, most] with 1 <= fewest <= most, got [{fewest}, {most}]"),
        );
    }
    if pool.max_attempts < 1 {
        return refused(
            "max_attempts",
            format!("must be 1 or more, got {}", pool.max_attempts),
        );
    }
    if pool.poll.0.is_zero() {
        return refused("poll", "must be more than 0, such as \"100ms\"".into());
    }
    match pool.backoff.build() {
        Ok(_) => Ok(()),
        Err(problem) => refused("backoff", problem),
    }
}

fn check_outbound(config: &Config) -> Result<(), ConfigError> {
    let outbound = &config.outbound;
    if !(1..=64).contains(&outbound.concurrency) {
        let problem = format!("must be 1 to 64, got {}", outbound.concurrency);
        return Err(ConfigError::new("outbound.concurrency", problem));
    }
    for (setting, duration) in [
        ("outbound.timeout", outbound.timeout.0),
        ("outbound.disable_after", outbound.disable_after.0),
    ] {
        if duration.is_zero() {
            return Err(ConfigError::new(setting, "must be more than 0"));
        }
    }
    Ok(())
}

fn check_maintain(config: &Config) -> Result<(), ConfigError> {
    let retention = config.maintain.retention.0;
    if retention < DAY || !retention.as_secs().is_multiple_of(DAY.as_secs()) {
        let problem = "expected whole days, 1 or more, such as \"30d\"";
        return Err(ConfigError::new("maintain.retention", problem));
    }
    let retention = config.maintain.webhook_retention.0;
    if retention < DAY {
        let problem = "must be a day at least: providers send again for so long";
        return Err(ConfigError::new("maintain.webhook_retention", problem));
    }
    // What was stored is what tells a replay.
    let outlives = |endpoint: &&EndpointSettings| {
        let fresh = endpoint.source.freshness().unwrap_or_default();
        fresh.saturating_add(Duration::from_secs(300)) > retention
    };
    if let Some((name, _)) = config.webhooks.iter().find(|(_, e)| outlives(e)) {
        let problem = "must be shorter than maintain.webhook_retention by five minutes: a request that is fresh after it was forgotten could be replayed";
        return Err(ConfigError::new(
            format!("webhooks.{name}.freshness"),
            problem,
        ));
    }
    let ahead = config.maintain.partitions_ahead;
    if ahead < 1 {
        let problem = format!("must be 1 or more, got {ahead}");
        return Err(ConfigError::new("maintain.partitions_ahead", problem));
    }
    Ok(())
}

fn check_gateways(config: &Config) -> Result<(), ConfigError> {
    let of_channels = config.channels.iter();
    let of_channels = of_channels.map(|(channel, names)| (format!("channels.{channel}"), names));
    let of_types = config.routes.iter().flat_map(|(message_type, of_type)| {
        of_type
            .iter()
            .map(move |(channel, names)| (format!("routes.{message_type}.{channel}"), names))
    });
    for (setting, names) in of_channels.chain(of_types) {
        if let Some(name) = names
            .iter()
            .find(|name| !config.gateways.contains_key(*name))
        {
            return Err(ConfigError::new(setting, not_configured(config, name)));
        }
    }
    let mut priced = config.sms_prices.gateways();
    if let Some(name) = priced.find(|name| !config.gateways.contains_key(*name)) {
        return Err(ConfigError::new("sms_prices", not_configured(config, name)));
    }
    if let Some((message_type, _)) = config.ip_pools.iter().find(|(_, pool)| pool.is_empty()) {
        let setting = format!("ip_pools.{message_type}");
        return Err(ConfigError::new(
            setting,
            "must not be empty; leave it out for none",
        ));
    }
    Registry::build(&config.gateways, &config.channels)
        .and_then(|registry| registry.with_routes(&config.routes))
        .map(drop)
        .map_err(|GatewayConfigError { gateway, message }| {
            ConfigError::new(format!("gateways.{gateway}"), message)
        })?;
    Endpoints::build(&config.webhooks)
        .map(drop)
        .map_err(|EndpointConfigError { name, message }| {
            ConfigError::new(format!("webhooks.{name}"), message)
        })
}

fn not_configured(config: &Config, name: &str) -> String {
    let known: Vec<_> = config.gateways.keys().map(String::as_str).collect();
    let known = match known.is_empty() {
        true => "none is".into(),
        false => known.join(", "),
    };
    format!("gateway \"{name}\" is not configured; configured: {known}")
}
