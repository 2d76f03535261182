//! `explain`: why is this message not out yet?

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// `verdict|reason|until is set` of a gate; `none` when it is not reached.
async fn gate(db: &TestDb, id: &str, gate: &str) -> anyhow::Result<String> {
    let query = format!(
        "select verdict, reason, until is not null from postroad.explain('{id}') where gate = '{gate}'"
    );
    Ok(db
        .client
        .rows(&query)
        .await?
        .pop()
        .unwrap_or_else(|| "none".into()))
}

async fn assert_gate(
    db: &TestDb,
    id: &str,
    name: &str,
    verdict: &str,
    reason: &str,
    until: bool,
) -> anyhow::Result<()> {
    let shown = gate(db, id, name).await?;
    let ends = if until { "|t" } else { "|f" };
    assert!(
        shown.starts_with(&format!("{verdict}|"))
            && shown.contains(reason)
            && shown.ends_with(ends),
        "{name}: {shown}"
    );
    Ok(())
}

/// A transaction that never committed is the first thing to think of.
#[tokio::test]
async fn record_stops_what_is_not_known() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert_gate(&db, nobody, "record", "stop", "did not commit", false).await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    assert_gate(
        &db,
        &id,
        "record",
        "pass",
        "transactional over email, P4",
        false,
    )
    .await?;
    let gates = format!("select string_agg(gate, ' ') from postroad.explain('{id}')");
    assert_eq!(
        db.client.row(&gates).await?,
        "record outcome expiry suppression pause time workers gateway queue"
    );
    Ok(())
}

/// What has ended needs no further gate.
#[tokio::test]
async fn outcome_tells_what_ended_and_why() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (event, verdict, reason) in [
        ("sent", "done", "sent"),
        ("failed", "stop", "failed: because"),
        ("unknown", "stop", "settle("),
    ] {
        let (id, _) = db.ended(event).await?;
        assert_gate(&db, &id, "outcome", verdict, reason, false).await?;
        assert_eq!(gate(&db, &id, "expiry").await?, "none");
    }
    let id = db.enqueue_to("a@x.org", "").await?;
    assert_gate(&db, &id, "outcome", "pass", "no attempt yet", false).await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::deferred(&lease, &id, "60")).await?;
    assert_gate(
        &db,
        &id,
        "outcome",
        "pass",
        "attempt 1: deferred, because by stub",
        false,
    )
    .await?;
    Ok(())
}

/// Expired and not expired, and not expiring.
#[tokio::test]
async fn expiry_stops_what_is_too_late() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    assert_gate(&db, &id, "expiry", "pass", "does not expire", false).await?;
    let id = db
        .enqueue_to("a@x.org", "expires_at => now() + interval '1 h'")
        .await?;
    assert_gate(&db, &id, "expiry", "pass", "expires", true).await?;
    db.client.batch_execute("update postroad.messages set expires_at = now() - interval '1 s' where expires_at is not null").await?;
    assert_gate(&db, &id, "expiry", "stop", "expired", true).await?;
    Ok(())
}

/// A late STOP shows before the claim finds it.
#[tokio::test]
async fn suppression_stops_and_says_since_when_and_why() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    assert_gate(&db, &id, "suppression", "pass", "not suppressed", false).await?;
    db.client.batch_execute("select postroad.suppress('email', 'A@x.org', 'complaint', expires_at => now() + interval '1 day')").await?;
    assert_gate(&db, &id, "suppression", "stop", ": complaint", true).await?;
    Ok(())
}

/// Whoever paused should be asked.
#[tokio::test]
async fn pause_waits_and_names_who_paused() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "tenant_id => 5").await?;
    assert_gate(&db, &id, "pause", "pass", "nothing of it is paused", false).await?;
    for (scope, key) in [
        ("priority", "P4"),
        ("tenant", "5"),
        ("domain", "x.org"),
        ("channel", "email"),
    ] {
        db.client
            .batch_execute(&format!(
                "select postroad.pause('{scope}', '{key}', 'outage')"
            ))
            .await?;
        assert_gate(
            &db,
            &id,
            "pause",
            "wait",
            &format!("{scope} {key} is paused since"),
            false,
        )
        .await?;
        db.client
            .batch_execute(&format!("select postroad.resume('{scope}', '{key}')"))
            .await?;
    }
    db.client
        .batch_execute("select postroad.pause('domain', 'y.org', 'outage')")
        .await?;
    assert_gate(&db, &id, "pause", "pass", "nothing of it is paused", false).await?;
    Ok(())
}

/// Until when, for what waits for its time.
#[tokio::test]
async fn time_waits_until_it_is_due() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db
        .enqueue_to("a@x.org", "scheduled_for => now() + interval '1 h'")
        .await?;
    assert_gate(&db, &id, "time", "wait", "scheduled", true).await?;
    db.client
        .batch_execute("update postroad.scheduled set due_at = now() - interval '1 s'")
        .await?;
    assert_gate(&db, &id, "time", "pass", "waits to be promoted", true).await?;
    db.client
        .batch_execute("select postroad.promote_due(4::smallint)")
        .await?;
    assert_gate(&db, &id, "time", "pass", "due", false).await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::deferred(&lease, &id, "60")).await?;
    assert_gate(&db, &id, "time", "wait", "next attempt", true).await?;
    db.client
        .batch_execute("update postroad.scheduled set due_at = 'infinity'")
        .await?;
    assert_gate(&db, &id, "time", "wait", "parked", true).await?;
    Ok(())
}

/// The commonest reason of all: nothing runs.
#[tokio::test]
async fn workers_and_gateways_must_be_there() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    assert_gate(&db, &id, "workers", "wait", "no worker runs for P4", false).await?;
    assert_gate(&db, &id, "gateway", "wait", "no_gateway", false).await?;
    db.register(1).await?;
    db.client
        .batch_execute("select postroad.register_gateways('{stub,file}', '{email,email}', '{1,2}')")
        .await?;
    assert_gate(&db, &id, "workers", "pass", "1 running for P4", false).await?;
    assert_gate(
        &db,
        &id,
        "gateway",
        "pass",
        "stub (first for email); then file",
        false,
    )
    .await?;
    db.client
        .batch_execute("select postroad.pause('gateway', 'stub', 'quota')")
        .await?;
    assert_gate(&db, &id, "gateway", "pass", "paused: stub", false).await?;
    db.client
        .batch_execute("select postroad.pause('gateway', 'file', 'quota')")
        .await?;
    assert_gate(&db, &id, "gateway", "wait", "paused", false).await?;
    db.client
        .batch_execute(
            "update postroad.worker_sessions set heartbeat_at = now() - interval '1 min'",
        )
        .await?;
    assert_gate(&db, &id, "workers", "wait", "no worker runs", false).await?;
    Ok(())
}

/// A place in the queue, or the worker that has it.
#[tokio::test]
async fn queue_counts_those_before_it_and_lease_names_its_holder() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_many(3, 4).await?;
    let id = db.enqueue_to("a@x.org", "").await?;
    assert_gate(
        &db,
        &id,
        "queue",
        "wait",
        "3 P4 messages go before it",
        false,
    )
    .await?;
    db.claim(4, 3).await?;
    assert_gate(&db, &id, "queue", "pass", "0 P4 messages", false).await?;
    let (lease, _) = db.claim(4, 1).await?;
    assert_gate(&db, &id, "lease", "wait", &lease, false).await?;
    assert_eq!(gate(&db, &id, "queue").await?, "none");
    Ok(())
}

/// An alert storm holds newsletters and campaigns back, and nothing else.
#[tokio::test]
async fn p1_holds_back_what_is_less_urgent_while_it_is_deep() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let campaign = db.enqueue_to("a@x.org", "priority => 'P3'").await?;
    let mail = db.enqueue_to("a@x.org", "").await?;
    assert_gate(&db, &campaign, "p1", "pass", "0 P1 messages", false).await?;
    let fill = "select queued from postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 10000) as n), \
        body => 'x', priority => 'P1')";
    assert_eq!(db.client.row(fill).await?, "10000");
    assert_gate(&db, &campaign, "p1", "wait", "10000 P1 messages", false).await?;
    assert_eq!(gate(&db, &mail, "p1").await?, "none");
    db.client
        .batch_execute("select postroad.pause('priority', 'P1', 'test')")
        .await?;
    assert_gate(&db, &campaign, "p1", "pass", "10000 P1 messages", false).await?;
    Ok(())
}

/// What happens to a message that went out does not say that it will not.
#[tokio::test]
async fn outcome_is_what_status_says() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (events, status, verdict, reason) in [
        (
            r#"{"event_type": "delivered"}, {"event_type": "complained"}"#,
            "delivered",
            "done",
            "; last: complained",
        ),
        (r#"{"event_type": "complained"}"#, "sent", "done", "sent"),
        (
            r#"{"event_type": "deferred", "reason": "greylisted"}"#,
            "sent",
            "done",
            "greylisted",
        ),
        (
            r#"{"event_type": "bounced", "bounce_type": "hard", "reason": "invalid_recipient"}"#,
            "bounced",
            "stop",
            "bounced: invalid_recipient",
        ),
    ] {
        let (id, _) = db.ended("sent").await?;
        let call = format!(
            "select postroad.record_events('stub', jsonb_build_array(e || jsonb_build_object('message_id', '{id}', 'detail', jsonb_build_object('text', '550 no such user')))) from jsonb_array_elements('[{events}]') as e"
        );
        db.client.rows(&call).await?;
        assert_eq!(db.status(&id).await?, status, "{events}");
        assert_gate(&db, &id, "outcome", verdict, reason, false).await?;
        let said = format!("select reason, error from postroad.status('{id}')");
        let said = db.client.row(&said).await?;
        if status == "bounced" {
            assert_eq!(said, "invalid_recipient|550 no such user");
        }
    }
    let id = db.enqueue_to("a@x.org", "").await?;
    db.client
        .row(&format!("select postroad.cancel('{id}')"))
        .await?;
    db.client
        .row(&format!("select postroad.convert('{id}')"))
        .await?;
    assert_gate(
        &db,
        &id,
        "outcome",
        "stop",
        "cancelled; last: converted",
        false,
    )
    .await
}
