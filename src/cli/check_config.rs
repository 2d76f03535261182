//! `postroad check-config`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use futures_util::future::join_all;
use tokio::time::timeout_at;

use super::say;
use crate::config::{Config, ConfigError};
use crate::db::pool::Database;
use crate::db::{operate, pooler};
use crate::embedded;
use crate::gateway::check::Checked;
use crate::gateway::registry::Registry;
use crate::model::secret::masked_url;

/// How long a provider may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Shows what a start would use, which is valid when we get here, and asks providers and the database, unless `offline`.
pub(super) async fn check_config(
    config: &Config,
    file: Option<&Path>,
    offline: bool,
) -> anyhow::Result<()> {
    let source = file.map_or("the environment".into(), |file| file.display().to_string());
    say(&format!("The configuration ({source}) is valid.\n"));
    say(&format!("listen    {}", config.server.listen));
    for (name, settings) in &config.shown_gateways {
        say(&format!("gateway   {name}: {settings}"));
    }
    for (name, settings) in &config.shown_webhooks {
        say(&format!("webhook   {name}: {settings}"));
    }
    let registry = Registry::build(&config.gateways, &config.channels)?;
    for (channel, names) in registry.names() {
        let order = match names.is_empty() {
            true => "no gateway, its messages wait".into(),
            false => names.join(", then "),
        };
        say(&format!("channel   {channel}: {order}"));
    }
    for (message_type, of_type) in &config.routes {
        for (channel, names) in of_type {
            let order = names.join(", then ");
            say(&format!("route     {message_type} over {channel}: {order}"));
        }
    }
    if offline {
        return Ok(());
    }
    let gateways = check_gateways(&registry).await;
    check_database(config).await?;
    gateways
}

/// Asks all providers side by side; a line each. The first setting that is wrong is the error, else the first provider
/// that did not answer.
async fn check_gateways(registry: &Registry) -> anyhow::Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    let checks = registry.all().map(async |gateway| {
        let checked = timeout_at((deadline + TIMEOUT).into(), gateway.check(deadline)).await;
        (gateway.name(), checked)
    });
    let (mut refused, mut unanswered) = (None, None);
    for (name, checked) in join_all(checks).await {
        let line = match checked {
            Ok(Ok(Checked::Taken)) => "ok".into(),
            Ok(Ok(Checked::TakenBut(remark))) => format!("ok, {remark}"),
            Ok(Ok(Checked::NotAsked(why))) => format!("ok, not asked: {why}"),
            Ok(Err(wrong)) => {
                let line = format!("wrong: {wrong}");
                let path = |setting| format!("gateways.{name}.{setting}");
                let paths: Vec<_> = wrong.setting.split(" and ").map(path).collect();
                let (setting, error) = (paths.join(" and "), wrong.error.explained());
                match wrong.is_refusal() {
                    true => {
                        let problem = format!("the provider refuses it: {error}");
                        refused.get_or_insert_with(|| ConfigError::new(setting, problem));
                    }
                    false => {
                        unanswered.get_or_insert_with(|| anyhow!("{setting}: {error}"));
                    }
                }
                line
            }
            Err(_) => {
                unanswered.get_or_insert_with(|| anyhow!("gateways.{name}: no answer"));
                "wrong: no answer".into()
            }
        };
        say(&format!("check     {name}: {line}"));
    }
    match (refused, unanswered) {
        (Some(error), _) => Err(error.into()),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(()),
    }
}

async fn check_database(config: &Config) -> anyhow::Result<()> {
    let url = match &config.database.url {
        Some(url) => url.expose().to_owned(),
        None => match embedded::running_url(Path::new(embedded::FOLDER)).await {
            Some(url) => url,
            None => {
                say("database  none; `postroad up` brings its own");
                return Ok(());
            }
        },
    };
    let masked = masked_url(&url);
    let database = Database::new(&url, "postroad check-config")?;
    let version = operate::server_version(&database).await;
    let version = version.with_context(|| format!("database {masked} does not answer"))?;
    pooler::check_sessions(&database).await?;
    let schema = match operate::schema_exists(&database).await? {
        true => "its schema is there",
        false => "it has no schema postroad yet: run `postroad migrate`",
    };
    say(&format!(
        "database  {masked}: PostgreSQL {version} answers, {schema}"
    ));
    Ok(())
}
