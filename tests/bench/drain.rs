//! c. A full queue, emptied: from the first claim to the last event, each message with its event.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use crate::bulk::{enqueue_from_table, fill_recipients};
use crate::cluster::Db;
use crate::copy::{Copy, OUR_ROW};
use crate::figure::{Bar, Figure, number};
use crate::worker::Worker;
use crate::{Bench, progress};

/// A drain that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// What P3 is held back by while the queue is filled.
pub(crate) const PAUSE: &str = "select postroad.pause('priority', 'P3', 'bench')";
pub(crate) const RESUME: &str = "select postroad.resume('priority', 'P3')";

/// Messages of one call that fills the queue.
const FILL_CALL: usize = 100_000;

/// One drain.
pub(crate) struct Drained {
    /// Messages a second, from the first claim to the last event committed.
    pub(crate) rate: f64,
    /// The same between the first and the last event.
    pub(crate) between_events: f64,
    /// Processor seconds of the worker's process per million messages.
    pub(crate) worker_cpu: f64,
}

/// Puts campaign messages of one kilobyte into the queue.
pub(crate) async fn fill(db: &Db, count: usize) -> anyhow::Result<()> {
    let call = count.min(FILL_CALL);
    if db.number("select count(*) from bench.recipients").await? != i64::try_from(call)? {
        fill_recipients(db, call).await?;
    }
    let mut queued = 0;
    while queued < count {
        queued += enqueue_from_table(db).await?;
    }
    anyhow::ensure!(queued == count, "{queued} queued instead of {count}");
    Ok(())
}

/// Fills the queue while P3 is paused, lets it go, and times the drain.
pub(crate) async fn drain(
    db: &Db,
    worker: &mut Worker<'_>,
    count: usize,
) -> anyhow::Result<Drained> {
    db.client.batch_execute(PAUSE).await?;
    fill(db, count).await?;
    let released = let_go(db, worker).await?;
    empty(db, worker, released, count).await
}

/// When the worker was let at a full queue.
pub(crate) struct Released {
    at: f64,
    cpu: f64,
}

/// Lets go what P3 was held back by.
pub(crate) async fn let_go(db: &Db, worker: &Worker<'_>) -> anyhow::Result<Released> {
    db.settle().await?;
    let released = Released {
        at: unix_seconds(),
        cpu: worker.cpu_seconds(),
    };
    db.client.batch_execute(RESUME).await?;
    Ok(released)
}

/// Times the drain of what was filled in.
pub(crate) async fn empty(
    db: &Db,
    worker: &mut Worker<'_>,
    released: Released,
    count: usize,
) -> anyhow::Result<Drained> {
    let ended = await_empty(db, worker).await?;
    let cpu = worker.cpu_seconds() - released.cpu;

    // A lease's id is a UUIDv7 that the worker makes just before it claims.
    let row = db
        .client
        .query_one(
            "with e as (
               select * from postroad.delivery_events where occurred_at >= to_timestamp($1) and event_type = 'sent'
             )
             select count(*), count(distinct message_id),
               extract(epoch from postroad.created_at(min(lease_id::text)::uuid))::float8,
               extract(epoch from max(occurred_at) - min(occurred_at))::float8
             from e",
            &[&released.at],
        )
        .await?;
    let (events, messages): (i64, i64) = (row.get(0), row.get(1));
    anyhow::ensure!(
        events == i64::try_from(count)? && messages == events,
        "{count} messages have {events} events of {messages} messages"
    );
    let first_claim: f64 = row.get(2);
    Ok(Drained {
        rate: count as f64 / (ended - first_claim),
        between_events: count as f64 / row.get::<_, f64>(3),
        worker_cpu: cpu * 1e6 / count as f64,
    })
}

/// Waits until P3 is claimed to the end and no lease is left; the unix time at which it was seen.
pub(crate) async fn await_empty(db: &Db, worker: &mut Worker<'_>) -> anyhow::Result<f64> {
    // The row at the end of the queue is found at once, however many dead ones lie before it.
    let is_empty = "
        select (not exists (
            select from postroad.message_queue_p3 as q where q.seq = (select last_value from postroad.queue_seq_p3)
          ) and not exists (select from postroad.leases)
            and not exists (select from postroad.scheduled as s where s.priority = 3))::integer::bigint";
    let deadline = Instant::now() + LIMIT;
    while db.number(is_empty).await? == 0 {
        worker.check()?;
        anyhow::ensure!(
            Instant::now() < deadline,
            "the queue is not empty after {LIMIT:?}"
        );
        sleep(Duration::from_millis(20)).await;
    }
    Ok(unix_seconds())
}

pub(crate) fn unix_seconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.options.size(200_000, 40_000);
    let db = bench.cluster.fresh("drain").await?;
    let mut worker = Worker::start(&bench.cluster, &db, "0ms").await?;
    drain(&db, &mut worker, 1000).await?;
    let copy = Copy::of_equal_rows(&db, count, OUR_ROW).await?;
    let (mut floor, mut rates, mut between, mut cpu) = (vec![], vec![], vec![], vec![]);
    for _ in 0..bench.options.rounds() {
        floor.push(copy.rows_per_second(&db).await?);
        let drained = drain(&db, &mut worker, count).await?;
        progress(format!(
            "{} ({} between first and last event), COPY {}; worker {} s of processor a million",
            number(drained.rate),
            number(drained.between_events),
            number(floor.last().copied().unwrap_or_default()),
            number(drained.worker_cpu)
        ));
        rates.push(drained.rate);
        between.push(drained.between_events);
        cpu.push(drained.worker_cpu);
    }
    worker.stop().await?;
    let note = format!(
        "floor: COPY, {:?}, of equal rows; between first and last event {}/s; worker {} s of processor a million",
        copy.format,
        number(crate::figure::median(&between)),
        number(crate::figure::median(&cpu))
    );
    Ok(vec![
        Figure::new("c. drain, each with its event", "/s", rates)
            .floor(&floor)
            .bar(Bar::TimesFloor(0.6))
            .note(note),
    ])
}
