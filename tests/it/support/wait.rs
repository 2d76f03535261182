//! The one way in which tests wait.

use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks until it is so, and says how long that took.
pub(crate) async fn until(
    what: &str,
    mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    while !is_so().await? {
        anyhow::ensure!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(started.elapsed())
}
