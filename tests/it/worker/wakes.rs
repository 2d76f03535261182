//! NOTIFY: sent when somebody sleeps and nobody is awake, and only then; and what happens without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::time::timeout;
use tokio_postgres::AsyncMessage;

use super::*;
use crate::support::wait::until;

/// A poll that no test waits for: what is found was notified.
const RARE: &str = "[worker.pools.P3]\npoll = \"1h\"\n[worker.pools.P4]\npoll = \"1h\"\n";

/// Enqueues so many messages in transactions of their own.
const MANY: &str = "do $$ begin for n in 1..2000 loop
    perform postroad.enqueue('email', 'u@example.org', body => 'x', priority => 'P4'); commit; end loop; end $$";

impl Site {
    /// Counts notifications of a priority from now on.
    async fn notifications(&self, priority: u8) -> anyhow::Result<Arc<AtomicUsize>> {
        let (client, mut connection) = self.db.database.connect_raw().await?;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if matches!(message, AsyncMessage::Notification(_)) {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        client
            .batch_execute(&format!("listen postroad_p{priority}"))
            .await?;
        tokio::spawn(async move {
            let _client = client;
            std::future::pending::<()>().await;
        });
        Ok(count)
    }

    /// Waits until a pool says that it sleeps.
    async fn asleep(&self, priority: u8) -> anyhow::Result<()> {
        self.keys(priority, "{20}").await
    }

    /// Waits until no pool says anything: none sleeps, and none that is awake has a free slot.
    async fn silent(&self, priority: u8) -> anyhow::Result<()> {
        self.keys(priority, "{}").await
    }

    /// Waits until the keys that are held (10 awake, 20 asleep) are so.
    async fn keys(&self, priority: u8, wanted: &str) -> anyhow::Result<()> {
        let condition = format!(
            "coalesce(array_agg(l.objid::int - {priority}), '{{}}') = '{wanted}' from pg_locks as l
             where l.locktype = 'advisory' and l.classid = 1886351220 and l.objid in (10 + {priority}, 20 + {priority})
               and l.objsubid = 2 and l.granted
               and l.database = (select d.oid from pg_database as d where d.datname = current_database())"
        );
        self.db.wait_until(&condition).await?;
        Ok(())
    }
}

/// The poll of a worker may be rare: a message that finds all asleep wakes one.
#[tokio::test]
async fn an_idle_worker_is_woken_long_before_its_poll() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _worker = site.worker("worker", &format!("{RARE}{}", site.record.stub("stub", "")))?;
    for n in 1..=5 {
        site.asleep(4).await?;
        site.db.enqueue(1, "").await?;
        site.record.wait_for(n).await?;
    }
    Ok(())
}

/// Whoever saw a pool awake notifies nobody, and may commit when it has just fallen asleep: it looks a few times more, and does not leave that to the poll.
/// One of many such commits is enough to tell, for a busy machine may bring each of them too late.
#[tokio::test]
async fn a_commit_that_comes_when_a_pool_has_just_fallen_asleep_does_not_wait_for_the_poll()
-> anyhow::Result<()> {
    let site = Site::new().await?;
    let _worker = site.worker("worker", &format!("{RARE}{}", site.record.stub("stub", "")))?;
    let late = site.db.connect().await?;
    late.batch_execute("set postroad.notify = off").await?;
    for round in 0..40 {
        site.asleep(4).await?;
        let sent = site.record.sends().len();
        late.batch_execute("begin").await?;
        late.batch_execute("select postroad.enqueue('email', 'late@example.org', body => 'x')")
            .await?;
        site.db.enqueue(1, "").await?;
        site.record.wait_for(sent + 1).await?;
        site.asleep(4).await?;
        late.batch_execute("commit").await?;
        let found = timeout(Duration::from_millis(500), site.record.wait_for(sent + 2));
        if matches!(found.await, Ok(Ok(_))) {
            return Ok(());
        }
        site.db.enqueue(1, "").await?; // which wakes it for both
        site.record.wait_for(sent + 3).await?;
        anyhow::ensure!(round < 39, "each of 40 waited for the poll");
    }
    Ok(())
}

/// Notes at each claim which keys of P4 are held (14 awake, 24 asleep).
const NOTE_LOOKS: &str = "
    create table public.looks (n serial, keys text);
    create schema aside;
    do $$
    begin
      execute (select format('alter function %s set schema aside', 'postroad.claim'::regproc));
      execute (
        select format(
          'create function postroad.claim(%s) returns %s language plpgsql volatile as $body$
           begin
             if priority = 4 then
               insert into public.looks (keys)
               select string_agg(l.objid::text, '','') from pg_locks as l
               where l.locktype = ''advisory'' and l.classid = 1886351220 and l.objid in (14, 24) and l.objsubid = 2 and l.granted
                 and l.database = (select d.oid from pg_database as d where d.datname = current_database());
             end if;
             return query select * from aside.claim(priority, lease_id, worker_id, max_count, max_kb);
           end $body$',
          pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
        )
        from pg_proc as p
        where p.oid = 'aside.claim'::regproc
      );
    end $$";

/// A pool may find a message by itself before it hears of it. What it hears then must not keep it awake: the next message would notify nobody, and wait.
#[tokio::test]
async fn a_wake_up_for_what_is_taken_already_does_not_keep_a_pool_awake() -> anyhow::Result<()> {
    let site = Site::new().await?;
    site.db.client.batch_execute(NOTE_LOOKS).await?;
    let _worker = site.worker("worker", &format!("{RARE}{}", site.record.stub("stub", "")))?;
    // It looks asleep once, is woken by its own beginning, and looks asleep four times more: then nothing is left that could wake it.
    site.db
        .wait_until("count(*) >= 5 from public.looks as l where l.keys = '24'")
        .await?;
    let before: i32 = site.db.value("select max(n) from public.looks").await?;
    site.db.client.batch_execute("notify postroad_p4").await?;
    let since = format!("from public.looks as l where l.n > {before}");
    site.db
        .wait_until(&format!("count(*) >= 5 {since}"))
        .await?;
    let others = format!("select count(*) {since} and l.keys is distinct from '24'");
    let others: i64 = site.db.value(&others).await?;
    assert!(others <= 1, "{others} looks awake after it was woken");
    Ok(())
}

/// Who prepares transactions cannot notify, and says so: the poll finds what they enqueue.
#[tokio::test]
async fn with_notify_off_nobody_is_notified_and_the_poll_finds_the_message() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let notifications = site.notifications(4).await?;
    let config = format!(
        "[worker.pools.P4]\npoll = \"2s\"\n{}",
        site.record.stub("stub", "")
    );
    let _worker = site.worker("worker", &config)?;
    site.asleep(4).await?;
    let off = "set postroad.notify = off";
    site.db.client.batch_execute(off).await?;
    site.db.enqueue(1, "").await?;
    site.record.wait_for(1).await?;
    assert_eq!(notifications.load(Ordering::Relaxed), 0);
    site.asleep(4).await?;
    site.db
        .client
        .batch_execute("reset postroad.notify")
        .await?;
    site.db.enqueue(1, "").await?;
    until("somebody is notified", async || {
        Ok(notifications.load(Ordering::Relaxed) == 1)
    })
    .await?;
    site.record.wait_for(2).await?;
    Ok(())
}

/// A notification makes commits wait for each other: it is for sleepers, not for a fleet that is off or at work.
#[tokio::test]
async fn nobody_is_notified_while_no_worker_runs_or_all_are_busy() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let notifications = site.notifications(4).await?;
    site.db.client.batch_execute(MANY).await?;
    assert_eq!(notifications.load(Ordering::Relaxed), 0, "no worker runs");

    // Busy: there is always more than it can take.
    site.db.enqueue(10_000, "priority => 'P4'").await?;
    let worker = site.worker("busy", &site.record.stub("stub", "latency = \"1ms\""))?;
    site.record.wait_for(100).await?;
    site.db.client.batch_execute(MANY).await?;
    let busy = notifications.load(Ordering::Relaxed);
    assert!(
        site.db
            .value::<bool>("select exists (select from postroad.message_queue)")
            .await?,
        "it caught up"
    );
    worker.kill();
    site.db
        .client
        .batch_execute("delete from postroad.message_queue")
        .await?;
    assert!(busy <= 2, "{busy} notifications while it was busy");

    // Saturated: all its slots hang.
    let hanging = Record::new(&site.directory, "hanging");
    let _worker = site.worker("saturated", &hanging.stub("stub", "hang = true"))?;
    site.db.enqueue(200, "").await?;
    hanging.wait_for(2).await?;
    site.silent(4).await?;
    let before = notifications.load(Ordering::Relaxed);
    site.db.client.batch_execute(MANY).await?;
    let saturated = notifications.load(Ordering::Relaxed) - before;
    assert!(
        saturated <= 2,
        "{saturated} notifications while it was saturated"
    );
    Ok(())
}

/// What is enqueued while its priority is paused can wake nobody to any purpose.
#[tokio::test]
async fn nobody_is_notified_while_the_priority_is_paused() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let notifications = site.notifications(4).await?;
    let _worker = site.accepting("worker")?;
    site.asleep(4).await?;
    let pause = "select postroad.pause('priority', 'P4', 'maintenance')";
    site.db.client.batch_execute(pause).await?;
    site.silent(4).await?;
    let before = notifications.load(Ordering::Relaxed);
    site.db.client.batch_execute(MANY).await?;
    assert_eq!(notifications.load(Ordering::Relaxed), before);
    assert!(site.record.sends().is_empty());
    let resume = "select postroad.resume('priority', 'P4')";
    site.db.client.batch_execute(resume).await?;
    site.record.wait_for(1).await?;
    Ok(())
}

/// Of two that sleep only one can say so. When that one gets its hands full by itself, the other must say it.
#[tokio::test]
async fn an_idle_node_is_woken_beside_a_saturated_one() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let only = |name: &str, record: &Record, more: &str, poll: &str| {
        let config = format!(
            "[worker.pools.P4]\npoll = \"{poll}\"\n{}",
            record.stub("stub", more)
        );
        site.node(name, &["worker", "--priorities", "P4"], &config)
    };
    let hanging = Record::new(&site.directory, "hanging");
    let _saturated = only("saturated", &hanging, "hang = true", "500ms")?;
    site.asleep(4).await?;
    let _idle = only("idle", &site.record, "", "1h")?;
    // The first one claims twice a second; one that has not for long is the other, asleep.
    site.db
        .wait_until(
            "exists (select from pg_stat_activity as a where a.datname = current_database()
             and a.query like '%postroad.claim(%' and a.state_change < clock_timestamp() - interval '1 second')",
        )
        .await?;
    let notify = "set postroad.notify = off";
    site.db.client.batch_execute(notify).await?;
    site.db.enqueue(100, "").await?;
    hanging.wait_for(2).await?;
    site.record.wait_for(1).await?;
    // And from here on it is notified.
    site.asleep(4).await?;
    let sent = site.record.sends().len();
    site.db
        .client
        .batch_execute("reset postroad.notify")
        .await?;
    site.db.enqueue(1, "").await?;
    site.record.wait_for(sent + 1).await?;
    Ok(())
}

/// What was notified while the connection was lost is looked for as soon as there is a new one.
#[tokio::test]
async fn a_worker_that_connects_again_looks_for_what_it_may_have_missed() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _worker = site.worker("worker", &format!("{RARE}{}", site.record.stub("stub", "")))?;
    site.asleep(4).await?;
    site.db
        .client
        .batch_execute(
            "set postroad.notify = off;
             select postroad.enqueue('email', 'u@example.org', body => 'x');
             select pg_terminate_backend(l.pid) from pg_locks as l
             where l.locktype = 'advisory' and l.classid = 1886351220 and l.objid = 24 and l.granted
               and l.database = (select d.oid from pg_database as d where d.datname = current_database())",
        )
        .await?;
    site.record.wait_for(1).await?;
    Ok(())
}
