//! START HERE. A pool a priority, each a thread of its own: it waits, claims, delivers and completes.
//!
//! `claim` brings batches, `pool` keeps sends in flight, `deliver` is one message's way through its gateways, `batch` that
//! of several by one call, `complete` writes what became of them. Nothing is shared between two priorities but the process's session.

mod batch;
pub mod claim;
pub mod complete;
mod contents;
pub mod deliver;
mod figures;
pub mod pool;
pub mod routing;
pub mod settings;
mod share;
pub mod throttles;
mod traced;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::db::calls::Announced;
use crate::db::{Database, listen};
use crate::gateway::links::Links;
use crate::gateway::registry::{GatewayConfigError, GatewaySettings, Registry};
use crate::model::message::{Channel, Priority};
use crate::telemetry::counted;
use routing::Routing;
pub use settings::Settings;

/// What a worker process is made of.
pub struct Context {
    /// Its database.
    pub database: Database,
    /// `[worker]`.
    pub settings: Settings,
    /// The priorities that it serves.
    pub priorities: Vec<Priority>,
    /// `[gateways.NAME]`.
    pub gateways: BTreeMap<String, GatewaySettings>,
    /// The order of each channel's gateways.
    pub channels: BTreeMap<Channel, Vec<String>>,
    /// What else decides by which gateway and IP pool a message goes.
    pub rules: settings::Rules,
    /// What makes our links in mails; without it there are none.
    pub links: Option<Arc<Links>>,
}

/// A worker that cannot start, or that ended by a bug.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A gateway with wrong settings.
    #[error(transparent)]
    Gateway(#[from] GatewayConfigError),
    /// A setting of a pool is wrong, or missing.
    #[error("worker.pools.{priority}: {message}")]
    Pool {
        /// The pool.
        priority: Priority,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The system gave no thread or runtime.
    #[error("a pool could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A bug.
    #[error("the pool of {0} panicked")]
    Panicked(Priority),
    /// A bug.
    #[error("the worker's session panicked")]
    Session,
}

/// Connections of one pool: one claims, one completes, one records intents and hands back.
const CONNECTIONS: usize = 3;

/// Runs the pools until `shutdown`, then finishes what is in flight and hands back the rest.
///
/// # Errors
///
/// When a setting is wrong, before anything is claimed. A database that is not there is waited for.
pub async fn run(context: Context, shutdown: CancellationToken) -> Result<(), Error> {
    let mut registries = Vec::new();
    for priority in &context.priorities {
        registries.push((
            *priority,
            Registry::build_with(&context.gateways, &context.channels, context.links.as_ref())?
                .with_routes(&context.rules.routes)?,
        ));
    }
    let names = registries.first().map_or_else(Vec::new, |(_, registry)| {
        registry
            .names()
            .map(|(channel, names)| (channel, names.into_iter().map(str::to_owned).collect()))
            .collect()
    });
    let configured: HashSet<String> = registries
        .first()
        .map_or_else(HashSet::new, |(_, registry)| {
            registry.all().map(|g| g.name().to_owned()).collect()
        });
    let announced = Announced {
        gateways: names,
        rules: told(&context.rules),
    };
    let (keeper, session) = listen::session(
        context.database.clone(),
        context.priorities.clone(),
        announced,
    );
    let rules = Arc::new(context.rules.clone());
    let routing = Arc::new(Routing::default());
    let mut pools = Vec::new();
    let mut shown = Vec::new();
    for (priority, gateways) in registries {
        let session = session.clone();
        let pool = pool(
            &context,
            priority,
            gateways,
            session,
            Arc::clone(&routing),
            Arc::clone(&rules),
        )?;
        let db = pool.db.clone();
        shown.push(counted::register(move |samples| {
            figures::collect_pool(priority.as_str(), &db, samples);
        }));
        pools.push(pool);
    }
    shown.push(counted::register({
        let routing = Arc::clone(&routing);
        move |samples| routing.collect(samples)
    }));

    // One pool that ends by a bug ends the process: its leases are rescued only then.
    let stop = shutdown.child_token();
    let pools_ended = CancellationToken::new();
    let mut keeping = tokio::spawn(keeper.run(pools_ended.clone()));
    let db = context.database.pool(1);
    let sharing = tokio::spawn(share::run(routing, configured, db, session, stop.clone()));
    let (sender, mut ends) = mpsc::unbounded_channel();
    for pool in pools {
        let (priority, stop, sender) = (pool.priority, stop.clone(), sender.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name(format!("pool-{priority}"))
            .spawn(move || {
                let run = AssertUnwindSafe(|| runtime.block_on(pool.run(stop)));
                let _ = sender.send((priority, catch_unwind(run).is_ok()));
            })?;
    }
    drop(sender);
    let mut result = Ok(());
    let mut keeps = true;
    loop {
        tokio::select! {
            end = ends.recv() => match end {
                Some((_, true)) if stop.is_cancelled() => {}
                Some((priority, _)) => {
                    result = result.and(Err(Error::Panicked(priority)));
                    stop.cancel();
                }
                None => break,
            },
            _ = &mut keeping, if keeps => {
                keeps = false;
                result = result.and(Err(Error::Session));
                stop.cancel();
            }
        }
    }
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), sharing).await;
    pools_ended.cancel();
    if keeps {
        let _ = keeping.await;
    }
    result
}

/// The rules as `explain` reads them.
fn told(rules: &settings::Rules) -> serde_json::Value {
    let ip_pools = rules.ip_pools.iter();
    let ip_pools: BTreeMap<_, _> = ip_pools.map(|(of, pool)| (of, &**pool)).collect();
    serde_json::json!({ "routes": rules.routes, "ip_pools": ip_pools, "sms_prices": rules.sms_prices })
}

fn pool(
    context: &Context,
    priority: Priority,
    gateways: Registry,
    session: listen::Session,
    routing: Arc<Routing>,
    rules: Arc<settings::Rules>,
) -> Result<pool::Pool, Error> {
    let wrong = |message: String| Error::Pool { priority, message };
    let settings = context
        .settings
        .pools
        .get(&priority)
        .ok_or_else(|| wrong("is missing".into()))?;
    let [least, most] = settings.concurrency;
    if least < 1 || most < least {
        return Err(wrong(format!(
            "concurrency is [fewest, most] with 1 ≤ fewest ≤ most, got [{least}, {most}]"
        )));
    }
    Ok(pool::Pool {
        priority,
        concurrency: (least, most),
        poll: settings.poll.0,
        p1_gate: context.settings.p1_gate,
        policy: settings::PoolPolicy {
            send_timeout: context.settings.send_timeout.0,
            max_attempts: settings.max_attempts,
            backoff: settings
                .backoff
                .build()
                .map_err(|message| wrong(format!("backoff: {message}")))?,
            rules,
        },
        shutdown_timeout: context.settings.shutdown_timeout.0,
        db: context.database.pool(CONNECTIONS),
        session,
        gateways,
        routing,
    })
}
