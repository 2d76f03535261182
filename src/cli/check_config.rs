//! `postroad check-config`.

use std::path::Path;

use anyhow::Context as _;

use super::say;
use crate::config::Config;
use crate::db::operate;
use crate::db::pool::Database;
use crate::embedded;
use crate::gateway::registry::Registry;
use crate::model::secret::masked_url;

/// Shows what a start would use, which is valid when we get here, and asks the database.
pub(super) async fn check_config(config: &Config, file: Option<&Path>) -> anyhow::Result<()> {
    let source = file.map_or("the environment".into(), |file| file.display().to_string());
    say(&format!("The configuration ({source}) is valid.\n"));
    say(&format!("listen    {}", config.server.listen));
    for (name, settings) in &config.shown_gateways {
        say(&format!("gateway   {name}: {settings}"));
    }
    for (channel, names) in Registry::build(&config.gateways, &config.channels)?.names() {
        let order = match names.is_empty() {
            true => "no gateway, its messages wait".into(),
            false => names.join(", then "),
        };
        say(&format!("channel   {channel}: {order}"));
    }
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
    let schema = match operate::schema_exists(&database).await? {
        true => "its schema is there",
        false => "it has no schema postroad yet: run `postroad migrate`",
    };
    say(&format!(
        "database  {masked}: PostgreSQL {version} answers, {schema}"
    ));
    Ok(())
}
