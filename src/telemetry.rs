//! Logs and figures: tracing set-up, the one list of metric names, and what this process counts.

pub mod counted;
pub mod histogram;
pub mod names;
pub mod otlp;
pub mod process;
pub mod samples;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// Logs to standard error: for people on a terminal, else one JSON object a line. `RUST_LOG` says what; `info`
/// when it is not set, or cannot be understood. Standard output is left to what a command prints.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    // A subscriber that is there already (a test's) stays.
    let _ = if stderr().is_terminal() {
        logs.compact().with_target(false).try_init()
    } else {
        logs.json().flatten_event(true).try_init()
    };
}
