//! What is kept beside the partitions goes when its time is over, and not before.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// What is too old, beside what is not: late events, system events, deliveries, records that were kept.
#[tokio::test]
async fn what_is_older_than_retention_goes_and_the_rest_stays() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute(
            "select postroad.add_webhook_endpoint('https://a.example/');
             create temporary table ids as select n, (left(postroad.uuid_at(clock_timestamp() - interval '50 days')::text, 24) || lpad(n::text, 12, '0'))::uuid as id
             from generate_series(1, 6) as n;
             insert into postroad.contents_kept (content_id, body) select id, 'x' from ids;
             insert into postroad.messages_kept (message_id, content_id, priority, channel, message_type, recipient)
             select id, id, 4, 'email', 'alert', 'a@x.org' from ids;
             -- 1: nothing left; 2: its last event is old; 3: has a new event; 4, 5, 6: wait
             insert into postroad.delivery_events (message_id, event_type, occurred_at) select id, 'sent', clock_timestamp() - interval '31 days' from ids where n in (2, 3, 4);
             insert into postroad.delivery_events (message_id, event_type, occurred_at) select id, 'opened', clock_timestamp() - interval '29 days' from ids where n = 3;
             insert into postroad.scheduled (message_id, due_at, priority) select id, 'infinity', 4 from ids where n = 4;
             insert into postroad.message_queue (seq, message_id, priority) select nextval('postroad.queue_seq_p4'), id, 4 from ids where n = 5;
             insert into postroad.leases (lease_id, worker_id, priority, message_ids, attempts) select gen_random_uuid(), 1, 4, array[id], '{0}' from ids where n = 6;
             insert into postroad.system_events (kind, occurred_at) values ('old', clock_timestamp() - interval '31 days'), ('new', clock_timestamp() - interval '29 days');
             insert into postroad.webhook_outbox (endpoint_id, webhook_id, event_type, payload, created_at)
             select 1, n, 'message.sent', '{}', clock_timestamp() - make_interval(days => n) from generate_series(29, 31, 2) as n;
             insert into postroad.event_ticks (at, snapshot) select clock_timestamp() - make_interval(days => n), '3:3:' from generate_series(29, 31, 2) as n",
        )
        .await?;
    let worker = db.connect_as("postroad_worker").await?;
    // One of each at a time: it says whether there is more.
    let mut calls = 0;
    while worker
        .row("select postroad.purge_events('30 days', 1)")
        .await?
        != "0"
    {
        calls += 1;
    }
    assert!(calls >= 3, "{calls}");
    for (query, wanted) in [
        (
            "select string_agg(n::text, ' ' order by n) from ids join postroad.messages_kept on message_id = id",
            "3 4 5 6",
        ),
        (
            "select string_agg(n::text, ' ' order by n) from ids join postroad.contents_kept on content_id = id",
            "3 4 5 6",
        ),
        (
            "select string_agg(event_type, ' ') from postroad.late_events",
            "opened",
        ),
        (
            "select string_agg(kind, ' ') from postroad.system_events",
            "new",
        ),
        (
            "select string_agg(webhook_id, ' ') from postroad.webhook_outbox",
            "29",
        ),
        ("select count(*) from postroad.event_ticks", "1"),
    ] {
        assert_eq!(db.client.row(query).await?, wanted, "{query}");
    }
    let raised = worker
        .raised("select postroad.purge_events('23 hours')")
        .await?;
    assert_eq!(raised.code, "PR001");
    Ok(())
}
