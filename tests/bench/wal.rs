//! d. Bytes of write-ahead log a message, without full-page images, as pg_waldump counts them.

use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::bulk::{enqueue_from_table, fill_recipients};
use crate::cluster::{Cluster, Db};
use crate::drain::{PAUSE, RESUME, await_empty};
use crate::figure::{Bar, Figure, number};
use crate::pgbench::{Length, Script, run};
use crate::single::scripts;
use crate::worker::Worker;
use crate::{Bench, progress};

/// Written between two positions.
struct Written {
    bytes: f64,
    /// The kinds of records that make most of it, each with its bytes a message.
    most: String,
}

async fn position(db: &Db) -> anyhow::Result<String> {
    let query = "select pg_current_wal_insert_lsn()::text";
    Ok(db.client.query_one(query, &[]).await?.get(0))
}

/// Record bytes from `start` to now, a message.
async fn written(cluster: &Cluster, db: &Db, start: &str, count: usize) -> anyhow::Result<Written> {
    let end = position(db).await?;
    db.client.batch_execute("select pg_switch_wal()").await?; // all of it is in the files now
    let mut command = Command::new(cluster.program("pg_waldump")?);
    command.args(["--stats=record", "--start", start, "--end", &end]);
    command.arg("--path").arg(cluster.wal_folder());
    let output = timeout(Duration::from_secs(60), command.kill_on_drop(true).output())
        .await
        .context("pg_waldump has not ended after 60 s")??;
    let printed = String::from_utf8_lossy(&output.stdout);
    // `Heap/INSERT 4000 ( 33.17) 4476000 ( 78.37) 0 ( 0.00) 4476000 ( 77.1)`: records, record bytes, images, both
    let mut kinds: Vec<(&str, f64)> = Vec::new();
    let mut total = None;
    for line in printed.lines() {
        let Some((name, rest)) = line.split_once(|c: char| c.is_whitespace()) else {
            continue;
        };
        let words = rest.split(|c: char| c.is_whitespace() || "()[]%".contains(c));
        let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
        if name == "Total" {
            // Each sum but the first has its share behind it.
            total = numbers.get(1).copied();
        } else if name.contains('/') && numbers.len() >= 6 {
            kinds.push((name, numbers[2]));
        }
    }
    let bytes = total.with_context(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("pg_waldump printed no total: {}", complaint.trim())
    })?;
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most: Vec<String> = kinds
        .iter()
        .take(6)
        .map(|(name, bytes)| format!("{name} {}", number(bytes / count as f64)))
        .collect();
    Ok(Written {
        bytes: bytes / count as f64,
        most: most.join(", "),
    })
}

/// Of `count` transactions, after some that bring the pages into being.
async fn of_script(bench: &Bench, db: &Db, script: &Script, count: u32) -> anyhow::Result<Written> {
    run(&bench.cluster, db, script, 1, Length::Transactions(1000)).await?;
    let start = position(db).await?;
    run(&bench.cluster, db, script, 1, Length::Transactions(count)).await?;
    written(&bench.cluster, db, &start, count as usize).await
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let single = bench.options.size(20_000, 4_000);
    let bulk = bench.options.size(100_000, 20_000);
    let db = bench.cluster.fresh("wal").await?;
    let (ours, floor) = scripts(&db).await?;
    db.settle().await?;
    let floor = of_script(bench, &db, &floor, single).await?;
    let enqueue = of_script(bench, &db, &ours, single).await?;
    progress(format!("row: {}", floor.most));
    progress(format!("enqueue: {}", enqueue.most));

    // Those go out first, so that what follows is bulk only and all pages of the way are there.
    let mut worker = Worker::start(&bench.cluster, &db, "0ms").await?;
    await_empty(&db, &mut worker).await?;
    db.client.batch_execute(PAUSE).await?;
    fill_recipients(&db, bulk).await?;
    db.settle().await?;
    let start = position(&db).await?;
    enqueue_from_table(&db).await?;
    let in_bulk = written(&bench.cluster, &db, &start, bulk).await?;
    let start = position(&db).await?;
    db.client.batch_execute(RESUME).await?;
    await_empty(&db, &mut worker).await?;
    let out = written(&bench.cluster, &db, &start, bulk).await?;
    progress(format!("bulk: {}", in_bulk.most));
    progress(format!("claim to completion: {}", out.most));
    worker.stop().await?;

    let row = [floor.bytes];
    Ok(vec![
        Figure::new("d. WAL of a single enqueue", "B", vec![enqueue.bytes])
            .floor(&row)
            .bar(Bar::OverFloor(350.0))
            .note(format!("{}; floor: {}", enqueue.most, floor.most)),
        Figure::new(
            "d. WAL of a bulk enqueue, a message",
            "B",
            vec![in_bulk.bytes],
        )
        .floor(&row)
        .bar(Bar::OverFloor(350.0))
        .note(in_bulk.most),
        Figure::new("d. WAL, claim to completion", "B", vec![out.bytes])
            .bar(Bar::AtMost(600.0))
            .note(out.most),
    ])
}
