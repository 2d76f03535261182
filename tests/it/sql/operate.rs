//! What operators call: cancel, retry, settle, and the views they look at.

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _, claim_query};

/// The user pressed "undo" as the worker came by: one of the two gets it, never both, never none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_one_of_cancel_and_claim_gets_the_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(1).await?;
    let (canceller, claimer) = (
        db.connect_as("postroad_sender").await?,
        db.connect_as("postroad_worker").await?,
    );
    let (mut cancelled, mut claimed) = (0, 0);
    for turn in 0..300 {
        let id = db.enqueue_to("a@x.org", "").await?;
        let lease = uuid::Uuid::now_v7().to_string();
        let (cancel, claim) = (
            format!("select postroad.cancel('{id}')"),
            claim_query(&lease, 1, 4, 5),
        );
        // Now the one is sent first, now the other.
        let (won, rows) = if turn % 2 == 0 {
            tokio::join!(canceller.row(&cancel), claimer.rows(&claim))
        } else {
            let (rows, won) = tokio::join!(claimer.rows(&claim), canceller.row(&cancel));
            (won, rows)
        };
        let (won, rows) = (won? == "t", rows?);
        if rows.is_empty() && !won {
            panic!("neither got it");
        }
        assert_ne!(won, rows.len() == 1, "both got it");
        cancelled += u32::from(won);
        claimed += u32::from(!won);
        let status = db.status(&id).await?;
        assert_eq!(status, if won { "cancelled" } else { "processing" });
    }
    assert_eq!(cancelled + claimed, 300);
    let events = "select count(*) from postroad.delivery_events where event_type = 'cancelled'";
    assert_eq!(db.client.row(events).await?, cancelled.to_string());
    Ok(())
}

/// Wherever it waits it can be withdrawn; what is on its way or over cannot.
#[tokio::test]
async fn cancel_withdraws_what_waits_and_nothing_else() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let cancel = async |id: &str| {
        db.client
            .row(&format!("select postroad.cancel('{id}')"))
            .await
    };
    let scheduled = db
        .enqueue_to("a@x.org", "scheduled_for => now() + interval '1 h'")
        .await?;
    assert_eq!(cancel(&scheduled).await?, "t");
    assert_eq!(cancel(&scheduled).await?, "f", "again");
    let id = db.enqueue_to("a@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    assert_eq!(cancel(&id).await?, "f", "being sent");
    db.complete(&Outcome::deferred(&lease, &id, "60")).await?;
    assert_eq!(cancel(&id).await?, "t", "between two attempts");
    assert_eq!(db.status(&id).await?, "cancelled");
    let (sent, _) = db.ended("sent").await?;
    assert_eq!(cancel(&sent).await?, "f", "sent");
    assert_eq!(
        cancel("00000000-0000-7000-8000-000000000000").await?,
        "f",
        "unknown"
    );
    Ok(())
}

/// An operator who fixed the cause sends it again; what went out or still waits is not doubled.
#[tokio::test]
async fn retry_queues_what_ended_unsent_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let retry = async |id: &str| {
        db.client
            .row(&format!("select postroad.retry('{id}')"))
            .await
    };
    for (event, wanted) in [
        ("failed", "t"),
        ("bounced", "t"),
        ("expired", "t"),
        ("suppressed", "t"),
        ("unknown", "t"),
        ("sent", "f"),
    ] {
        let (id, _) = db.ended(event).await?;
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
        assert_eq!(retry(&id).await?, wanted, "{event}");
        assert_eq!(retry(&id).await?, "f", "{event}, again");
        if wanted == "t" {
            let (lease, claimed) = db.claim(4, 10).await?;
            assert_eq!(
                claimed,
                [format!("{id}|0|null|null")],
                "with all its attempts"
            );
            assert_eq!(retry(&id).await?, "f", "{event}, under way");
            db.complete(&Outcome::new(&lease, &id, "sent")).await?;
        }
    }
    let waiting = db.enqueue_to("a@x.org", "").await?;
    assert_eq!(retry(&waiting).await?, "f");
    Ok(())
}

/// Two operators at the same incident: the second waits, and finds it sent.
#[tokio::test]
async fn two_retries_at_once_send_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (id, _) = db.ended("failed").await?;
    let (first, second) = (
        db.connect_as("postroad_admin").await?,
        db.connect_as("postroad_admin").await?,
    );
    let pid = second.row("select pg_backend_pid()").await?;
    first.batch_execute("begin").await?;
    let query = format!("select postroad.retry('{id}')");
    assert_eq!(first.row(&query).await?, "t");
    let waiting = tokio::spawn(async move { second.row(&query).await });
    db.waits(&pid).await?;
    first.batch_execute("commit").await?;
    db.claim(4, 10).await?;
    assert_eq!(waiting.await??, "f");
    assert!(db.claim(4, 10).await?.1.is_empty(), "queued twice");
    Ok(())
}

/// After an outage: what failed then, of one channel or reason, and only what is failed still.
#[tokio::test]
async fn retry_failed_takes_what_is_failed_still_and_no_more_than_asked() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(db.ended("failed").await?.0);
    }
    let failed = async |arguments: &str| {
        db.client
            .row(&format!("select postroad.retry_failed({arguments})"))
            .await
    };
    assert_eq!(failed("reason => 'other'").await?, "0");
    assert_eq!(failed("channel => 'sms'").await?, "0");
    assert_eq!(failed("gateway => 'smtp'").await?, "0");
    assert_eq!(failed("since => now() + interval '1 h'").await?, "0");
    assert_eq!(
        failed("max_count => 2, channel => 'email', gateway => 'stub', reason => 'because'")
            .await?,
        "2"
    );
    let (lease, claimed) = db.claim(4, 10).await?;
    assert_eq!(
        claimed,
        [
            format!("{}|0|null|null", ids[0]),
            format!("{}|0|null|null", ids[1])
        ],
        "the oldest first"
    );
    for id in &ids[..2] {
        db.complete(&Outcome::new(&lease, id, "sent")).await?;
    }
    db.client
        .batch_execute(&format!(
            "select postroad.retry('{0}'), postroad.cancel('{0}')",
            ids[2]
        ))
        .await?;
    assert_eq!(db.status(&ids[2]).await?, "cancelled");
    assert_eq!(
        failed("max_count => 2").await?,
        "2",
        "those before are no longer failed"
    );
    assert_eq!(failed("").await?, "1");
    assert_eq!(failed("").await?, "0");
    assert_eq!(
        db.status(&ids[2]).await?,
        "cancelled",
        "what somebody cancelled stays so"
    );
    Ok(())
}

/// What nobody can know somebody must decide, once.
#[tokio::test]
async fn settle_decides_what_is_unknown_and_nothing_else() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (outcome, status) in [("sent", "sent"), ("failed", "failed"), ("resend", "queued")] {
        let (id, _) = db.ended("unknown").await?;
        let settle = format!("select postroad.settle('{id}', '{outcome}')");
        assert_eq!(db.client.row(&settle).await?, "t");
        assert_eq!(db.client.row(&settle).await?, "f", "{outcome}, again");
        assert_eq!(db.status(&id).await?, status);
        db.client
            .row(&format!("select postroad.cancel('{id}')"))
            .await?;
    }
    let (sent, _) = db.ended("sent").await?;
    assert_eq!(
        db.client
            .row(&format!("select postroad.settle('{sent}', 'failed')"))
            .await?,
        "f"
    );
    for outcome in ["'lost'", "null"] {
        let raised = db
            .client
            .raised(&format!("select postroad.settle('{sent}', {outcome})"))
            .await?;
        assert_eq!(
            (raised.code.as_str(), raised.hint.as_str()),
            ("PR002", "Outcomes: sent, failed, resend.")
        );
    }
    Ok(())
}

/// The limits that every provider's customers need are there from the start.
#[tokio::test]
async fn rate_limits_are_seeded_set_and_removed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let rows = "select limit_type, limit_key, per_second, per_minute, per_hour, per_day from postroad.rate_limits order by limit_key";
    let seeded = [
        "domain|aol.com|null|null|3000|null",
        "domain|gmail.com|null|null|10000|null",
        "domain|hotmail.com|null|null|5000|null",
        "domain|outlook.com|null|null|5000|null",
        "domain|yahoo.com|null|null|5000|null",
    ];
    assert_eq!(db.client.rows(rows).await?, seeded);
    for limit in [
        "'domain', 'X.ORG', per_second => 1",
        "'domain', 'x.org', per_minute => 2",
        "'domain', 'X.Org'",
    ] {
        db.client
            .rows(&format!("select postroad.set_rate_limit({limit})"))
            .await?;
        let shown = db
            .client
            .rows(
                "select per_second, per_minute from postroad.rate_limits where limit_key = 'x.org'",
            )
            .await?;
        let wanted: &[&str] = if limit.contains("per_second") {
            &["1|null"]
        } else if limit.contains("per_minute") {
            &["null|2"]
        } else {
            &[]
        };
        assert_eq!(shown, wanted, "{limit}");
    }
    for (limit, code) in [
        ("'planet', 'x', per_second => 1", "PR002"),
        ("null, 'x', per_second => 1", "PR002"),
        ("'domain', 'x', per_second => 0", "PR001"),
        ("'domain', null, per_second => 1", "PR001"),
        ("'domain', ' ', per_second => 1", "PR001"),
    ] {
        let raised = db
            .client
            .raised(&format!("select postroad.set_rate_limit({limit})"))
            .await?;
        assert_eq!(raised.code, code, "{limit}: {}", raised.message);
    }
    assert_eq!(db.client.rows(rows).await?, seeded);
    Ok(())
}

/// What an operator looks at first must agree with what is there.
#[tokio::test]
async fn the_views_count_what_is_there() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let reader = db.connect_as("postroad_reader").await?;
    db.client
        .batch_execute("select postroad.register_gateways('{stub}', '{email}', '{1}')")
        .await?;
    db.ended("sent").await?;
    db.ended("failed").await?;
    db.enqueue_many(2, 4).await?;
    db.enqueue_to("a@x.org", "scheduled_for => now() + interval '1 h'")
        .await?;
    db.enqueue_to("b@x.org", "").await?;
    db.claim(4, 1).await?;
    db.client.row("select postroad.count_events()").await?;
    for (query, wanted) in [
        (
            "select ready, overdue, scheduled, parked, processing, paused from postroad.queue_stats where priority = 'P4'",
            "2|f|1|0|1|null",
        ),
        (
            "select count(*), sum(ready) from postroad.queue_stats",
            "5|2",
        ),
        (
            "select messages, priority, host, overdue from postroad.in_flight",
            "1|P4|host|f",
        ),
        (
            "select priorities, alive, leases from postroad.workers",
            "{P0,P1,P2,P3,P4}|t|1",
        ),
        (
            "select channel, event_type, reason, gateway from postroad.failed_messages",
            "email|failed|because|stub",
        ),
        (
            "select gateway, sent_1h, failed_1h from postroad.gateway_stats",
            "stub|1|1",
        ),
        (
            "select enqueued_1h, sent_1h, failed_1h, not_sent_1h, waiting_1h from postroad.channel_stats",
            "6|1|1|0|4",
        ),
        ("select sum(events) from postroad.delivery_rates", "2"),
        (
            "select string_agg(concat_ws(' ', event_type, gateway, count), ', ' order by event_type) from postroad.message_stats",
            "failed stub 1, queued 6, sent stub 1",
        ),
    ] {
        assert_eq!(reader.row(query).await?, wanted, "{query}");
    }
    Ok(())
}

/// What was to go out now waits since now, whenever it was enqueued.
#[tokio::test]
async fn a_scheduled_message_is_not_overdue_when_it_is_due() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_to("a@x.org", "").await?;
    db.client
        .batch_execute(
            "update postroad.messages set message_id = postroad.uuid_at(now() - interval '2 hours');
             update postroad.message_queue set message_id = (select message_id from postroad.messages)",
        )
        .await?;
    for (scheduled_for, overdue) in [("null", "t"), ("now() - interval '1 minute'", "f")] {
        let set = format!("update postroad.messages set scheduled_for = {scheduled_for}");
        db.client.batch_execute(&set).await?;
        let asked = "select overdue from postroad.queue_stats where priority = 'P4'";
        assert_eq!(db.client.row(asked).await?, overdue, "{scheduled_for}");
    }
    Ok(())
}
