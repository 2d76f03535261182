//! The shutdown signal: stop claiming, finish what is in flight, hand back the rest uncounted.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What a shell expects of a process that SIGINT ended.
const EXIT_INTERRUPTED: i32 = 130;

/// A token that SIGINT or SIGTERM cancels. A second one of either ends the process at once.
///
/// # Errors
///
/// The handlers cannot be set up.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        };
        let first = next().await;
        info!("{first}: finishing what is in flight; a second signal ends at once");
        shutdown.cancel();
        let second = next().await;
        warn!("{second} again: ending at once; what was in flight is rescued by another worker");
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(token)
}
