//! A process that stood still (SIGSTOP, a suspended machine) and comes back after it was taken for dead.

use std::collections::BTreeMap;

use anyhow::Context as _;
use postroad::db::calls::Announced;
use postroad::db::listen::session;
use postroad::model::message::Priority;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::support::wait::until;

/// A worker that wakes up after its messages went to another must not send what it still has in memory.
#[tokio::test]
async fn a_frozen_worker_sends_nothing_more_under_its_old_id() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let config = format!(
        "[worker.pools.P4]\nconcurrency = [2, 2]\n{}",
        site.record.stub("stub", "latency = \"500ms\"")
    );
    let frozen = site.worker("frozen", &config)?;
    let ids = site.db.enqueue(30, "").await?;
    site.record.wait_for(2).await?;
    frozen.freeze();
    let old_id: i64 = site
        .db
        .value("select worker_id from postroad.worker_sessions")
        .await?;
    let under_way = site.record.sends();
    // Nobody who stood still is taken for dead within 15 s; after 5 s it asks whether it was, before it starts a send.
    let stopped_at: String = site.db.value("select clock_timestamp()::text").await?;

    // As if 15 s had passed.
    site.db
        .client
        .batch_execute(
            "update postroad.worker_sessions set heartbeat_at = clock_timestamp() - interval '1 minute'",
        )
        .await?;
    site.registered(0).await?;
    let other_record = Record::new(&site.directory, "other");
    let other = site.worker("other", &other_record.stub("stub", ""))?;
    site.db.wait_until_idle().await?;

    // By now everything was sent, so whatever the frozen one starts is a second send.
    site.db
        .wait_until(&format!(
            "clock_timestamp() > '{stopped_at}'::timestamptz + interval '5500 ms'"
        ))
        .await?;
    frozen.signal("-CONT");
    site.db
        .wait_until(&format!(
            "exists (select from postroad.worker_sessions where pid = {} and worker_id <> {old_id})",
            frozen.pid()
        ))
        .await?;
    let late = under_way.len();
    site.db
        .wait_until(&format!(
            "count(*) = {} from postroad.delivery_events where event_type = 'sent'",
            30 + late
        ))
        .await?;
    assert_eq!(site.record.sends(), under_way, "sent after it was rescued");
    let once: BTreeMap<Uuid, usize> = ids.iter().map(|id| (*id, 1)).collect();
    assert_eq!(other_record.counts(), once);
    // It takes part again.
    site.db.wait_until_idle().await?;
    other.kill();
    let more = site.db.enqueue(2, "").await?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.statuses(&more).await?["sent"], 2);
    Ok(())
}

/// The late answer to what was under way is recorded, also where the message was given up as unknown.
#[tokio::test]
async fn a_frozen_worker_settles_what_it_had_under_way() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let frozen = site.worker("frozen", &site.record.stub("stub", "latency = \"500ms\""))?;
    let id = site.db.enqueue(1, "message_type => 'campaign'").await?[0];
    site.record.wait_for(1).await?;
    frozen.freeze();
    site.db
        .client
        .batch_execute(
            "update postroad.worker_sessions set heartbeat_at = clock_timestamp() - interval '1 minute'",
        )
        .await?;
    site.registered(0).await?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.status(id).await?, "unknown");
    frozen.signal("-CONT");
    let sent = format!("(select status from postroad.status('{id}')) = 'sent'");
    site.db.wait_until(&sent).await?;
    assert_eq!(site.record.sends(), [id]);
    Ok(())
}

/// What a frozen worker had sent after all need not be sent again, as long as nobody has claimed it.
#[tokio::test]
async fn a_late_completion_withdraws_the_message_that_was_queued_again() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let frozen = site.worker("frozen", &site.record.stub("stub", "latency = \"500ms\""))?;
    let id = site.db.enqueue(1, "").await?[0];
    site.record.wait_for(1).await?;
    frozen.freeze();
    site.db
        .client
        .batch_execute(
            "select postroad.pause('priority', 'P4', 'so that nobody claims it');
             update postroad.worker_sessions set heartbeat_at = clock_timestamp() - interval '1 minute'",
        )
        .await?;
    site.registered(0).await?;
    assert_eq!(site.db.status(id).await?, "queued");
    frozen.signal("-CONT");
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.status(id).await?, "sent");
    assert_eq!(site.record.sends(), [id]);
    Ok(())
}

/// Its own heartbeat tells it, also when it has nothing to claim: under its old id it must start no send.
#[tokio::test]
async fn a_session_that_was_taken_for_dead_registers_anew() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (keeper, mut session) = session(
        db.database.clone(),
        vec![Priority::P4],
        Announced::default(),
    );
    let shutdown = CancellationToken::new();
    let keeping = tokio::spawn(keeper.run(shutdown.clone()));
    let old = session.wait_live().await.context("a registered worker")?;
    db.client
        .batch_execute("delete from postroad.worker_sessions")
        .await?;
    until("it has another id", async || {
        let live = session.live();
        Ok(live.is_some_and(|live| live.worker_id != old.worker_id))
    })
    .await?;
    assert!(old.is_dead() && !old.is_fresh());
    shutdown.cancel();
    keeping.await?;
    Ok(())
}

/// A worker that comes back between two looks goes on with its leases: taking them would be a second send.
#[tokio::test]
async fn only_a_worker_that_is_still_dead_is_rescued() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue(3, "").await?;
    let worker = db.connect().await?;
    worker
        .batch_execute(
            "select pg_advisory_lock(77::bigint); select postroad.register_worker(77, 'host', 1, 'v', '{4}');
             select postroad.claim(4::smallint, gen_random_uuid(), 77, 3)",
        )
        .await?;
    let rescue = "select postroad.rescue(77)";
    assert_eq!(db.value::<i32>(rescue).await?, 0, "alive");
    let heartbeat = "select heartbeat_at::text from postroad.worker_sessions";
    let rescue_seen = |seen: String| format!("select postroad.rescue(77, '{seen}'::timestamptz)");
    let before = rescue_seen(db.value(heartbeat).await?);
    assert!(
        worker
            .query_one("select postroad.heartbeat(77)", &[])
            .await?
            .get::<_, bool>(0)
    );
    assert_eq!(db.value::<i32>(rescue).await?, 0, "alive still");
    assert_eq!(db.value::<i32>(&before).await?, 0, "its heart beat since");
    let last = rescue_seen(db.value(heartbeat).await?);
    assert_eq!(db.value::<i32>(&last).await?, 3, "its heart stopped");
    assert!(
        !worker
            .query_one("select postroad.heartbeat(77)", &[])
            .await?
            .get::<_, bool>(0)
    );
    Ok(())
}
