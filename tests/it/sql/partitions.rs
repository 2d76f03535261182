//! Partitions: a day is made and dropped without stopping anyone, and without losing what still waits.

use postroad::db::Database;

use crate::support::db::{PrivateServer, TestDb};
use crate::support::sql::{Outcome, Sql as _};
use crate::support::wait::until;

/// Takes today's partitions away, as if nobody had made them.
const NO_TODAY: &str = "do $$ declare t text; begin for t in select c.oid::regclass from pg_class as c \
    where c.relnamespace = 'postroad'::regnamespace and c.relkind = 'r' and c.relname ~ '_[0-9]{8}$' loop execute 'drop table ' || t; end loop; end $$";

/// A day that nobody made must not cost a message; once it is made, its messages are in it.
#[tokio::test]
async fn a_message_without_a_day_is_kept_aside_and_moved_when_its_day_is_made() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    db.client.batch_execute(NO_TODAY).await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    db.client
        .row("select queued from postroad.enqueue_bulk('email', '[\"b@x.org\"]', body => 'x')")
        .await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::new(&lease, &id, "sent")).await?;
    let aside = "select (select count(*) from postroad.messages_default), (select count(*) from postroad.contents_default), (select count(*) from postroad.late_events)";
    assert_eq!(db.client.row(aside).await?, "2|1|1");
    let worker = db.connect_as("postroad_worker").await?;
    // A call ends with the day that had something to move.
    for made in ["1", "2", "2", "1", "0"] {
        assert_eq!(
            worker.row("select postroad.create_partitions(1)").await?,
            made
        );
    }
    assert_eq!(db.client.row(aside).await?, "0|0|0");
    assert_eq!(db.status(&id).await?, "sent");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages")
            .await?,
        "2"
    );
    Ok(())
}

/// The first of the day's messages has the day's lowest id, the last one the highest.
#[tokio::test]
async fn days_have_no_gap_between_them() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for time in ["00:00:00", "23:59:59.999"] {
        let id = db
            .client
            .row(&format!(
                "select postroad.uuid_at((current_date::text || ' {time}+00')::timestamptz)"
            ))
            .await?;
        db.client.batch_execute(&format!("insert into postroad.messages (message_id, priority, channel, message_type, recipient) values ('{id}', 4, 'email', 'alert', 'a@x.org')")).await?;
        let query = format!(
            "select m.tableoid::regclass, to_char(postroad.created_at(m.message_id) at time zone 'utc', 'YYYYMMDD') \
             from postroad.messages as m where m.message_id = '{id}'"
        );
        let day = db.client.row(&query).await?;
        let (part, named) = day.split_once('|').unwrap_or_default();
        assert!(
            part.ends_with(&format!("messages_{named}")),
            "{time}: {day}"
        );
    }
    Ok(())
}

/// Moves the only day back in time, ids and all, so that it is past retention.
async fn age(db: &TestDb) -> anyhow::Result<()> {
    let shift = "create function pg_temp.older(id uuid) returns uuid language sql as \
         $$ select (left(postroad.uuid_at(postroad.created_at(id) - interval '40 days')::text, 13) || right(id::text, 23))::uuid $$;
         update postroad.messages set message_id = pg_temp.older(message_id), content_id = pg_temp.older(content_id), batch_id = pg_temp.older(batch_id);
         update postroad.contents set content_id = pg_temp.older(content_id);
         update postroad.message_queue set message_id = pg_temp.older(message_id), more_ids = array(select pg_temp.older(u.id) from unnest(more_ids) as u (id));
         update postroad.scheduled set message_id = pg_temp.older(message_id);
         update postroad.delivery_events set message_id = pg_temp.older(message_id);
         update postroad.leases set message_ids = array(select pg_temp.older(u.id) from unnest(message_ids) as u (id))";
    db.client.batch_execute(shift).await?;
    let made = "do $$ declare day date := (clock_timestamp() at time zone 'utc')::date - 40; parent text; fallback text; begin
        for parent, fallback in values ('messages', 'messages_default'), ('contents', 'contents_default'), ('delivery_events', 'late_events') loop
          execute format('create table postroad.%s_%s (like postroad.%1$s including all)', parent, to_char(day, 'YYYYMMDD'));
          execute format('with moved as (delete from postroad.%s returning *) insert into postroad.%s_%s select * from moved', fallback, parent, to_char(day, 'YYYYMMDD'));
          execute format('alter table postroad.%s attach partition postroad.%1$s_%s for values from (%L) to (%L)', parent, to_char(day, 'YYYYMMDD'),
            postroad.uuid_at(day::timestamp at time zone 'utc'), postroad.uuid_at((day + 1)::timestamp at time zone 'utc'));
        end loop; end $$";
    db.client.batch_execute(made).await?;
    Ok(())
}

/// A maintainer that was away for days must not leave its days in the default partition, which is never dropped.
#[tokio::test]
async fn past_days_that_landed_aside_are_made_and_dropped_in_their_turn() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.ended("sent").await?;
    db.enqueue_to("a@x.org", "").await?;
    age(&db).await?;
    // As if that day had never been made.
    for (parent, fallback) in [
        ("messages", "messages_default"),
        ("contents", "contents_default"),
        ("delivery_events", "late_events"),
    ] {
        let name = format!(
            "select c.relname from pg_class as c where c.relname ~ '^{parent}_[0-9]{{8}}$' order by 1 limit 1"
        );
        let part = db.client.row(&name).await?;
        db.client.batch_execute(&format!("alter table postroad.{parent} detach partition postroad.{part}; insert into postroad.{fallback} select * from postroad.{part}; drop table postroad.{part}")).await?;
    }
    let aside = "select (select count(*) from postroad.messages_default), (select count(*) from postroad.late_events)";
    assert_eq!(db.client.row(aside).await?, "2|1");
    // The days ahead are left out: midnight may have passed since the template was made.
    let old_days = "select count(*) from pg_class as c where c.relnamespace = 'postroad'::regnamespace and c.relkind = 'r' \
        and c.relname ~ '_[0-9]{8}$' and right(c.relname, 8) < to_char(clock_timestamp() - interval '30 days', 'YYYYMMDD')";
    for made in ["1", "2", "2"] {
        db.client.row("select postroad.create_partitions()").await?;
        assert_eq!(db.client.row(old_days).await?, made);
    }
    assert_eq!(db.client.row(aside).await?, "0|0");
    assert_eq!(
        db.client
            .row("select postroad.drop_partitions('30 days')")
            .await?,
        "1"
    );
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages_kept")
            .await?,
        "1"
    );
    let late = "select postroad.record_events('stub', jsonb_agg(jsonb_build_object('message_id', k.message_id, 'event_type', 'opened'))) from postroad.messages_kept as k";
    assert_eq!(db.client.row(late).await?, "1");
    db.client.row("select postroad.create_partitions()").await?;
    assert_eq!(
        db.client.row(old_days).await?,
        "0",
        "late events stay where they are"
    );
    Ok(())
}

/// Events are read by the transactions that wrote them, which lie together as long as rows go to the end. Autovacuum would offer small ones the room that
/// large ones left on each page of the day.
#[tokio::test]
async fn small_messages_do_not_fill_up_the_pages_of_large_ones() -> anyhow::Result<()> {
    let server = PrivateServer::start().await?;
    let client = Database::new(&server.url, "test")?.connect().await?;
    client
        .batch_execute("alter system set autovacuum_naptime = '1s'")
        .await?;
    client.row("select pg_reload_conf()").await?;
    let added = |count: u32, body: u32| {
        format!(
            "insert into postroad.messages (message_id, priority, channel, message_type, recipient, body) \
             select postroad.uuid_v7(), 4, 'email', 'alert', 'a@x.org', repeat('x', {body}) from generate_series(1, {count})"
        )
    };
    client.batch_execute(&added(40_000, 1700)).await?; // four a page
    // Whoever comes to analyze a table vacuums it first, if it should be.
    let analyzed = "select count(*) from pg_stat_user_tables where relname ~ '^messages_[0-9]{8}$' and last_autoanalyze is not null";
    until("it is analyzed", async || {
        Ok(client.row(analyzed).await? == "1")
    })
    .await?;
    let other = Database::new(&server.url, "test")?.connect().await?;
    other.batch_execute(&added(1000, 100)).await?;
    // A page of the map of free space is of 4,069 pages, and within the last of those a writer looks for room itself.
    let placed = "select count(*) from postroad.messages as m where length(m.body) = 100 and (m.ctid::text::point)[0] < 10000 - 4069";
    assert_eq!(client.row(placed).await?, "0");
    Ok(())
}

/// The days that a version before had made are as those of this one.
#[tokio::test]
async fn days_that_are_there_at_an_upgrade_are_filled_from_the_end_too() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let days = "from pg_class as c where c.relkind = 'r' and c.relname ~ '^(messages|delivery_events)_[0-9]{8}$'";
    let as_before = format!(
        "do $$ declare t text; begin for t in select c.oid::regclass {days} loop execute 'alter table ' || t || ' reset (autovacuum_vacuum_insert_threshold, autovacuum_vacuum_threshold)'; end loop; end $$"
    );
    db.client.batch_execute(&as_before).await?;
    let settled = format!(
        "select count(*) filter (where c.reloptions @> '{{autovacuum_vacuum_insert_threshold=-1,autovacuum_vacuum_threshold=2147483647}}'), count(*) {days}"
    );
    let before = db.client.row(&settled).await?;
    assert!(
        before.starts_with("0|") && !before.ends_with("|0"),
        "{before}"
    );
    let migration = include_str!("../../../migrations/V0011__append_only_days.sql");
    db.client.batch_execute(migration).await?;
    let after = db.client.row(&settled).await?;
    let (with, all) = after.split_once('|').unwrap_or_default();
    assert_eq!(with, all);
    Ok(())
}

/// A message scheduled past retention is sent whole; one that is done goes with its day, history and all.
#[tokio::test]
async fn a_dropped_day_leaves_what_still_waits_whole() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.ended("sent").await?;
    db.enqueue_to("leased@x.org", "").await?;
    db.claim(4, 1).await?;
    db.client.row("select queued from postroad.enqueue_bulk('email', '[\"bulk@x.org\"]', html => '<p>shared', message_type => 'alert', options => '{\"on_unknown\": \"hold\"}')").await?;
    db.enqueue_to(
        "later@x.org",
        "scheduled_for => now() + interval '1 h', subject => 'own'",
    )
    .await?;
    db.enqueue_to("queued@x.org", "").await?;
    age(&db).await?;
    let worker = db.connect_as("postroad_worker").await?;
    assert_eq!(
        worker
            .row("select postroad.drop_partitions('41 days')")
            .await?,
        "0",
        "not yet"
    );
    assert_eq!(
        worker
            .row("select postroad.drop_partitions('30 days')")
            .await?,
        "1"
    );
    assert_eq!(
        worker
            .row("select postroad.drop_partitions('30 days')")
            .await?,
        "0"
    );
    assert_eq!(
        worker
            .raised("select postroad.drop_partitions('23 hours')")
            .await?
            .code,
        "PR001"
    );
    let left = "select (select count(*) from postroad.messages), (select string_agg(recipient, ' ' order by recipient) from postroad.messages_kept), \
        (select string_agg(html, ' ') from postroad.contents), (select count(*) from postroad.delivery_events)";
    assert_eq!(
        db.client.row(left).await?,
        "0|bulk@x.org later@x.org leased@x.org queued@x.org|<p>shared|0"
    );

    let statuses = "select string_agg(s.status, ' ' order by k.recipient) from postroad.messages_kept as k, postroad.status(k.message_id) as s";
    assert_eq!(
        db.client.row(statuses).await?,
        "queued scheduled processing queued"
    );
    db.client.batch_execute("update postroad.scheduled set due_at = now(); select postroad.promote_due(4::smallint)").await?;
    db.register(1).await?;
    let lease = uuid::Uuid::now_v7();
    let claimed = "select recipient, subject, body, verdict, (select c.html from postroad.fetch_contents(array[content_id]) as c)";
    assert_eq!(
        db.client
            .rows(&format!(
                "{claimed} from postroad.claim(4::smallint, '{lease}', 1, 10) order by recipient"
            ))
            .await?,
        [
            "later@x.org|own|x|null|null",
            "queued@x.org|null|x|null|null"
        ]
    );
    let bulk = uuid::Uuid::now_v7();
    assert_eq!(
        db.client
            .row(&format!(
                "{claimed} from postroad.claim(1::smallint, '{bulk}', 1, 10)"
            ))
            .await?,
        "bulk@x.org|null|null|null|<p>shared"
    );
    assert_eq!(db.client.row("select postroad.on_unknown(k.message_type, k.options, k.content_id) from postroad.messages_kept as k where k.recipient = 'bulk@x.org'").await?, "hold");
    let id = db
        .client
        .row("select message_id from postroad.messages_kept where recipient = 'later@x.org'")
        .await?;
    db.complete(&Outcome::new(&lease.to_string(), &id, "sent"))
        .await?;
    assert_eq!(db.status(&id).await?, "sent");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.late_events")
            .await?,
        "1"
    );
    Ok(())
}

/// Of those that share a row of the queue, each one's record is kept.
#[tokio::test]
async fn what_still_waits_of_a_bulk_send_is_kept_when_its_day_is_dropped() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bulk = "select queued from postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 40) as n), body => 'x', priority => 'P4')";
    assert_eq!(db.client.row(bulk).await?, "40");
    db.claim(4, 19).await?;
    age(&db).await?;
    let dropped = "select postroad.drop_partitions('30 days')";
    assert_eq!(db.client.row(dropped).await?, "1");
    let kept = "select (select count(*) from postroad.messages_kept), (select count(*) from postroad.messages)";
    assert_eq!(db.client.row(kept).await?, "40|0");
    let (_, claimed) = db.claim(4, 100).await?;
    assert_eq!(claimed.len(), 21);
    assert!(claimed.iter().all(|row| row.ends_with("|0|null|null")));
    let purged =
        "select postroad.purge_events('1 day'), (select count(*) from postroad.messages_kept)";
    assert_eq!(db.client.row(purged).await?, "0|40", "they are in leases");
    Ok(())
}

/// Upkeep gives way: it fails at once, and whoever enqueues meanwhile waits a moment at most.
#[tokio::test]
async fn upkeep_gives_up_on_a_lock_that_is_held_and_blocks_no_enqueue() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_to("a@x.org", "").await?;
    age(&db).await?;
    let reader = db.connect().await?;
    reader
        .batch_execute("begin; select count(*) from postroad.messages")
        .await?;
    for call in [
        "select postroad.drop_partitions('30 days')",
        "select postroad.create_partitions(9)",
    ] {
        let upkeep = db.connect_as("postroad_worker").await?;
        let pid = upkeep.row("select pg_backend_pid()").await?;
        let waiting = tokio::spawn(async move { upkeep.raised(call).await });
        let until = format!(
            "select wait_event_type is not distinct from 'Lock' or state = 'idle' from pg_stat_activity where pid = {pid}"
        );
        db.until(&until).await?;
        let enqueued = db.client.row("begin; set local statement_timeout = '10s'; select status from postroad.enqueue('email', 'a@x.org', body => 'x'); commit").await?;
        assert_eq!(enqueued, "queued");
        assert_eq!(waiting.await??.code, "55P03", "{call}");
    }
    reader.batch_execute("commit").await?;
    assert_eq!(
        db.client
            .row("select postroad.drop_partitions('30 days')")
            .await?,
        "1"
    );
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages_kept")
            .await?,
        "1"
    );
    Ok(())
}

/// A bulk send that begins before midnight has its content in one day and messages in the next: what waits of them keeps it.
#[tokio::test]
async fn a_content_is_there_for_as_long_as_a_message_of_the_day_after_waits() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let send = "select queued from postroad.enqueue_bulk('email', '[\"a@x.org\"]', html => '<p>shared', message_type => 'alert', scheduled_for => now() + interval '1 day')";
    assert_eq!(db.client.row(send).await?, "1");
    age(&db).await?;
    // The content a moment before the midnight before.
    db.client
        .batch_execute(
            "select set_config('test.id', postroad.uuid_at(date_trunc('day', postroad.created_at(content_id), 'UTC') - interval '1 ms')::text, false) from postroad.contents;
             update postroad.contents set content_id = current_setting('test.id')::uuid;
             update postroad.messages set content_id = current_setting('test.id')::uuid",
        )
        .await?;
    let day_before = "do $$ declare d date := postroad.created_at(current_setting('test.id')::uuid)::date; begin
        execute format('create table postroad.messages_%s partition of postroad.messages for values from (%L) to (%L)', to_char(d, 'YYYYMMDD'), postroad.uuid_at(d), postroad.uuid_at(d + 1)); end $$";
    db.client
        .batch_execute(&format!(
            "set timezone = 'UTC'; {day_before}; select postroad.create_partitions()"
        ))
        .await?;
    let content = "select c.html from postroad.messages_kept as k, postroad.fetch_contents(array[k.content_id]) as c
        union all select c.html from postroad.messages as m, postroad.fetch_contents(array[m.content_id]) as c";
    for dropped in ["1", "1", "0"] {
        let drop = "select postroad.drop_partitions('30 days')";
        assert_eq!(db.client.row(drop).await?, dropped);
        assert_eq!(db.client.rows(content).await?, ["<p>shared"]);
    }
    let kept = "select (select count(*) from postroad.contents_kept), (select count(*) from postroad.contents)";
    assert_eq!(db.client.row(kept).await?, "1|0");
    Ok(())
}

/// A worker that asks while its content is on its way to another table waits, and then sees it there.
#[tokio::test]
async fn a_content_that_is_moved_meanwhile_is_found() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let send =
        "select batch_id from postroad.enqueue_bulk('email', '[\"a@x.org\"]', html => '<p>shared')";
    let content = db.client.row(send).await?;
    let (moving, worker) = (db.connect().await?, db.connect_as("postroad_worker").await?);
    moving
        .batch_execute(
            "begin; lock table postroad.contents in access exclusive mode;
             insert into postroad.contents_kept table postroad.contents; truncate postroad.contents",
        )
        .await?;
    let pid = worker.row("select pg_backend_pid()").await?;
    let fetch = format!("select html from postroad.fetch_contents('{{{content}}}')");
    let waiting = tokio::spawn(async move { worker.rows(&fetch).await });
    db.waits(&pid).await?;
    moving.batch_execute("commit").await?;
    assert_eq!(waiting.await??, ["<p>shared"]);
    Ok(())
}

/// The events of a lease are what says that its messages went out.
#[tokio::test]
async fn what_a_lease_has_sent_is_not_sent_again_when_its_day_was_dropped() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(3, 4).await?;
    let (lease, _) = db.claim(4, 10).await?;
    let early = "select postroad.record_events('stub', jsonb_build_array(jsonb_build_object('message_id', (select message_id from postroad.messages limit 1), 'event_type', 'complained')))";
    db.client.row(early).await?;
    age(&db).await?;
    let ids = "select unnest(message_ids)::text from postroad.leases";
    let ids = db.client.rows(ids).await?;
    let outcome = |id, event, retry| Outcome {
        retry,
        finished: false,
        ..Outcome::new(&lease, id, event)
    };
    db.complete(&outcome(&ids[0], "sent", "null")).await?;
    db.complete(&outcome(&ids[1], "deferred", "3600")).await?;
    let dropped = "select postroad.drop_partitions('30 days')";
    assert_eq!(db.client.row(dropped).await?, "1");
    for (id, status) in ids.iter().zip(["sent", "scheduled", "processing"]) {
        assert_eq!(db.status(id).await?, status);
    }
    db.client
        .row("select postroad.rescue(worker_id) from postroad.leases")
        .await?;
    for (id, status) in ids.iter().zip(["sent", "scheduled", "queued"]) {
        assert_eq!(db.status(id).await?, status);
    }
    assert_eq!(
        db.client
            .row("select message_id from postroad.message_queue")
            .await?,
        ids[2]
    );
    Ok(())
}

/// What somebody queues meanwhile is not in an older snapshot.
#[tokio::test]
async fn upkeep_refuses_a_snapshot_that_may_be_old() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let client = db.connect().await?;
    for call in [
        "drop_partitions('30 days')",
        "purge_events('30 days')",
        "advance_floors('{0,0,0,0,0}', '{}')",
    ] {
        for (level, code) in [("repeatable read", Some("PR001")), ("read committed", None)] {
            client
                .batch_execute(&format!("begin isolation level {level}"))
                .await?;
            let called = client
                .query_one(&format!("select postroad.{call}"), &[])
                .await;
            let raised = called
                .err()
                .and_then(|error| Some(error.code()?.code().to_owned()));
            assert_eq!(raised.as_deref(), code, "{call}");
            client.batch_execute("rollback").await?;
        }
    }
    Ok(())
}
