//! j. A gateway that dies, and one that hangs, under 1,000 emergencies a second on two worker processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cluster::Db;
use crate::drain::unix_seconds;
use crate::figure::{Bar, Figure, number, percentile};
use crate::provider::Provider;
use crate::worker::Worker;
use crate::{Bench, progress};

/// Messages a call, and how often: 1,000 a second.
const CALL: usize = 10;
const APART: Duration = Duration::from_millis(10);

/// How long the gateway may take to be used again, and the last message to go out.
const PATIENCE: Duration = Duration::from_secs(90);

const ENQUEUE: &str = "
    select count(e.message_id)
    from generate_series(1, $1::integer) as n, lateral postroad.enqueue(channel => 'email', recipient => 'a' || n || '@example.org',
      subject => 'Bench', body => 'Bench', message_type => 'emergency') as e";

/// What happens to the first gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    Killed,
    Hanging,
}

/// What one failure showed.
struct Seen {
    /// Seconds from the failure to the open breaker.
    opened: f64,
    /// Seconds from the failure until 99 % of what goes out goes by the other gateway.
    moved: f64,
    /// Seconds from the call to the event, of 99 % of what went out from 5 s after the failure on.
    lag: f64,
    /// Seconds from the end of the failure to the closed breaker.
    back: f64,
    failed: f64,
    note: String,
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (failure, name) in [(Failure::Killed, "killed"), (Failure::Hanging, "hanging")] {
        let (mut opened, mut moved, mut back, mut failed) = (vec![], vec![], vec![], vec![]);
        let mut lags = Vec::new();
        let mut notes = Vec::new();
        for _ in 0..bench.options.rounds() {
            let seen = fail(bench, failure).await?;
            progress(format!("{name}: {}", seen.note));
            opened.push(seen.opened);
            moved.push(seen.moved);
            lags.push(seen.lag);
            back.push(seen.back);
            failed.push(seen.failed);
            notes.push(seen.note);
        }
        let title = |what: &str| format!("j. gateway {name} under 1,000/s: {what}");
        figures.extend([
            Figure::new(title("breaker open after"), "s", opened).bar(Bar::AtMost(2.0)),
            Figure::new(title("99 % by the other after"), "s", moved)
                .bar(Bar::AtMost(5.0))
                .note(notes.join("; ")),
            Figure::new(title("not sent"), "", failed).bar(Bar::AtMost(0.0)),
            Figure::new(title("p99 to the event, from 5 s after on"), "s", lags),
            Figure::new(title("back by itself after"), "s", back),
        ]);
    }
    Ok(figures)
}

async fn fail(bench: &Bench, failure: Failure) -> anyhow::Result<Seen> {
    let (before, during) = bench.options.size((5, 15), (2, 8));
    let db = bench.cluster.fresh("failover").await?;
    let latency = Duration::from_millis(2);
    let (mut first, second) = (
        Provider::start(latency).await?,
        Provider::start(latency).await?,
    );
    let settings = format!(
        "[worker]\nsend_timeout = \"5s\"\n[channels]\nemail = [\"first\", \"second\"]\n{}{}",
        first.table("first"),
        second.table("second")
    );
    let one = Worker::start_with(&bench.cluster, &db, "one", &settings).await?;
    let two = Worker::start_with(&bench.cluster, &db, "two", &settings).await?;

    let ends = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send(db.connect().await?, Arc::clone(&ends)));
    sleep(Duration::from_secs(before)).await;
    let failed_at = (unix_seconds(), Instant::now());
    match failure {
        Failure::Killed => first.die().await,
        Failure::Hanging => first.hang(true),
    }
    sleep(Duration::from_secs(during)).await;
    let late = first.asked_since(failed_at.1 + Duration::from_secs(2));
    let mended_at = unix_seconds();
    match failure {
        Failure::Killed => first.live().await?,
        Failure::Hanging => first.hang(false),
    }
    let opened = change(&db, "open", failed_at.0).await? - failed_at.0;
    let back = change(&db, "closed", mended_at).await? - mended_at;
    ends.store(true, Ordering::SeqCst);
    let (sent, rate) = sending.await??;
    await_end(&db).await?;
    one.stop().await?;
    two.stop().await?;

    let failed = db
        .number(
            "select count(*) from postroad.messages as m
             where not exists (select from postroad.delivery_events as e where e.message_id = m.message_id and e.event_type = 'sent')",
        )
        .await?;
    let (moved, lag) = moved(&db, failed_at.0, mended_at).await?;
    let note = format!(
        "{sent} messages, {} a second; {late} requests at the first gateway from 2 s after on, until it was back",
        number(rate)
    );
    Ok(Seen {
        opened,
        moved,
        lag,
        back,
        failed: failed as f64,
        note,
    })
}

/// Enqueues at its pace until `ends`; how many, and how many a second.
async fn send(
    client: tokio_postgres::Client,
    ends: Arc<AtomicBool>,
) -> anyhow::Result<(usize, f64)> {
    let statement = client.prepare(ENQUEUE).await?;
    let mut ticks = interval(APART);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = Instant::now();
    let mut sent = 0;
    while !ends.load(Ordering::SeqCst) {
        ticks.tick().await;
        client
            .query_one(&statement, &[&i32::try_from(CALL)?])
            .await?;
        sent += CALL;
    }
    Ok((sent, sent as f64 / began.elapsed().as_secs_f64()))
}

/// Waits for the first gateway's breaker to change after a time; the unix time at which it did.
async fn change(db: &Db, state: &str, after: f64) -> anyhow::Result<f64> {
    let query = "
        select extract(epoch from min(h.changed_at))::float8 from postroad.health_log as h
        where h.gateway = 'first' and h.state = $1 and h.changed_at >= to_timestamp($2::float8)";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let row = db.client.query_one(query, &[&state, &after]).await?;
        if let Some(at) = row.get(0) {
            return Ok(at);
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "the breaker is not {state} after {PATIENCE:?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until nothing waits any more.
async fn await_end(db: &Db) -> anyhow::Result<()> {
    let left = "
        select (select count(*) from postroad.message_queue) + (select count(*) from postroad.leases)
          + (select count(*) from postroad.scheduled)";
    let deadline = Instant::now() + PATIENCE;
    while db.number(left).await? > 0 {
        anyhow::ensure!(
            Instant::now() < deadline,
            "messages are left after {PATIENCE:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// From how many seconds after the failure on, until it was over, 99 % of what went out went by the other gateway; and
/// how long 99 % of what went out from 5 s after on had taken.
async fn moved(db: &Db, failed_at: f64, mended_at: f64) -> anyhow::Result<(f64, f64)> {
    let query = "
        select extract(epoch from e.occurred_at)::float8 - $1::float8, e.gateway = 'second',
          extract(epoch from e.occurred_at - postroad.created_at(e.message_id))::float8
        from postroad.delivery_events as e
        where e.event_type = 'sent'
          and e.occurred_at between to_timestamp($1::float8) and to_timestamp($2::float8)
        order by 1 desc";
    let rows = db.client.query(query, &[&failed_at, &mended_at]).await?;
    anyhow::ensure!(rows.len() > 100, "too few messages to tell: {}", rows.len());
    let (mut all, mut by_other, mut since) = (0.0, 0.0, None);
    let mut lags = Vec::new();
    for row in &rows {
        let at: f64 = row.get(0);
        all += 1.0;
        by_other += f64::from(u8::from(row.get::<_, bool>(1)));
        if all >= 100.0 && by_other / all >= 0.99 {
            since = Some(at); // the earliest moment from which it holds
        }
        if at >= 5.0 {
            lags.push(row.get::<_, f64>(2));
        }
    }
    if since.is_none() {
        progress(format!(
            "only {by_other} of {all} messages went out by the other gateway"
        ));
    }
    lags.sort_by(f64::total_cmp);
    let moved = since.unwrap_or(mended_at - failed_at); // it never moved over while it had to
    Ok((moved, percentile(&lags, 99.0)))
}
