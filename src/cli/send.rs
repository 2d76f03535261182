//! `postroad send`: one message through one gateway, by hand, and what went over the wire.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use uuid::Uuid;

use super::{operators_url, say};
use crate::config::{Config, ConfigError};
use crate::db::operate;
use crate::db::pool::Database;
use crate::gateway::Gateway;
use crate::gateway::exchange::Recorder;
use crate::gateway::registry::Registry;
use crate::model::message::{Channel, MessageType, Options, Priority, Rendered};
use crate::model::outcome::{Blame, Fault};

/// How long the provider may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What `postroad send` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// email, sms, push, voice, in_app or webhook
    #[arg(long, value_parser = Channel::from_str)]
    channel: Channel,
    /// Address, number, token or URL
    #[arg(long)]
    to: String,
    /// A gateway's name in the configuration; the channel's first one by default
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Subject of a mail, title of a push
    #[arg(long)]
    subject: Option<String>,
    /// Plain text
    #[arg(long)]
    body: Option<String>,
    /// HTML of a mail
    #[arg(long)]
    html: Option<String>,
}

/// Sends it and prints the exchange.
///
/// # Errors
///
/// When the gateway did not accept it, or the recipient is suppressed in the configured database.
pub(super) async fn send(config: &Config, arguments: Arguments) -> anyhow::Result<()> {
    let registry = Registry::build(&config.gateways, &config.channels)?;
    let gateway = gateway(&registry, &arguments)?;
    check_suppression(config, &arguments).await?;
    let message = message(arguments);
    let secrets = config.gateway_secrets.get(gateway.name());
    let recorder = Recorder::new(secrets.cloned().unwrap_or_default());
    let deadline = Instant::now() + TIMEOUT;
    let answer = recorder.during(gateway.send(&message, deadline)).await;
    let lines = recorder.lines();
    if lines.is_empty() {
        say("* nothing went over a network");
    }
    for line in lines {
        say(&line);
    }
    let (name, id) = (gateway.name(), message.message_id);
    match answer {
        Ok(accepted) => {
            let external_id = accepted.external_id.unwrap_or_else(|| "none".into());
            say(&format!(
                "\n{name} accepted {id}; external id {external_id}"
            ));
            Ok(())
        }
        Err(error) => Err(anyhow!(
            "{name} did not accept it: {}; {}",
            error.explained(),
            in_words(error.fault)
        )),
    }
}

fn in_words(fault: Fault) -> &'static str {
    match fault {
        Fault::Transient { .. } => "it may pass: a worker would try again",
        Fault::Permanent(Blame::Recipient) => "the fault is the recipient's",
        Fault::Permanent(Blame::Message) => "the fault is the message's",
        Fault::Gateway { .. } => "the fault is the gateway's",
        Fault::Unknown => "whether it went out is not known",
    }
}

fn gateway<'a>(
    registry: &'a Registry,
    arguments: &Arguments,
) -> Result<&'a Arc<dyn Gateway>, ConfigError> {
    let channel = arguments.channel;
    let Some(name) = &arguments.gateway else {
        let of_channel = registry.for_channel(channel).first();
        return of_channel.ok_or_else(|| {
            ConfigError::new(format!("channels.{channel}"), "the channel has no gateway")
        });
    };
    let gateway = registry.get(name);
    let gateway = gateway
        .ok_or_else(|| ConfigError::new(format!("gateways.{name}"), "there is no such gateway"))?;
    match gateway.channels().contains(&channel) {
        true => Ok(gateway),
        false => {
            let problem = format!("does not serve channel {channel}");
            Err(ConfigError::new(format!("gateways.{name}"), problem))
        }
    }
}

/// Nothing goes to a suppressed address, by hand neither. Without a database, configured or of an `up` that runs here, there is no list.
async fn check_suppression(config: &Config, arguments: &Arguments) -> anyhow::Result<()> {
    let Ok(url) = operators_url(config).await else {
        return Ok(());
    };
    let database = Database::new(&url, "postroad send")?;
    let asked = operate::is_suppressed(&database, arguments.channel, &arguments.to).await;
    match asked.context("whether the recipient is suppressed cannot be asked")? {
        true => bail!("the recipient is suppressed on {}", arguments.channel),
        false => Ok(()),
    }
}

fn message(arguments: Arguments) -> Rendered {
    Rendered {
        message_id: Uuid::now_v7(),
        channel: arguments.channel,
        message_type: MessageType::Transactional,
        priority: Priority::P4,
        attempt: 1,
        recipient: arguments.to.trim().to_owned(),
        subject: arguments.subject.map(Arc::from),
        body: arguments.body.map(Arc::from),
        html: arguments.html.map(Arc::from),
        data: None,
        options: Arc::new(Options::default()),
        ip_pool: None,
        tenant_id: None,
    }
}
