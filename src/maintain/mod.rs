//! Upkeep. Promotion and rescue by every process (row locks make that safe), floors, partitions and counters by an elected one.

mod clock;
mod elect;
mod events;
mod floors;
mod partitions;
mod promote;
mod rescue;
pub mod settings;

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::db::Database;
pub use settings::Settings;

/// Connections for promotion and rescue.
const CONNECTIONS: usize = 2;

/// How long a statement under way is waited for at a shutdown.
const PATIENCE: Duration = Duration::from_secs(5);

/// What every process does, until `shutdown`: promotes what is due, rescues what dead workers held.
pub async fn shared(database: Database, shutdown: CancellationToken) {
    let db = database.pool(CONNECTIONS);
    let both = async {
        tokio::join!(
            promote::run(db.clone(), shutdown.clone()),
            rescue::run(db, shutdown.clone())
        );
    };
    unless_stuck(both, &shutdown).await;
}

/// What one elected process does, until `shutdown`: advances floors, makes and drops partitions, purges keys,
/// counts events and tells listeners of them.
pub async fn elected(database: Database, settings: Settings, shutdown: CancellationToken) {
    let term = elect::run(database, settings, shutdown.clone());
    unless_stuck(term, &shutdown).await;
}

/// Ends `upkeep` some time after `shutdown`: a Postgres that does not answer must not keep the process.
async fn unless_stuck(upkeep: impl Future<Output = ()>, shutdown: &CancellationToken) {
    tokio::select! {
        () = upkeep => {}
        () = async { shutdown.cancelled().await; sleep(PATIENCE).await } => {
            tracing::warn!("upkeep did not end in time");
        }
    }
}

/// Waits for a while, or until `shutdown`; whether to go on.
async fn wait(delay: Duration, shutdown: &CancellationToken) -> bool {
    timeout(delay, shutdown.cancelled()).await.is_err()
}
