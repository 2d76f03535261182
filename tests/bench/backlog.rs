//! A deep P3 backlog, drained at full speed: e. memory, f. what P0 and the drain itself feel of each other.

use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use crate::cluster::Db;
use crate::drain::{PAUSE, RESUME, fill, unix_seconds};
use crate::figure::{Bar, Figure, number};
use crate::latency::{Latencies, Probe, latencies, send_probes};
use crate::worker::{Memory, Worker};
use crate::{Bench, progress};

const MIB: f64 = (1 << 20) as f64;

/// One pass over a backlog.
pub(crate) struct Pass {
    waiting: Memory,
    draining: Memory,
    idle: Memory,
    latencies: Latencies,
    /// P3 messages a second, without probes and with them.
    rate_alone: f64,
    rate_beside: f64,
}

impl Bench {
    /// The passes, made once for all subjects that want them.
    async fn passes(&self) -> anyhow::Result<&[Pass]> {
        let passes = self.passes.get_or_try_init(|| async {
            let mut passes = Vec::new();
            for _ in 0..self.options.rounds() {
                passes.push(pass(self).await?);
            }
            anyhow::Ok(passes)
        });
        Ok(passes.await?)
    }
}

/// Enough for the probes at some 120,000 a second, and for a while before and after them.
fn backlog(bench: &Bench) -> usize {
    bench.options.size(4_000_000, 200_000)
}

async fn pass(bench: &Bench) -> anyhow::Result<Pass> {
    let count = backlog(bench);
    let probe_count = bench.options.size(1000, 100);
    let ramp = Duration::from_millis(bench.options.size(2000, 500));
    let alone = Duration::from_millis(bench.options.size(4000, 1000));

    let db = bench.cluster.fresh("backlog").await?;
    let mut worker = Worker::start(&bench.cluster, &db, "0ms").await?;
    db.client.batch_execute(PAUSE).await?;
    fill(&db, count).await?;
    db.settle().await?;
    worker.check()?;
    let waiting = worker.memory()?;

    db.client.batch_execute(RESUME).await?;
    sleep(ramp).await;
    let mut marks = vec![unix_seconds()];
    sleep(alone).await;
    marks.push(unix_seconds());
    let mut probes = send_probes(&db, probe_count).await?;
    marks.push(unix_seconds());
    sleep(alone).await;
    marks.push(unix_seconds());
    let draining = worker.memory()?;
    worker.check()?;
    db.client.batch_execute(PAUSE).await?;
    sleep(Duration::from_secs(2)).await;
    let idle = worker.memory()?;

    // Where the backlog did not last, only what came before its end counts.
    let dried_at = dried_at(&db, &probes).await?;
    let end = dried_at.unwrap_or(f64::INFINITY);
    if dried_at.is_some() {
        progress("the backlog ended before the probes did; fewer of them count");
    }
    probes.retain(|probe| (probe.called_at as f64) < (end - 0.1) * 1e6);
    anyhow::ensure!(
        probes.len() >= probe_count / 4,
        "the backlog of {count} was gone before the probes were"
    );
    let latencies = latencies(&db, &probes).await?;
    let mut rates = Vec::new();
    for window in marks.windows(2) {
        let (from, to) = (window[0], window[1].min(end));
        if to - from < 0.5 {
            continue;
        }
        let query = "select count(*) from postroad.delivery_events where occurred_at between to_timestamp($1) and to_timestamp($2)";
        let row = db.client.query_one(query, &[&from, &to]).await?;
        rates.push(row.get::<_, i64>(0) as f64 / (to - from));
    }
    let rate_beside = *rates.get(1).unwrap_or(&f64::NAN);
    let rate_alone = match rates.get(2) {
        Some(after) => (rates[0] + after) / 2.0,
        None => rates[0],
    };
    worker.stop().await?;
    progress(format!(
        "behind {count}: {}; drain {} with probes, {} without ({})",
        latencies.describe(),
        number(rate_beside),
        number(rate_alone),
        rates
            .iter()
            .map(|r| number(*r))
            .collect::<Vec<_>>()
            .join(", "),
    ));
    Ok(Pass {
        waiting,
        draining,
        idle,
        latencies,
        rate_alone,
        rate_beside,
    })
}

/// When P3 had nothing left; none while something waits.
async fn dried_at(db: &Db, probes: &[Probe]) -> anyhow::Result<Option<f64>> {
    let probes: Vec<Uuid> = probes.iter().map(|probe| probe.message_id).collect();
    let query = "
        select extract(epoch from max(e.occurred_at))::float8
        from postroad.delivery_events as e
        where not exists (
          select from postroad.message_queue_p3 as q where q.seq = (select last_value from postroad.queue_seq_p3)
        ) and e.lease_id is not null and e.message_id <> all ($1)";
    Ok(db.client.query_one(query, &[&probes]).await?.get(0))
}

pub(crate) async fn measure_memory(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let passes = bench.passes().await?;
    let waiting = format!(
        "e. worker memory, {} M waiting",
        backlog(bench) as f64 / 1e6
    );
    let figure = |name: &str, of: fn(&Pass) -> u64| {
        let values = passes.iter().map(|pass| of(pass) as f64 / MIB).collect();
        Figure::new(name, "MiB", values).bar(Bar::AtMost(64.0))
    };
    Ok(vec![
        figure(&waiting, |p| p.waiting.now),
        figure("e. worker memory, its peak in a drain", |p| p.draining.peak),
        figure("e. worker memory, idle afterwards", |p| p.idle.now),
    ])
}

pub(crate) async fn latency_figures(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let passes = bench.passes().await?;
    let all = |of: fn(&Pass) -> f64| passes.iter().map(of).collect::<Vec<_>>();
    let notes: Vec<_> = passes.iter().map(|p| p.latencies.describe()).collect();
    Ok(vec![
        Figure::new(
            "f. P0 latency behind P3 at full speed, p50",
            "ms",
            all(|p| p.latencies.percentile(50.0)),
        ),
        Figure::new(
            "f. P0 latency behind P3 at full speed, p99",
            "ms",
            all(|p| p.latencies.percentile(99.0)),
        )
        .bar(Bar::AtMost(20.0))
        .note(notes.join("; ")),
        Figure::new(
            "f. that drain, with probes (floor: without)",
            "/s",
            all(|p| p.rate_beside),
        )
        .floor(&all(|p| p.rate_alone))
        .bar(Bar::TimesFloor(0.8)),
    ])
}
