//! Leases: what is completed, released and rescued, and that nothing is lost or doubled on the way.

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _, WORKER, claim_query};

const WAITING: &str = "select (select count(*) from postroad.message_queue), (select count(*) from postroad.scheduled), (select count(*) from postroad.leases)";

/// A reply lost after the commit is answered by the same call again.
#[tokio::test]
async fn completing_twice_writes_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    // While its lease lasts, and when it is gone.
    for finished in [false, false, true, true] {
        let mut outcome = Outcome::new(&lease, &id, "sent");
        outcome.finished = finished;
        db.complete(&outcome).await?;
    }
    assert_eq!(
        db.client
            .row("select count(*) from postroad.delivery_events")
            .await?,
        "1"
    );
    assert_eq!(db.client.row(WAITING).await?, "0|0|0");
    Ok(())
}

/// The retry may be under way again by then: it must not be queued a second time.
#[tokio::test]
async fn completing_twice_requeues_once_although_the_retry_was_claimed_meanwhile()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for finished in [true, false] {
        let id = db.enqueue_to("a@x.org", "").await?;
        let (lease, _) = db.claim(4, 1).await?;
        let mut outcome = Outcome::deferred(&lease, &id, "0");
        outcome.finished = finished;
        db.complete(&outcome).await?;
        db.client
            .batch_execute("select postroad.promote_due(4::smallint)")
            .await?;
        let (second, claimed) = db.claim(4, 1).await?;
        assert_eq!(claimed, [format!("{id}|1|null|null")]);
        db.complete(&outcome).await?;
        outcome.finished = true;
        db.complete(&outcome).await?;
        assert_eq!(
            db.client.row(WAITING).await?,
            "0|0|1",
            "finished {finished}"
        );
        db.complete(&Outcome::new(&second, &id, "sent")).await?;
        assert_eq!(db.client.row(WAITING).await?, "0|0|0");
    }
    Ok(())
}

/// A retry that does not count (a fault of the gateway) must not use up the attempts.
#[tokio::test]
async fn an_attempt_that_does_not_count_is_not_counted() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    for (counted, made) in [(false, 0), (true, 1)] {
        let (lease, _) = db.claim(4, 1).await?;
        let mut outcome = Outcome::deferred(&lease, &id, "0");
        outcome.counted = counted;
        db.complete(&outcome).await?;
        db.client
            .batch_execute("select postroad.promote_due(4::smallint)")
            .await?;
        assert_eq!(
            db.client
                .row("select attempt from postroad.message_queue")
                .await?,
            made.to_string()
        );
        assert_eq!(
            db.client
                .row(&format!("select attempts from postroad.status('{id}')"))
                .await?,
            made.to_string()
        );
    }
    Ok(())
}

/// It went out although its worker was taken for dead: the second copy is called back where that is still possible.
#[tokio::test]
async fn a_late_completion_of_a_rescued_lease_is_recorded_and_withdraws_the_copy()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    assert_eq!(db.client.row("select postroad.rescue(7)").await?, "1");
    assert_eq!(db.client.row(WAITING).await?, "1|0|0");
    db.complete(&Outcome::new(&lease, &id, "sent")).await?;
    assert_eq!(db.client.row(WAITING).await?, "0|0|0");
    assert_eq!(db.status(&id).await?, "sent");

    // Given back for later: the copy waits for its time.
    let id = db.enqueue_to("b@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    let release = format!("select postroad.release('{lease}', '1 hour')");
    assert_eq!(db.client.row(&release).await?, "1");
    db.complete(&Outcome::new(&lease, &id, "sent")).await?;
    assert_eq!(db.client.row(WAITING).await?, "0|0|0");
    assert_eq!(db.status(&id).await?, "sent");
    Ok(())
}

/// The other side: its retry is ignored, for the message waits already.
#[tokio::test]
async fn a_late_retry_of_a_rescued_lease_is_ignored() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.client.batch_execute("select postroad.rescue(7)").await?;
    db.complete(&Outcome::deferred(&lease, &id, "0")).await?;
    assert_eq!(db.client.row(WAITING).await?, "1|0|0");
    assert_eq!(db.status(&id).await?, "queued");
    Ok(())
}

/// A message that kills its worker must not take a fleet down, and those beside it must not die with it.
#[tokio::test]
async fn the_third_rescue_ends_a_message_and_a_rescued_one_is_claimed_alone() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let poison = db.enqueue_to("a@x.org", "").await?;
    let (_, claimed) = db.claim(4, 10).await?;
    assert_eq!(claimed.len(), 1);
    for round in 1..=2 {
        db.client.batch_execute("select postroad.rescue(7)").await?;
        db.enqueue_many(2, 4).await?;
        let (_, alone) = db.claim(4, 10).await?;
        assert_eq!(alone, [format!("{poison}|0|null|null")], "round {round}");
        let (lease, others) = db.claim(4, 10).await?;
        assert_eq!(others.len(), 2);
        db.client
            .batch_execute(&format!(
                "select postroad.release('{lease}'); delete from postroad.message_queue"
            ))
            .await?;
    }
    db.client.batch_execute("select postroad.rescue(7)").await?;
    assert_eq!(
        db.client
            .row(&format!(
                "select status, reason from postroad.status('{poison}')"
            ))
            .await?,
        "failed|worker_crashed"
    );
    assert_eq!(db.client.row(WAITING).await?, "0|0|0");
    Ok(())
}

/// Those before a rescued message in the queue are claimed without it.
#[tokio::test]
async fn a_claim_ends_before_a_rescued_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(2, 4).await?;
    db.enqueue_to("a@x.org", "").await?;
    db.client.batch_execute("update postroad.message_queue set rescues = 1 where seq = (select max(seq) from postroad.message_queue)").await?;
    db.enqueue_many(2, 4).await?;
    for wanted in [2, 1, 2, 0] {
        assert_eq!(db.claim(4, 10).await?.1.len(), wanted);
    }
    Ok(())
}

/// What may have gone out and is to be held is not sent again by a rescue; what has an outcome is left alone.
#[tokio::test]
async fn a_rescue_holds_what_was_intended_and_leaves_what_is_recorded() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let held = db.enqueue_to("held@x.org", "").await?;
    let sent = db.enqueue_to("sent@x.org", "").await?;
    let lost = db.enqueue_to("lost@x.org", "").await?;
    let (lease, _) = db.claim(4, 10).await?;
    db.client
        .batch_execute(&format!(
            "select postroad.intend('{{{lease},{lease}}}', '{{{held},{sent}}}')"
        ))
        .await?;
    let mut outcome = Outcome::new(&lease, &sent, "sent");
    outcome.finished = false;
    db.complete(&outcome).await?;
    assert_eq!(
        db.client.row("select postroad.rescue(7)").await?,
        "2",
        "two had no outcome"
    );
    assert_eq!(db.status(&held).await?, "unknown");
    assert_eq!(db.status(&sent).await?, "sent");
    assert_eq!(db.status(&lost).await?, "queued");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.intents")
            .await?,
        "0"
    );
    db.complete(&Outcome::new(&lease, &held, "sent")).await?;
    assert_eq!(
        db.status(&held).await?,
        "sent",
        "a late sent wins over unknown"
    );
    Ok(())
}

/// A graceful stop costs no attempt and no rescue.
#[tokio::test]
async fn a_release_gives_back_what_has_no_outcome_uncounted() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (delay, waiting) in [("", "1|0|0"), (", '1 min'", "0|1|0"), (", null", "1|0|0")] {
        let done = db.enqueue_to("done@x.org", "").await?;
        let back = db.enqueue_to("back@x.org", "").await?;
        let (lease, claimed) = db.claim(4, 10).await?;
        assert_eq!(claimed.len(), 2);
        let mut outcome = Outcome::new(&lease, &done, "sent");
        outcome.finished = false;
        db.complete(&outcome).await?;
        let release = format!("select postroad.release('{lease}'{delay})");
        assert_eq!(db.client.row(&release).await?, "1", "{delay}");
        assert_eq!(db.client.row(&release).await?, "0", "again");
        assert_eq!(db.client.row(WAITING).await?, waiting, "{delay}");
        let place = format!(
            "select p.place, p.attempt, p.due_at > now() + interval '50 s' from postroad.place_of('{back}') as p"
        );
        let shown = if waiting == "0|1|0" {
            "scheduled|0|t"
        } else {
            "queued|0|null"
        };
        assert_eq!(db.client.row(&place).await?, shown);
        assert_eq!(
            db.client
                .row(&format!("select postroad.cancel('{back}')"))
                .await?,
            "t"
        );
    }
    let raised = db
        .client
        .raised("select postroad.release(gen_random_uuid(), '-1 s')")
        .await?;
    assert_eq!(raised.code, "PR001");
    Ok(())
}

/// A claim is bounded in bytes, and a message larger than the bound still goes.
#[tokio::test]
async fn a_claim_takes_one_at_least_and_no_more_kilobytes_than_asked() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(WORKER).await?;
    for kb in [100, 1, 1, 3, 1] {
        let query = format!(
            "select status from postroad.enqueue('email', 'a@x.org', body => repeat('x', {kb} * 1024))"
        );
        db.client.row(&query).await?;
    }
    for wanted in [1, 2, 2, 0] {
        let lease = uuid::Uuid::now_v7().to_string();
        let query = claim_query(&lease, WORKER, 4, 10).replace(", 10)", ", 10, 4)");
        assert_eq!(db.client.rows(&query).await?.len(), wanted);
    }
    Ok(())
}

/// A queue row without a record must end, or it would be claimed for ever.
#[tokio::test]
async fn what_has_no_record_is_claimed_as_gone() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    db.client
        .batch_execute("delete from postroad.messages")
        .await?;
    assert_eq!(
        db.claim(4, 10).await?.1,
        [format!("{id}|0|record_gone|null")]
    );
    Ok(())
}

/// A day may be dropped while its messages wait: some of a claim have their record where it was, some where it was kept.
#[tokio::test]
async fn a_claim_finds_records_of_the_day_kept_ones_and_none_at_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let day = db.enqueue_to("day@x.org", "").await?;
    let kept = db.enqueue_to("kept@x.org", "").await?;
    let stopped = db.enqueue_to("stopped@x.org", "").await?;
    let gone = db.enqueue_to("gone@x.org", "").await?;
    let drop_day = format!(
        "insert into postroad.messages_kept select m.* from postroad.messages as m where m.message_id in ('{kept}', '{stopped}');
         delete from postroad.messages where message_id <> '{day}';
         select postroad.suppress('email', 'stopped@x.org', 'manual')"
    );
    db.client.batch_execute(&drop_day).await?;
    let mut claimed = db.claim(4, 10).await?.1;
    claimed.sort();
    let mut expected = [
        format!("{day}|0|null|null"),
        format!("{kept}|0|null|null"),
        format!("{stopped}|0|suppressed|null"),
        format!("{gone}|0|record_gone|null"),
    ];
    expected.sort();
    assert_eq!(claimed, expected);
    Ok(())
}

/// As text, a kilobyte of data costs as much as the rest of its claim.
#[tokio::test]
async fn data_is_read_only_for_channels_that_carry_it() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(WORKER).await?;
    for (channel, recipient) in [
        ("email", "a@x.org"),
        ("sms", "+351210000000"),
        ("in_app", "ada"),
    ] {
        let query = format!(
            r#"select status from postroad.enqueue('{channel}', '{recipient}', body => 'x', data => '{{"n": 1}}')"#
        );
        assert_eq!(db.client.row(&query).await?, "queued");
    }
    let lease = uuid::Uuid::now_v7();
    let query = format!(
        "select channel, data from postroad.claim(4::smallint, '{lease}', {WORKER}, 10) order by 1"
    );
    assert_eq!(
        db.client.rows(&query).await?,
        ["email|null", r#"in_app|{"n": 1}"#, "sms|null"]
    );
    Ok(())
}

/// A worker that was taken for dead has been rescued already: what it claimed now would never be.
#[tokio::test]
async fn a_worker_that_is_not_registered_claims_nothing() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_to("a@x.org", "").await?;
    let lease = uuid::Uuid::now_v7().to_string();
    let raised = db.client.raised(&claim_query(&lease, 99, 4, 1)).await?;
    assert_eq!(raised.code, "PR010");
    db.register(99).await?;
    assert_eq!(
        db.client.rows(&claim_query(&lease, 99, 4, 1)).await?.len(),
        1
    );
    db.client
        .batch_execute("select postroad.rescue(99)")
        .await?;
    let raised = db.client.raised(&claim_query(&lease, 99, 4, 1)).await?;
    assert_eq!(raised.code, "PR010");
    Ok(())
}

/// An old lease is a worker that hangs, or one that nobody rescues: somebody must look, but nothing may be sent twice for it.
#[tokio::test]
async fn an_old_lease_is_an_alarm_and_stays() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_to("ada@example.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    assert!(
        db.client
            .rows("select * from postroad.alarms()")
            .await?
            .is_empty()
    );
    let older = format!(
        "update postroad.leases set leased_at = leased_at - interval '11 minutes' where lease_id = '{lease}'"
    );
    db.client.rows(&older).await?;
    let alarms = db.client.rows("select * from postroad.alarms()").await?;
    assert!(
        alarms.len() == 1 && alarms[0].starts_with("1 leases of P4"),
        "{alarms:?}"
    );
    assert_eq!(
        db.client
            .row("select overdue, messages from postroad.in_flight")
            .await?,
        "t|1"
    );
    Ok(())
}

/// An operator who forgot to commit must not hold up what is recorded of other messages, nor what is recorded of that one.
#[tokio::test]
async fn outcomes_wait_for_no_open_transaction_that_suppresses_or_resumes() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let open = db.connect().await?;
    open.batch_execute("begin; select postroad.suppress('email', 'a@x.org')")
        .await?;
    for (recipient, listed) in [("a@x.org", "0"), ("b@x.org", "1")] {
        let id = db.enqueue_to(recipient, "").await?;
        let (lease, _) = db.claim(4, 1).await?;
        let outcome = Outcome::new(&lease, &id, "bounced");
        db.client
            .batch_execute("set statement_timeout = '10s'")
            .await?;
        db.complete(&outcome).await?;
        assert_eq!(db.status(&id).await?, "bounced");
        let list = "select count(*) from postroad.suppression_list";
        assert_eq!(db.client.row(list).await?, listed, "{recipient}");
    }
    open.batch_execute("rollback").await?;

    let id = db.enqueue_to("c@x.org", "").await?;
    let pause = "select postroad.pause('channel', 'email', 'test')";
    let pause = db.client.row(pause).await?;
    let (lease, _) = db.claim(4, 1).await?;
    open.batch_execute("begin; select postroad.resume('channel', 'email')")
        .await?;
    let mut outcome = Outcome::deferred(&lease, &id, "0");
    (outcome.counted, outcome.pause) = (false, &pause);
    db.complete(&outcome).await?;
    open.batch_execute("commit").await?;
    let due = "select due_at < now() + interval '1 minute' from postroad.scheduled";
    assert_eq!(db.client.row(due).await?, "t", "nobody would resume it");
    Ok(())
}

/// Whoever cannot be on the list can be told of all the same: one such recipient would keep every outcome of its batch.
#[tokio::test]
async fn a_recipient_too_long_for_the_list_bounces_and_is_not_on_it() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (length, listed) in [(4000, "0"), (2600, "1")] {
        let token = (0..length).map(|_| fastrand::alphanumeric());
        let token: String = token.collect();
        let query = format!("select message_id from postroad.enqueue('push', '{token}', 'x')");
        let id = db.client.row(&query).await?;
        let (lease, _) = db.claim(4, 1).await?;
        db.complete(&Outcome::new(&lease, &id, "bounced")).await?;
        assert_eq!(db.status(&id).await?, "bounced");
        let list = "select count(*) from postroad.suppression_list";
        assert_eq!(db.client.row(list).await?, listed, "{length}");
    }
    Ok(())
}

/// Asked for nothing it takes nothing, of a day that is gone neither: nobody would ever complete it.
#[tokio::test]
async fn a_claim_of_none_takes_none() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_to("a@x.org", "").await?;
    db.client
        .batch_execute("insert into postroad.messages_kept table postroad.messages; delete from postroad.messages")
        .await?;
    for count in [0, 1] {
        let (_, claimed) = db.claim(4, count).await?;
        assert_eq!(claimed.len(), count as usize);
        let leased = "select coalesce(sum(cardinality(message_ids)), 0) from postroad.leases";
        assert_eq!(db.client.row(leased).await?, count.to_string());
    }
    Ok(())
}
