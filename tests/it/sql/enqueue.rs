//! `enqueue`: what is written, and when.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// The promise of an outbox: what rolls back was never said.
#[tokio::test]
async fn a_rolled_back_enqueue_leaves_nothing() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'bob@x.org')")
        .await?;
    let sender = db.connect_as("postroad_sender").await?;
    sender.batch_execute("begin").await?;
    for (arguments, status) in [
        ("'ada@x.org', body => 'x', idempotency_key => 'k'", "queued"),
        ("'bob@x.org', body => 'x'", "suppressed"),
        (
            "'eve@x.org', body => 'x', scheduled_for => now() + interval '1 h'",
            "scheduled",
        ),
    ] {
        let query = format!("select status from postroad.enqueue('email', {arguments})");
        assert_eq!(sender.row(&query).await?, status);
    }
    sender.batch_execute("rollback").await?;
    for table in [
        "messages",
        "message_queue",
        "scheduled",
        "delivery_events",
        "idempotency_keys",
    ] {
        let query = format!("select count(*) from postroad.{table}");
        assert_eq!(db.client.row(&query).await?, "0", "{table}");
    }
    assert!(db.claim(4, 10).await?.1.is_empty());
    Ok(())
}

/// A suppressed message must be found when somebody asks why it did not come.
#[tokio::test]
async fn a_suppressed_message_is_recorded_with_its_event_and_never_claimed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'Ada@X.org', 'complaint')")
        .await?;
    let sender = db.connect_as("postroad_sender").await?;
    let answer = sender.row("select status, reason, message_id from postroad.enqueue('email', 'aDA@x.org', body => 'x')").await?;
    let id = answer
        .strip_prefix("suppressed|complaint|")
        .unwrap_or_default()
        .to_owned();
    assert!(!id.is_empty(), "{answer}");
    assert_eq!(
        sender
            .rows(&format!(
                "select event_type, reason from postroad.timeline('{id}')"
            ))
            .await?,
        ["queued|null", "suppressed|complaint"]
    );
    assert_eq!(db.status(&id).await?, "suppressed");
    assert!(db.claim(4, 10).await?.1.is_empty());
    Ok(())
}

/// What is due now is in the queue, what is not waits elsewhere, lest claims wade through it.
#[tokio::test]
async fn a_message_waits_for_its_time_and_one_whose_time_has_passed_does_not() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let later = db
        .enqueue_to("a@x.org", "scheduled_for => now() + interval '1 h'")
        .await?;
    let past = db
        .enqueue_to("b@x.org", "scheduled_for => now() - interval '1 h'")
        .await?;
    assert_eq!(db.status(&later).await?, "scheduled");
    assert_eq!(db.status(&past).await?, "queued");
    db.client
        .batch_execute("select postroad.promote_due(4::smallint)")
        .await?;
    assert_eq!(
        db.status(&later).await?,
        "scheduled",
        "promoted before its time"
    );
    db.client.batch_execute("update postroad.scheduled set due_at = clock_timestamp(); select postroad.promote_due(4::smallint)").await?;
    assert_eq!(db.status(&later).await?, "queued");
    let (_, claimed) = db.claim(4, 10).await?;
    assert_eq!(
        claimed,
        [
            format!("{past}|0|null|null"),
            format!("{later}|0|null|null")
        ],
        "in the order in which they became due"
    );
    Ok(())
}

/// The type gives the priority, and a priority that is given wins.
#[tokio::test]
async fn the_type_gives_the_priority_unless_one_is_given() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (arguments, priority) in [
        ("", "P4"),
        ("message_type => 'transactional'", "P4"),
        ("message_type => 'emergency'", "P0"),
        ("message_type => 'alert'", "P1"),
        ("message_type => 'newsletter'", "P2"),
        ("message_type => 'campaign'", "P3"),
        ("message_type => 'campaign', priority => 'P0'", "P0"),
        ("priority => 'P2'", "P2"),
    ] {
        let id = db.enqueue_to("a@x.org", arguments).await?;
        let query = format!(
            "select priority, (select 'P' || q.priority from postroad.message_queue as q where q.message_id = id) from postroad.status('{id}')"
        );
        assert_eq!(
            db.client.row(&query).await?,
            format!("{priority}|{priority}"),
            "{arguments}"
        );
    }
    Ok(())
}
