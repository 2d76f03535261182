//! m. What the suppression checks cost beside a list of 10 M, against one of 10 thousand; and how fast a list is imported.
//!
//! Buffers are counted: those of the list and its index alone. Times are of the whole call, the check being a part of it.
//! Nobody who is checked is on the list, as it mostly is, and nobody is checked twice, so that nothing is in a cache for
//! having been there a moment ago.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::process::Command;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::cluster::{Cluster, Db};
use crate::figure::{Bar, Figure, number};
use crate::{Bench, progress};

/// Messages of one call.
const BATCH: i32 = 500;
const SHORT: i64 = 10_000;
/// Entries of one statement that fills the list.
const CHUNK: i64 = 500_000;
/// Calls that load what a session loads once.
const WARM_UP: usize = 3;

/// Buffers of the list and its index that this transaction visited.
const VISITED: &str = "
    select coalesce(sum(pg_stat_get_xact_blocks_fetched(c.oid)), 0)::float8
    from pg_class as c
    where c.oid = 'postroad.suppression_list'::regclass
      or c.oid in (select i.indexrelid from pg_index as i where i.indrelid = 'postroad.suppression_list'::regclass)";

const ENQUEUE: &str = "
    select b.queued from postroad.enqueue_bulk(channel => 'email', recipients => to_jsonb($1::text[]), body => 'x',
      message_type => 'campaign') as b";

const CLAIM: &str = "
    select count(*) filter (where c.verdict is null)::integer from postroad.claim(3::smallint, $1, $2, $3) as c";

/// What a message cost, one a call.
#[derive(Default)]
struct Cost {
    buffers: Vec<f64>,
    microseconds: Vec<f64>,
}

impl Cost {
    fn add(&mut self, buffers: f64, took: Duration) {
        let a_message = 1.0 / f64::from(BATCH);
        self.buffers.push(buffers * a_message);
        self.microseconds.push(took.as_secs_f64() * 1e6 * a_message);
    }
}

/// Both checks beside one list.
struct Costs {
    enqueue: Cost,
    claim: Cost,
}

/// Fills the list up to `length`.
async fn fill(db: &Db, mut from: i64, length: i64) -> anyhow::Result<()> {
    while from < length {
        let to = length.min(from + CHUNK);
        db.client
            .batch_execute(&format!(
                "insert into postroad.suppression_list (address, channel, reason)
                 select 'user' || lpad(n::text, 9, '0') || '@example.org', 'email', 'complaint' from generate_series({from}::bigint, {to} - 1) as n"
            ))
            .await?;
        from = to;
    }
    db.client
        .batch_execute("vacuum analyze postroad.suppression_list")
        .await?;
    db.settle().await
}

async fn visited(client: &Client) -> anyhow::Result<f64> {
    Ok(client.query_one(VISITED, &[]).await?.get(0))
}

/// Enqueues `calls` batches of people all over a list of `length`, and claims them.
async fn measure_checks(db: &Db, length: i64, calls: usize) -> anyhow::Result<Costs> {
    let client = db.connect().await?;
    let mut costs = Costs {
        enqueue: Cost::default(),
        claim: Cost::default(),
    };
    let enqueue = client.prepare(ENQUEUE).await?;
    for nth in 0..WARM_UP + calls {
        let recipients: Vec<String> = (0..BATCH)
            .map(|_| format!("user{:09}.{nth}@example.org", fastrand::i64(0..length)))
            .collect();
        client.batch_execute("begin").await?;
        let before = visited(&client).await?;
        let from = Instant::now();
        let row = client.query_one(&enqueue, &[&recipients]).await?;
        let took = from.elapsed();
        let buffers = visited(&client).await? - before;
        client.batch_execute("commit").await?;
        let queued: i32 = row.get(0);
        // Of a short list somebody is drawn twice.
        anyhow::ensure!(queued > BATCH * 9 / 10, "{queued} were enqueued");
        if nth >= WARM_UP {
            costs.enqueue.add(buffers, took);
        }
    }
    db.client
        .batch_execute("vacuum analyze postroad.messages, postroad.message_queue")
        .await?;
    let worker_id = fastrand::i64(1..);
    client
        .execute(
            "select postroad.register_worker($1, 'bench', 1, 'bench', '{3}')",
            &[&worker_id],
        )
        .await?;
    let claim = client.prepare(CLAIM).await?;
    for nth in 0..calls {
        client.batch_execute("begin").await?;
        let before = visited(&client).await?;
        let from = Instant::now();
        let lease_id = Uuid::now_v7();
        let row = client
            .query_one(&claim, &[&lease_id, &worker_id, &BATCH])
            .await?;
        let took = from.elapsed();
        let buffers = visited(&client).await? - before;
        client.batch_execute("commit").await?;
        let claimed: i32 = row.get(0);
        anyhow::ensure!(claimed == BATCH, "claimed {claimed} messages");
        if nth >= WARM_UP {
            costs.claim.add(buffers, took);
        }
    }
    Ok(costs)
}

/// Imports `count` addresses that are not on the list, in no order; how many a second.
async fn import(cluster: &Cluster, db: &Db, count: i64, length: i64) -> anyhow::Result<f64> {
    let path = cluster.root.join("suppressions.csv");
    write_list(&path, count, length)?;
    let from = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_postroad"))
        .args(["suppressions", "import"])
        .arg(&path)
        .args(["--reason", "hard_bounce"])
        .env_clear()
        .env("DATABASE_URL", &db.url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("cannot start postroad")?;
    cluster.note_process(child.id().context("postroad ended at once")?)?;
    let ended = child.wait_with_output().await?;
    let took = from.elapsed();
    cluster.forget_processes();
    anyhow::ensure!(
        ended.status.success(),
        "the import failed: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let listed = db
        .number("select count(*) from postroad.suppression_list")
        .await?;
    anyhow::ensure!(listed == length + count, "{listed} are on the list");
    Ok(count as f64 / took.as_secs_f64())
}

fn write_list(path: &Path, count: i64, length: i64) -> anyhow::Result<()> {
    let mut numbers: Vec<i64> = (0..count).map(|nth| nth * length / count).collect();
    fastrand::shuffle(&mut numbers);
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "address,channel")?;
    for (nth, number) in numbers.into_iter().enumerate() {
        writeln!(file, "user{number:09}+{nth}@example.org,email")?;
    }
    Ok(file.flush()?)
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let length = bench.options.list();
    let calls = bench.options.size(40, 10);
    let db = bench.cluster.fresh("suppressions").await?;
    fill(&db, 0, SHORT).await?;
    let short = measure_checks(&db, SHORT, calls).await?;
    progress(format!("filling the list up to {length}"));
    fill(&db, SHORT, length).await?;
    let long = measure_checks(&db, length, calls).await?;
    progress("importing");
    let count = bench.options.size(1_000_000, 50_000);
    let rate = import(&bench.cluster, &db, count, length).await?;

    let millions = length as f64 / 1e6;
    let mut figures = Vec::new();
    for (what, long, short) in [
        ("enqueue", long.enqueue, short.enqueue),
        ("claim", long.claim, short.claim),
    ] {
        figures.push(
            Figure::new(
                format!("m. buffers of {what}'s check, a message, beside {millions} M entries (floor: 10,000)"),
                "",
                long.buffers,
            )
            .floor(&short.buffers)
            .bar(Bar::OverFloor(2.0))
            .note("the page of its bucket, and now and then another"),
        );
        figures.push(
            Figure::new(
                format!("m. {what} of 500, a message, beside {millions} M entries (floor: 10,000)"),
                "µs",
                long.microseconds,
            )
            .floor(&short.microseconds)
            .note("10 M entries and their index take some 2 GB: a page that shared_buffers does not hold is what costs; try --set shared_buffers=4GB"),
        );
    }
    figures.push(
        Figure::new("m. import of suppressions", "/s", vec![rate])
            .bar(Bar::AtLeast(1e6 / 60.0))
            .note(format!(
                "{} rows of CSV in no order, beside {millions} M entries: 1 M rows in {} s",
                number(count as f64),
                number(1e6 / rate)
            )),
    );
    Ok(figures)
}
