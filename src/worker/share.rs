//! Keeps what this process knows of gateways and what all nodes know the same, through Postgres.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::routing::Routing;
use super::throttles::{Throttled, Throttler};
use crate::db::listen::Session;
use crate::db::{DbError, calls};
use crate::model::excess::Excess;

/// How often it looks for gateways that stalled, and for changes to tell.
const LOOK: Duration = Duration::from_millis(250);
/// How often it asks what the other nodes know, unless it is notified.
const ASK: Duration = Duration::from_millis(500);
/// How often calls are written down.
const WRITE: Duration = Duration::from_secs(5);

/// Runs until `shutdown`. Only `gateways`, those that this process has, are probed by it.
pub(super) async fn run(
    routing: Arc<Routing>,
    gateways: HashSet<String>,
    db: Pool,
    session: Session,
    shutdown: CancellationToken,
) {
    let mut asked: Option<Instant> = None;
    let mut written = Instant::now();
    loop {
        let notified = tokio::select! {
            notified = timeout(LOOK, session.health_changed()) => notified.is_ok(),
            () = shutdown.cancelled() => break,
        };
        routing.look();
        tell_throttles(&routing, &db).await;
        let is_time = notified || asked.is_none_or(|at| at.elapsed() >= ASK);
        if let Err(error) = share(&routing, &gateways, &db, &session, is_time).await {
            // Each node routes by what it saw itself meanwhile.
            tracing::debug!(%error, "what is known of gateways could not be shared; it is tried again");
        } else if is_time {
            asked = Some(Instant::now());
        }
        if written.elapsed() >= WRITE {
            written = Instant::now();
            write(&routing, &db).await;
        }
    }
    tell_throttles(&routing, &db).await;
    write(&routing, &db).await;
}

/// Tells who throttles us. What cannot be told now is told later.
async fn tell_throttles(routing: &Routing, db: &Pool) {
    let untold = routing.untold_throttles();
    if untold.is_empty() {
        return;
    }
    let telling = async {
        let client = db.get().await?;
        calls::report_throttled(&client, &throttles(&untold)).await
    };
    match timeout(WRITE, telling).await {
        Ok(Ok(_)) => routing.throttles_told(&untold),
        Ok(Err(error)) => tracing::debug!(%error, "that gateways throttle could not be told"),
        Err(_) => tracing::debug!("that gateways throttle could not be told in time"),
    }
}

/// As `report_throttled` takes them.
fn throttles(untold: &[(Throttler, Excess<Throttled>)]) -> serde_json::Value {
    let throttles = untold.iter().map(|(throttler, excess)| {
        let throttled = &excess.detail;
        serde_json::json!({
            "gateway": throttler.gateway,
            "domain": throttler.domain,
            "reason": throttled.reason,
            "code": throttled.code,
            "retry_after_seconds": throttled.retry_after.map(|after| after.as_secs_f64()),
            "lasting_seconds": excess.lasting.as_secs_f64(),
        })
    });
    throttles.collect()
}

async fn share(
    routing: &Routing,
    gateways: &HashSet<String>,
    db: &Pool,
    session: &Session,
    asks: bool,
) -> Result<(), DbError> {
    let untold = routing.untold();
    if untold.is_empty() && !asks {
        return Ok(());
    }
    let client = db.get().await?;
    let worker_id = session.live().map(|live| live.worker_id);
    for (gateway, change) in untold {
        calls::report_breaker(&client, &gateway, change, worker_id).await?;
        routing.told(&gateway, change);
    }
    if asks {
        for gateway in routing.adopt(&calls::routing_state(&client).await?) {
            // Another process may have it; here no message would ever go to it.
            if gateways.contains(&gateway) && calls::take_probe(&client, &gateway).await? {
                tracing::debug!(gateway, "the next message probes the gateway");
                routing.probe(&gateway);
            }
        }
    }
    Ok(())
}

/// Figures: when they cannot be written they are lost, and nothing else is.
async fn write(routing: &Routing, db: &Pool) {
    let counted = routing.take_calls();
    if counted.is_empty() {
        return;
    }
    let wrote = async {
        let client = db.get().await?;
        calls::add_gateway_calls(&client, &counted).await
    };
    if let Ok(Err(error)) = timeout(WRITE, wrote).await {
        tracing::debug!(%error, "the calls of the last seconds could not be counted");
    }
}
