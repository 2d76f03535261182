//! What may have gone out, and that it stays visible.

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// A cancelled message that is in somebody's mailbox all the same is a question to the operator, who must find the answer.
#[tokio::test]
async fn what_a_dead_worker_may_have_sent_is_in_doubt_however_it_ends() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let resent = db.enqueue_to("a@x.org", "").await?;
    // Of one that is held there would be an intent: it did not go out.
    let held = db
        .enqueue_to("b@x.org", r#"options => '{"on_unknown": "hold"}'"#)
        .await?;
    db.claim(4, 2).await?;
    assert_eq!(db.client.row("select postroad.rescue(7)").await?, "2");
    for (id, doubt, error, explained) in [
        (
            resent,
            r#"{"in_doubt": true}"#,
            "an earlier attempt may have gone out",
            "cancelled; an earlier attempt may have gone out",
        ),
        (held, "null", "null", "cancelled"),
    ] {
        let timeline = format!(
            "select event_type, attempt, reason, detail from postroad.timeline('{id}') where event_type <> 'queued'"
        );
        assert_eq!(
            db.client.row(&timeline).await?,
            format!("deferred|null|worker_crashed|{doubt}")
        );
        let status = format!("select status, attempts, error from postroad.status('{id}')");
        assert_eq!(db.client.row(&status).await?, "queued|0|null");
        let cancel = format!("select postroad.cancel('{id}')");
        assert_eq!(db.client.row(&cancel).await?, "t");
        assert_eq!(
            db.client.row(&status).await?,
            format!("cancelled|0|{error}")
        );
        let explain = format!("select reason from postroad.explain('{id}') where gate = 'outcome'");
        assert_eq!(db.client.row(&explain).await?, explained);
    }
    // Somebody had it sent again without knowing: the first one is in doubt as before, unless they knew.
    let (unknown, _) = db.ended("unknown").await?;
    db.client
        .row(&format!("select postroad.settle('{unknown}', 'resend')"))
        .await?;
    db.client
        .row(&format!("select postroad.cancel('{unknown}')"))
        .await?;
    let (settled, _) = db.ended("unknown").await?;
    db.client
        .row(&format!("select postroad.settle('{settled}', 'failed')"))
        .await?;
    // Its worker was taken for dead, and told the end of it after all.
    let late = db.enqueue_to("d@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    assert_eq!(db.client.row("select postroad.rescue(7)").await?, "1");
    db.complete(&Outcome::new(&lease, &late, "failed")).await?;
    for (id, expected) in [
        (unknown, "cancelled|an earlier attempt may have gone out"),
        (settled, "failed|null"),
        (late, "failed|null"),
    ] {
        let status = format!("select status, error from postroad.status('{id}')");
        assert_eq!(db.client.row(&status).await?, expected);
    }
    // What a claim finds is there: it goes out, and nothing is in doubt any more.
    let sent = db.enqueue_to("c@x.org", "").await?;
    db.claim(4, 1).await?;
    assert_eq!(db.client.row("select postroad.rescue(7)").await?, "1");
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::new(&lease, &sent, "sent")).await?;
    assert_eq!(
        db.client
            .row(&format!(
                "select status, error from postroad.status('{sent}')"
            ))
            .await?,
        "sent|null"
    );
    Ok(())
}
