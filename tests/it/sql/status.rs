//! `status`, `timeline` and `explain`: everything is visible in psql.

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _, WORKER, claim_query};

/// Status is derived, so each way to it must lead there.
#[tokio::test]
async fn each_status_follows_from_where_the_message_is_and_what_happened() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    assert!(
        db.client
            .rows("select * from postroad.status(gen_random_uuid())")
            .await?
            .is_empty()
    );
    let scheduled = db
        .enqueue_to("a@x.org", "scheduled_for => now() + interval '1 h'")
        .await?;
    assert_eq!(db.status(&scheduled).await?, "scheduled");
    let queued = db.enqueue_to("a@x.org", "priority => 'P1'").await?;
    assert_eq!(db.status(&queued).await?, "queued");
    let (lease, _) = db.claim(1, 1).await?;
    assert_eq!(db.status(&queued).await?, "processing");
    db.complete(&Outcome::deferred(&lease, &queued, "60"))
        .await?;
    assert_eq!(db.status(&queued).await?, "scheduled");
    assert!(
        db.client
            .row(&format!("select postroad.cancel('{queued}')"))
            .await?
            == "t"
    );
    assert_eq!(db.status(&queued).await?, "cancelled");
    for event in [
        "sent",
        "failed",
        "bounced",
        "expired",
        "suppressed",
        "unknown",
    ] {
        let (id, _) = db.ended(event).await?;
        assert_eq!(db.status(&id).await?, event, "from its lease");
        let shown = db
            .client
            .row(&format!(
                "select attempts, gateway, reason from postroad.status('{id}')"
            ))
            .await?;
        let attempts = u8::from(!matches!(event, "expired" | "suppressed"));
        assert_eq!(shown, format!("{attempts}|stub|because"), "{event}");
    }
    Ok(())
}

/// A webhook says more than the gateway's answer did, and some webhooks say nothing about delivery.
#[tokio::test]
async fn webhooks_raise_the_status_of_what_went_out() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (outcome, webhooks, wanted) in [
        ("sent", "delivered", "delivered"),
        ("sent", "opened", "delivered"),
        ("sent", "clicked", "delivered"),
        ("sent", "complained", "sent"),
        ("sent", "unsubscribed", "sent"),
        ("sent", "converted", "sent"),
        ("sent", "bounced", "bounced"),
        ("sent", "delivered bounced", "bounced"),
        ("sent", "delivered complained", "delivered"),
        ("sent", "soft", "sent"),
        ("unknown", "delivered", "delivered"),
        ("unknown", "bounced", "bounced"),
        ("unknown", "sent", "sent"),
        ("failed", "delivered", "delivered"),
        ("failed", "complained", "failed"),
    ] {
        let (id, _) = db.ended(outcome).await?;
        for webhook in webhooks.split(' ') {
            let (event, bounce) = if webhook == "soft" {
                ("bounced", "soft")
            } else {
                (webhook, "hard")
            };
            let call = format!(
                r#"select postroad.record_events('stub', '[{{"message_id": "{id}", "event_type": "{event}", "bounce_type": "{bounce}", "source_key": "{id}-{webhook}"}}]')"#
            );
            assert_eq!(db.client.row(&call).await?, "1");
        }
        assert_eq!(db.status(&id).await?, wanted, "{outcome}, then {webhooks}");
    }
    Ok(())
}

/// A provider sends its webhooks at least once, often thrice.
#[tokio::test]
async fn an_event_of_a_provider_is_recorded_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (id, _) = db.ended("sent").await?;
    let event = |key: &str| {
        format!(r#"{{"message_id": "{id}", "event_type": "opened", "source_key": {key}}}"#)
    };
    for (events, new) in [
        (event("\"a\""), "1"),
        (event("\"a\""), "0"),
        (format!("{}, {}", event("\"b\""), event("\"b\"")), "1"),
        (event("null"), "1"),
        (String::new(), "0"),
    ] {
        assert_eq!(
            db.client
                .row(&format!(
                    "select postroad.record_events('stub', '[{events}]')"
                ))
                .await?,
            new,
            "{events}"
        );
    }
    let webhook = db.connect_as("postroad_webhook").await?;
    assert_eq!(
        webhook
            .row(&format!(
                "select postroad.record_events('stub', '[{}]')",
                event("\"c\"")
            ))
            .await?,
        "1"
    );
    Ok(())
}

/// After a retry the old bounce is history, and the new one is not.
#[tokio::test]
async fn a_retried_message_has_the_status_of_its_latest_lease() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (id, first) = db.ended("sent").await?;
    let bounce = |lease: &str, key: &str| {
        format!(
            r#"select postroad.record_events('stub', '[{{"message_id": "{id}", "event_type": "bounced", "bounce_type": "hard", "external_id": "x-{lease}", "source_key": "{key}"}}]')"#
        )
    };
    db.client.row(&bounce(&first, "1")).await?;
    assert_eq!(db.status(&id).await?, "bounced");
    assert_eq!(
        db.client
            .row(&format!("select postroad.retry('{id}')"))
            .await?,
        "t"
    );
    assert_eq!(db.status(&id).await?, "queued");
    let (second, _) = db.claim(4, 1).await?;
    assert_eq!(db.status(&id).await?, "processing");
    db.complete(&Outcome::new(&second, &id, "sent")).await?;
    assert_eq!(db.status(&id).await?, "sent");
    db.client.row(&bounce(&second, "2")).await?;
    assert_eq!(db.status(&id).await?, "bounced");
    Ok(())
}

/// A worker that was taken for dead reports late: what it says is kept, and does not undo what came after.
#[tokio::test]
async fn a_late_word_of_an_older_lease_does_not_change_the_status() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for late in ["failed", "deferred", "unknown"] {
        let id = db.enqueue_to("a@x.org", "").await?;
        let (old, _) = db.claim(4, 1).await?;
        db.client.batch_execute("select postroad.rescue(7)").await?;
        let (new, claimed) = db.claim(4, 1).await?;
        assert_eq!(claimed, [format!("{id}|0|null|null")]);
        db.complete(&Outcome::new(&new, &id, "sent")).await?;
        db.complete(&Outcome::new(&old, &id, late)).await?;
        assert_eq!(db.status(&id).await?, "sent", "late {late}");
        let kept =
            format!("select count(*) from postroad.timeline('{id}') where event_type = '{late}'");
        assert_eq!(db.client.row(&kept).await?, "1");
    }
    Ok(())
}

/// Leases are of the database's time, which may be put back: what was put off, or failed, and then went out did go out.
#[tokio::test]
async fn a_send_counts_although_the_lease_before_it_is_of_a_later_time() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ahead = "left(postroad.uuid_at(clock_timestamp() + interval '10 minutes')::text, 14) || right(gen_random_uuid()::text, 22)";
    for before in ["deferred", "failed"] {
        let id = db.enqueue_to("a@x.org", "").await?;
        let lease = db.client.row(&format!("select {ahead}")).await?;
        db.register(WORKER).await?;
        let claimed = db.client.rows(&claim_query(&lease, WORKER, 4, 1)).await?;
        assert_eq!(claimed.len(), 1);
        match before {
            "deferred" => {
                db.complete(&Outcome::deferred(&lease, &id, "0")).await?;
                db.client
                    .batch_execute("select postroad.promote_due(4::smallint)")
                    .await?;
            }
            _ => {
                db.complete(&Outcome::new(&lease, &id, before)).await?;
                assert_eq!(db.status(&id).await?, "failed");
                let retry = format!("select postroad.retry('{id}')");
                assert_eq!(db.client.row(&retry).await?, "t");
            }
        }
        let (lease, claimed) = db.claim(4, 1).await?;
        assert_eq!(claimed.len(), 1, "{before}");
        db.complete(&Outcome::new(&lease, &id, "sent")).await?;
        assert_eq!(db.status(&id).await?, "sent", "{before}");
    }
    Ok(())
}

/// What happened, oldest first, with the words of whoever said it.
#[tokio::test]
async fn the_timeline_tells_the_story_in_order() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db
        .enqueue_to("a@x.org", "scheduled_for => now() - interval '1 h'")
        .await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::deferred(&lease, &id, "0")).await?;
    db.client
        .batch_execute("select postroad.promote_due(4::smallint)")
        .await?;
    let (lease, claimed) = db.claim(4, 1).await?;
    assert_eq!(claimed, [format!("{id}|1|null|null")]);
    let mut outcome = Outcome::new(&lease, &id, "sent");
    outcome.attempt = 2;
    db.complete(&outcome).await?;
    let story = format!(
        "select event_type, attempt, gateway, reason, occurred_at <= now(), detail is not null from postroad.timeline('{id}')"
    );
    assert_eq!(
        db.client.rows(&story).await?,
        [
            "queued|null|null|null|t|t",
            "deferred|1|stub|because|t|f",
            "sent|2|stub|because|t|f"
        ]
    );
    assert!(
        db.client
            .rows("select * from postroad.timeline(gen_random_uuid())")
            .await?
            .is_empty()
    );
    Ok(())
}

/// Somebody has to settle what is unknown, and must find it first.
#[tokio::test]
async fn what_is_unknown_can_be_found_until_it_is_settled() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (held, sent) = (
        db.enqueue_to("a@x.org", "").await?,
        db.enqueue_to("b@x.org", "").await?,
    );
    for (id, event) in [(&held, "unknown"), (&sent, "sent")] {
        let (lease, _) = db.claim(4, 1).await?;
        db.complete(&Outcome::new(&lease, id, event)).await?;
    }
    let unknown = "select message_id, channel, priority from postroad.unknown_messages";
    assert_eq!(db.client.rows(unknown).await?, [format!("{held}|email|P4")]);
    // Sent again and unknown again, it is still one message.
    let again = format!("select postroad.settle('{held}', 'resend')");
    assert_eq!(db.client.row(&again).await?, "t");
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::new(&lease, &held, "unknown")).await?;
    assert_eq!(db.client.rows(unknown).await?, [format!("{held}|email|P4")]);
    let settle =
        "select bool_and(postroad.settle(message_id, 'failed')) from postroad.unknown_messages";
    assert_eq!(db.client.row(settle).await?, "t");
    assert_eq!(db.client.rows(unknown).await?, [""; 0]);
    assert_eq!(db.status(&held).await?, "failed");
    // Each day has its index.
    let without = "select i.inhrelid::regclass from pg_inherits as i where i.inhparent = 'postroad.delivery_events'::regclass
        and not exists (select from pg_index as x where x.indrelid = i.inhrelid and pg_get_expr(x.indpred, x.indrelid) ~ 'unknown')";
    assert_eq!(db.client.rows(without).await?, [""; 0]);
    Ok(())
}

/// Whoever takes back a cancellation wants the message as it was.
#[tokio::test]
async fn what_is_retried_before_its_time_waits_for_it() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (time, status) in [
        ("+ interval '1 day'", "scheduled"),
        ("- interval '1 day'", "queued"),
    ] {
        let later = format!("scheduled_for => date_trunc('hour', now()) {time}");
        let id = db.enqueue_to("a@x.org", &later).await?;
        for call in ["cancel", "retry"] {
            let call = format!("select postroad.{call}('{id}')");
            assert_eq!(db.client.row(&call).await?, "t", "{call}");
        }
        let found = format!(
            "select status, coalesce(due_at = date_trunc('hour', now()) {time}, true) from postroad.status('{id}')"
        );
        assert_eq!(db.client.row(&found).await?, format!("{status}|t"));
    }
    Ok(())
}
