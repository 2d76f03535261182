//! The webhook inbox: stored once, read once, kept for a while.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// A call that stores requests of `a`, as `key/replay key` with the key as body; what it says of each.
fn store(requests: &str) -> String {
    format!(
        "select string_agg(s.verdict, ' ' order by s.place) from (select array_agg('a'::text) as g, array_agg(split_part(r, '/', 1)) as k,
            array_agg(nullif(split_part(r, '/', 2), '')) as t, array_agg(null::text) as n, array_agg(convert_to(r, 'UTF8')) as b
            from unnest(string_to_array('{requests}', ' ')) as r) as x, postroad.store_webhooks(x.g, x.k, x.t, x.n, x.n, x.b) as s"
    )
}

/// Ends the batches that wait, with one event of this message each, and `unread` of them not readable.
async fn finish(db: &TestDb, events: &str, unread: &str) -> anyhow::Result<String> {
    let statement = format!(
        "select postroad.finish_webhooks('a', (select array_agg(batch_id) from postroad.webhook_batches), '{events}',
            array(select inbox_id from postroad.webhook_inbox where delivery_key = any ('{{{unread}}}')),
            array(select 'no' from postroad.webhook_inbox where delivery_key = any ('{{{unread}}}')))"
    );
    db.client.row(&statement).await
}

const STATS: &str = "select stored, parsed, errors, waiting, events from postroad.webhook_stats";

/// What a provider sends twice is one delivery; what carries another's token is forged; in a call and across calls.
#[tokio::test]
async fn a_delivery_is_stored_once_and_a_token_is_used_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let webhook = db.connect_as("postroad_webhook").await?;
    for (requests, verdicts) in [
        ("k1/t1 k2/t2 k1/t1", "stored stored duplicate"),
        ("k2/t9 k3/t1 k4/ k5/", "duplicate replayed stored stored"),
        ("k6/t6 k7/t6", "stored replayed"),
        ("k1/t1 k4/", "duplicate duplicate"),
        ("k1/t1/another-body k4//another-body", "replayed duplicate"),
        ("k7/t7", "stored"),
    ] {
        assert_eq!(webhook.row(&store(requests)).await?, verdicts, "{requests}");
    }
    let kept =
        "select string_agg(delivery_key, ' ' order by delivery_key) from postroad.webhook_inbox";
    assert_eq!(db.client.row(kept).await?, "k1 k2 k4 k5 k6 k7");
    assert_eq!(db.client.row(STATS).await?, "6|0|0|6|0");
    let wrong =
        "select postroad.store_webhooks('{a}', '{k}', '{t}', '{}', '{x}', array[''::bytea])";
    assert_eq!(webhook.raised(wrong).await?.code, "PR001");
    Ok(())
}

/// A batch is ended by one, with its events; whoever is late records nothing.
#[tokio::test]
async fn a_batch_is_finished_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue(1, "").await?[0];
    db.client.row(&store("k1/ k2/ k3/")).await?;
    let event =
        format!(r#"[{{"message_id": "{id}", "event_type": "delivered", "source_key": "e"}}]"#);
    let batch: i64 = db
        .value("select batch_id from postroad.webhook_batches")
        .await?;
    let again =
        format!("select postroad.finish_webhooks('a', '{{{batch}}}', '{event}', '{{}}', '{{}}')");
    let another =
        format!("select postroad.finish_webhooks('b', '{{{batch}}}', '{event}', '{{}}', '{{}}')");
    assert_eq!(db.client.row(&another).await?, "f", "it is not b's");
    assert_eq!(db.client.row(STATS).await?, "3|0|0|3|0");
    assert_eq!(finish(&db, &event, "k2").await?, "t");
    assert_eq!(db.client.row(&again).await?, "f");
    assert_eq!(db.client.row(STATS).await?, "3|2|1|0|1");
    assert_eq!(
        db.client
            .row("select error from postroad.webhook_failures")
            .await?,
        "no"
    );

    // Of two batches one is gone: nothing is recorded, and the other one stays.
    db.client.row(&store("k4/")).await?;
    let both = format!(
        "select postroad.finish_webhooks('a', (select array_agg(batch_id) || {batch}::bigint from postroad.webhook_batches), '[]', '{{}}', '{{}}')"
    );
    assert_eq!(db.client.raised(&both).await?.code, "40001");
    assert_eq!(db.client.row(STATS).await?, "4|2|1|1|1");
    Ok(())
}

/// Two readers share what waits, and one that dies lets go of what it took.
#[tokio::test]
async fn batches_are_taken_by_one_reader_at_a_time() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for request in ["k1/", "k2/"] {
        db.client.row(&store(request)).await?;
    }
    let take = "select string_agg(convert_from(body, 'UTF8'), ' ') from postroad.take_webhooks('{a}', '0')";
    let (one, two) = (
        db.connect_as("postroad_webhook").await?,
        db.connect_as("postroad_webhook").await?,
    );
    one.batch_execute("begin").await?;
    two.batch_execute("begin").await?;
    assert_eq!(one.row(take).await?, "k1/");
    assert_eq!(two.row(take).await?, "k2/");
    assert_eq!(db.client.row(take).await?, "null");
    one.batch_execute("rollback").await?;
    assert_eq!(db.client.row(take).await?, "k1/");
    for other in [
        "postroad.take_webhooks('{b}', '0')",
        "postroad.take_webhooks('{a}', '1 hour')",
    ] {
        assert_eq!(
            db.client
                .row(&format!("select count(*) from {other}"))
                .await?,
            "0",
            "{other}"
        );
    }
    Ok(())
}

/// What is read again is counted once, and what waits is not put back twice.
#[tokio::test]
async fn what_is_replayed_is_counted_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client.row(&store("k1/ k2/ k3/ k4/")).await?;
    let admin = db.connect_as("postroad_admin").await?;
    assert_eq!(
        admin
            .row("select postroad.replay_webhooks(only_errors => false)")
            .await?,
        "0",
        "they wait"
    );
    finish(&db, "[]", "k1,k2").await?;
    assert_eq!(db.client.row(STATS).await?, "4|2|2|0|0");
    assert_eq!(
        admin
            .row("select postroad.replay_webhooks(max_count => 1)")
            .await?,
        "1"
    );
    assert_eq!(db.client.row(STATS).await?, "4|2|1|1|0");
    assert_eq!(admin.row("select postroad.replay_webhooks()").await?, "1");
    assert_eq!(admin.row("select postroad.replay_webhooks()").await?, "0");
    assert_eq!(
        admin
            .row("select postroad.replay_webhooks(only_errors => false)")
            .await?,
        "2"
    );
    assert_eq!(db.client.row(STATS).await?, "4|0|0|4|0");
    finish(&db, "[]", "k1").await?;
    assert_eq!(db.client.row(STATS).await?, "4|3|1|0|0");
    assert_eq!(
        admin
            .row("select postroad.replay_webhooks(since => now() + interval '1 minute')")
            .await?,
        "0"
    );
    assert_eq!(
        admin
            .raised("select postroad.replay_webhooks(max_count => 0)")
            .await?
            .code,
        "PR001"
    );
    Ok(())
}

/// Bodies hold addresses: they go after their time, but not before somebody read them.
#[tokio::test]
async fn requests_past_retention_are_deleted_unless_they_wait() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client.row(&store("k1/ k2/")).await?;
    finish(&db, "[]", "k1").await?;
    db.client.row(&store("k3/")).await?;
    db.client
        .batch_execute("update postroad.webhook_inbox set received_at = now() - interval '8 days'")
        .await?;
    db.client.row(&store("k4/")).await?;
    let worker = db.connect_as("postroad_worker").await?;
    assert_eq!(
        worker
            .row("select postroad.purge_webhooks('9 days')")
            .await?,
        "0"
    );
    assert_eq!(
        worker
            .row("select postroad.purge_webhooks('7 days', 1)")
            .await?,
        "1"
    );
    assert_eq!(
        worker
            .row("select postroad.purge_webhooks('7 days')")
            .await?,
        "1"
    );
    let kept =
        "select string_agg(delivery_key, ' ' order by delivery_key) from postroad.webhook_inbox";
    assert_eq!(db.client.row(kept).await?, "k3 k4");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.webhook_errors")
            .await?,
        "0"
    );
    assert_eq!(
        db.client.row(STATS).await?,
        "4|1|1|2|0",
        "the counters go on"
    );
    Ok(())
}

/// Each request alone shows which one it is that cannot be recorded.
#[tokio::test]
async fn a_batch_is_split_into_its_requests() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client.row(&store("k1/ k2/ k3/")).await?;
    let split = "select postroad.split_webhooks((select array_agg(batch_id) from postroad.webhook_batches))";
    assert_eq!(db.client.row(split).await?, "3");
    let batches = "select count(*), sum(cardinality(inbox_ids)) from postroad.webhook_batches";
    assert_eq!(db.client.row(batches).await?, "3|3");
    assert_eq!(db.client.row(STATS).await?, "3|0|0|3|0");
    Ok(())
}
