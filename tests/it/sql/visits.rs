//! What a claim visits, counted and not timed: neither depth nor what others hold open may add to it.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::sql::{Sql as _, claim_query};

/// Index entries that the session read in the queue of P4 so far, and buffers of its table and indexes that it touched.
async fn visited(client: &Client) -> anyhow::Result<(f64, f64)> {
    client
        .rows("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        .await?;
    let query = "select (select sum(i.idx_tup_read) from pg_stat_user_indexes as i where i.relname = 'message_queue_p4'), \
        (select t.heap_blks_hit + t.heap_blks_read + t.idx_blks_hit + t.idx_blks_read from pg_statio_user_tables as t where t.relname = 'message_queue_p4')";
    let row = client.row(query).await?;
    let (entries, buffers) = row.split_once('|').unwrap_or_default();
    Ok((entries.parse()?, buffers.parse()?))
}

/// Claims so many, `batch` at a time, and returns the index entries and the buffers that this visited.
async fn drain(client: &Client, count: u32, batch: u32) -> anyhow::Result<(f64, f64)> {
    let before = visited(client).await?;
    let mut claimed = 0;
    while claimed < count {
        let rows = client
            .rows(&claim_query(&Uuid::now_v7().to_string(), 1, 4, batch))
            .await?;
        anyhow::ensure!(!rows.is_empty(), "nothing left after {claimed}");
        claimed += u32::try_from(rows.len())?;
    }
    let after = visited(client).await?;
    Ok((after.0 - before.0, after.1 - before.1))
}

/// Puts messages into the queue in one statement, as a bulk send does.
async fn fill(client: &Client, count: u32) -> anyhow::Result<()> {
    let query = format!(
        "select queued from postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, {count}) as n), body => 'x', priority => 'P4')"
    );
    anyhow::ensure!(client.row(&query).await? == count.to_string());
    Ok(())
}

/// The same, each in a row of its own, as single messages are.
async fn fill_singly(client: &Client, count: u32) -> anyhow::Result<()> {
    let query = format!(
        "with made as (
           insert into postroad.messages (message_id, priority, channel, message_type, recipient, body)
           select postroad.uuid_v7(), 4, 'email', 'campaign', 'u' || n || '@x.org', 'x' from generate_series(1, {count}) as n
           returning message_id
         )
         insert into postroad.message_queue (seq, message_id, priority) select postroad.next_seq(4::smallint), m.message_id, 4 from made as m"
    );
    Ok(client.batch_execute(&query).await?)
}

/// Five rounds of 2,000, with the maintainer's floor between them; the last may visit a tenth more than the first.
async fn rounds_cost_the_same(hold: &str) -> anyhow::Result<()> {
    for (is_bulk, least) in [(false, 2000.0), (true, 125.0)] {
        rounds_of_these_cost_the_same(hold, is_bulk, least).await?;
    }
    Ok(())
}

async fn rounds_of_these_cost_the_same(
    hold: &str,
    is_bulk: bool,
    least: f64,
) -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(1).await?;
    let (holder, claimer) = (db.connect().await?, db.connect().await?);
    holder.batch_execute(hold).await?;
    let mut costs = Vec::new();
    for _ in 0..5 {
        if is_bulk {
            fill(&db.client, 2000).await?;
        } else {
            fill_singly(&db.client, 2000).await?;
        }
        costs.push(drain(&claimer, 2000, 100).await?);
        let advance = "select postroad.advance_floors(n.candidates, n.enqueuers) from postroad.note_enqueuers() as n";
        assert_eq!(db.client.row(advance).await?, "t");
    }
    holder.batch_execute("rollback").await?;
    let (first, last) = (costs[0], costs[4]);
    assert!(first.0 >= least, "counted: {costs:?}");
    assert!(last.0 <= 1.1 * first.0, "index entries: {costs:?}");
    assert!(last.1 <= 1.1 * first.1, "buffers: {costs:?}");
    Ok(())
}

/// A dump that runs for hours keeps every dead version alive.
#[tokio::test]
async fn a_held_snapshot_does_not_make_claims_visit_more() -> anyhow::Result<()> {
    rounds_cost_the_same(
        "begin isolation level repeatable read; select count(*) from postroad.message_queue",
    )
    .await
}

/// So does an application that wrote something and went to sleep.
#[tokio::test]
async fn an_idle_writer_does_not_make_claims_visit_more() -> anyhow::Result<()> {
    rounds_cost_the_same("create table mine (n int); begin; insert into mine values (1); select pg_current_xact_id()").await
}

/// A campaign of millions must cost a claim no more than a newsletter for the village.
#[tokio::test]
async fn depth_does_not_make_claims_visit_more() -> anyhow::Result<()> {
    let mut costs = Vec::new();
    for depth in [1000, 100_000] {
        let db = TestDb::new().await?;
        db.register(1).await?;
        let claimer = db.connect().await?;
        fill_singly(&db.client, depth).await?;
        costs.push(drain(&claimer, 500, 500).await?);
    }
    assert!(costs[0].0 >= 500.0, "counted: {costs:?}");
    assert!(costs[1].0 <= 1.1 * costs[0].0, "index entries: {costs:?}");
    assert!(
        costs[1].1 <= costs[0].1 + 500.0,
        "at most one more buffer a message: {costs:?}"
    );
    Ok(())
}

/// Thirty days are kept, and one is sent: a claim that is made ready for each of them costs P0 more than all else that it does.
#[tokio::test]
async fn a_claim_opens_the_indexes_of_the_days_that_its_messages_are_of() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(1).await?;
    let later = "with made as (
           insert into postroad.messages (message_id, priority, channel, message_type, recipient, body)
           select postroad.uuid_add(postroad.uuid_at(now() + interval '3 days'), n), 4, 'email', 'campaign', 'later@x.org', 'x' from generate_series(1, 2) as n
           returning message_id
         )
         insert into postroad.message_queue (seq, message_id, priority) select postroad.next_seq(4::smallint), m.message_id, 4 from made as m";
    let opened = "select count(distinct c.relname) from pg_locks as l join pg_class as c on c.oid = l.relation
        where l.pid = pg_backend_pid() and c.relname ~ '^messages_[0-9]{8}_pkey$'";
    let claim = async |count: u32| -> anyhow::Result<Vec<String>> {
        db.client
            .rows(&claim_query(&Uuid::now_v7().to_string(), 1, 4, count))
            .await
    };
    fill(&db.client, 1).await?;
    fill_singly(&db.client, 1).await?;
    assert_eq!(claim(10).await?.len(), 2, "planned, for any day");
    for (is_bulk, has_later, days) in [
        (false, false, "1"),
        (true, false, "1"),
        (false, true, "4"), // from the first to the last of them
        (true, true, "4"),
    ] {
        let case = format!("of a bulk send: {is_bulk}, of two days: {has_later}");
        match is_bulk {
            true => fill(&db.client, 20).await?,
            false => fill_singly(&db.client, 20).await?,
        }
        if has_later {
            db.client.batch_execute(later).await?;
        }
        let waiting = db
            .client
            .rows("select u.id from postroad.message_queue as q, unnest(q.message_id || q.more_ids) with ordinality as u (id, nth) order by q.seq, u.nth")
            .await?;
        db.client.batch_execute("begin").await?;
        let claimed = claim(100).await?;
        assert_eq!(db.client.row(opened).await?, days, "{case}");
        db.client.batch_execute("commit").await?;
        let ids: Vec<_> = claimed
            .iter()
            .map(|row| row.split('|').next().unwrap_or_default())
            .collect();
        assert_eq!(ids, waiting, "{case}");
        db.client
            .batch_execute("delete from postroad.messages where recipient = 'later@x.org'")
            .await?;
    }
    Ok(())
}

/// A vacuum by night leaves a day that has not begun yet as one that holds nothing, by which statements are planned until somebody analyses it.
#[tokio::test]
async fn a_day_that_is_thought_to_be_empty_is_not_read_through_for_each_message()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(1).await?;
    db.client.batch_execute("vacuum analyze").await?;
    let claimer = db.connect().await?;
    let idle = claim_query(&Uuid::now_v7().to_string(), 1, 4, 1);
    assert!(claimer.rows(&idle).await?.is_empty()); // planned, and kept for the session
    fill(&db.client, 2000).await?;
    let read = "select sum(i.idx_tup_read) from pg_stat_user_indexes as i where i.relname like 'messages\\_%'";
    let before: f64 = db.client.row(read).await?.parse()?;
    drain(&claimer, 2000, 100).await?;
    db.client.rows("select pg_stat_clear_snapshot()").await?;
    let after: f64 = db.client.row(read).await?.parse()?;
    assert!(
        (2000.0..=2200.0).contains(&(after - before)),
        "index entries of messages: {}",
        after - before
    );
    Ok(())
}

/// Vacuumed while it held nothing (and while workers who ask for more kept its pages from being cut off), a queue is thought to be empty by those who
/// plan anew. Who takes a few of what comes next must not read, and sort, all of it for them.
#[tokio::test]
async fn a_queue_that_is_thought_to_be_empty_is_read_no_further_than_what_is_taken()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(1).await?;
    let due = "insert into postroad.scheduled (message_id, due_at, priority)
        select gen_random_uuid(), now() - interval '1 hour' + n * interval '1 ms', 4 from generate_series(1, 20000) as n";
    fill_singly(&db.client, 20_000).await?;
    db.client.batch_execute(due).await?;
    db.client.batch_execute("analyze").await?;
    drain(&db.client, 20_000, 20_000).await?;
    db.client
        .batch_execute("delete from postroad.scheduled")
        .await?;
    db.client
        .batch_execute("vacuum (truncate off) postroad.message_queue_p4, postroad.scheduled")
        .await?;
    fill_singly(&db.client, 20_000).await?;
    db.client.batch_execute(due).await?;
    let read = "select sum(i.idx_tup_read) from pg_stat_user_indexes as i where i.relname in ('message_queue_p4', 'scheduled')";
    let depth = "select count(*) from postroad.queue_depth(4::smallint)"; // counts to 10,000, which it may read twice
    for (call, most) in [
        (&*claim_query(&Uuid::now_v7().to_string(), 1, 4, 50), 150.0),
        (
            "select postroad.advance_floors(n.candidates, n.enqueuers) from postroad.note_enqueuers() as n",
            150.0,
        ),
        (depth, 15_000.0),
        (
            "select promoted from postroad.promote_due(4::smallint, '-infinity', 50)",
            150.0,
        ),
    ] {
        let session = db.connect().await?;
        visited(&db.client).await?;
        let before: f64 = db.client.row(read).await?.parse()?;
        session.rows(call).await?;
        visited(&session).await?;
        visited(&db.client).await?;
        let after: f64 = db.client.row(read).await?.parse()?;
        assert!(
            after - before <= most,
            "{} entries by {call}",
            after - before
        );
    }
    Ok(())
}

/// A service keeps its session, and with it what was planned on the first day, when there was nothing to look through.
#[tokio::test]
async fn a_session_of_the_first_day_still_looks_things_up_when_there_are_many() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let service = db.connect().await?;
    let calls = [
        "select postroad.cancel((postroad.enqueue('email', 'a@x.org', body => 'x', idempotency_key => gen_random_uuid()::text)).message_id)",
        "select count(*) from postroad.enqueue('email', 'a@x.org', body => 'x') as e, postroad.status(e.message_id), postroad.timeline(e.message_id), postroad.explain(e.message_id)",
    ];
    db.client.batch_execute("vacuum analyze").await?;
    for call in calls {
        for _ in 0..7 {
            service.rows(call).await?; // planned for good by the sixth
        }
    }
    db.client
        .batch_execute(
            "insert into postroad.suppression_list (address, reason) select 's' || n || '@x.org', 'manual' from generate_series(1, 3000) as n;
             insert into postroad.scheduled (message_id, due_at, priority) select gen_random_uuid(), 'infinity', 4 from generate_series(1, 3000)",
        )
        .await?;
    fill(&db.client, 3000).await?;
    let read = "select sum(t.seq_tup_read) from pg_stat_user_tables as t where t.schemaname = 'postroad' and t.n_live_tup > 1000";
    visited(&db.client).await?;
    let before: f64 = db.client.row(read).await?.parse()?;
    for call in calls {
        service.rows(call).await?;
    }
    visited(&service).await?;
    let after: f64 = db.client.row(read).await?.parse()?;
    assert_eq!(after - before, 0.0, "rows that sequential scans read");
    Ok(())
}

/// An outbox of 4,000 deliveries that wait for an hour, a millisecond from each other, behind 20,000 that are posted.
async fn outbox() -> anyhow::Result<TestDb> {
    let db = TestDb::new().await?;
    let filled = "select postroad.add_webhook_endpoint('https://a.example', '{system.*}');
        insert into postroad.webhook_outbox (endpoint_id, webhook_id, event_type, payload, due_at, finished_at)
        select 1, 'evt_' || n, 'system.test', '{}', case when n > 20000 then clock_timestamp() - interval '1 hour' + n * interval '1 ms' end,
          case when n <= 20000 then clock_timestamp() end
        from generate_series(1, 24000) as n";
    db.client.batch_execute(filled).await?;
    db.client
        .batch_execute("vacuum analyze postroad.webhook_outbox")
        .await?;
    Ok(db)
}

/// Entries of the indexes of the outbox that the session read so far.
async fn visited_outbox(client: &Client) -> anyhow::Result<i64> {
    client
        .rows("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        .await?;
    let query = "select sum(i.idx_tup_read) from pg_stat_user_indexes as i where i.relname = 'webhook_outbox'";
    Ok(client.row(query).await?.parse()?)
}

/// What is posted stays for as long as events do: millions.
#[tokio::test]
async fn deliveries_are_taken_without_a_look_at_those_that_are_posted() -> anyhow::Result<()> {
    let db = outbox().await?;
    let claim = "select count(*) from postroad.claim_webhooks(20, '{}')";
    db.client.row(claim).await?;
    let before = visited_outbox(&db.client).await?;
    assert_eq!(db.client.row(claim).await?, "20");
    let entries = visited_outbox(&db.client).await? - before;
    assert!((20..200).contains(&entries), "{entries} entries for 20");
    Ok(())
}

/// Whoever says how far it came does not pass what it took again, while a held snapshot keeps that.
#[tokio::test]
async fn a_held_snapshot_does_not_make_claims_of_deliveries_visit_more() -> anyhow::Result<()> {
    let db = outbox().await?;
    let holder = db.connect().await?;
    holder
        .batch_execute(
            "begin isolation level repeatable read; select count(*) from postroad.webhook_outbox",
        )
        .await?;
    let mut costs = Vec::new();
    let mut after = "-infinity".to_owned();
    for _ in 0..40 {
        let before = visited_outbox(&db.client).await?;
        let claim = format!(
            "select count(*), max(c.reached), count(postroad.complete_webhook(c.delivery_id, 200, null, null)) from postroad.claim_webhooks(100, '{{}}', '1 minute', '{{1}}', array[timestamptz '{after}']) as c"
        );
        let row = db.client.row(&claim).await?;
        let mut values = row.split('|');
        assert_eq!(values.next(), Some("100"));
        after = values.next().unwrap_or_default().to_owned();
        costs.push(visited_outbox(&db.client).await? - before);
    }
    let (first, last) = (costs[0], costs[39]);
    assert!(last <= first + first / 10, "{costs:?}");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.webhook_outbox where due_at is not null")
            .await?,
        "0"
    );
    holder.batch_execute("rollback").await?;
    Ok(())
}
