//! Counters while everything happens at once, and the one who counts is killed.

use super::*;
use crate::support::sql::Sql as _;

/// They cannot drift: not by a kill, not by two who count, not by transactions that commit late or never.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_are_exact_after_kills_and_concurrent_writers() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _worker = site.accepting("worker")?;
    let mut writers = Vec::new();
    for n in 0..3 {
        let client = site.db.connect().await?;
        writers.push(tokio::spawn(async move {
            for round in 0..60 {
                client.batch_execute("begin").await?;
                let enqueue = format!(
                    "select count(e.status) from generate_series(1, {}) as n, lateral postroad.enqueue('email', 'u' || n || '@x.org',
                     body => 'x', tenant_id => {n}, source_type => 's' || n % 3) as e",
                    1 + round % 7
                );
                client.rows(&enqueue).await?;
                client
                    .rows("insert into postroad.delivery_events (message_id, event_type, gateway) select m.message_id, 'opened', 'x' from postroad.messages as m limit 5")
                    .await?;
                let end = if round % 6 == n { "rollback" } else { "commit" };
                client.batch_execute(end).await?;
            }
            anyhow::Ok(())
        }));
    }
    let audit = "select count(*) from postroad.audit_counters((clock_timestamp() at time zone 'utc')::date)";
    let mut counts = site.node("counts0", &["maintain"], "")?;
    for round in 1..5 {
        let some = format!(
            "count(*) > {round} from postroad.event_ticks, generate_series(1, {round} + 1)"
        );
        site.db.wait_until(&some).await?;
        let next = site.node(&format!("counts{round}"), &["maintain"], "")?;
        counts.kill();
        counts = next;
        assert_eq!(site.db.client.row(audit).await?, "0", "in the middle");
    }
    for writer in writers {
        writer.await??;
    }
    site.db.wait_until_idle().await?;
    site.db
        .wait_until(
            "(select sum(count) from postroad.message_counters) = (select count(*) from postroad.messages) + (select count(*) from postroad.delivery_events)",
        )
        .await?;
    assert_eq!(site.db.client.row(audit).await?, "0");
    let tallied =
        "select bool_and(is_tallied) from postroad.delivery_events where event_type = 'sent'";
    assert_eq!(site.db.client.row(tallied).await?, "t", "by the worker");
    site.db
        .client
        .batch_execute("update postroad.message_counters set count = count + 1 where ctid = (select min(ctid) from postroad.message_counters)")
        .await?;
    assert_eq!(site.db.client.row(audit).await?, "1", "it would be seen");
    Ok(())
}
