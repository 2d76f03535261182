//! Counters: exact, by all that a message can be counted by, and an auditor that would notice.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

const AUDIT: &str = "select concat_ws(' ', event_type, counted, found) \
    from postroad.audit_counters((clock_timestamp() at time zone 'utc')::date) order by 1";

/// What a chart shows is what is in the tables, however it is split.
#[tokio::test]
async fn events_are_counted_by_day_channel_gateway_type_source_and_tenant() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let worker = db.connect_as("postroad_worker").await?;
    db.ended("sent").await?;
    db.enqueue_to(
        "a@x.org",
        "tenant_id => 7, source_type => 'alerts', message_type => 'alert'",
    )
    .await?;
    db.enqueue_to(
        "b@x.org",
        "tenant_id => 7, source_type => 'alerts', message_type => 'alert'",
    )
    .await?;
    assert_eq!(worker.row("select postroad.count_events()").await?, "4");
    assert_eq!(worker.row("select postroad.count_events()").await?, "0");
    db.client
        .batch_execute(
            "insert into postroad.delivery_events (message_id, event_type, gateway)
             select m.message_id, 'delivered', 'ses' from postroad.messages as m where m.tenant_id = 7;
             insert into postroad.delivery_events (message_id, event_type, gateway)
             values (postroad.uuid_at(clock_timestamp()), 'opened', 'ses')",
        )
        .await?;
    // In pieces it is the same.
    while worker.row("select postroad.count_events(1)").await? != "0" {}
    let reader = db.connect_as("postroad_reader").await?;
    let stats = "select day = (clock_timestamp() at time zone 'utc')::date, channel, gateway, message_type, source_type, tenant_id, event_type, count \
        from postroad.message_stats order by event_type, message_type";
    assert_eq!(
        reader.rows(stats).await?,
        [
            "t|email|ses|alert|alerts|7|delivered|2",
            "t||ses||null|null|opened|1", // of a message that is not known
            "t|email|null|alert|alerts|7|queued|2",
            "t|email|null|transactional|null|null|queued|1",
            "t|email|stub|transactional|null|null|sent|1",
        ]
    );
    let minutes = "select event_type, gateway, sum(events) from postroad.delivery_rates group by 1, 2 order by 1";
    let wanted = ["delivered|ses|2", "opened|ses|1", "sent|stub|1"];
    assert_eq!(reader.rows(minutes).await?, wanted);
    let admin = db.connect_as("postroad_admin").await?;
    assert_eq!(admin.rows(AUDIT).await?, Vec::<String>::new());
    Ok(())
}

/// A reply that is lost, a worker of before tallies, and a message that is tried again: each event is counted, and no event twice.
#[tokio::test]
async fn what_workers_tally_is_counted_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for n in 0..4 {
        db.enqueue_to(&format!("u{n}@x.org"), "tenant_id => 7, source_type => 's'")
            .await?;
    }
    let (lease, claimed) = db.claim(4, 4).await?;
    let ids: Vec<&str> = claimed.iter().map(|row| &row[..36]).collect();
    let complete = |ids: &[&str], retries: &str, tallies: &str| {
        let (leases, sent) = (vec![&*lease; ids.len()], vec!["sent"; ids.len()]);
        format!(
            "select postroad.complete('{{{}}}', '{{{}}}', '{{{}}}', array_fill(1::smallint, array[{}]), '{{}}', '{{}}', '{{}}', '{{}}', '{retries}', '{{}}', '{{}}',
             '{{}}', {tallies})",
            leases.join(","),
            ids.join(","),
            sent.join(","),
            ids.len()
        )
    };
    let tally = |id: &str, events: usize| {
        format!(
            "'[{{\"message_id\": \"{id}\", \"events\": {events}, \"channel\": \"email\", \"message_type\": \"transactional\", \"source_type\": \"s\",
               \"tenant_id\": 7, \"event_type\": \"sent\"}}]'"
        )
    };
    db.client
        .row(&complete(&ids[..2], "{}", &tally(ids[0], 2)))
        .await?;
    let tallies = "select count(*) from postroad.event_tallies";
    assert_eq!(db.client.row(tallies).await?, "1");
    for (ids, retries, tallies) in [
        (&ids[..2], "{}", tally(ids[0], 2)),  // again
        (&ids[1..3], "{}", tally(ids[1], 2)), // one of them again
        (&ids[3..], "{0}", tally(ids[3], 1)), // the way of what is tried again
        (&ids[3..], "{}", "null".to_owned()), // again
    ] {
        db.client.row(&complete(ids, retries, &tallies)).await?;
    }
    assert_eq!(
        db.client.row(tallies).await?,
        "1",
        "the others are counted one by one"
    );
    assert_eq!(db.client.row("select postroad.count_events()").await?, "8");
    assert_eq!(db.client.row(tallies).await?, "0");
    let counts = "select event_type, channel, message_type, source_type, tenant_id, count from postroad.message_counters order by 1";
    assert_eq!(
        db.client.rows(counts).await?,
        [
            "queued|email|transactional|s|7|4",
            "sent|email|transactional|s|7|4"
        ]
    );
    assert_eq!(db.client.rows(AUDIT).await?, Vec::<String>::new());
    Ok(())
}

/// An auditor that never finds anything audits nothing.
#[tokio::test]
async fn the_auditor_finds_what_was_falsified_and_nothing_else() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.ended("sent").await?;
    db.ended("deferred").await?;
    db.client.row("select postroad.count_events()").await?;
    db.ended("failed").await?; // not counted yet: no difference
    let none = Vec::<String>::new();
    assert_eq!(db.client.rows(AUDIT).await?, none);
    for (falsify, undo, wanted) in [
        (
            "update postroad.message_counters set count = count + 1 where event_type = 'sent'",
            "update postroad.message_counters set count = count - 1 where event_type = 'sent'",
            "sent 2 1",
        ),
        (
            "update postroad.message_counters set event_type = 'opened' where event_type = 'sent'",
            "update postroad.message_counters set event_type = 'sent' where event_type = 'opened'",
            "opened 1 0, sent 0 1",
        ),
        (
            "update postroad.messages set xid = 3; update postroad.delivery_events set xid = 3",
            "update postroad.messages set xid = 9000000000
             where message_id = (select message_id from postroad.delivery_events where event_type = 'failed');
             update postroad.delivery_events set xid = 9000000000 where event_type = 'failed'",
            "failed 0 1, queued 2 3",
        ),
    ] {
        db.client.batch_execute(falsify).await?;
        assert_eq!(db.client.rows(AUDIT).await?.join(", "), wanted, "{falsify}");
        db.client.batch_execute(undo).await?;
        assert_eq!(db.client.rows(AUDIT).await?, none, "{undo}");
    }
    Ok(())
}

/// What was sent last year is still known; there is nothing left to compare it with.
#[tokio::test]
async fn counters_of_a_dropped_day_stay_and_are_not_audited() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.ended("sent").await?;
    db.client.row("select postroad.count_events()").await?;
    db.client
        .batch_execute(
            "do $$ declare t text; begin for t in select c.oid::regclass from pg_class as c
             where c.relnamespace = 'postroad'::regnamespace and c.relkind = 'r' and c.relname ~ '_[0-9]{8}$' loop execute 'drop table ' || t; end loop; end $$",
        )
        .await?;
    assert_eq!(db.client.rows(AUDIT).await?, Vec::<String>::new());
    let stats = "select sum(count) from postroad.message_stats";
    assert_eq!(db.client.row(stats).await?, "2");
    Ok(())
}

/// Two maintainers for a moment, after a failover: the second finds the row taken and leaves it.
#[tokio::test]
async fn two_who_count_at_once_count_each_event_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(5, 4).await?;
    let first = db.connect().await?;
    first.batch_execute("begin").await?;
    assert_eq!(first.row("select postroad.count_events()").await?, "5");
    let second = "select postroad.count_events()";
    assert_eq!(db.client.row(second).await?, "0", "does not wait");
    first.batch_execute("rollback").await?;
    assert_eq!(db.client.row(second).await?, "5", "the first one died");
    assert_eq!(db.client.rows(AUDIT).await?, Vec::<String>::new());
    Ok(())
}

/// A transaction that is open for long ends behind hundreds of others: its number lies far before the interval in which it can be seen.
#[tokio::test]
async fn what_a_long_transaction_wrote_is_counted_when_it_ends() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let long = db.connect().await?;
    long.batch_execute("begin").await?;
    long.rows("select status from postroad.enqueue('email', 'a@x.org', body => 'x')")
        .await?;
    db.client
        .batch_execute(
            "do $$ begin for n in 1..300 loop perform txid_current(); commit; end loop; end $$",
        )
        .await?;
    db.enqueue_to("b@x.org", "").await?;
    assert_eq!(db.client.row("select postroad.count_events()").await?, "1");
    long.batch_execute("commit").await?;
    assert_eq!(db.client.row("select postroad.count_events()").await?, "1");
    assert_eq!(db.client.rows(AUDIT).await?, Vec::<String>::new());
    Ok(())
}

/// Counters of before tallies may have stopped within a large transaction.
#[tokio::test]
async fn a_transaction_that_was_counted_in_part_is_counted_to_its_end() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bulk = "select queued from postroad.enqueue_bulk('email', '[\"a@x.org\", \"b@x.org\", \"c@x.org\"]', body => 'x')";
    assert_eq!(db.client.row(bulk).await?, "3");
    db.client
        .batch_execute(
            "update postroad.consumers as c set upto = txid_current_snapshot(), upto_at = now(), at_xid = m.xid, at_key = m.message_id
             from (select xid, message_id from postroad.messages order by message_id limit 1) as m where c.consumer = '_counters'",
        )
        .await?;
    assert_eq!(db.client.row("select postroad.count_events()").await?, "2");
    assert_eq!(db.client.row("select postroad.count_events()").await?, "0");
    Ok(())
}

/// After a restore into another server transactions have lower numbers: to wait for the old ones would be to stop.
#[tokio::test]
async fn counting_goes_on_after_a_restore_into_another_server() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("insert into postroad.event_tallies (xid, day, events, channel, message_type, event_type) values (8000000000, '2026-01-01', 5, 'email', 'alert', 'sent')")
        .await?;
    db.client
        .batch_execute("update postroad.consumers set seen = '9000000000:9000000000:'; select postroad.reset_floors()")
        .await?;
    let tallies = "select count(*) from postroad.event_tallies";
    assert_eq!(
        db.client.row(tallies).await?,
        "0",
        "nothing would count them"
    );
    db.enqueue_to("a@x.org", "").await?;
    let log = "select kind from postroad.system_log";
    assert_eq!(db.client.row(log).await?, "positions_lost");
    db.client.row("select postroad.reset_floors()").await?;
    assert_eq!(db.client.row("select postroad.count_events()").await?, "1");
    assert_eq!(db.client.row(log).await?, "positions_lost", "told once");
    Ok(())
}

/// A look that finds nothing writes nothing: else those who look would wake each other for ever.
#[tokio::test]
async fn who_looks_in_vain_writes_nothing_but_its_position_now_and_then() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .rows("select postroad.register_consumer('a')")
        .await?;
    db.enqueue_to("a@x.org", "").await?;
    db.client.row("select postroad.count_events()").await?;
    db.client.row("select postroad.count_events()").await?;
    let batch = "select postroad.ack_events('a', batch_id) from postroad.read_events('a')";
    assert_eq!(db.client.row(batch).await?, "t");
    assert!(db.client.rows(batch).await?.is_empty());
    let version = "select string_agg(xmin::text || ctid::text, ' ' order by consumer) from postroad.consumers";
    let before = db.client.row(version).await?;
    for _ in 0..3 {
        assert!(db.client.rows(batch).await?.is_empty());
        assert_eq!(db.client.row("select postroad.count_events()").await?, "0");
    }
    assert_eq!(db.client.row(version).await?, before);
    db.client
        .batch_execute("update postroad.consumers set read_at = read_at - interval '11 seconds', seen_at = '2026-01-01'")
        .await?;
    assert!(db.client.rows(batch).await?.is_empty());
    assert_eq!(db.client.row("select postroad.count_events()").await?, "0");
    let moved = "select bool_and(seen_at > '2026-01-02' and upto is null) from postroad.consumers";
    assert_eq!(db.client.row(moved).await?, "t");
    Ok(())
}
