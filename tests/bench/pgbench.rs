//! Runs pgbench: prepared statements, as the floor of everything that comes one by one.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cluster::{Cluster, Db};

/// What one transaction does.
pub(crate) struct Script {
    pub(crate) text: &'static str,
    /// The value of `:body`.
    pub(crate) body: String,
}

/// For how long.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Seconds(u32),
    /// Transactions of each client.
    Transactions(u32),
}

/// A campaign message of one kilobyte.
pub(crate) const ENQUEUE: &str = "\\set id random(1, 1000000000)
select message_id, status from postroad.enqueue(channel => 'email', recipient => 'user' || :id || '@example.org',
  subject => 'News from the post road', body => :body, message_type => 'campaign');
";

/// A row with one uuid primary key.
pub(crate) const INSERT: &str =
    "insert into bench.equal_row (id, body) values (gen_random_uuid(), :body);\n";

/// Transactions a second, and how many there were.
pub(crate) async fn run(
    cluster: &Cluster,
    db: &Db,
    script: &Script,
    clients: u32,
    length: Length,
) -> anyhow::Result<(f64, u64)> {
    let file = cluster.root.join("script.sql");
    fs::write(&file, script.text)?;
    let threads = clients.min(2);
    let mut command = Command::new(cluster.program("pgbench")?);
    command.args(["--no-vacuum", "-M", "prepared"]);
    command.args(["-c", &clients.to_string(), "-j", &threads.to_string()]);
    let limit = match length {
        Length::Seconds(seconds) => {
            command.args(["-T", &seconds.to_string()]);
            u64::from(seconds) + 60
        }
        Length::Transactions(count) => {
            command.args(["-t", &count.to_string()]);
            180
        }
    };
    command
        .arg("-D")
        .arg(format!("body={}", script.body))
        .arg("-f");
    command.arg(&file).arg(&db.url).kill_on_drop(true);
    let output = timeout(Duration::from_secs(limit), command.output())
        .await
        .with_context(|| format!("pgbench has not ended after {limit} s"))?
        .context("cannot run pgbench")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "pgbench failed: {}",
        complained.trim()
    );
    let number = |start: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(start))?;
        let end = line.find(|c: char| !c.is_ascii_digit() && c != '.');
        line[..end.unwrap_or(line.len())].parse::<f64>().ok()
    };
    let tps = number("tps = ").context("pgbench printed no tps")?;
    let count = number("number of transactions actually processed: ")
        .context("pgbench printed no number of transactions")?;
    Ok((tps, count as u64))
}
