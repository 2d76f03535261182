//! Runs roles side by side until the shutdown signal, or until one of them fails.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::configured_url;
use crate::config::Config;
use crate::db::migrate::check_schema;
use crate::db::pool::Database;
use crate::gateway::endpoints::Endpoints;
use crate::gateway::links::Links;
use crate::model::message::Priority;
use crate::server::live;
use crate::{gateway, maintain, outbound, server, shutdown, telemetry, worker};

/// What a process does.
pub(super) enum Role {
    /// Sends messages of these priorities.
    Worker(Vec<Priority>),
    Maintain,
    Serve,
    /// Posts events to endpoints.
    Outbound,
}

impl Role {
    /// The server answers health checks before the database is there, too.
    fn needs_schema(&self) -> bool {
        !matches!(self, Self::Serve)
    }
}

/// Runs `roles` on the configured database.
pub(super) async fn run(config: Config, roles: Vec<Role>) -> anyhow::Result<()> {
    telemetry::start();
    let database = Database::new(configured_url(&config)?, "postroad")?;
    let shutdown = shutdown::on_signal()?;
    let serves = roles.iter().any(|role| matches!(role, Role::Serve));
    if roles.iter().any(Role::needs_schema) {
        let checked = check_schema(&database).await;
        checked.context("the database cannot be used")?;
    }
    let listener = match serves {
        true => Some(server::listen(&config.server).await?),
        false => None,
    };
    if let Some(listener) = &listener {
        let scheme = config.server.scheme();
        info!("listening on {scheme}://{}", listener.local_addr()?);
    }
    let page = live::Setup::default();
    run_until(
        config,
        roles,
        database,
        listener.map(|l| (l, page)),
        shutdown,
    )
    .await
}

/// Runs `roles` until `shutdown`; one that fails or ends before takes the others with it.
pub(super) async fn run_until(
    config: Config,
    roles: Vec<Role>,
    database: Database,
    mut served: Option<(TcpListener, live::Setup)>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let links = links(&config)?;
    let mut running = JoinSet::new();
    let monitors = server::listen_for_monitors(&config.metrics).await?;
    let has_metrics = monitors.is_none();
    if let Some(listener) = monitors {
        info!("figures on http://{}/metrics", listener.local_addr()?);
        let settings = server::Settings {
            tls_certificate: None,
            tls_key: None,
            ..config.server.clone()
        };
        let (database, shutdown) = (database.clone(), shutdown.clone());
        running.spawn(async move {
            let result = server::run_metrics(listener, settings, database, shutdown).await;
            ("metrics", result.map_err(anyhow::Error::msg))
        });
    }
    let exported = config
        .telemetry
        .read()
        .map_err(|(_, problem)| anyhow!(problem))?;
    if let Some(collector) = exported {
        let client = gateway::http::client().map_err(anyhow::Error::msg)?;
        let (name, shutdown) = (config.telemetry.service_name.clone(), shutdown.clone());
        running.spawn(async move {
            telemetry::otlp::run(client, collector, name, shutdown).await;
            ("traces", Ok(()))
        });
    }
    if roles.iter().any(Role::needs_schema) {
        let (database, shutdown) = (database.clone(), shutdown.clone());
        running.spawn(async move {
            maintain::shared(database, shutdown).await;
            ("upkeep", Ok(()))
        });
    }
    for role in roles {
        let (database, shutdown) = (database.clone(), shutdown.clone());
        match role {
            Role::Worker(priorities) => {
                let context = worker::Context {
                    database,
                    settings: config.worker.clone(),
                    priorities,
                    gateways: config.gateways.clone(),
                    channels: config.channels.clone(),
                    rules: config.rules(),
                    links: links.clone(),
                };
                running.spawn(async move {
                    let result = worker::run(context, shutdown).await;
                    ("worker", result.map_err(anyhow::Error::from))
                });
            }
            Role::Maintain => {
                let settings = config.maintain.clone();
                running.spawn(async move {
                    maintain::elected(database, settings, shutdown).await;
                    ("maintain", Ok(()))
                });
            }
            Role::Outbound => {
                let settings = config.outbound.clone();
                running.spawn(async move {
                    let result = outbound::run(database, settings, shutdown).await;
                    ("outbound", result.map_err(anyhow::Error::msg))
                });
            }
            Role::Serve => {
                let (listener, page) = served.take().context("no listener to serve on")?;
                let context = server::Context {
                    settings: config.server.clone(),
                    api: config.api.clone(),
                    database,
                    endpoints: Endpoints::build(&config.webhooks)?,
                    webhook_counts: Arc::default(),
                    links: links.as_ref().map(|links| links.keys()),
                    page,
                    has_metrics,
                };
                running.spawn(async move {
                    let result = server::run(listener, context, shutdown).await;
                    ("serve", result.map_err(anyhow::Error::msg))
                });
            }
        }
    }
    let mut result = Ok(());
    while let Some(ended) = running.join_next().await {
        let failure = match ended {
            Ok((role, Err(error))) => error.context(format!("{role} failed")),
            Ok((role, Ok(()))) if !shutdown.is_cancelled() => anyhow!("{role} ended by itself"),
            Ok((_, Ok(()))) => continue,
            Err(panic) => anyhow!("a role ended: {panic}"),
        };
        shutdown.cancel();
        match &result {
            Ok(()) => result = Err(failure),
            // The first one is reported by the caller; it is the cause, more often than not.
            Err(_) => error!("{failure:#}"),
        }
    }
    result
}

/// What makes our links, if it is configured.
fn links(config: &Config) -> anyhow::Result<Option<Arc<Links>>> {
    let links = Links::new(&config.tracking, config.server.public_url.as_deref());
    let links = links.map_err(|problem| anyhow!("tracking: {problem}"))?;
    Ok(links.map(Arc::new))
}
