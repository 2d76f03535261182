//! What a lease's id says: when it was taken, by the one clock that all nodes ask.

use super::*;

/// Of two outcomes of a message that of the later lease counts. Were leases of the time of their nodes, a failure on one whose clock is ahead would stand
/// above the send that followed it, and the message would be sent again by whoever retries what failed.
#[tokio::test]
async fn leases_are_of_the_time_of_the_database_and_not_of_the_node() -> anyhow::Result<()> {
    let site = Site::new().await?;
    site.db
        .client
        .batch_execute(
            "create schema ahead;
             create function ahead.clock_timestamp() returns timestamptz language sql as $$
               select pg_catalog.clock_timestamp() + interval '1 hour'
             $$;
             do $$ begin
               execute format('alter database %I set search_path = ahead, pg_catalog', current_database());
             end $$",
        )
        .await?;
    let _worker = site.accepting("worker")?;
    site.db.enqueue(1, "").await?;
    site.db
        .wait_until("count(*) = 1 from postroad.delivery_events where event_type = 'sent'")
        .await?;
    let ahead = "select round(extract(epoch from postroad.created_at(lease_id) - occurred_at) / 60)::bigint from postroad.delivery_events";
    assert_eq!(site.db.value::<i64>(ahead).await?, 60, "minutes");
    Ok(())
}
