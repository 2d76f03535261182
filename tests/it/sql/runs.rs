//! Rows of the queue that hold several messages of a bulk send: whoever takes one of them, or some, leaves the others where they are.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _, WORKER, claim_query};

/// Sends to so many; their ids, in the order of the call.
pub(super) async fn send(db: &TestDb, count: u32, arguments: &str) -> anyhow::Result<Vec<String>> {
    let query = format!(
        "select queued from postroad.enqueue_bulk('email', (select jsonb_agg(jsonb_build_object('address', 'u' || n || '@x.org', 'id', n)) from generate_series(1, {count}) as n), \
         body => 'x', priority => 'P4'{arguments})"
    );
    anyhow::ensure!(db.client.row(&query).await? == count.to_string());
    db.client
        .rows("select message_id from postroad.messages order by postroad.created_at(batch_id), recipient_id")
        .await
}

/// Its messages, row by row in the order of the queue.
pub(super) async fn queue(db: &TestDb) -> anyhow::Result<Vec<Vec<String>>> {
    let query = "select array_to_string(message_id || more_ids, ' ') from postroad.message_queue order by seq";
    let rows = db.client.rows(query).await?;
    let ids = |row: &String| row.split(' ').map(str::to_owned).collect();
    Ok(rows.iter().map(ids).collect())
}

pub(super) fn ids_of(claimed: &[String]) -> Vec<String> {
    let first = |row: &String| row.split('|').next().unwrap_or_default().to_owned();
    claimed.iter().map(first).collect()
}

#[tokio::test]
async fn a_bulk_send_is_queued_by_the_sixteen_in_its_order() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = send(&db, 100, "").await?;
    let rows = queue(&db).await?;
    let lengths: Vec<_> = rows.iter().map(Vec::len).collect();
    assert_eq!(lengths, [16, 16, 16, 16, 16, 16, 4]);
    assert_eq!(rows.concat(), ids);
    // A place for each message: the depth of a deep queue is told by them.
    let places = "select max(seq), (select last_value from postroad.queue_seq_p4) from postroad.message_queue";
    assert_eq!(db.client.row(places).await?, "100|100");
    Ok(())
}

/// Who is not to be sent to has no place in the queue.
#[tokio::test]
async fn the_suppressed_the_invalid_and_the_repeated_are_in_no_row() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'stop' || n || '@x.org') from generate_series(0, 15) as n")
        .await?;
    let query = "select queued, suppressed, invalid, duplicate from postroad.enqueue_bulk('email',
        (select jsonb_agg(case when n < 16 then 'stop' || n || '@x.org' when n % 4 = 1 then 'nobody' when n % 4 = 2 then 'twice@x.org' else 'u' || n || '@x.org' end)
         from generate_series(0, 47) as n), body => 'x', priority => 'P4')";
    assert_eq!(db.client.row(query).await?, "17|16|8|7");
    let lengths: Vec<_> = queue(&db).await?.iter().map(Vec::len).collect();
    assert_eq!(
        lengths,
        [9, 8],
        "none of the first sixteen, then what is left of each sixteen"
    );
    let named = "select count(*), bool_and(m.recipient ~ '^(u[0-9]+|twice)@') from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (id)
        join postroad.messages as m on m.message_id = u.id";
    assert_eq!(db.client.row(named).await?, "17|t");
    Ok(())
}

pub(super) fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

/// A pool asks for as many as it has room for, and gateways that take many in a call get full ones.
#[tokio::test]
async fn a_claim_takes_as_many_as_it_asks_for_and_leaves_the_rest_first() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = send(&db, 100, "").await?;
    let mut claimed = Vec::new();
    for (wanted, brings) in [
        (5, 5),
        (1, 1),
        (9, 9),
        (1, 1), // the last of the first row
        (15, 15),
        (20, 20), // what is left of the second row, the third and a part of the fourth
        (40, 40),
        (50, 9),
        (1, 0),
    ] {
        let (lease, rows) = db.claim(4, wanted).await?;
        assert_eq!(
            rows.len(),
            brings,
            "asked for {wanted} after {}",
            claimed.len()
        );
        let names = ids_of(&rows);
        let leased = format!(
            "select array_to_string(array(select u.id from unnest(message_ids) as u (id) order by 1), ' '), cardinality(attempts) from postroad.leases where lease_id = '{lease}'"
        );
        if brings > 0 {
            let wanted = format!("{}|{brings}", sorted(&names).join(" "));
            assert_eq!(db.client.row(&leased).await?, wanted);
        }
        claimed.extend(names);
        assert_eq!(sorted(&claimed), ids[..claimed.len()]);
        assert_eq!(queue(&db).await?.concat(), ids[claimed.len()..]);
    }
    assert_eq!(claimed.len(), ids.len());
    Ok(())
}

/// Single messages and those of bulk sends wait in one line.
#[tokio::test]
async fn rows_of_one_and_of_several_are_claimed_in_their_order() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(3, 4).await?;
    send(&db, 20, "").await?;
    db.enqueue_many(30, 4).await?;
    send(&db, 40, "").await?;
    let waiting = queue(&db).await?.concat();
    assert_eq!(waiting.len(), 93);
    let mut claimed = Vec::new();
    while claimed.len() < waiting.len() {
        let (_, rows) = db.claim(4, 25).await?;
        assert!((1..=25).contains(&rows.len()), "{}", rows.len());
        claimed.extend(ids_of(&rows));
        assert_eq!(sorted(&claimed), sorted(&waiting[..claimed.len()]));
    }
    Ok(())
}

/// The head of the queue looked like single messages, but others have those: what comes next is not left because it is more than was asked for.
#[tokio::test]
async fn a_claim_that_comes_too_late_for_single_messages_takes_a_part_of_the_row_behind_them()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(WORKER).await?;
    db.enqueue_many(4, 4).await?;
    let other = db.connect().await?;
    other
        .batch_execute("begin; select from postroad.message_queue for update")
        .await?;
    send(&db, 16, "").await?;
    let (_, rows) = db.claim(4, 5).await?;
    assert_eq!(rows.len(), 5);
    other.batch_execute("rollback").await?;
    assert_eq!(queue(&db).await?.concat().len(), 4 + 11);
    Ok(())
}

/// Sixteen times a megabyte is more than a claim may bring at once.
#[tokio::test]
async fn a_claim_takes_no_more_bytes_than_it_may_of_a_row() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(WORKER).await?;
    send(&db, 20, "").await?;
    let ids = queue(&db).await?.concat();
    db.client
        .batch_execute("update postroad.message_queue set size_kb = 1000")
        .await?;
    let mut taken = 0;
    for (most_kb, wanted) in [(3500, 3), (999, 1), (1000, 1), (15_000, 15)] {
        // the last: what is left of one row, and another
        let query = claim_query(&Uuid::now_v7().to_string(), WORKER, 4, 1000)
            .replace(", 1000)", &format!(", 1000, {most_kb})"));
        let rows = db.client.rows(&query).await?;
        assert_eq!(
            sorted(&ids_of(&rows)),
            ids[taken..taken + wanted],
            "{most_kb} KiB after {taken}"
        );
        taken += wanted;
    }
    assert_eq!(taken, ids.len());
    Ok(())
}

/// What was taken out of a row goes on without it: each message of it can be found, and withdrawn.
#[tokio::test]
async fn a_message_is_cancelled_wherever_in_a_row_it_is() -> anyhow::Result<()> {
    for place in [0, 1, 8, 15] {
        let db = TestDb::new().await?;
        let mut ids = send(&db, 16, "").await?;
        let gone = ids.remove(place);
        let cancel = format!("select postroad.cancel('{gone}')");
        assert_eq!(db.client.row(&cancel).await?, "t");
        assert_eq!(
            db.client.row(&cancel).await?,
            "f",
            "it is withdrawn already"
        );
        assert_eq!(db.status(&gone).await?, "cancelled");
        assert_eq!(queue(&db).await?, [ids.clone()]);
        for id in &ids {
            assert_eq!(db.status(id).await?, "queued");
        }
        let (_, rows) = db.claim(4, 1000).await?;
        assert_eq!(sorted(&ids_of(&rows)), ids);
        let late = format!("select postroad.cancel('{}')", ids[3]);
        assert_eq!(db.client.row(&late).await?, "f", "it is being sent");
    }
    let db = TestDb::new().await?;
    for id in send(&db, 16, "").await? {
        assert_eq!(
            db.client
                .row(&format!("select postroad.cancel('{id}')"))
                .await?,
            "t"
        );
    }
    assert_eq!(queue(&db).await?, Vec::<Vec<String>>::new());
    Ok(())
}

/// A cancel that waits for a claim finds what that leaves, in another row.
#[tokio::test]
async fn a_cancel_waits_for_a_claim_of_the_same_row_and_finds_what_it_leaves() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    db.register(WORKER).await?;
    let ids = send(&db, 16, "").await?;
    let mut claimer = db.connect().await?;
    let claim = claimer.transaction().await?;
    let lease = Uuid::now_v7().to_string();
    let rows = claim.query(&claim_query(&lease, WORKER, 4, 5), &[]).await?;
    assert_eq!(rows.len(), 5);
    let cancel = async |id: String| -> anyhow::Result<bool> {
        let client = db.connect().await?;
        let row = client
            .query_one(&format!("select postroad.cancel('{id}')"), &[])
            .await?;
        Ok(row.get(0))
    };
    let waiting = "select count(*) = 2 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    let (taken, left, committed) =
        tokio::join!(cancel(ids[4].clone()), cancel(ids[9].clone()), async {
            db.until(waiting).await?;
            anyhow::Ok(claim.commit().await?)
        });
    committed?;
    assert!(!taken?, "it is being sent");
    assert!(left?, "it still waited");
    assert_eq!(
        queue(&db).await?.concat(),
        [&ids[5..9], &ids[10..]].concat()
    );
    Ok(())
}

/// The oracle of the whole: messages are claimed, cancelled, handed back and sent by many at once, and each has one fate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_claims_and_cancels_do_at_once_each_message_has_one_fate() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(WORKER).await?;
    for round in 0..4 {
        send(&db, 200, &format!(", source_type => 'r{round}'")).await?;
        db.enqueue_many(20, 4).await?;
    }
    let all: BTreeSet<String> = queue(&db).await?.concat().into_iter().collect();
    assert_eq!(all.len(), 880);
    let claims = async || -> anyhow::Result<Vec<(String, String)>> {
        let client = db.connect().await?;
        let mut sent = Vec::new();
        let mut empty = 0;
        while empty < 20 {
            let lease = Uuid::now_v7().to_string();
            let wanted = fastrand::u32(1..40);
            let rows = client.rows(&claim_query(&lease, WORKER, 4, wanted)).await?;
            assert!(rows.len() <= wanted as usize);
            empty = if rows.is_empty() { empty + 1 } else { 0 };
            if fastrand::u32(0..4) == 0 {
                client
                    .rows(&format!("select postroad.release('{lease}')"))
                    .await?;
                continue;
            }
            for id in ids_of(&rows) {
                let mut outcome = Outcome::new(&lease, &id, "sent");
                outcome.finished = false;
                client.rows(&outcome.query()).await?;
                sent.push((id, "sent".to_owned()));
            }
            client
                .rows(&format!(
                    "delete from postroad.leases where lease_id = '{lease}'"
                ))
                .await?;
        }
        Ok(sent)
    };
    let cancels = async |nth: usize| -> anyhow::Result<Vec<(String, String)>> {
        let client = db.connect().await?;
        let mut cancelled = Vec::new();
        for id in all.iter().rev().skip(nth).step_by(5) {
            if client
                .row(&format!("select postroad.cancel('{id}')"))
                .await?
                == "t"
            {
                cancelled.push((id.clone(), "cancelled".to_owned()));
            }
        }
        Ok(cancelled)
    };
    let (a, b, c, d, e) = tokio::try_join!(claims(), claims(), claims(), cancels(0), cancels(1))?;
    let told = [a, b, c, d, e].concat();
    let fates: BTreeMap<_, _> = told.iter().cloned().collect();
    assert_eq!(fates.len(), told.len(), "one of them had two");
    assert_eq!(fates.keys().cloned().collect::<BTreeSet<_>>(), all);
    assert!(fates.values().any(|fate| fate == "cancelled"));
    let recorded = db
        .client
        .rows("select message_id, event_type from postroad.delivery_events")
        .await?;
    let wanted: BTreeSet<_> = fates
        .iter()
        .map(|(id, fate)| format!("{id}|{fate}"))
        .collect();
    assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(queue(&db).await?, Vec::<Vec<String>>::new());
    Ok(())
}

/// Depth is counted in messages: by the gate of P1, by who looks, and by a message that asks how many go before it.
#[tokio::test]
async fn what_waits_is_counted_by_the_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = send(&db, 40, ", message_type => 'alert'").await?;
    let ready = "select ready from postroad.queue_stats where priority = 'P4'";
    assert_eq!(db.client.row(ready).await?, "40");
    db.claim(4, 6).await?;
    assert_eq!(db.client.row(ready).await?, "34");
    for (id, before) in [(6, 0), (7, 1), (15, 9), (16, 10), (39, 33)] {
        let gate = format!(
            "select reason from postroad.explain('{}') where gate = 'queue'",
            ids[id]
        );
        let reason = db.client.row(&gate).await?;
        assert_eq!(reason, format!("{before} P4 messages go before it"));
    }
    let p1 = "select queued from postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 40) as n), body => 'x', priority => 'P1')";
    assert_eq!(db.client.row(p1).await?, "40");
    for (gate, open) in [(41, "t"), (40, "f"), (17, "f")] {
        let asked = format!("select postroad.gate_is_open(3::smallint, {gate})");
        assert_eq!(db.client.row(&asked).await?, open, "{gate}");
    }
    Ok(())
}

/// A rescue brings back what a claim took of a row, beside what it left.
#[tokio::test]
async fn what_a_dead_worker_took_of_a_row_is_queued_again() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = send(&db, 16, "").await?;
    let (_, rows) = db.claim(4, 10).await?;
    assert_eq!(rows.len(), 10);
    assert_eq!(
        db.client
            .row(&format!("select postroad.rescue({WORKER})"))
            .await?,
        "10"
    );
    let waiting: BTreeSet<_> = queue(&db).await?.concat().into_iter().collect();
    assert_eq!(waiting, ids.iter().cloned().collect());
    for id in &ids {
        assert_eq!(db.status(id).await?, "queued");
    }
    // Beside it in its sixteen, in rows of their own, each is withdrawn alone.
    for id in [&ids[0], &ids[9], &ids[10], &ids[15]] {
        let cancel = format!("select postroad.cancel('{id}')");
        assert_eq!(db.client.row(&cancel).await?, "t");
    }
    assert_eq!(queue(&db).await?.concat().len(), 12);
    Ok(())
}

/// A claim that a crash of the server undid: what was sent of it is withdrawn, and what was not still waits.
#[tokio::test]
async fn a_late_outcome_withdraws_its_message_alone() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = send(&db, 32, "").await?;
    db.client
        .batch_execute("create temporary table before as table postroad.message_queue")
        .await?;
    let (lease, claimed) = db.claim(4, 4).await?;
    assert_eq!(ids_of(&claimed), ids[..4]);
    db.client
        .batch_execute(
            "delete from postroad.leases; delete from postroad.message_queue; insert into postroad.message_queue table before",
        )
        .await?;
    for id in [&ids[1], &ids[0], &ids[3]] {
        db.complete(&Outcome::new(&lease, id, "sent")).await?;
    }
    let mut left = ids.clone();
    for gone in [3, 1, 0] {
        left.remove(gone);
    }
    assert_eq!(queue(&db).await?, [&left[..13], &left[13..]]);
    let (_, claimed) = db.claim(4, 100).await?;
    assert_eq!(ids_of(&claimed), left);
    assert_eq!(db.status(&ids[0]).await?, "sent");
    Ok(())
}

/// After an outage rows of one and of sixteen lie mixed: a claim of a deep queue brings what it was asked for all the same.
#[tokio::test]
async fn rows_of_different_lengths_are_claimed_in_full_batches() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for _ in 0..20 {
        send(&db, 16, "").await?;
        db.enqueue_many(16, 4).await?;
    }
    let (_, rows) = db.claim(4, 300).await?;
    assert_eq!(rows.len(), 300);
    Ok(())
}
