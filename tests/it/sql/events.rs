//! Reading events: each once a consumer, in batches between two snapshots, whatever commits when.

mod consumers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::Client;

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// `type|message|event id` of the next batch, and the batch's id.
async fn read(
    client: &Client,
    consumer: &str,
    limit: u32,
) -> anyhow::Result<(String, Vec<String>)> {
    let query = format!(
        "select batch_id, event_type, message_id, event_id from postroad.read_events('{consumer}', {limit})"
    );
    let rows = client.rows(&query).await?;
    let batch = rows.first().and_then(|row| row.split_once('|'));
    let batch = batch.map_or_else(String::new, |(batch, _)| batch.to_owned());
    let events = rows
        .iter()
        .filter_map(|row| row.split_once('|').map(|(_, event)| event.to_owned()));
    Ok((batch, events.collect()))
}

async fn ack(client: &Client, consumer: &str, batch: &str) -> anyhow::Result<String> {
    client
        .row(&format!(
            "select postroad.ack_events('{consumer}', {batch})"
        ))
        .await
}

/// All that there is to read, batch by batch.
async fn drain(client: &Client, consumer: &str, limit: u32) -> anyhow::Result<Vec<String>> {
    let mut events = Vec::new();
    loop {
        let (batch, more) = read(client, consumer, limit).await?;
        if more.is_empty() {
            return Ok(events);
        }
        events.extend(more);
        assert_eq!(ack(client, consumer, &batch).await?, "t");
    }
}

async fn register(client: &Client, consumer: &str, more: &str) -> anyhow::Result<String> {
    client
        .row(&format!(
            "select postroad.register_consumer('{consumer}'{more})"
        ))
        .await
}

/// Two copies of an app read under one name: what one of them acknowledges must be what both of them saw.
#[tokio::test]
async fn two_readers_of_one_name_get_the_same_batch() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let first = db.connect_as("postroad_consumer").await?;
    let second = db.connect_as("postroad_consumer").await?;
    let pid = second.row("select pg_backend_pid()").await?;
    register(&first, "billing", "").await?;
    db.enqueue_to("a@x.org", "").await?;
    first.batch_execute("begin").await?;
    let opened = read(&first, "billing", 1000).await?;
    assert_eq!(opened.1.len(), 1);
    db.enqueue_to("b@x.org", "").await?;
    let waiting = tokio::spawn(async move { read(&second, "billing", 1000).await });
    db.waits(&pid).await?;
    first.batch_execute("commit").await?;
    assert_eq!(waiting.await??, opened);

    assert_eq!(ack(&first, "billing", &opened.0).await?, "t");
    assert_eq!(drain(&first, "billing", 1000).await?.len(), 1);
    Ok(())
}

/// An app that crashes between reading and acknowledging must see the same again; one that acknowledged, nothing twice.
#[tokio::test]
async fn each_consumer_gets_each_event_once_and_the_same_batch_until_it_acknowledges()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let app = db.connect_as("postroad_consumer").await?;
    assert_eq!(register(&app, "billing", "").await?, "t");
    assert_eq!(register(&app, "audit", "").await?, "t");
    let (id, _) = db.ended("sent").await?;
    let (batch, events) = read(&app, "billing", 1000).await?;
    let types: Vec<_> = events.iter().filter_map(|e| e.split('|').next()).collect();
    assert_eq!(types, ["queued", "sent"]);
    assert!(events.iter().all(|event| event.contains(&id)), "{events:?}");

    db.enqueue_to("b@x.org", "").await?;
    let again = db.connect_as("postroad_consumer").await?;
    let same = (batch.clone(), events.clone());
    assert_eq!(read(&again, "billing", 1).await?, same, "after a crash");
    assert_eq!(ack(&again, "billing", &batch).await?, "t");
    assert_eq!(ack(&app, "billing", &batch).await?, "f", "once");
    let (next, more) = read(&app, "billing", 1000).await?;
    assert_eq!((more.len(), next == batch), (1, false), "{more:?}");
    assert_eq!(ack(&app, "billing", &batch).await?, "f", "not the open one");
    assert_eq!(ack(&app, "billing", &next).await?, "t");
    assert!(read(&app, "billing", 1000).await?.1.is_empty());
    assert_eq!(drain(&app, "audit", 1000).await?.len(), 3, "its own pace");
    Ok(())
}

/// The consumer's work and its acknowledgement in one transaction: both, or neither.
#[tokio::test]
async fn an_acknowledgement_that_is_rolled_back_was_none() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    register(&db.client, "a", "").await?;
    db.enqueue_to("a@x.org", "").await?;
    db.client.batch_execute("begin").await?;
    let (batch, events) = read(&db.client, "a", 10).await?;
    assert_eq!(ack(&db.client, "a", &batch).await?, "t");
    db.client.batch_execute("rollback").await?;
    assert_eq!(read(&db.client, "a", 10).await?, (batch, events));
    Ok(())
}

/// Transactions commit in another order than they write, one is open for long, one is prepared, one is rolled back.
#[tokio::test]
async fn no_event_is_skipped_though_transactions_commit_out_of_order() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let enqueue = "select message_id from postroad.enqueue('email', 'a@x.org', body => 'x')";
    let (early, undone) = (db.connect().await?, db.connect().await?);
    early.batch_execute("begin").await?;
    let before = early.row(enqueue).await?;
    register(&db.client, "a", "").await?;
    let after = early.row(enqueue).await?;
    undone.batch_execute("begin").await?;
    undone.row(enqueue).await?;
    let prepared = db.connect().await?;
    prepared
        .batch_execute("begin; set local postroad.notify = off")
        .await?;
    let third = prepared.row(enqueue).await?;
    prepared.batch_execute("prepare transaction 'p'").await?;

    let mut seen = Vec::new();
    for round in 0..300 {
        let id = db.client.row(enqueue).await?;
        seen.push(format!("queued|{id}|null"));
        if round % 100 == 0 {
            assert_eq!(
                drain(&db.client, "a", 7).await?,
                seen,
                "what is open is not read"
            );
            seen.clear();
        }
    }
    assert_eq!(drain(&db.client, "a", 1000).await?.len(), 99);
    early.batch_execute("commit").await?;
    undone.batch_execute("rollback").await?;
    let late: BTreeSet<_> = drain(&db.client, "a", 1000).await?.into_iter().collect();
    let wanted = [&before, &after].map(|id| format!("queued|{id}|null"));
    assert_eq!(late, BTreeSet::from(wanted));
    db.client.batch_execute("commit prepared 'p'").await?;
    let last = drain(&db.client, "a", 1000).await?;
    assert_eq!(last, [format!("queued|{third}|null")]);
    Ok(())
}

/// A campaign of a million in one transaction comes in batches too: each event in one of them.
#[tokio::test]
async fn a_transaction_larger_than_a_batch_is_split_without_loss() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    register(&db.client, "a", "").await?;
    register(&db.client, "b", "").await?;
    db.enqueue_to("first@x.org", "").await?;
    db.client
        .batch_execute(
            "begin;
             select postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 250) as n), body => 'x');
             insert into postroad.delivery_events (message_id, event_type)
             select m.message_id, t.event_type from postroad.messages as m, unnest('{sent,delivered}'::text[]) as t (event_type) where m.batch_id is not null;
             commit",
        )
        .await?;
    db.enqueue_to("last@x.org", "").await?;
    let mut sizes = Vec::new();
    let mut events = Vec::new();
    loop {
        let (batch, part) = read(&db.client, "a", 100).await?;
        if part.is_empty() {
            break;
        }
        let again = read(&db.client, "a", 100).await?.1;
        assert_eq!(part, again, "batch {batch} is not the same again");
        sizes.push(part.len());
        events.extend(part);
        ack(&db.client, "a", &batch).await?;
    }
    assert_eq!(events.len(), 752);
    let distinct: BTreeSet<_> = events.iter().collect();
    assert_eq!(distinct.len(), 752);
    // All events of a message stay together: 100, and up to two more.
    assert!(sizes.iter().all(|size| *size <= 102), "{sizes:?}");
    assert!(sizes.len() <= 10, "{sizes:?}");
    assert_eq!(
        drain(&db.client, "b", 3).await?,
        events,
        "the order is the same in other batches"
    );
    Ok(())
}

/// The dispatcher reads events and writes one in the same transaction: that one must not count as read.
#[tokio::test]
async fn what_the_reading_transaction_writes_later_is_not_skipped() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    register(&db.client, "a", "").await?;
    let app = db.connect().await?;
    let enqueue = "select message_id from postroad.enqueue('email', 'a@x.org', body => 'x')";
    app.batch_execute("begin").await?;
    let first = app.row(enqueue).await?;
    let other = db.client.row(enqueue).await?;
    let (batch, events) = read(&app, "a", 10).await?;
    assert_eq!(events, [format!("queued|{other}|null")]);
    ack(&app, "a", &batch).await?;
    let second = app.row(enqueue).await?;
    app.batch_execute("commit").await?;
    let late: BTreeSet<_> = drain(&app, "a", 10).await?.into_iter().collect();
    let wanted = [first, second].map(|id| format!("queued|{id}|null"));
    assert_eq!(late, BTreeSet::from(wanted));
    Ok(())
}

/// Writers that commit, roll back and dawdle, readers that crash: each event once, in three sizes of batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_and_crashing_readers_lose_and_double_nothing() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for (consumer, limit) in [("few", 5), ("some", 37), ("many", 1000)] {
        register(&db.client, consumer, ", null, '{*,system.*}'").await?;
        let (url, done) = (db.database.clone(), Arc::clone(&done));
        readers.push(tokio::spawn(async move {
            let mut client = url.connect().await?;
            let mut events = Vec::new();
            loop {
                let was_done = done.load(Ordering::SeqCst);
                let (batch, part) = read(&client, consumer, limit).await?;
                if part.is_empty() && was_done {
                    return anyhow::Ok(events);
                }
                if part.is_empty() {
                    continue;
                }
                if fastrand::u8(..5) == 0 {
                    client = url.connect().await?;
                    assert_eq!(read(&client, consumer, 5).await?.1, part);
                }
                ack(&client, consumer, &batch).await?;
                events.extend(part);
            }
        }));
    }
    let mut writers = Vec::new();
    for n in 0..4 {
        let client = db.connect().await?;
        writers.push(tokio::spawn(async move {
            for round in 0..20 {
                client.batch_execute("begin").await?;
                let count = [1, 2, 40][fastrand::usize(..3)];
                let writes = [
                    format!("select count(e.status) from generate_series(1, {count}) as n, lateral postroad.enqueue('email', 'u' || n || '@x.org', body => 'x') as e"),
                    format!("insert into postroad.delivery_events (message_id, event_type) select m.message_id, 'opened' from postroad.messages as m limit {count}"),
                    "select postroad.emit_system_event('test', 'x')".into(),
                ];
                for _ in 0..fastrand::u8(1..4) {
                    client.batch_execute(&writes[fastrand::usize(..3)]).await?;
                    tokio::task::yield_now().await;
                }
                let end = if (round + n) % 5 == 0 { "rollback" } else { "commit" };
                client.batch_execute(end).await?;
            }
            anyhow::Ok(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    done.store(true, Ordering::SeqCst);
    let all = "select 'queued|' || message_id || '|null' from postroad.messages
        union all select event_type || '|' || message_id || '|' || event_id from postroad.delivery_events
        union all select 'system.' || kind || '|null|' || event_id from postroad.system_events";
    let written: BTreeSet<_> = db.client.rows(all).await?.into_iter().collect();
    assert!(written.len() > 100);
    for reader in readers {
        let events = reader.await??;
        let distinct: BTreeSet<_> = events.iter().cloned().collect();
        assert_eq!(events.len(), distinct.len(), "an event came twice");
        assert!(distinct == written, "an event was skipped");
    }
    Ok(())
}

/// Blocks of the tables of messages and events that the session touched so far.
async fn touched(client: &Client) -> anyhow::Result<f64> {
    client
        .rows("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        .await?;
    let query = "select sum(t.heap_blks_hit + t.heap_blks_read) from pg_statio_user_tables as t
        where t.relname ~ '^(messages|delivery_events)_'";
    Ok(client.row(query).await?.parse()?)
}

/// A batch must cost what is in it, not what is in the day, even while a transaction stays open for an hour.
#[tokio::test]
async fn a_small_batch_visits_few_blocks_of_a_large_day() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute(
            "select postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 200000) as n), body => 'x');
             insert into postroad.delivery_events (message_id, event_type) select message_id, 'sent' from postroad.messages",
        )
        .await?;
    let idle = db.connect().await?;
    idle.batch_execute("begin; select pg_current_xact_id()")
        .await?;
    register(&db.client, "a", "").await?;
    let maintainer = db.connect_as("postroad_worker").await?;
    let summarize = "select postroad.summarize_events()";
    let ranges: u32 = maintainer.row(summarize).await?.parse()?;
    assert!(ranges > 5, "{ranges} ranges");
    assert_eq!(maintainer.row(summarize).await?, "0", "once");
    let old = "select postroad.summarize_events(old_days => true)";
    assert_eq!(maintainer.row(old).await?, "0", "there are none");
    let total: f64 = db
        .client
        .row(
            "select sum(pg_relation_size(c.oid)) / 8192 from pg_class as c where c.relname ~ '^(messages|delivery_events)_[0-9]+$'",
        )
        .await?
        .parse()?;
    let before = touched(&db.client).await?;
    db.ended("sent").await?;
    let rounds = 5;
    for _ in 0..rounds {
        db.enqueue_to("a@x.org", "").await?;
        drain(&db.client, "a", 100).await?;
    }
    let visited = (touched(&db.client).await? - before) / f64::from(rounds);
    // Each of its looks reads the pages that fill now: up to 64 of each table, a few times.
    assert!(total > 4000.0, "{total} blocks");
    assert!(visited < 1200.0, "{visited} of {total} blocks a batch");
    Ok(())
}

/// An event of today for a message of last month lands in last month's partition.
#[tokio::test]
async fn an_event_of_an_old_or_unknown_message_is_read_like_any_other() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    register(&db.client, "a", "").await?;
    let old = "(select postroad.uuid_at(clock_timestamp() - interval '40 days'))";
    db.client
        .batch_execute(&format!(
            "insert into postroad.delivery_events (message_id, event_type) values ({old}, 'opened'), (gen_random_uuid(), 'bounced')"
        ))
        .await?;
    let events = drain(&db.client, "a", 100).await?;
    assert_eq!(events.len(), 2, "{events:?}");
    Ok(())
}

/// Old days get a few late events each: their last pages must not be read at each look for ever.
#[tokio::test]
async fn the_pages_that_fill_are_left_to_fill_but_those_of_old_days_are_known() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let day = "(clock_timestamp() at time zone 'utc')::date - 5";
    db.client
        .batch_execute(&format!(
            "do $$ begin execute format('create table postroad.messages_%s partition of postroad.messages for values from (%L) to (%L)',
               to_char({day}, 'YYYYMMDD'), postroad.uuid_at(({day})::timestamp at time zone 'utc'), postroad.uuid_at(({day} + 1)::timestamp at time zone 'utc')); end $$;
             insert into postroad.messages (message_id, priority, channel, message_type, recipient, body)
             select postroad.uuid_add(postroad.uuid_at(at), n), 4, 'email', 'alert', 'a@x.org', repeat('x', 1900)
             from generate_series(1, 300) as n, (values (({day})::timestamp at time zone 'utc'), (clock_timestamp())) as t (at)"
        ))
        .await?;
    for (call, ranges) in [
        ("", "0"), // the first range of a table is known from the beginning
        ("old_days => true", "1"),
        ("old_days => true", "0"),
        ("all_of_it => true", "1"), // today's
    ] {
        let summarize = format!("select postroad.summarize_events({call})");
        assert_eq!(db.client.row(&summarize).await?, ranges, "{call}");
    }
    Ok(())
}

/// Outcomes of attempts come too, in the order of their transactions.
#[tokio::test]
async fn a_message_is_followed_from_queued_to_its_end() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    register(&db.client, "a", "").await?;
    let id = db.enqueue_to("ada@example.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::deferred(&lease, &id, "0")).await?;
    db.client
        .batch_execute("select postroad.promote_due(4::smallint)")
        .await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::new(&lease, &id, "sent")).await?;
    let events = drain(&db.client, "a", 100).await?;
    let types: Vec<_> = events.iter().filter_map(|e| e.split('|').next()).collect();
    assert_eq!(types, ["queued", "deferred", "sent"]);
    Ok(())
}
