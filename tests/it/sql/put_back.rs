//! Messages of a bulk send that go back into the queue, when their time comes, a pause ends, or a worker gives them back: as they were queued first, and once.

use std::collections::BTreeMap;

use super::runs::{ids_of, queue, send, sorted};
use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// Most campaigns are sent at a time of day: when it comes they cost as little as those that are sent at once.
#[tokio::test]
async fn a_scheduled_bulk_send_is_queued_by_the_sixteen_when_its_time_comes() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let later = ", scheduled_for => now() + interval '1 hour'";
    let ids = send(&db, 40, later).await?;
    db.enqueue_to("one@x.org", &later[2..]).await?;
    db.client
        .batch_execute(
            "update postroad.scheduled set due_at = now() - interval '1 second';
             update postroad.scheduled as s set attempt = 1 from postroad.messages as m where m.message_id = s.message_id and m.recipient_id in (3, 5);
             update postroad.scheduled as s set rescues = 1 from postroad.messages as m where m.message_id = s.message_id and m.recipient_id in (20, 21);
             update postroad.messages set body = (select string_agg(md5(n::text), '') from generate_series(1, 150) as n) where recipient_id = 35",
        )
        .await?;
    let promote = "select promoted from postroad.promote_due(4::smallint)";
    assert_eq!(db.client.row(promote).await?, "41");
    assert_eq!(db.client.row(promote).await?, "0");
    let rows = queue(&db).await?;
    // Those that were tried already are claimed as such, and who died with a worker is claimed alone.
    let lengths: BTreeMap<_, _> = rows.iter().map(|row| (&row[0], row.len())).collect();
    let wanted = [(0, 14), (2, 2), (16, 14), (19, 1), (20, 1), (32, 8)];
    for (first, length) in wanted {
        assert_eq!(lengths.get(&ids[first]), Some(&length), "from {first}");
    }
    assert_eq!(rows.len(), wanted.len() + 1, "and the single one");
    let kept = "select string_agg(distinct q.attempt || '|' || q.rescues || '|' || q.size_kb || '|' || (q.more_ids is null), ' ' order by q.attempt || '|' || q.rescues || '|' || q.size_kb || '|' || (q.more_ids is null))
        from postroad.message_queue as q";
    assert_eq!(
        db.client.row(kept).await?,
        "0|0|0|false 0|0|0|true 0|0|4|false 0|1|0|true 1|0|0|false",
        "the largest counts for all of its row"
    );
    let places = "select max(seq), (select last_value from postroad.queue_seq_p4) from postroad.message_queue";
    assert_eq!(db.client.row(places).await?, "41|41", "a place for each");
    for id in &ids {
        assert_eq!(db.status(id).await?, "queued");
    }
    Ok(())
}

/// What a pause held up goes on as cheaply as it came.
#[tokio::test]
async fn what_a_pause_parked_of_a_bulk_send_is_queued_by_the_sixteen() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let mut ids = send(&db, 32, "").await?;
    let other = db.enqueue_to("a@x.org", "priority => 'P2'").await?;
    let pause = "select postroad.pause('channel', 'email', 'test')";
    let pause = db.client.row(pause).await?;
    for (priority, waiting) in [(4, &ids[..]), (2, std::slice::from_ref(&other))] {
        let (lease, claimed) = db.claim(priority, 100).await?;
        assert_eq!(ids_of(&claimed), waiting);
        for id in waiting {
            let mut outcome = Outcome::deferred(&lease, id, "0");
            (outcome.counted, outcome.pause) = (false, &pause);
            outcome.finished = false;
            db.client.rows(&outcome.query()).await?;
        }
        let end = format!("delete from postroad.leases where lease_id = '{lease}'");
        db.client.batch_execute(&end).await?;
    }
    let cancel = format!("select postroad.cancel('{}')", ids.remove(20));
    assert_eq!(db.client.row(&cancel).await?, "t");
    let resume = "select postroad.resume('channel', 'email')";
    assert_eq!(db.client.row(resume).await?, "t");
    let (p2, p4): (Vec<_>, Vec<_>) = queue(&db)
        .await?
        .into_iter()
        .partition(|row| row[0] == other);
    assert_eq!(p2, [[other]]);
    assert_eq!(p4, [&ids[..16], &ids[16..]]);
    let scheduled = "select count(*) from postroad.scheduled";
    assert_eq!(db.client.row(scheduled).await?, "0");
    Ok(())
}

/// A message is queued once, wherever in a row it waits; and it keeps no other of its sixteen from being queued.
#[tokio::test]
async fn what_is_queued_again_is_queued_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = send(&db, 32, "").await?;
    let again = format!(
        "select postroad.queue_again('{{{}}}', 4::smallint, array_fill(0::smallint, '{{32}}'), array_fill(0::smallint, '{{32}}'))",
        ids.join(",")
    );
    for there in [0..0, 0..1, 0..2, 4..5, 3..9, 15..16, 16..32, 0..32] {
        db.client
            .batch_execute("truncate postroad.message_queue")
            .await?;
        let (first, second) = ids[there.clone()].split_at(there.len().min(16));
        for part in [first, second] {
            if let [one, more @ ..] = part {
                let insert = format!(
                    "insert into postroad.message_queue (seq, message_id, priority, more_ids)
                     select coalesce(max(seq), 0) + 1, '{one}', 4, nullif('{{{}}}'::uuid[], '{{}}') from postroad.message_queue",
                    more.join(",")
                );
                db.client.batch_execute(&insert).await?;
            }
        }
        let missing = (ids.len() - there.len()).to_string();
        assert_eq!(db.client.row(&again).await?, missing, "{there:?}");
        assert_eq!(sorted(&queue(&db).await?.concat()), ids, "{there:?}");
        assert_eq!(db.client.row(&again).await?, "0", "{there:?}");
    }
    Ok(())
}

/// After a restore or a logical copy a sequence may give places that are taken. Who is promoted before somebody sets it right takes the next ones.
#[tokio::test]
async fn places_that_are_taken_lose_no_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    send(&db, 40, "").await?;
    db.enqueue_many(30, 4).await?;
    send(&db, 20, ", scheduled_for => now() + interval '1 hour'").await?;
    let wanted = "select message_id from postroad.messages order by 1";
    let wanted = db.client.rows(wanted).await?;
    assert_eq!(wanted.len(), 90);
    db.client
        .batch_execute(
            "update postroad.scheduled set due_at = now() - interval '1 second';
             select setval('postroad.queue_seq_p4', 20)",
        )
        .await?;
    let promote = "select promoted from postroad.promote_due(4::smallint)";
    assert_eq!(db.client.row(promote).await?, "20");
    assert_eq!(sorted(&queue(&db).await?.concat()), wanted);
    Ok(())
}

/// What a worker gives back of a bulk send costs the next one no more than it cost this one.
#[tokio::test]
async fn what_is_handed_back_of_a_bulk_send_is_queued_by_the_sixteen() -> anyhow::Result<()> {
    for way in ["release", "hand_back"] {
        let db = TestDb::new().await?;
        let ids = send(&db, 40, "").await?;
        let (lease, claimed) = db.claim(4, 40).await?;
        assert_eq!(ids_of(&claimed), ids);
        db.complete(&Outcome {
            finished: false,
            ..Outcome::new(&lease, &ids[3], "sent")
        })
        .await?;
        let call = match way {
            "release" => format!("select postroad.release('{lease}')"),
            _ => format!(
                "select postroad.hand_back(array_fill('{lease}'::uuid, '{{40}}'), '{{{}}}')",
                ids.join(",")
            ),
        };
        assert_eq!(db.client.row(&call).await?, "39", "{way}");
        let lengths: Vec<_> = queue(&db).await?.iter().map(Vec::len).collect();
        assert_eq!(lengths, [15, 16, 8], "{way}");
    }
    Ok(())
}
