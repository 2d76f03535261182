//! Events to the endpoints that asked for them, by Standard Webhooks 1.0.0.
//!
//! ```json
//! {"type": "message.delivered", "timestamp": "2026-03-01T12:00:00.123Z", "data": {"message_id": "…", "channel": "email", …}}
//! ```
//!
//! `dispatch_events` reads the stream of events and makes one row for each event and endpoint; here they are posted. A
//! row is taken for a minute: what a killed process had taken is posted by another one, with the same `webhook-id`, so
//! that nothing is lost and a receiver can tell what came twice. Any number of processes may run this. Each endpoint
//! has its own few requests at a time, and one that fails a single one, so that it delays no other. An endpoint's
//! events go out in their order, but those that are tried again come later.

mod post;
mod settings;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use deadpool_postgres::Pool;
use reqwest::Client;
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::post::Verdict;
pub use self::settings::Settings;
use crate::db::events::{self, Delivery};
use crate::db::{Database, DbError};
use crate::gateway::{http, public};

/// How often it looks for events and for deliveries that are due.
const EVERY: Duration = Duration::from_millis(200);
/// So many events read at once are a backlog: more are read at once. Fewer are what came meanwhile, for the next look.
const BACKLOG: i32 = 1000;
/// How often it looks for deliveries from the first one on: of what was committed late, or was due before a clock was put back.
const START_OVER: Duration = Duration::from_secs(10);
/// A failure of the database is tried again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Requests at a time, of all endpoints.
const MOST: usize = 256;
/// How much longer than a request may take its row is held.
const MARGIN: Duration = Duration::from_secs(40);
/// How long requests under way are waited for at a shutdown.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections to Postgres.
const CONNECTIONS: usize = 4;

/// Posts events until `shutdown`.
///
/// # Errors
///
/// When no HTTP client could be made.
pub async fn run(
    database: Database,
    settings: Settings,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let builder = match settings.allow_private {
        true => http::builder()?.no_proxy(),
        false => public::guard(http::builder()?),
    };
    let outbound = Outbound {
        db: database.pool(CONNECTIONS),
        client: http::build(builder)?,
        settings,
    };
    tokio::join!(outbound.dispatch(&shutdown), outbound.post(&shutdown));
    Ok(())
}

#[derive(Clone)]
struct Outbound {
    db: Pool,
    client: Client,
    settings: Settings,
}

impl Outbound {
    /// Reads events into the outbox.
    async fn dispatch(&self, shutdown: &CancellationToken) {
        let mut delay = EVERY;
        while wait(delay, shutdown).await {
            delay = EVERY;
            let round = async {
                let client = self.db.get().await?;
                while !shutdown.is_cancelled() && events::dispatch(&client).await? >= BACKLOG {}
                Ok::<_, DbError>(())
            };
            if let Err(error) = round.await {
                tracing::warn!(%error, "events could not be read for endpoints; it is tried again");
                delay = AGAIN;
            }
        }
    }

    /// Posts what is in the outbox.
    async fn post(&self, shutdown: &CancellationToken) {
        let mut requests = JoinSet::new();
        // Whose the requests under way are.
        let mut busy: BTreeMap<Id, i64> = BTreeMap::new();
        // How far each endpoint's have been taken.
        let mut reached: BTreeMap<i64, SystemTime> = BTreeMap::new();
        let mut started_over = Instant::now();
        let mut delay = Duration::ZERO;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = sleep(delay) => {}
                Some(ended) = requests.join_next_with_id() => forget(&mut busy, &ended),
            }
            while let Some(ended) = requests.try_join_next_with_id() {
                forget(&mut busy, &ended);
            }
            delay = EVERY;
            if busy.len() >= MOST {
                continue;
            }
            if started_over.elapsed() > START_OVER {
                reached.clear();
                started_over = Instant::now();
            }
            let of: Vec<i64> = busy.values().copied().collect();
            match self.claim(&of, &reached).await {
                Ok(taken) => {
                    for delivery in taken {
                        let (endpoint, this) = (delivery.endpoint_id, self.clone());
                        let at = reached.entry(endpoint).or_insert(delivery.reached);
                        *at = (*at).max(delivery.reached);
                        let request = requests.spawn(async move { this.deliver(delivery).await });
                        busy.insert(request.id(), endpoint);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "no deliveries to endpoints could be had; it is tried again");
                    delay = AGAIN;
                }
            }
        }
        // What does not end in time is posted again by another process.
        let _ = timeout(PATIENCE, async {
            while requests.join_next().await.is_some() {}
        })
        .await;
    }

    async fn claim(
        &self,
        busy: &[i64],
        reached: &BTreeMap<i64, SystemTime>,
    ) -> Result<Vec<Delivery>, DbError> {
        let hold = self.settings.timeout.0 + MARGIN;
        let client = self.db.get().await?;
        events::claim(&client, self.settings.concurrency, busy, hold, reached).await
    }

    /// One request, and what came of it.
    async fn deliver(&self, delivery: Delivery) {
        let started = Instant::now();
        let deadline = started + self.settings.timeout.0;
        let (id, endpoint) = (delivery.delivery_id, delivery.endpoint_id);
        let allow_private = self.settings.allow_private;
        let verdict = post::post(&self.client, &delivery, allow_private, deadline).await;
        // Recorded for as long as the row is ours; after that another process posts it, whatever we know.
        loop {
            match self.complete(id, &verdict).await {
                Ok(()) => break,
                Err(error) if started.elapsed() < self.settings.timeout.0 + MARGIN => {
                    tracing::debug!(%error, "a delivery could not be recorded; it is tried again");
                    sleep(AGAIN).await;
                }
                Err(error) => {
                    tracing::warn!(%error, delivery = id, "a delivery was not recorded; it is posted again");
                    return;
                }
            }
        }
        if let Some(reason) = verdict.error {
            tracing::debug!(
                endpoint,
                delivery = id,
                reason,
                "a delivery to an endpoint failed"
            );
        }
    }

    async fn complete(&self, id: i64, verdict: &Verdict) -> Result<(), DbError> {
        let client = self.db.get().await?;
        let disable_after = self.settings.disable_after.0;
        let Verdict {
            status,
            error,
            retry_after,
        } = *verdict;
        events::complete(&client, id, status, error, retry_after, disable_after).await
    }
}

/// A request that ended, well or by a panic, is not under way.
fn forget(busy: &mut BTreeMap<Id, i64>, ended: &Result<(Id, ()), tokio::task::JoinError>) {
    busy.remove(&match ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    });
}

/// Waits for a while, or until `shutdown`; whether to go on.
async fn wait(delay: Duration, shutdown: &CancellationToken) -> bool {
    timeout(delay, shutdown.cancelled()).await.is_err()
}
