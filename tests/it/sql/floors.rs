//! Floors: sequence order is not commit order, and yet nothing that was committed is skipped.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::sql::{Sql as _, claim_query};

const FLOOR: &str = "select last_value from postroad.queue_floor_p4";

/// One round of the maintainer: notes, then advances to what was noted, unless somebody of then still writes.
async fn round(client: &Client) -> anyhow::Result<bool> {
    let query = "select postroad.advance_floors(n.candidates, n.enqueuers) from postroad.note_enqueuers() as n";
    Ok(client.row(query).await? == "t")
}

fn enqueue(recipient: &str) -> String {
    format!("select message_id from postroad.enqueue('email', '{recipient}', body => 'x')")
}

/// The first transaction to take a place may be the last to commit.
#[tokio::test]
async fn a_message_with_a_lower_seq_that_commits_later_is_claimed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (late, early) = (db.connect().await?, db.connect().await?);
    late.batch_execute("begin").await?;
    let late_id = late.row(&enqueue("late@x.org")).await?;
    let early_id = early.row(&enqueue("early@x.org")).await?;
    assert_eq!(
        db.claim(4, 10).await?.1,
        [format!("{early_id}|0|null|null")],
        "others go on"
    );
    for _ in 0..5 {
        assert!(!round(&db.client).await?, "advanced past an open enqueuer");
        early.row(&enqueue("more@x.org")).await?;
        assert_eq!(db.claim(4, 10).await?.1.len(), 1, "others go on");
    }
    late.batch_execute("commit").await?;
    assert_eq!(db.claim(4, 10).await?.1, [format!("{late_id}|0|null|null")]);
    assert!(round(&db.client).await?);
    assert_eq!(db.client.row(FLOOR).await?, "7", "and now the floor rises");
    Ok(())
}

/// A prepared transaction has no session, and may commit in a week.
#[tokio::test]
async fn a_prepared_transaction_holds_the_floor() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let name = Uuid::now_v7().to_string();
    let other = db.connect().await?;
    other
        .batch_execute("set postroad.notify = off; begin")
        .await?;
    let id = other.row(&enqueue("late@x.org")).await?;
    let noted = db.client.row("select n.candidates::text || '; ' || n.enqueuers::text from postroad.note_enqueuers() as n").await?;
    let (candidates, enqueuers) = noted.split_once("; ").unwrap_or_default();
    other
        .batch_execute(&format!("prepare transaction '{name}'"))
        .await?;
    db.enqueue_many(3, 4).await?;
    assert_eq!(db.claim(4, 10).await?.1.len(), 3);
    let advance = format!("select postroad.advance_floors('{candidates}', '{enqueuers}')");
    assert_eq!(
        db.client.row(&advance).await?,
        "f",
        "it was noted under another name"
    );
    assert!(!round(&db.client).await?);
    other
        .batch_execute(&format!("commit prepared '{name}'"))
        .await?;
    assert_eq!(db.claim(4, 10).await?.1, [format!("{id}|0|null|null")]);
    assert!(round(&db.client).await?);
    Ok(())
}

/// An application that leaves a transaction open all day is everyday life.
#[tokio::test]
async fn an_idle_writer_elsewhere_and_an_open_claim_hold_no_floor() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (writer, snapshot) = (db.connect().await?, db.connect().await?);
    writer
        .batch_execute("create table mine (n int); begin; insert into mine values (1)")
        .await?;
    snapshot
        .batch_execute(
            "begin isolation level repeatable read; select count(*) from postroad.message_queue",
        )
        .await?;
    db.enqueue_many(10, 4).await?;
    assert_eq!(db.claim(4, 4).await?.1.len(), 4);
    let claimer = db.connect().await?;
    claimer.batch_execute("begin").await?;
    assert_eq!(
        claimer
            .rows(&claim_query(&Uuid::now_v7().to_string(), 7, 4, 2))
            .await?
            .len(),
        2
    );
    assert!(round(&db.client).await?);
    assert_eq!(
        db.client.row(FLOOR).await?,
        "5",
        "never above a row that a claim may give back"
    );
    claimer.batch_execute("rollback").await?;
    assert_eq!(db.claim(4, 10).await?.1.len(), 6);
    assert!(round(&db.client).await?);
    assert_eq!(db.client.row(FLOOR).await?, "10");
    Ok(())
}

/// After a restore the sequences are those of another moment.
#[tokio::test]
async fn floors_and_sequences_that_lie_are_reset_from_the_rows() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(5, 4).await?;
    for (setup, wanted) in [
        (
            "select setval('postroad.queue_floor_p4', 900), setval('postroad.queue_seq_p4', 2)",
            6,
        ),
        ("select setval('postroad.queue_floor_p4', 4)", 2),
        // The queue is empty now: nothing says how far the floor may be but the sequence.
        (
            "select setval('postroad.queue_floor_p4', 900), setval('postroad.queue_seq_p4', 2)",
            1,
        ),
        (
            "select setval('postroad.queue_floor_p4', 900), setval('postroad.queue_seq_p4', 1, false)",
            1,
        ),
        ("select 1", 1),
    ] {
        if setup.ends_with("4)") {
            db.enqueue_many(1, 4).await?;
        }
        db.client.rows(setup).await?;
        db.client
            .batch_execute("select postroad.reset_floors()")
            .await?;
        db.enqueue_to("a@x.org", "").await?;
        assert_eq!(db.claim(4, 100).await?.1.len(), wanted, "{setup}");
    }
    db.client
        .rows("select setval('postroad.queue_floor_p4', 3), setval('postroad.queue_seq_p4', 10)")
        .await?;
    db.client
        .batch_execute("select postroad.reset_floors()")
        .await?;
    assert_eq!(
        db.client.row(FLOOR).await?,
        "3",
        "a floor that does not lie stays"
    );
    Ok(())
}

/// The promise that stands before all others, under all that can disturb it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn among_many_writers_every_committed_message_is_claimed_exactly_once() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let stop = CancellationToken::new();
    let mut background = Vec::new();
    let maintainer = db.connect().await?;
    let stopped = stop.clone();
    background.push(tokio::spawn(async move {
        while !stopped.is_cancelled() {
            round(&maintainer).await?;
        }
        anyhow::Ok(Vec::new())
    }));
    for worker in [1, 2] {
        db.register(worker).await?;
        let (client, stopped) = (db.connect().await?, stop.clone());
        background.push(tokio::spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let last = stopped.is_cancelled();
                let rows = client
                    .rows(&claim_query(&Uuid::now_v7().to_string(), worker, 4, 7))
                    .await?;
                if last && rows.is_empty() {
                    return Ok(claimed);
                }
                claimed.extend(
                    rows.iter()
                        .map(|row| row.split('|').next().unwrap_or_default().to_owned()),
                );
            }
        }));
    }
    // Writers meet at advisory locks, so that commits come in any order; some roll back, some prepare first.
    let mut writers = Vec::new();
    for writer in 0..16u32 {
        let client = db.connect().await?;
        writers.push(tokio::spawn(async move {
            client.batch_execute("set postroad.notify = off; set deadlock_timeout = '5ms'").await?;
            let mut committed = Vec::new();
            for turn in 0..40u32 {
                client.batch_execute("begin").await?;
                let mut ids = Vec::new();
                for _ in 0..=fastrand::u32(0..3) {
                    ids.extend(client.rows(&enqueue("a@x.org")).await?);
                    // One lock a transaction: two would be a deadlock waiting to happen.
                    if ids.len() == 1 && fastrand::bool() {
                        let gate = fastrand::u32(100..104);
                        client.rows(&format!("select pg_advisory_xact_lock({gate}), (select count(*) from generate_series(1, {}))", fastrand::u32(1..20_000))).await?;
                    }
                }
                match fastrand::u32(0..6) {
                    0 => client.batch_execute("rollback").await?,
                    // At most two writers prepare at a time: the server has few places for them.
                    1 if writer < 2 => {
                        let name = format!("{}-{writer}-{turn}", ids[0]);
                        client.batch_execute(&format!("prepare transaction '{name}'")).await?;
                        let end = if fastrand::bool() { "commit" } else { "rollback" };
                        client.rows("select count(*) from generate_series(1, 5000)").await?;
                        client.batch_execute(&format!("{end} prepared '{name}'")).await?;
                        if end == "commit" {
                            committed.extend(ids);
                        }
                    }
                    _ => {
                        client.batch_execute("commit").await?;
                        committed.extend(ids);
                    }
                }
            }
            anyhow::Ok(committed)
        }));
    }
    let mut committed = BTreeSet::new();
    for writer in writers {
        committed.extend(writer.await??);
    }
    stop.cancel();
    let mut claimed = Vec::new();
    for task in background {
        claimed.extend(task.await??);
    }
    let distinct: BTreeSet<String> = claimed.iter().cloned().collect();
    assert_eq!(distinct.len(), claimed.len(), "a message was claimed twice");
    assert_eq!(
        distinct, committed,
        "a message was skipped, or one that was rolled back was claimed"
    );
    assert!(round(&db.client).await?);
    assert_eq!(db.client.row("select s.last_value = f.last_value from postroad.queue_seq_p4 as s, postroad.queue_floor_p4 as f").await?, "t");
    Ok(())
}
