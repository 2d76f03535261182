//! Moves messages whose time has come into the queue, P0 first.

use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::db::{DbError, calls};
use crate::model::message::Priority;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(200);
/// Due times are not issued in order: so often it starts over.
const START_OVER: Duration = Duration::from_secs(10);
/// Messages moved by one statement.
const AT_A_TIME: i32 = 1000;
/// Before all due times.
const START: &str = "-infinity";

pub(super) async fn run(db: Pool, shutdown: CancellationToken) {
    let mut cursors = vec![START.to_owned(); Priority::ALL.len()];
    let mut started_over = Instant::now();
    while wait(EVERY, &shutdown).await {
        if started_over.elapsed() > START_OVER {
            cursors.fill(START.to_owned());
            started_over = Instant::now();
        }
        if let Err(error) = round(&db, &mut cursors).await {
            tracing::warn!(%error, "due messages could not be promoted; they are tried again");
            cursors.fill(START.to_owned());
            wait(Duration::from_secs(1), &shutdown).await;
        }
    }
}

/// One statement a priority; the urgent ones again before the next one is looked at.
async fn round(db: &Pool, cursors: &mut [String]) -> Result<(), DbError> {
    let client = db.get().await?;
    let mut nth = 0;
    while let Some(priority) = Priority::ALL.get(nth) {
        let (promoted, reached) =
            calls::promote_due(&client, *priority, &cursors[nth], AT_A_TIME).await?;
        if let Some(reached) = reached {
            cursors[nth] = reached;
        }
        nth = if promoted == AT_A_TIME { 0 } else { nth + 1 };
    }
    Ok(())
}
