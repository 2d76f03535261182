//! What an entry of the list says, and what becomes of it when another comes.

use super::*;

/// A stronger reason must not be lost to a weaker one, nor a long time to a short one.
#[tokio::test]
async fn an_entry_keeps_the_stronger_reason_and_the_longer_time() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let entry = "select reason, coalesce((expires_at::date - current_date)::text, 'ever') from postroad.suppression_list";
    for (before, after, wanted) in [
        ("'legal'", "'complaint'", "legal|ever"),
        ("'complaint'", "'legal'", "legal|ever"),
        (
            "'manual', expires_at => current_date + 1",
            "'manual', expires_at => current_date + 9",
            "manual|9",
        ),
        (
            "'manual', expires_at => current_date + 9",
            "'manual', expires_at => current_date + 1",
            "manual|9",
        ),
        (
            "'complaint', expires_at => current_date + 9",
            "'manual', expires_at => current_date + 1",
            "complaint|9",
        ),
        (
            "'manual', expires_at => current_date + 9",
            "'complaint', expires_at => current_date + 1",
            "complaint|9",
        ),
        (
            "'complaint', expires_at => current_date + 9",
            "'manual'",
            "complaint|ever",
        ),
        (
            "'stop'",
            "'manual', expires_at => current_date + 1",
            "manual|ever",
        ),
        (
            "'legal', expires_at => current_date - 1",
            "'manual', expires_at => current_date + 1",
            "manual|1",
        ),
        (
            "'legal', expires_at => current_date - 1",
            "'soft_bounce'",
            "soft_bounce|ever",
        ),
    ] {
        for call in [before, after] {
            db.client
                .row(&format!(
                    "select postroad.suppress('email', 'a@x.org', {call})"
                ))
                .await?;
        }
        assert_eq!(
            db.client.row(entry).await?,
            wanted,
            "{before}, then {after}"
        );
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    Ok(())
}

/// "Why do you not write to me?" has an answer: since when, who said so, by which event.
#[tokio::test]
async fn an_entry_says_who_and_which_event_did_it() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db
        .enqueue_over("email", "ada@x.org", "tenant_id => 5")
        .await?;
    let time = db
        .client
        .row("select clock_timestamp() - interval '1 minute'")
        .await?;
    db.report(&id, "complained", &format!(r#", "occurred_at": "{time}""#))
        .await?;
    let query = format!(
        "select s.source, s.message_id = '{id}', s.event_id = e.event_id, s.created_at = e.occurred_at, s.created_at = '{time}' \
         from postroad.suppression_list as s, postroad.delivery_events as e where e.event_type = 'complained'"
    );
    assert_eq!(db.client.row(&query).await?, "stub|t|t|t|t");
    Ok(())
}

/// Whoever reads system events learns who is no longer sent to, and once.
#[tokio::test]
async fn a_new_entry_of_the_list_is_a_system_event() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let told = "select kind, subject, detail ->> 'reason' from postroad.system_events";
    let suppress = "select postroad.suppress('email', 'ada@x.org', 'manual')";
    db.client.row(suppress).await?;
    assert_eq!(
        db.client.rows(told).await?,
        ["suppression_added|email|manual"]
    );
    db.client.row(suppress).await?;
    assert_eq!(db.client.rows(told).await?.len(), 1, "nothing changed");
    Ok(())
}
