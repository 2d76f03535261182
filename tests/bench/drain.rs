//! c. A full queue, emptied: from the first claim to the last event, each message with its event. Once of messages that were enqueued one by one, each with
//! a body of one kilobyte, which its claim fetches; once of a bulk send, which shares its content.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use crate::bulk::{enqueue_from_table, fill_recipients};
use crate::cluster::Db;
use crate::copy::{Copy, OUR_ROW};
use crate::figure::{Bar, Figure, number};
use crate::worker::Worker;
use crate::{Bench, payload, progress};

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

/// Calls of `enqueue` in one transaction that fills the queue.
const SINGLE_CALLS: usize = 20_000;

const ENQUEUE: &str = "
    select count(*) from generate_series(1, $1::bigint) as n,
      lateral postroad.enqueue(channel => 'email', recipient => 'user' || n || '@example.org', subject => 'News from the post road', body => $2,
        message_type => 'campaign') as e
    where e.status = 'queued'";

/// Puts campaign messages into the queue one by one, each with a body of one kilobyte.
async fn fill_singly(db: &Db, count: usize) -> anyhow::Result<()> {
    let statement = db.client.prepare(ENQUEUE).await?;
    let body = payload::text(payload::SIZE);
    let mut left = count;
    while left > 0 {
        let calls = i64::try_from(left.min(SINGLE_CALLS))?;
        let row = db.client.query_one(&statement, &[&calls, &body]).await?;
        anyhow::ensure!(row.get::<_, i64>(0) == calls, "some were not queued");
        left -= usize::try_from(calls)?;
    }
    Ok(())
}

/// Fills the queue with a bulk send while P3 is paused, lets it go, and times the drain.
pub(crate) async fn drain(
    db: &Db,
    worker: &mut Worker<'_>,
    count: usize,
) -> anyhow::Result<Drained> {
    db.client.batch_execute(PAUSE).await?;
    fill(db, count).await?;
    drain_filled(db, worker, count).await
}

/// The same with messages that were enqueued one by one.
async fn drain_single_ones(
    db: &Db,
    worker: &mut Worker<'_>,
    count: usize,
) -> anyhow::Result<Drained> {
    db.client.batch_execute(PAUSE).await?;
    fill_singly(db, count).await?;
    drain_filled(db, worker, count).await
}

async fn drain_filled(db: &Db, worker: &mut Worker<'_>, count: usize) -> anyhow::Result<Drained> {
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
    // Asked in the order of what answers first: while there are leases the queue is not looked at. Its end is read through the index (a scan of it, with all
    // its dead rows, would take a tenth of the machine from what is measured). Of two claims at a time one may pass over some rows that the other has locked
    // and does not take: they are the next claim's.
    let is_empty = "
        select case
            when exists (select from postroad.leases) then 0
            when exists (
              select from (
                select from postroad.message_queue_p3 as q where q.seq > (select last_value - 5000 from postroad.queue_seq_p3) order by q.seq limit 1
              ) as q
            ) then 0
            when exists (select from postroad.scheduled as s where s.priority = 3) then 0
            else 1
          end::bigint";
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
    drain_single_ones(&db, &mut worker, 1000).await?;
    let copy = Copy::of_equal_rows(&db, count, OUR_ROW).await?;
    let (mut floor, mut singles, mut bulks) = (vec![], vec![], vec![]);
    for _ in 0..bench.options.rounds() {
        floor.push(copy.rows_per_second(&db).await?);
        singles.push(drain_single_ones(&db, &mut worker, count).await?);
        floor.push(copy.rows_per_second(&db).await?);
        bulks.push(drain(&db, &mut worker, count).await?);
        let last = |of: &Vec<Drained>| number(of.last().map_or(0.0, |drained| drained.rate));
        progress(format!(
            "{} single ones, {} of a bulk send, COPY {}",
            last(&singles),
            last(&bulks),
            number(floor.last().copied().unwrap_or_default())
        ));
    }
    worker.stop().await?;
    let figure = |name: &str, drains: &[Drained]| {
        let all = |of: fn(&Drained) -> f64| drains.iter().map(of).collect::<Vec<_>>();
        let note = format!(
            "floor: COPY, {:?}, of equal rows; between first and last event {}/s; worker {} s of processor a million",
            copy.format,
            number(crate::figure::median(&all(|d| d.between_events))),
            number(crate::figure::median(&all(|d| d.worker_cpu)))
        );
        Figure::new(name, "/s", all(|d| d.rate))
            .floor(&floor)
            .bar(Bar::TimesFloor(0.6))
            .note(note)
    };
    Ok(vec![
        figure("c. drain, each with its event", &singles),
        figure("c. drain of a bulk send", &bulks),
    ])
}
