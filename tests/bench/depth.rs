//! h. What a claim of 500 visits with 10 M waiting, against 10 thousand. Counted, not timed.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::cluster::Db;
use crate::figure::{Bar, Figure, number};
use crate::{Bench, progress};

const CLAIM: i32 = 500;
const SHALLOW: i64 = 10_000;
/// Rows of one statement that fills the queue.
const CHUNK: i64 = 500_000;

/// Where a claim went, since the transaction began.
const VISITED: &str = "
    select
      coalesce(sum(pg_stat_get_xact_tuples_returned(c.oid)) filter (where c.relkind = 'i' and of_queue), 0)::float8,
      coalesce(sum(pg_stat_get_xact_blocks_fetched(c.oid)) filter (where of_queue), 0)::float8,
      coalesce(sum(pg_stat_get_xact_blocks_fetched(c.oid)) filter (where not of_queue), 0)::float8
    from (
      select c.oid, c.relkind, c.relname like 'message\\_queue\\_p%' as of_queue
      from pg_class as c
      where c.relkind in ('r', 'i', 't', 'S')
        and c.relnamespace in ('postroad'::regnamespace, 'pg_toast'::regnamespace)
    ) as c";

#[derive(Clone, Copy)]
struct Visits {
    queue_entries: f64,
    queue_buffers: f64,
    buffers_elsewhere: f64,
}

async fn visits(client: &Client) -> anyhow::Result<Visits> {
    let row = client.query_one(VISITED, &[]).await?;
    Ok(Visits {
        queue_entries: row.get(0),
        queue_buffers: row.get(1),
        buffers_elsewhere: row.get(2),
    })
}

/// A claim that is rolled back, after some that load what a session loads once.
async fn claim(db: &Db) -> anyhow::Result<Visits> {
    let client = db.connect().await?;
    client
        .execute(
            "select postroad.register_worker($1, 'bench', 1, 'bench', '{3}')",
            &[&fastrand::i64(1..)],
        )
        .await?;
    let worker_id = "select max(worker_id) from postroad.worker_sessions where host = 'bench'";
    let worker_id: i64 = client.query_one(worker_id, &[]).await?.get(0);
    let mut found = None;
    for _ in 0..3 {
        client.batch_execute("begin").await?;
        let before = visits(&client).await?;
        let rows = client
            .query(
                "select * from postroad.claim(3::smallint, $1, $2, $3)",
                &[&Uuid::now_v7(), &worker_id, &CLAIM],
            )
            .await?;
        let after = visits(&client).await?;
        client.batch_execute("rollback").await?;
        anyhow::ensure!(
            rows.len() == CLAIM as usize,
            "claimed {} messages",
            rows.len()
        );
        found = Some(Visits {
            queue_entries: after.queue_entries - before.queue_entries,
            queue_buffers: after.queue_buffers - before.queue_buffers,
            buffers_elsewhere: after.buffers_elsewhere - before.buffers_elsewhere,
        });
    }
    found.ok_or_else(|| anyhow::anyhow!("no claim"))
}

/// Fills the queue up to `depth`, by the way that enqueue takes: through the parent.
async fn fill(db: &Db, mut from: i64, depth: i64) -> anyhow::Result<()> {
    let id = Uuid::now_v7().to_string();
    let prefix = &id[..24];
    while from < depth {
        let to = depth.min(from + CHUNK);
        let ids = format!("('{prefix}' || lpad(to_hex(n), 12, '0'))::uuid");
        db.client
            .batch_execute(&format!(
                "insert into postroad.messages (message_id, priority, channel, message_type, recipient)
                 select {ids}, 3, 'email', 'campaign', 'user' || n || '@example.org' from generate_series({from}::bigint, {to} - 1) as n;
                 insert into postroad.message_queue (seq, message_id, priority)
                 select postroad.next_seq(3::smallint), {ids}, 3 from generate_series({from}::bigint, {to} - 1) as n"
            ))
            .await?;
        from = to;
    }
    // Vacuumed, as a queue is that is so old: what a claim visits does not depend on it, its hint bits do.
    Ok(db
        .client
        .batch_execute("vacuum analyze postroad.messages, postroad.message_queue")
        .await?)
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let depth = bench.options.size(10_000_000, 1_000_000);
    let db = bench.cluster.fresh("depth").await?;
    fill(&db, 0, SHALLOW).await?;
    let shallow = claim(&db).await?;
    fill(&db, SHALLOW, depth).await?;
    let waiting = db
        .number("select count(*) from postroad.message_queue")
        .await?;
    anyhow::ensure!(waiting == depth, "{waiting} messages wait");
    let deep = claim(&db).await?;
    progress(format!(
        "of the queue: {} buffers at {depth}, {} at {SHALLOW}",
        number(deep.queue_buffers),
        number(shallow.queue_buffers)
    ));
    let a_message = |visits: Visits| visits.buffers_elsewhere / f64::from(CLAIM);
    let depth = depth as f64 / 1e6;
    Ok(vec![
        Figure::new(
            format!("h. index entries of a claim of 500 at {depth} M (floor: at 10,000)"),
            "",
            vec![deep.queue_entries],
        )
        .floor(&[shallow.queue_entries])
        .bar(Bar::AtMostTimesFloor(1.1))
        .note(format!(
            "buffers of the queue: {} against {}",
            number(deep.queue_buffers),
            number(shallow.queue_buffers)
        )),
        Figure::new(
            "h. buffers elsewhere, a message (floor: at 10,000)",
            "",
            vec![a_message(deep)],
        )
        .floor(&[a_message(shallow)])
        .bar(Bar::OverFloor(1.0)),
    ])
}
