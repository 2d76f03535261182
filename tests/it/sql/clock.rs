//! The server's clock is put back or forward by an hour: rows of the clock before are looked at by the one after.

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// A worker whose heartbeat is by another clock may live. Who looked says for how long it has not changed.
#[tokio::test]
async fn a_heartbeat_of_another_clock_is_silent_and_no_more() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let worker = db.connect().await?;
    worker
        .batch_execute("select pg_advisory_lock(7::bigint), postroad.register_worker(7, 'host', 1, 'v', '{4}')")
        .await?;
    let look = "select worker_id, is_gone, is_silent from postroad.look_at_workers()";
    // The server may have been up for less than five seconds.
    db.wait_until("exists (select from postroad.look_at_workers())")
        .await?;
    for (by, is_silent) in [
        ("0 s", "f"),
        ("-1 hour", "t"),
        ("1 hour", "t"),
        ("-10 s", "f"),
    ] {
        db.client
            .batch_execute(&format!(
                "update postroad.worker_sessions set heartbeat_at = clock_timestamp() + interval '{by}'"
            ))
            .await?;
        assert_eq!(
            db.client.row(look).await?,
            format!("7|f|{is_silent}"),
            "{by}"
        );
        assert_eq!(db.client.row("select postroad.rescue(7)").await?, "0");
    }
    worker
        .batch_execute("select pg_advisory_unlock(7::bigint)")
        .await?;
    assert_eq!(db.client.row(look).await?, "7|t|f");
    Ok(())
}

/// A breaker that opened before the clock was put back would keep its gateway without traffic for that much longer.
#[tokio::test]
async fn a_breaker_of_a_clock_that_was_put_back_is_probed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.report_breaker('ses', true, 'timeout', 50000, 1)")
        .await?;
    let (state, probe) = (
        "select is_open, open_ms between 40000 and 50000, open_ms = 0 from postroad.routing_state()",
        "select postroad.take_probe('ses')",
    );
    assert_eq!(db.client.row(state).await?, "t|t|f");
    assert_eq!(db.client.row(probe).await?, "f", "it is not time yet");
    let put_back = "update postroad.gateway_states
        set open_until = open_until + interval '1 hour', probe_until = probe_until + interval '1 hour'";
    db.client.batch_execute(put_back).await?;
    assert_eq!(db.client.row(state).await?, "t|f|t");
    assert_eq!(db.client.row(probe).await?, "t");
    assert_eq!(db.client.row(probe).await?, "f", "another node has it");
    db.client.batch_execute(put_back).await?;
    assert_eq!(
        db.client.row(probe).await?,
        "t",
        "the one that had it is gone"
    );
    Ok(())
}

/// What providers posted is read in the order in which it came, whatever the time was then.
#[tokio::test]
async fn requests_of_a_clock_that_was_put_back_are_read() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("insert into postroad.webhook_batches (gateway, inbox_ids, created_at) values ('a', '{1}', clock_timestamp() + interval '1 hour')")
        .await?;
    let left = "select count(*) from postroad.webhook_batches";
    assert_eq!(db.client.row(left).await?, "1");
    // One whose requests are gone is removed when it is taken.
    db.client
        .rows("select * from postroad.take_webhooks('{a}', '1 minute')")
        .await?;
    assert_eq!(db.client.row(left).await?, "0");
    Ok(())
}

/// A backoff is so long; a time of day is a time of day; a pause has no end.
#[tokio::test]
async fn retries_follow_a_clock_that_is_put_back_and_nothing_else_does() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let retried = db.enqueue_to("retried@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::deferred(&lease, &retried, "3660"))
        .await?;
    let soon = "scheduled_for => date_trunc('second', clock_timestamp()) + interval '61 minutes'";
    let planned = db.enqueue_to("planned@x.org", soon).await?;
    let parked = db.enqueue_to("parked@x.org", soon).await?;
    db.client
        .batch_execute(&format!(
            "update postroad.scheduled set due_at = 'infinity', pause_id = 1 where message_id = '{parked}';
             select postroad.add_webhook_endpoint('https://a.example/hook');
             insert into postroad.webhook_outbox (endpoint_id, webhook_id, event_type, payload, due_at)
             select endpoint_id, 'x', 'message.sent', '{{}}', clock_timestamp() + interval '61 minutes' from postroad.webhook_endpoints"
        ))
        .await?;
    let due = |id: &str| {
        format!(
            "select round(extract(epoch from due_at - clock_timestamp()) / 60) from postroad.scheduled where message_id = '{id}'"
        )
    };
    assert_eq!(
        db.client
            .row("select postroad.follow_clock('1 hour')")
            .await?,
        "2"
    );
    assert_eq!(db.client.row(&due(&retried)).await?, "1");
    assert_eq!(db.client.row(&due(&planned)).await?, "61");
    let parked = format!("select due_at from postroad.scheduled where message_id = '{parked}'");
    assert_eq!(db.client.row(&parked).await?, "infinity");
    let posted = "select round(extract(epoch from due_at - clock_timestamp()) / 60) from postroad.webhook_outbox";
    assert_eq!(db.client.row(posted).await?, "1");
    let raised = db
        .client
        .raised("select postroad.follow_clock('-1 s')")
        .await?;
    assert_eq!(
        (raised.code.as_str(), raised.message.as_str()),
        ("PR001", "back must not be negative, got -00:00:01")
    );
    Ok(())
}
