//! Takes the leases of workers that died: found dead in two looks, one second apart.

use std::collections::BTreeSet;
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::db::{DbError, calls};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(db: Pool, shutdown: CancellationToken) {
    let mut suspects = BTreeSet::new();
    while wait(EVERY, &shutdown).await {
        match look(&db, &suspects).await {
            Ok(dead) => suspects = dead,
            Err(error) => {
                tracing::warn!(%error, "could not look for dead workers; it is tried again");
                suspects.clear();
            }
        }
    }
}

async fn look(db: &Pool, suspects: &BTreeSet<i64>) -> Result<BTreeSet<i64>, DbError> {
    let client = db.get().await?;
    let dead: BTreeSet<i64> = calls::dead_workers(&client).await?.into_iter().collect();
    for worker_id in dead.intersection(suspects) {
        match calls::rescue(&client, *worker_id).await {
            // Somebody else was faster, or is at it.
            Ok(0) => {}
            Ok(rescued) => {
                tracing::warn!(
                    worker_id,
                    rescued,
                    "a worker died; its messages were rescued"
                )
            }
            Err(error) if client.is_closed() => return Err(error),
            Err(error) => {
                tracing::warn!(worker_id, %error, "a dead worker could not be rescued; it is tried again")
            }
        }
    }
    Ok(dead)
}
