//! f. P0 from the enqueue call to the gateway call: on an idle queue, beside a plain insert at the same pace, and behind P3 at full speed.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::time::{sleep, sleep_until};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::cluster::Db;
use crate::figure::{Bar, Figure, number, percentile};
use crate::worker::Worker;
use crate::{Bench, backlog, progress};

/// Probes come at this distance: 50 a second.
const APART: Duration = Duration::from_millis(20);

/// Connections that take turns, so that a slow call does not hold back the next.
const CONNECTIONS: usize = 4;

/// How long the last probe may be on its way.
const PATIENCE: Duration = Duration::from_secs(30);

const ENQUEUE: &str = "
    select message_id from postroad.enqueue(channel => 'email', recipient => 'probe@example.org', subject => 'Probe',
      body => 'Probe', message_type => 'emergency')";

/// The floor: what a committed row takes from the call to its reply.
const INSERT: &str =
    "insert into bench.equal_row (id, body) values (gen_random_uuid(), 'Probe') returning id";

/// One message on its way.
#[derive(Clone, Copy)]
pub(crate) struct Probe {
    pub(crate) message_id: Uuid,
    /// Unix time just before the call, in microseconds.
    pub(crate) called_at: i64,
}

/// Sorted latencies, in milliseconds.
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
    fn of(latencies: Vec<Duration>) -> Self {
        let mut milliseconds: Vec<f64> =
            latencies.iter().map(|l| l.as_secs_f64() * 1000.0).collect();
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        percentile(&self.0, percent)
    }

    pub(crate) fn describe(&self) -> String {
        let at = |percent| number(self.percentile(percent));
        let (count, p50, p99, max) = (self.0.len(), at(50.0), at(99.0), at(100.0));
        format!("{count} probes: p50 {p50}, p99 {p99}, max {max} ms")
    }
}

/// Enqueues so many P0 messages, 50 a second.
pub(crate) async fn send_probes(db: &Db, count: usize) -> anyhow::Result<Vec<Probe>> {
    let calls = call_at_pace(db, count, ENQUEUE).await?;
    calls
        .into_iter()
        .map(|call| {
            Ok(Probe {
                message_id: call.id.context("a probe is invalid")?,
                called_at: call.at,
            })
        })
        .collect()
}

/// Inserts so many rows, 50 a second.
async fn insert_rows(db: &Db, count: usize) -> anyhow::Result<Latencies> {
    let calls = call_at_pace(db, count, INSERT).await?;
    Ok(Latencies::of(calls.iter().map(|call| call.took).collect()))
}

/// One call of a statement that returns an id.
struct Call {
    id: Option<Uuid>,
    /// Unix time just before it, in microseconds.
    at: i64,
    took: Duration,
}

async fn call_at_pace(db: &Db, count: usize, statement: &str) -> anyhow::Result<Vec<Call>> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = db.connect().await?;
        let statement = client.prepare(statement).await?;
        clients.push(std::sync::Arc::new((client, statement)));
    }
    for client in &clients {
        call(&client.0, &client.1).await?; // the first call of a session plans; it is not counted
    }
    let start = tokio::time::Instant::now();
    let mut tasks = Vec::new();
    for nth in 0..count {
        sleep_until(start + APART * u32::try_from(nth)?).await;
        let client = std::sync::Arc::clone(&clients[nth % CONNECTIONS]);
        tasks.push(tokio::spawn(
            async move { call(&client.0, &client.1).await },
        ));
    }
    let mut calls = Vec::with_capacity(count);
    for task in tasks {
        calls.push(task.await??);
    }
    Ok(calls)
}

async fn call(client: &Client, statement: &tokio_postgres::Statement) -> anyhow::Result<Call> {
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let from = Instant::now();
    let row = client.query_one(statement, &[]).await?;
    Ok(Call {
        id: row.get(0),
        at: i64::try_from(at)?,
        took: from.elapsed(),
    })
}

/// Waits until each probe has its event, and reads from it when the gateway was called.
pub(crate) async fn latencies(db: &Db, probes: &[Probe]) -> anyhow::Result<Latencies> {
    let ids: Vec<Uuid> = probes.iter().map(|probe| probe.message_id).collect();
    let query = "
        select message_id, substr(external_id, length('stub-') + 1)::bigint
        from postroad.delivery_events where message_id = any ($1) and event_type = 'sent'";
    let deadline = Instant::now() + PATIENCE;
    let gateway_called_at: HashMap<Uuid, i64> = loop {
        let rows = db.client.query(query, &[&ids]).await?;
        if rows.len() == ids.len() {
            break rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        }
        if Instant::now() > deadline {
            anyhow::bail!(
                "probes without an event after {PATIENCE:?}: {}",
                statuses(db, &ids).await?
            );
        }
        sleep(Duration::from_millis(100)).await;
    };
    let took = |probe: &Probe| {
        let microseconds = gateway_called_at[&probe.message_id] - probe.called_at;
        Duration::from_micros(microseconds.try_into().unwrap_or_default())
    };
    Ok(Latencies::of(probes.iter().map(took).collect()))
}

/// Where the probes are.
async fn statuses(db: &Db, ids: &[Uuid]) -> anyhow::Result<String> {
    let query = "
        select coalesce(string_agg(s.status || ' ' || s.count, ', '), 'none')
        from (select t.status, count(*) from unnest($1::uuid[]) as u (id), postroad.status(u.id) as t group by 1) as s";
    Ok(db.client.query_one(query, &[&ids]).await?.get(0))
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.options.size(1000, 200);
    let db = bench.cluster.fresh("latency").await?;
    let worker = Worker::start(&bench.cluster, &db, "0ms").await?;
    send_probes(&db, 50).await?;
    let (mut ours, mut floor) = (vec![], vec![]);
    for _ in 0..bench.options.rounds() {
        let inserts = insert_rows(&db, count).await?;
        let probes = send_probes(&db, count).await?;
        let idle = latencies(&db, &probes).await?;
        progress(format!(
            "idle: {}; inserts: {}",
            idle.describe(),
            inserts.describe()
        ));
        ours.push(idle);
        floor.push(inserts);
    }
    worker.stop().await?;
    let figure = |name: &str, percent| {
        let all = |of: &[Latencies]| of.iter().map(|l| l.percentile(percent)).collect::<Vec<_>>();
        Figure::new(
            format!("f. P0 latency, idle queue, {name}"),
            "ms",
            all(&ours),
        )
        .floor(&all(&floor))
    };
    let notes: Vec<_> = ours.iter().map(Latencies::describe).collect();
    let mut figures = vec![
        figure("p50", 50.0).bar(Bar::AtMost(2.0)),
        figure("p99", 99.0).bar(Bar::AtMost(6.0)).note(format!(
            "floor: an insert of one row and its commit, at the same pace; ours: {}",
            notes.join("; ")
        )),
        figure("max", 100.0),
    ];
    figures.extend(backlog::latency_figures(bench).await?);
    Ok(figures)
}
