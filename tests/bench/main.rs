//! The bench: what Postroad reaches on this machine, each figure beside the floor of the same run.
//!
//! `./scripts/bench` builds and runs it. It brings its own Postgres, with durable settings, and a database of its own for
//! each subject; rounds of ours and of the floor take turns, and the median counts. A bar that is missed is printed as
//! missed; the exit code says only whether the bench itself worked.

mod api;
mod backlog;
mod bulk;
mod cluster;
mod copy;
mod crowd;
mod depth;
mod drain;
mod failover;
mod figure;
mod http;
mod latency;
mod notify;
mod options;
mod payload;
mod pgbench;
mod provider;
mod report;
mod single;
mod smtp;
mod snapshot;
mod suppressions;
mod wal;
mod webhooks;
mod worker;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::OnceCell;

use backlog::Pass;
use cluster::Cluster;
use figure::Figure;
use options::Options;
use report::Report;

/// No subject takes longer; one that does is broken.
const SUBJECT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// The subjects, by the letter that `--only` takes.
const SUBJECTS: [(char, &str); 15] = [
    ('a', "single enqueue"),
    ('b', "bulk enqueue"),
    ('c', "drain"),
    ('d', "WAL bytes"),
    ('e', "memory"),
    ('f', "latency"),
    ('g', "drains under an old snapshot"),
    ('h', "claims by depth"),
    ('i', "notifications"),
    ('j', "failover"),
    ('k', "HTTP gateway"),
    ('l', "SMTP"),
    ('m', "suppression checks by length of the list"),
    ('w', "webhooks"),
    ('x', "POST /messages"),
];

/// What every subject works with.
struct Bench {
    cluster: Cluster,
    options: Options,
    /// What memory and latency both look at.
    passes: OnceCell<Vec<Pass>>,
}

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: no runtime: {error}");
            return ExitCode::from(2);
        }
    };
    match runtime.block_on(run(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for; whether all of it worked.
async fn run(options: Options) -> anyhow::Result<bool> {
    let started = Instant::now();
    eprintln!("starting Postgres");
    let cluster = Cluster::start(&options.set).await?;
    let mut report = Report::new(&cluster, &options).await?;
    let bench = Bench {
        cluster,
        options,
        passes: OnceCell::new(),
    };
    for (letter, name) in SUBJECTS {
        if !bench.options.wants(letter) {
            continue;
        }
        eprintln!("{letter}. {name}");
        let from = Instant::now();
        let measured = tokio::time::timeout(SUBJECT_LIMIT, bench.measure(letter))
            .await
            .unwrap_or_else(|_| anyhow::bail!("not done after {SUBJECT_LIMIT:?}"));
        match measured.with_context(|| format!("{letter}. {name}")) {
            Ok(figures) => report.add(figures),
            Err(error) => {
                eprintln!("bench: {error:#}");
                report.broke(format!("{error:#}"));
            }
        }
        eprintln!("   {:.0} s", from.elapsed().as_secs_f64());
    }
    let path = bench.options.json.clone();
    bench.cluster.stop().await?;
    report.took(started.elapsed());
    report.print();
    report.write(&path)?;
    Ok(report.is_whole())
}

impl Bench {
    async fn measure(&self, letter: char) -> anyhow::Result<Vec<Figure>> {
        match letter {
            'a' => single::measure(self).await,
            'b' => bulk::measure(self).await,
            'c' => drain::measure(self).await,
            'd' => wal::measure(self).await,
            'e' => backlog::measure_memory(self).await,
            'f' => latency::measure(self).await,
            'g' => snapshot::measure(self).await,
            'h' => depth::measure(self).await,
            'i' => notify::measure(self).await,
            'j' => failover::measure(self).await,
            'k' => http::measure(self).await,
            'l' => smtp::measure(self).await,
            'm' => suppressions::measure(self).await,
            'w' => webhooks::measure(self).await,
            _ => api::measure(self).await,
        }
    }
}

/// Says on standard error how far it is.
fn progress(text: impl AsRef<str>) {
    eprintln!("   {}", text.as_ref());
}
