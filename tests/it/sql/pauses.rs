//! Pauses and suppressions: what must not go out now, or ever.

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _, claim_query};

/// Each scope parks its own messages and no others, and resume lets them go.
#[tokio::test]
async fn a_pause_of_each_scope_parks_its_messages_until_it_is_resumed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (scope, key, other) in [
        ("channel", "email", "sms"),
        ("source", "issue", "alerts"),
        ("source", "issue:3", "issue:4"),
        ("tenant", "5", "6"),
        ("domain", "X.org", "y.org"),
    ] {
        let id = db
            .enqueue_to(
                "a@x.ORG",
                "tenant_id => 5, source_type => 'issue', source_id => 3",
            )
            .await?;
        db.client
            .row(&format!(
                "select postroad.pause('{scope}', '{other}', 'test')"
            ))
            .await?;
        let (lease, claimed) = db.claim(4, 10).await?;
        assert_eq!(
            claimed,
            [format!("{id}|0|null|null")],
            "{scope} {other} is not its own"
        );
        db.client
            .row(&format!("select postroad.release('{lease}')"))
            .await?;
        let pause = db
            .client
            .row(&format!(
                "select postroad.pause('{scope}', '{key}', 'test')"
            ))
            .await?;
        let (lease, claimed) = db.claim(4, 10).await?;
        assert_eq!(claimed, [format!("{id}|0|paused|{pause}")], "{scope} {key}");
        let mut outcome = Outcome::deferred(&lease, &id, "0");
        (outcome.counted, outcome.pause) = (false, &pause);
        db.complete(&outcome).await?;
        let parked = "select due_at, pause_id, attempt from postroad.scheduled";
        assert_eq!(db.client.row(parked).await?, format!("infinity|{pause}|0"));
        db.client
            .batch_execute("select postroad.promote_due(4::smallint)")
            .await?;
        assert!(db.claim(4, 10).await?.1.is_empty(), "parked");
        for wanted in ["t", "f"] {
            assert_eq!(
                db.client
                    .row(&format!("select postroad.resume('{scope}', '{key}')"))
                    .await?,
                wanted
            );
        }
        let (lease, claimed) = db.claim(4, 10).await?;
        assert_eq!(claimed, [format!("{id}|0|null|null")], "resumed");
        db.complete(&Outcome::new(&lease, &id, "sent")).await?;
        db.client
            .row(&format!("select postroad.resume('{scope}', '{other}')"))
            .await?;
    }
    Ok(())
}

/// A paused priority is left where it is: nothing is claimed and nothing moved.
#[tokio::test]
async fn a_paused_priority_is_not_claimed_and_the_others_are() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(1, 3).await?;
    db.enqueue_many(1, 4).await?;
    db.client
        .batch_execute("select postroad.pause('priority', 'P4', 'test')")
        .await?;
    assert!(db.claim(4, 10).await?.1.is_empty());
    assert_eq!(db.claim(3, 10).await?.1.len(), 1);
    assert_eq!(
        db.client
            .row("select count(*) from postroad.message_queue")
            .await?,
        "1"
    );
    db.client
        .batch_execute("select postroad.resume('priority', 'P4')")
        .await?;
    assert_eq!(db.claim(4, 10).await?.1.len(), 1);
    Ok(())
}

/// Pools are told which gateways to leave alone, and P2 and P3 when they must wait for P1.
#[tokio::test]
async fn pools_see_paused_gateways_and_the_gate_of_p1() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(3, 1).await?;
    let worker = db.connect_as("postroad_worker").await?;
    for (priority, gate, open) in [
        (2, 4, "t"),
        (2, 3, "f"),
        (3, 3, "f"),
        (0, 3, "t"),
        (1, 3, "t"),
        (4, 3, "t"),
    ] {
        let query = format!("select postroad.gate_is_open({priority}::smallint, {gate})");
        assert_eq!(worker.row(&query).await?, open, "P{priority} at {gate}");
    }
    let paused = "select gateway from postroad.routing_state() where is_paused";
    assert_eq!(worker.rows(paused).await?, Vec::<String>::new());
    db.client
        .batch_execute("select postroad.pause('gateway', 'smtp', 'quota'), postroad.pause('priority', 'P1', 'test')")
        .await?;
    assert_eq!(worker.rows(paused).await?, ["smtp"]);
    let gate = "select postroad.gate_is_open(3::smallint, 3)";
    assert_eq!(
        worker.row(gate).await?,
        "t",
        "what P1 may not send holds nobody up"
    );
    Ok(())
}

/// Parked after the resume it would wait for ever.
#[tokio::test]
async fn a_pause_that_is_resumed_while_a_completion_parks_leaves_nothing_parked()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for resume_first in [false, true] {
        let id = db.enqueue_to("a@x.org", "").await?;
        let pause = db
            .client
            .row("select postroad.pause('channel', 'email', 'test')")
            .await?;
        let (lease, _) = db.claim(4, 1).await?;
        let mut outcome = Outcome::deferred(&lease, &id, "0");
        (outcome.counted, outcome.pause) = (false, &pause);
        let resume = "select postroad.resume('channel', 'email')".to_owned();
        let (first, second) = (db.connect().await?, db.connect().await?);
        let (one, two) = if resume_first {
            (resume, outcome.query())
        } else {
            (outcome.query(), resume)
        };
        first.batch_execute("begin").await?;
        first.rows(&one).await?;
        if resume_first {
            second.rows(&two).await?; // it waits for nobody
            first.batch_execute("commit").await?;
            db.client
                .batch_execute("update postroad.scheduled set due_at = now() where due_at < now() + interval '1 minute'")
                .await?;
        } else {
            let pid = second.row("select pg_backend_pid()").await?;
            let waiting = tokio::spawn(async move { second.rows(&two).await });
            db.waits(&pid).await?;
            first.batch_execute("commit").await?;
            waiting.await??;
        }
        assert_eq!(
            db.client
                .row("select count(*) from postroad.scheduled where due_at = 'infinity'")
                .await?,
            "0"
        );
        db.client
            .batch_execute("select postroad.promote_due(4::smallint)")
            .await?;
        let (lease, claimed) = db.claim(4, 10).await?;
        assert_eq!(
            claimed,
            [format!("{id}|0|null|null")],
            "resume first: {resume_first}"
        );
        db.complete(&Outcome::new(&lease, &id, "sent")).await?;
    }
    Ok(())
}

/// A pause with a typing error pauses nothing, which must be said.
#[tokio::test]
async fn a_pause_of_nothing_that_exists_is_refused() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (arguments, code) in [
        ("'planet', 'x', 'test'", "PR002"),
        ("null, 'x', 'test'", "PR002"),
        ("'priority', 'P5', 'test'", "PR002"),
        ("'channel', 'fax', 'test'", "PR002"),
        ("'tenant', '007', 'test'", "PR001"),
        ("'domain', '*.example.org', 'test'", "PR001"),
        ("'domain', 'example.org.', 'test'", "PR001"),
        ("'tenant', '', 'test'", "PR001"),
        ("'tenant', null, 'test'", "PR001"),
        ("'tenant', '5', ' '", "PR001"),
        ("'tenant', '5', null", "PR001"),
    ] {
        let raised = db
            .client
            .raised(&format!("select postroad.pause({arguments})"))
            .await?;
        assert_eq!(raised.code, code, "{arguments}");
        assert!(!raised.hint.is_empty());
    }
    for call in [
        "resume('chanel', 'sms')",
        "is_suppressed('emial', 'a@x.org')",
    ] {
        let raised = db.client.raised(&format!("select postroad.{call}")).await?;
        assert_eq!(raised.code, "PR002", "{call}");
    }
    let twice = "select postroad.pause('tenant', '5', 'one') = postroad.pause('tenant', '5', 'two'), (select count(*) from postroad.pauses)";
    db.client.rows(twice).await?;
    assert_eq!(
        db.client
            .row("select count(*), max(reason) from postroad.pauses")
            .await?,
        "1|two"
    );
    Ok(())
}

/// A list entry counts for exactly what it says, however the address is spelled.
#[tokio::test]
async fn a_suppression_holds_for_its_channel_tenant_time_and_any_spelling() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (entry, asked, wanted) in [
        ("'email', 'Ada@X.org'", "'email', 'aDA@x.ORG'", true),
        ("'email', 'ada@x.org'", "'email', 'bob@x.org'", false),
        ("'email', 'ada@x.org'", "'email', 'ada@x.org', 5", true),
        (
            "'email', 'ada@x.org', tenant_id => 5",
            "'email', 'ada@x.org', 5",
            true,
        ),
        (
            "'email', 'ada@x.org', tenant_id => 5",
            "'email', 'ada@x.org', 6",
            false,
        ),
        (
            "'email', 'ada@x.org', tenant_id => 5",
            "'email', 'ada@x.org'",
            false,
        ),
        (
            "'email', 'ada@x.org', expires_at => now() + interval '1 h'",
            "'email', 'ada@x.org'",
            true,
        ),
        (
            "'email', 'ada@x.org', expires_at => now() - interval '1 s'",
            "'email', 'ada@x.org'",
            false,
        ),
        ("'sms', '+1 (415) 555-0123'", "'sms', '0014155550123'", true),
        ("'sms', '+14155550123'", "'voice', '+14155550123'", false),
        ("null, '+1 415 555 0123'", "'voice', '+14155550123'", true),
        ("null, 'Ada@x.org'", "'email', 'ada@x.org'", true),
        ("null, 'User:42'", "'in_app', 'User:42'", true),
        ("'in_app', 'User:42'", "'in_app', 'user:42'", false),
    ] {
        assert_eq!(
            db.client
                .row(&format!("select postroad.suppress({entry})"))
                .await?,
            "t"
        );
        let answer = db
            .client
            .row(&format!("select postroad.is_suppressed({asked})"))
            .await?;
        assert_eq!(answer == "t", wanted, "{entry}: {asked}");
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    Ok(())
}

/// A short suppression must not shorten a long one, and only its own entry is taken off.
#[tokio::test]
async fn suppress_never_shortens_and_unsuppress_takes_one_entry() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (call, wanted) in [
        (
            "suppress('email', 'a@x.org', 'bounce', expires_at => now() + interval '1 day')",
            "t",
        ),
        (
            "suppress('email', 'a@x.org', 'bounce', expires_at => now() + interval '1 hour')",
            "f",
        ),
        ("suppress('email', 'A@X.org', 'complaint')", "t"),
        (
            "suppress('email', 'a@x.org', 'bounce', expires_at => now() + interval '1 year')",
            "f",
        ),
        ("unsuppress(null, 'a@x.org')", "f"),
        ("unsuppress('email', 'a@x.org', 5)", "f"),
        ("is_suppressed('email', 'a@x.org')", "t"),
        ("unsuppress('email', 'A@x.ORG')", "t"),
        ("is_suppressed('email', 'a@x.org')", "f"),
    ] {
        assert_eq!(
            db.client.row(&format!("select postroad.{call}")).await?,
            wanted,
            "{call}"
        );
    }
    for (call, code) in [
        ("suppress('fax', 'a@x.org')", "PR002"),
        ("suppress('email', 'nobody')", "PR001"),
        ("suppress('sms', '12')", "PR001"),
        ("suppress(null, '')", "PR001"),
        ("suppress('email', null)", "PR001"),
        ("suppress('email', 'a@x.org', '')", "PR001"),
    ] {
        assert_eq!(
            db.client
                .raised(&format!("select postroad.{call}"))
                .await?
                .code,
            code,
            "{call}"
        );
    }
    Ok(())
}

/// A STOP that comes after the enqueue must still be heard.
#[tokio::test]
async fn a_late_suppression_stops_a_queued_message_at_the_claim() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(1).await?;
    for (number, suppression, verdict) in [
        (1, "'email', 'ADA@x.org'", "suppressed"),
        (2, "null, 'ada@x.org'", "suppressed"),
        (3, "'email', 'ada@x.org', tenant_id => 5", "suppressed"),
        (4, "'email', 'ada@x.org', tenant_id => 6", "null"),
        (5, "'sms', '+14155550123'", "null"),
        (
            6,
            "'email', 'ada@x.org', expires_at => now() - interval '1 s'",
            "null",
        ),
    ] {
        let id = db.enqueue_to("Ada@X.org", "tenant_id => 5").await?;
        db.client
            .row(&format!("select postroad.suppress({suppression})"))
            .await?;
        let lease = format!("01900000-0000-7000-8000-00000000000{number}");
        assert_eq!(
            db.client.row(&claim_query(&lease, 1, 4, 10)).await?,
            format!("{id}|0|{verdict}|null"),
            "{suppression}"
        );
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    Ok(())
}

/// Too late is too late, also when it waited in the queue.
#[tokio::test]
async fn what_expired_in_the_queue_is_claimed_as_expired() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db
        .enqueue_to("a@x.org", "expires_at => now() + interval '1 h'")
        .await?;
    db.client
        .batch_execute("update postroad.messages set expires_at = now() - interval '1 s'")
        .await?;
    assert_eq!(db.claim(4, 10).await?.1, [format!("{id}|0|expired|null")]);
    Ok(())
}

/// What waits in a pause is moved into the queue while the cancel waits for it: it is still there to be cancelled.
#[tokio::test]
async fn a_cancel_that_waits_for_a_resume_finds_what_it_queued() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let pause = "select postroad.pause('channel', 'email', 'test')";
    let pause = db.client.row(pause).await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    let mut outcome = Outcome::deferred(&lease, &id, "0");
    (outcome.counted, outcome.pause) = (false, &pause);
    db.complete(&outcome).await?;
    let (resuming, cancelling) = (db.connect().await?, db.connect().await?);
    resuming
        .batch_execute("begin; select postroad.resume('channel', 'email')")
        .await?;
    let pid = cancelling.row("select pg_backend_pid()").await?;
    let cancel = format!("select postroad.cancel('{id}')");
    let waiting = tokio::spawn(async move { cancelling.row(&cancel).await });
    db.waits(&pid).await?;
    resuming.batch_execute("commit").await?;
    assert_eq!(waiting.await??, "t");
    assert_eq!(db.status(&id).await?, "cancelled");
    assert_eq!(db.claim(4, 1).await?.1, [""; 0]);
    Ok(())
}

/// In a transaction that sees no more than its first snapshot, what a worker parks meanwhile would stay parked for ever.
#[tokio::test]
async fn what_waits_for_workers_needs_a_transaction_that_is_read_committed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (id, _) = db.ended("failed").await?;
    for call in [
        "postroad.resume('channel', 'email')".to_owned(),
        format!("postroad.retry('{id}')"),
        format!("postroad.settle('{id}', 'sent')"),
    ] {
        db.client
            .batch_execute("begin isolation level repeatable read")
            .await?;
        let raised = db.client.raised(&format!("select {call}")).await?;
        assert_eq!(raised.code, "PR001", "{call}");
        db.client.batch_execute("rollback").await?;
        db.client.row(&format!("select {call}")).await?;
    }
    Ok(())
}

/// A key that nothing can have would pause nothing, in the middle of an outage.
#[tokio::test]
async fn a_key_that_nothing_can_have_is_refused_with_what_would_be_right() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let pause =
        |scope: &str, key: &str| format!("select postroad.pause('{scope}', '{key}', 'x') > 0");
    // Before a worker came nobody knows which gateways there are.
    assert_eq!(db.client.row(&pause("gateway", "smpt")).await?, "t");
    db.client
        .batch_execute(
            "select postroad.register_gateways('{smtp,ses,ses}', '{email,email,sms}', '{1,2,1}')",
        )
        .await?;
    for (scope, key, code, says) in [
        ("gateway", "smpt2", "PR002", "Gateways: ses, smtp."),
        ("tenant", "abc", "PR001", "tenant_id"),
        ("tenant", "99999999999999999999", "PR001", "tenant_id"),
        ("domain", "ada@example.org", "PR001", "behind the @"),
        ("domain", "example", "PR001", "behind the @"),
    ] {
        let raised = db.client.raised(&pause(scope, key)).await?;
        assert_eq!(raised.code, code, "{scope} {key}");
        assert!(raised.hint.contains(says), "{}", raised.hint);
    }
    for (scope, key) in [
        ("gateway", "ses"),
        ("tenant", "-7"),
        ("domain", "localhost"),
        ("domain", "Example.org"),
    ] {
        assert_eq!(
            db.client.row(&pause(scope, key)).await?,
            "t",
            "{scope} {key}"
        );
    }
    Ok(())
}
