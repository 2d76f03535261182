//! k. Messages through an HTTP gateway that answers after 50 ms: as many a second as its latency allows.

use std::time::Duration;

use crate::drain::drain;
use crate::figure::{Bar, Figure, number};
use crate::provider::Provider;
use crate::worker::Worker;
use crate::{Bench, progress};

const LATENCY: Duration = Duration::from_millis(50);

/// Sends in flight.
const CONCURRENCY: usize = 50;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.options.size(10_000, 2_000);
    let db = bench.cluster.fresh("http").await?;
    let provider = Provider::start(LATENCY).await?;
    let settings = format!(
        "[worker.pools.P3]\nconcurrency = [{CONCURRENCY}, {CONCURRENCY}]\n[channels]\nemail = [\"http\"]\n{}",
        provider.table("http")
    );
    let mut worker = Worker::start_with(&bench.cluster, &db, "worker", &settings).await?;
    drain(&db, &mut worker, count / 10).await?;
    let ideal = CONCURRENCY as f64 / LATENCY.as_secs_f64();
    let mut rates = Vec::new();
    for _ in 0..bench.options.rounds() {
        let rate = drain(&db, &mut worker, count).await?.rate;
        progress(format!("{} of {} a second", number(rate), number(ideal)));
        rates.push(rate);
    }
    worker.stop().await?;
    Ok(vec![
        Figure::new(
            "k. HTTP gateway of 50 ms (floor: concurrency ÷ latency)",
            "/s",
            rates,
        )
        .floor(&[ideal])
        .bar(Bar::TimesFloor(0.85))
        .note(format!("{count} messages, {CONCURRENCY} sends in flight")),
    ])
}
