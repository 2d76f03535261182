//! What every process does beside its role, and what only one of them may.

use postroad::db::Database;
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

/// Postgres lets any session take any advisory lock. Who takes that of the maintainer stops floors and partitions: whoever waits to be elected says so.
#[tokio::test]
async fn a_session_that_is_no_worker_and_holds_the_lock_of_the_maintainer_is_an_alarm()
-> anyhow::Result<()> {
    let site = Site::new().await?;
    let user = format!("intruder_{}", Uuid::now_v7().simple());
    let create = format!("create role {user} login; grant postroad_sender to {user}");
    site.db.client.batch_execute(&create).await?;
    let url = format!("{}&user={user}", site.db.url);
    let intruder = Database::new(&url, "test")?.connect().await?;
    intruder
        .batch_execute("select pg_advisory_lock(1886351220, 1), pg_advisory_lock(1886351220, 13), pg_advisory_lock_shared(1886351220, 24), pg_advisory_lock(1886351220, 42)")
        .await?;
    let maintain = site.maintain()?;
    for said in ["nobody is elected for upkeep", "P3 is not woken"] {
        until(said, async || Ok(maintain.log().contains(said))).await?;
    }
    let alarms = "select count(*) from postroad.alarms()";
    assert_eq!(site.db.value::<i64>(alarms).await?, 3, "and nothing else");
    assert!(maintain.log().contains(&user), "{}", maintain.log());
    drop(intruder);
    let elected = "elected for upkeep\"";
    until("one is elected", async || {
        Ok(maintain.log().contains(elected))
    })
    .await?;
    let _worker = site.accepting("worker")?;
    site.registered(1).await?;
    assert_eq!(site.db.value::<i64>(alarms).await?, 0, "workers hold them");
    let done = format!("drop owned by {user}; drop role {user}");
    Ok(site.db.client.batch_execute(&done).await?)
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
