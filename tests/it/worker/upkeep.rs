//! What every process does beside its role, and what only one of them may.

use uuid::Uuid;

use super::*;
use crate::support::wait::until;

/// A queue whose floor stands still gets slower with each message: when the process that raises it dies, another must.
#[tokio::test]
async fn when_the_elected_maintainer_is_killed_another_takes_over() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let first = site.node("first", &["maintain"], "")?;
    let elected = |node: &Node| node.log().contains("elected for upkeep");
    until("one is elected", async || Ok(elected(&first))).await?;
    let second = site.node("second", &["maintain"], "")?;
    let _worker = site.accepting("worker")?;
    let floor_rises = async || {
        site.db.enqueue(5, "priority => 'P1'").await?;
        let condition = "(select last_value from postroad.queue_floor_p1) >= (select last_value from postroad.queue_seq_p1)";
        site.db.wait_until(condition).await
    };
    floor_rises().await?;
    assert!(!elected(&second), "two are elected");
    first.kill();
    floor_rises().await?;
    assert!(elected(&second));
    Ok(())
}

/// Days are made ahead: that it fails once more must not slow the queue down today.
#[tokio::test]
async fn floors_rise_although_partitions_cannot_be_made() -> anyhow::Result<()> {
    let site = Site::new().await?;
    site.db
        .client
        .batch_execute(
            "create or replace function postroad.create_partitions(days_ahead integer default 7) returns integer
             language plpgsql as $$ begin raise 'broken'; end $$",
        )
        .await?;
    let maintain = site.maintain()?;
    let _worker = site.accepting("worker")?;
    site.db.enqueue(5, "priority => 'P1'").await?;
    site.db
        .wait_until("(select last_value from postroad.queue_floor_p1) >= 5")
        .await?;
    assert!(maintain.log().contains("broken"), "{}", maintain.log());
    Ok(())
}

/// A deployment of workers alone promotes and rescues too.
#[tokio::test]
async fn a_worker_rescues_and_promotes_without_a_maintainer() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let dies = site.worker("dies", &site.record.stub("stub", "hang = true"))?;
    let ids = site.db.enqueue(1, "").await?;
    site.record.wait_for(1).await?;
    dies.kill();
    let scheduled = "scheduled_for => clock_timestamp() + interval '100 ms'";
    let later = site.db.enqueue(1, scheduled).await?;
    let _lives = site.accepting("lives")?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.status(ids[0]).await?, "sent");
    assert_eq!(site.db.status(later[0]).await?, "sent");
    Ok(())
}

/// One lease that cannot be rescued must not keep the others of a fleet.
#[tokio::test]
async fn a_rescue_that_fails_does_not_keep_others_from_being_rescued() -> anyhow::Result<()> {
    let site = Site::new().await?;
    site.db.enqueue(6, "").await?;
    site.db
        .client
        .batch_execute(
            "select postroad.register_worker(n, 'host', 1, 'v', '{4}') from generate_series(1, 3) as n;
             select postroad.claim(4::smallint, gen_random_uuid(), 1, 2);
             select postroad.claim(4::smallint, gen_random_uuid(), 2, 2);
             select postroad.claim(4::smallint, gen_random_uuid(), 3, 2);
             create function public.refuse() returns trigger language plpgsql as $$
             begin raise 'refused'; end $$;
             create trigger refuse before delete on postroad.leases for each row when (old.worker_id = 2)
             execute function public.refuse()",
        )
        .await?;
    let maintain = site.maintain()?;
    site.db
        .wait_until("array_agg(worker_id) = '{2}' from postroad.leases")
        .await?;
    let queued = "select count(*) from postroad.message_queue";
    assert_eq!(site.db.value::<i64>(queued).await?, 4);
    until("it was logged", async || {
        Ok(maintain.log().contains("refused"))
    })
    .await?;
    site.db
        .client
        .batch_execute("drop trigger refuse on postroad.leases")
        .await?;
    site.db
        .wait_until("not exists (select from postroad.leases)")
        .await?;
    Ok(())
}

/// Due times are not committed in their order: one that comes after later ones were promoted is not passed over.
#[tokio::test]
async fn a_due_message_that_is_committed_late_is_promoted_next() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db
        .enqueue(2, "scheduled_for => clock_timestamp() + interval '1 h'")
        .await?;
    let due = async |id: &Uuid, at: &str| {
        let update =
            format!("update postroad.scheduled set due_at = {at} where message_id = '{id}'");
        db.client.batch_execute(&update).await
    };
    due(&ids[0], "clock_timestamp()").await?;
    let promote =
        "select promoted, reached::text, reached <= clock_timestamp() - interval '2 seconds'
        from postroad.promote_due(4::smallint)";
    let row = db.client.query_one(promote, &[]).await?;
    let (promoted, reached): (i32, String) = (row.get(0), row.get(1));
    assert_eq!((promoted, row.get(2)), (1, true), "{reached}");

    let promote = format!("select promoted from postroad.promote_due(4::smallint, '{reached}')");
    due(
        &ids[1],
        &format!("timestamptz '{reached}' - interval '1 us'"),
    )
    .await?;
    assert_eq!(db.value::<i32>(&promote).await?, 0, "before its place");
    due(&ids[1], &format!("'{reached}'")).await?;
    assert_eq!(db.value::<i32>(&promote).await?, 1);
    Ok(())
}
