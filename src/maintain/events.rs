//! Counts events, announces them, and keeps the indexes by which they are read.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::db::{DbError, events};

/// How often events are counted.
const COUNT: Duration = Duration::from_secs(1);
/// A count of so many goes on at once: there is a backlog. Fewer are what came meanwhile, and wait for the next round: each
/// round reads the pages that fill now.
const BACKLOG: i64 = 100_000;
/// How often listeners are told of new ones.
const NOTICE: Duration = Duration::from_millis(250);
/// How often the indexes are brought up to date.
const SUMMARIZE: Duration = Duration::from_secs(2);
/// How often the slowly filling pages of old days are.
const OLD_DAYS: Duration = Duration::from_secs(60);
/// A failure is tried again after so long.
const AGAIN: Duration = Duration::from_secs(2);

/// lock_not_available: somebody uses the table.
const BUSY: &str = "55P03";

/// Until `shutdown`. Counting may take a while after a burst; listeners do not wait for it.
pub(super) async fn run(db: Pool, shutdown: &CancellationToken) {
    tokio::join!(count(&db, shutdown), notice(&db, shutdown));
}

async fn count(db: &Pool, shutdown: &CancellationToken) {
    let mut delay = COUNT;
    let mut summarized_at: Option<Instant> = None;
    let mut old_days_at = Instant::now();
    while wait(delay, shutdown).await {
        delay = COUNT;
        let round = async {
            let client = db.get().await?;
            if summarized_at.is_none_or(|at| at.elapsed() > SUMMARIZE) {
                let old_days = old_days_at.elapsed() > OLD_DAYS;
                // The first time whole: another process may have died in the middle of it.
                match events::summarize(&client, old_days, summarized_at.is_none()).await {
                    Ok(_) => {
                        summarized_at = Some(Instant::now());
                        if old_days {
                            old_days_at = Instant::now();
                        }
                    }
                    Err(error) if error.code() == Some(BUSY) => {}
                    Err(error) => return Err(error),
                }
            }
            while !shutdown.is_cancelled() && events::count(&client).await? >= BACKLOG {}
            Ok::<_, DbError>(())
        };
        if let Err(error) = round.await {
            tracing::warn!(%error, "events could not be counted; it is tried again");
            delay = AGAIN;
        }
    }
}

async fn notice(db: &Pool, shutdown: &CancellationToken) {
    let mut delay = NOTICE;
    let mut since: Option<String> = None;
    while wait(delay, shutdown).await {
        delay = NOTICE;
        let round = async {
            let client = db.get().await?;
            events::notice(&client, since.as_deref()).await
        };
        match round.await {
            Ok(next) => since = Some(next),
            Err(error) => {
                tracing::warn!(%error, "listeners could not be told of events; it is tried again");
                delay = AGAIN;
            }
        }
    }
}
