//! What is in flight when a worker is told to stop, and what is not.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::support::wait::until;

impl Site {
    /// The messages that wait in the queue, each with attempts and rescues.
    async fn queued(&self) -> anyhow::Result<Vec<(Uuid, i16, i16)>> {
        let query = "select message_id, attempt, rescues from postroad.message_queue";
        let rows = self.db.client.query(query, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect())
    }
}

/// A deployment must neither lose, double nor use up attempts: each message is either sent, or as if never claimed.
#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_hands_back_the_rest_uncounted() -> anyhow::Result<()>
{
    let case = async |policy: &str| -> anyhow::Result<()> {
        let site = Site::new().await?;
        let mut worker = site.worker("worker", &site.record.stub("stub", "latency = \"700ms\""))?;
        let ids = site.db.enqueue(100, policy).await?;
        site.record.wait_for(2).await?;
        worker.signal("-TERM");
        assert_eq!(worker.ended().await?, Some(0), "{}", worker.log());

        let sent: BTreeSet<Uuid> = site.record.sends().into_iter().collect();
        for id in &sent {
            assert_eq!(site.db.status(*id).await?, "sent");
        }
        let queued = site.queued().await?;
        assert!(
            queued.iter().all(|row| (row.1, row.2) == (0, 0)),
            "{queued:?}"
        );
        let queued: BTreeSet<Uuid> = queued.into_iter().map(|row| row.0).collect();
        assert!(queued.is_disjoint(&sent));
        assert_eq!(queued.len() + sent.len(), ids.len());
        let left = "select (select count(*) from postroad.leases) + (select count(*) from postroad.worker_sessions)";
        assert_eq!(site.db.value::<i64>(left).await?, 0, "{}", worker.log());
        Ok(())
    };
    tokio::try_join!(
        case("message_type => 'transactional'"),
        case("message_type => 'campaign'")
    )?;
    Ok(())
}

/// A gateway that hangs must not hold up a deployment; only what it has is left to rescue.
#[tokio::test]
async fn past_the_shutdown_timeout_the_worker_ends_and_its_sends_are_rescued() -> anyhow::Result<()>
{
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let config = format!(
        "[worker]\nshutdown_timeout = \"1s\"\nsend_timeout = \"1h\"\n[worker.pools.P3]\nconcurrency = [3, 3]\n{}",
        site.record.stub("stub", "hang = true")
    );
    let mut worker = site.worker("worker", &config)?;
    let ids = site.db.enqueue(20, "message_type => 'campaign'").await?;
    site.record.wait_for(3).await?;
    worker.signal("-TERM");
    assert_eq!(worker.ended().await?, Some(0), "{}", worker.log());

    // What was not sent is known not to be: it is neither unknown nor marked as what a worker died of.
    site.db
        .wait_until("not exists (select from postroad.leases)")
        .await?;
    let sent = site.record.sends();
    assert_eq!(sent.len(), 3);
    for id in &sent {
        assert_eq!(site.db.status(*id).await?, "unknown");
    }
    let queued = site.queued().await?;
    assert_eq!(queued.len(), ids.len() - 3);
    assert!(
        queued.iter().all(|row| (row.1, row.2) == (0, 0)),
        "{queued:?}"
    );
    Ok(())
}

/// What waits in memory behind a gateway that is slow is wanted by workers that are not.
#[tokio::test]
async fn what_waits_behind_a_hanging_send_is_handed_back() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let config = format!(
        "[worker]\nsend_timeout = \"1h\"\n[worker.pools.P4]\nconcurrency = [2, 2]\n{}",
        site.record.stub("stub", "hang = true")
    );
    let _slow = site.worker("slow", &config)?;
    let ids = site.db.enqueue(6, "").await?;
    site.record.wait_for(2).await?;
    let other = Record::new(&site.directory, "other");
    let _other = site.worker("other", &other.stub("stub", ""))?;
    until("the others are sent", async || Ok(other.sends().len() == 4)).await?;
    site.db
        .wait_until("count(*) = 4 from postroad.delivery_events where event_type = 'sent'")
        .await?;
    assert_eq!(site.db.statuses(&ids).await?["processing"], 2);
    Ok(())
}

/// Postgres that does not answer must not keep a process from ending.
#[tokio::test]
async fn a_worker_ends_although_postgres_does_not_answer() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let gate = site.gate("insert", "leases").await?;
    let config = format!(
        "[worker]\nshutdown_timeout = \"1s\"\n{}",
        site.record.stub("stub", "")
    );
    let mut worker = site.worker("worker", &config)?;
    let ids = site.db.enqueue(1, "").await?;
    gate.reached(&site.db).await?;
    worker.signal("-TERM");
    assert_eq!(worker.ended().await?, Some(0), "{}", worker.log());
    gate.open().await?;
    let _second = site.accepting("second")?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.statuses(&ids).await?["sent"], 1);
    Ok(())
}
