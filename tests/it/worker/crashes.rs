//! `kill -9` at each point of a message's way. What the gateway recorded is the oracle: none lost, and a second send
//! only where the message's policy allows it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::try_join;
use uuid::Uuid;

use super::*;
use crate::support::smtp_sink::{Answer, SmtpSink, Stage};
use crate::support::wait::until;

/// Sent again when nobody knows.
const RESEND: &str = "message_type => 'transactional'";
/// Held when nobody knows.
const HOLD: &str = "message_type => 'campaign'";

/// Sends that never end by themselves.
const HANGING: &str = "hang = true";

impl Site {
    /// A second worker sends what is left; waits until nothing is.
    async fn finish(&self) -> anyhow::Result<Node> {
        let second = self.accepting("second")?;
        self.db.wait_until_idle().await?;
        Ok(second)
    }

    /// Waits until nothing is leased any more: by the lock that its worker left, since its heart seems to beat on.
    async fn rescued(&self, what: &str) -> anyhow::Result<()> {
        let condition = "not exists (select from postroad.leases) and not exists (select from postroad.worker_sessions)";
        let beats = "update postroad.worker_sessions set heartbeat_at = clock_timestamp() + interval '1 hour'";
        self.db.client.batch_execute(beats).await?;
        let waited = self.db.wait_until(condition).await?;
        eprintln!("{what}: rescued after {} ms", waited.as_millis());
        Ok(())
    }
}

fn once(ids: &[Uuid]) -> BTreeMap<Uuid, usize> {
    ids.iter().map(|id| (*id, 1)).collect()
}

fn all(status: &str, count: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(status.to_owned(), count)])
}

/// The claim commits although nobody hears of it: its messages are neither sent nor waiting, until they are rescued.
#[tokio::test]
async fn a_worker_killed_right_after_its_claim_loses_nothing_and_sends_nothing_twice()
-> anyhow::Result<()> {
    let case = async |policy: &str| -> anyhow::Result<()> {
        let site = Site::new().await?;
        let _maintain = site.maintain()?;
        let gate = site.gate("insert", "leases").await?;
        let worker = site.accepting("first")?;
        let ids = site.db.enqueue(5, policy).await?;
        gate.reached(&site.db).await?;
        worker.kill();
        gate.open().await?;
        site.rescued("after the claim").await?;
        assert!(site.record.sends().is_empty());
        let _second = site.finish().await?;
        assert_eq!(site.record.counts(), once(&ids), "{policy}");
        assert_eq!(site.db.statuses(&ids).await?, all("sent", 5), "{policy}");
        Ok(())
    };
    try_join!(case(RESEND), case(HOLD))?;
    Ok(())
}

/// The worker was taken for dead, and only then its claim commits: nobody would look for the leases of a worker
/// that is gone, unless by the leases themselves.
#[tokio::test]
async fn a_claim_that_commits_after_its_worker_was_rescued_is_rescued_too() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let gate = site.gate("insert", "leases").await?;
    let worker = site.accepting("first")?;
    let ids = site.db.enqueue(5, RESEND).await?;
    gate.reached(&site.db).await?;
    worker.kill();
    site.registered(0).await?;
    gate.open().await?;
    let _second = site.finish().await?;
    assert_eq!(site.record.counts(), once(&ids));
    assert_eq!(site.db.statuses(&ids).await?, all("sent", 5));
    Ok(())
}

/// The provider may have the mail, or not. Transactional mail goes out again: twice at most, and only what was under way.
#[tokio::test]
async fn a_worker_killed_during_sends_has_them_resent_where_the_policy_is_resend()
-> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let worker = site.worker("first", &site.record.stub("stub", HANGING))?;
    let ids = site.db.enqueue(20, RESEND).await?;
    site.record.wait_for(2).await?;
    worker.kill();
    let under_way: BTreeSet<Uuid> = site.record.sends().into_iter().collect();
    site.rescued("during sends").await?;
    let _second = site.finish().await?;
    for (id, count) in site.record.counts() {
        assert_eq!(count, if under_way.contains(&id) { 2 } else { 1 });
    }
    assert_eq!(site.db.statuses(&ids).await?, all("sent", 20));
    Ok(())
}

/// A newsletter twice is worse than once too few: what was under way is held until somebody settles it.
#[tokio::test]
async fn a_worker_killed_during_sends_has_them_held_where_the_policy_is_hold() -> anyhow::Result<()>
{
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let config = format!(
        "[worker.pools.P3]\nconcurrency = [3, 3]\n{}",
        site.record.stub("stub", HANGING)
    );
    let worker = site.worker("first", &config)?;
    let ids = site.db.enqueue(20, HOLD).await?;
    site.record.wait_for(3).await?;
    worker.kill();
    let under_way = site.record.sends();
    site.rescued("during sends, held").await?;
    let _second = site.finish().await?;

    assert!(site.record.counts().values().all(|count| *count == 1));
    for id in &under_way {
        assert_eq!(site.db.status(*id).await?, "unknown");
    }
    let statuses = site.db.statuses(&ids).await?;
    let unknown = statuses["unknown"];
    assert_eq!(statuses.get("sent"), Some(&(20 - unknown)), "{statuses:?}");
    // What was about to be sent is unknown as well: a few messages, not the batch.
    assert!(unknown <= 3 * under_way.len(), "{unknown} are unknown");

    let settle = async |id: Uuid, outcome: &str| -> anyhow::Result<bool> {
        let query = format!("select postroad.settle('{id}', '{outcome}')");
        site.db.value(&query).await
    };
    for (id, outcome) in under_way.iter().zip(["sent", "failed", "resend"]) {
        assert!(settle(*id, outcome).await?, "{outcome}");
        assert!(!settle(*id, outcome).await?, "{outcome} a second time");
    }
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.status(under_way[0]).await?, "sent");
    assert_eq!(site.db.status(under_way[1]).await?, "failed");
    assert_eq!(site.db.status(under_way[2]).await?, "sent");
    let counts = site.record.counts();
    assert_eq!(
        under_way.iter().map(|id| counts[id]).collect::<Vec<_>>(),
        [1, 1, 2]
    );
    Ok(())
}

/// The provider took them and Postgres does not know: the policy decides, as if no answer had come.
#[tokio::test]
async fn a_worker_killed_between_send_and_completion_has_the_policy_decide() -> anyhow::Result<()> {
    let case = async |event: &str,
                      table: &str,
                      policy: &str,
                      sends: usize,
                      status: &str|
           -> anyhow::Result<()> {
        let site = Site::new().await?;
        let _maintain = site.maintain()?;
        let gate = site.gate(event, table).await?;
        let worker = site.accepting("first")?;
        let ids = site.db.enqueue(1, policy).await?;
        gate.reached(&site.db).await?;
        assert_eq!(site.record.counts(), once(&ids));
        worker.kill();
        gate.abort(&site.db).await?;
        site.rescued("before the completion").await?;
        let _second = site.finish().await?;
        assert_eq!(
            site.record.counts()[&ids[0]],
            sends,
            "{policy}, {event} {table}"
        );
        assert_eq!(
            site.db.status(ids[0]).await?,
            status,
            "{policy}, {event} {table}"
        );
        Ok(())
    };
    // The first and the last statement of a completion.
    try_join!(
        case("insert", "delivery_events", RESEND, 2, "sent"),
        case("insert", "delivery_events", HOLD, 1, "unknown"),
        case("delete", "leases", RESEND, 2, "sent"),
        case("delete", "leases", HOLD, 1, "unknown"),
    )?;
    Ok(())
}

/// A completion under way when the worker dies is waited for by the rescue: no second send, not even of what may be resent.
#[tokio::test]
async fn a_completion_that_commits_after_the_kill_counts() -> anyhow::Result<()> {
    let case = async |policy: &str| -> anyhow::Result<()> {
        let site = Site::new().await?;
        let _maintain = site.maintain()?;
        let gate = site.gate("insert", "delivery_events").await?;
        let worker = site.accepting("first")?;
        let ids = site.db.enqueue(1, policy).await?;
        gate.reached(&site.db).await?;
        worker.kill();
        site.registered(0).await?; // rescue came by
        gate.open().await?;
        let _second = site.finish().await?;
        assert_eq!(site.record.counts(), once(&ids), "{policy}");
        assert_eq!(site.db.status(ids[0]).await?, "sent", "{policy}");
        Ok(())
    };
    try_join!(case(RESEND), case(HOLD))?;
    Ok(())
}

/// Some of a batch have their outcome, the others do not: only those are rescued.
#[tokio::test]
async fn what_was_recorded_of_a_batch_is_not_sent_again() -> anyhow::Result<()> {
    let case = async |policy: &str| -> anyhow::Result<()> {
        let site = Site::new().await?;
        let _maintain = site.maintain()?;
        let worker = site.worker("first", &site.record.stub("stub", "latency = \"100ms\""))?;
        let ids = site.db.enqueue(60, policy).await?;
        site.db
            .wait_until("count(*) >= 10 from postroad.delivery_events where event_type = 'sent'")
            .await?;
        worker.kill();
        let recorded: Vec<Uuid> = site
            .db
            .client
            .query(
                "select message_id from postroad.delivery_events where event_type = 'sent'",
                &[],
            )
            .await?
            .iter()
            .map(|row| row.get(0))
            .collect();
        site.rescued("in the midst of a batch").await?;
        let _second = site.finish().await?;
        let counts = site.record.counts();
        assert!(recorded.iter().all(|id| counts[id] == 1), "{policy}");
        let statuses = site.db.statuses(&ids).await?;
        let unknown = statuses.get("unknown").copied().unwrap_or(0);
        let sent = statuses.get("sent").copied().unwrap_or(0);
        assert_eq!(sent + unknown, 60, "{policy}: {statuses:?}");
        if policy == HOLD {
            assert!(counts.values().all(|count| *count == 1));
        } else {
            assert_eq!(unknown, 0);
            assert_eq!(counts.len(), 60);
        }
        Ok(())
    };
    try_join!(case(RESEND), case(HOLD))?;
    Ok(())
}

/// The same over real SMTP: the relay has the whole mail and the worker dies before its answer.
#[tokio::test]
async fn a_worker_killed_before_the_relay_answers_leaves_it_to_the_policy() -> anyhow::Result<()> {
    let case = async |policy: &str, mails: usize, status: &str| -> anyhow::Result<()> {
        let sink = SmtpSink::start().at(Stage::Dot, 1, Answer::Hang).await?;
        let gateway = format!(
            "[gateways.smtp]\ntype = \"smtp\"\nurl = \"smtp://127.0.0.1:{}\"\nfrom = \"post@example.org\"\n",
            sink.port()
        );
        let site = Site::new().await?;
        let _maintain = site.maintain()?;
        let worker = site.worker("first", &gateway)?;
        let id = site.db.enqueue(1, policy).await?[0];
        until("the mail is there", async || Ok(sink.count(".") == 1)).await?;
        worker.kill();
        site.rescued("before the relay's answer").await?;
        let _second = site.worker("second", &gateway)?;
        site.db.wait_until_idle().await?;
        assert_eq!(site.db.status(id).await?, status);
        assert_eq!(sink.mails().len(), mails);
        Ok(())
    };
    try_join!(case(RESEND, 1, "sent"), case(HOLD, 0, "unknown"))?;
    Ok(())
}

/// A deep queue is claimed by several claims of a worker at a time: they, too, are disjoint, and what one held when it was killed is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deep_queue_is_emptied_without_loss_though_a_worker_is_killed() -> anyhow::Result<()> {
    const COUNT: usize = 20_000;
    let site = Site::new().await?;
    site.db
        .client
        .batch_execute(&format!(
            "select postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@example.org') from generate_series(1, {COUNT}) as n),
               body => 'x', message_type => 'campaign')"
        ))
        .await?;
    let killed = site.accepting("killed")?;
    site.record.wait_for(COUNT / 10).await?;
    let _worker = site.accepting("worker")?;
    site.registered(2).await?;
    killed.kill();
    site.db.wait_until_idle().await?;
    // A campaign's messages are held when it is not known whether they went out: each has its end, and none went out twice.
    let ended = "select count(distinct message_id) from postroad.delivery_events where event_type in ('sent', 'unknown')";
    assert_eq!(site.db.value::<i64>(ended).await?, COUNT as i64);
    let counts = site.record.counts();
    assert!(counts.values().all(|count| *count == 1));
    let sent = "select count(*) from postroad.delivery_events where event_type = 'sent'";
    assert!(site.db.value::<i64>(sent).await? <= counts.len() as i64);
    Ok(())
}
