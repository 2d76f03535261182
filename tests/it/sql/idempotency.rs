//! Idempotency keys: the same call twice is one message.

use anyhow::Context as _;

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

fn call(arguments: &str) -> String {
    format!(
        "select status, reason, message_id from postroad.enqueue('email', 'ada@x.org', {arguments})"
    )
}

/// A caller that retries after a lost reply must not send twice, and must learn the first id.
#[tokio::test]
async fn the_same_call_is_a_duplicate_and_another_one_reuses_the_key() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    let first = sender
        .row(&call("body => 'x', idempotency_key => 'k'"))
        .await?;
    let id = first.strip_prefix("queued|null|").unwrap_or_default();
    for (arguments, wanted) in [
        (
            "body => 'x', idempotency_key => 'k'",
            format!("duplicate|idempotency_key|{id}"),
        ),
        (
            "body => 'y', idempotency_key => 'k'",
            "invalid|key_reused|null".to_owned(),
        ),
        (
            "body => 'x', subject => 'y', idempotency_key => 'k'",
            "invalid|key_reused|null".to_owned(),
        ),
        (
            "body => 'x', priority => 'P0', idempotency_key => 'k'",
            "invalid|key_reused|null".to_owned(),
        ),
        (
            "body => 'x', options => '{\"max_attempts\": 1}', idempotency_key => 'k'",
            "invalid|key_reused|null".to_owned(),
        ),
    ] {
        assert_eq!(sender.row(&call(arguments)).await?, wanted, "{arguments}");
    }
    for arguments in [
        "body => 'x', idempotency_key => 'K'",
        "body => 'x', idempotency_key => repeat('k', 255)",
    ] {
        assert!(
            sender.row(&call(arguments)).await?.starts_with("queued|"),
            "{arguments}"
        );
    }
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages")
            .await?,
        "3"
    );
    Ok(())
}

/// Two tenants may number their orders alike; calls without a tenant share one space.
#[tokio::test]
async fn keys_belong_to_a_tenant_and_no_tenant_is_one_too() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let tenants = ["1", "2", "null"];
    let answer = async |tenant: &str| {
        let arguments = format!("body => 'x', idempotency_key => 'k', tenant_id => {tenant}");
        db.client.row(&call(&arguments)).await
    };
    let mut ids = Vec::new();
    for tenant in tenants {
        let queued = answer(tenant).await?;
        let id = queued.strip_prefix("queued|null|");
        ids.push(
            id.with_context(|| format!("{tenant}: {queued}"))?
                .to_owned(),
        );
    }
    for (tenant, id) in tenants.iter().zip(ids) {
        let own = format!("duplicate|idempotency_key|{id}");
        assert_eq!(answer(tenant).await?, own, "{tenant}");
    }
    Ok(())
}

/// Keys are remembered for 7 days whether they were purged on time or not, and not for one day less.
#[tokio::test]
async fn a_key_is_free_again_after_seven_days() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let query = call("body => 'x', idempotency_key => 'k'");
    let age = async |days: &str| {
        db.client.batch_execute(&format!("update postroad.idempotency_keys set created_at = clock_timestamp() - interval '{days}'")).await
    };
    assert!(db.client.row(&query).await?.starts_with("queued"));
    age("6 days 23 hours").await?;
    assert_eq!(
        db.client
            .row("select postroad.purge_idempotency_keys()")
            .await?,
        "0"
    );
    assert!(db.client.row(&query).await?.starts_with("duplicate"));
    age("7 days 1 minute").await?;
    assert!(db.client.row(&query).await?.starts_with("queued"));
    assert!(db.client.row(&query).await?.starts_with("duplicate"));
    age("8 days").await?;
    assert_eq!(
        db.client
            .row("select postroad.purge_idempotency_keys()")
            .await?,
        "1"
    );
    assert!(db.client.row(&query).await?.starts_with("queued"));
    Ok(())
}

/// An invalid call must not burn the key of the corrected one.
#[tokio::test]
async fn an_invalid_call_takes_no_key() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bad = "select status from postroad.enqueue('email', 'nobody', body => 'x', idempotency_key => 'k')";
    assert_eq!(db.client.row(bad).await?, "invalid");
    assert!(
        db.client
            .row(&call("body => 'x', idempotency_key => 'k'"))
            .await?
            .starts_with("queued")
    );
    Ok(())
}

/// Two requests at once with one key: the second waits for what becomes of the first, and is right either way.
#[tokio::test]
async fn a_second_transaction_with_the_key_waits_for_the_first() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (end, wanted) in [
        ("commit", "duplicate|idempotency_key"),
        ("rollback", "queued|null"),
    ] {
        let query = call(&format!("body => 'x', idempotency_key => '{end}'"));
        let first = db.connect_as("postroad_sender").await?;
        let second = db.connect_as("postroad_sender").await?;
        let pid = second.row("select pg_backend_pid()").await?;
        first.batch_execute("begin").await?;
        let made = first.row(&query).await?;
        let waiting = tokio::spawn(async move { second.row(&query).await });
        db.waits(&pid).await?;
        first.batch_execute(end).await?;
        let answer = waiting.await??;
        assert!(answer.starts_with(wanted), "{end}: {answer}");
        assert_eq!(
            end == "commit",
            answer.rsplit('|').next() == made.rsplit('|').next(),
            "{made} and {answer}"
        );
    }
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages")
            .await?,
        "2"
    );
    Ok(())
}

/// Two that repeat each other's keys in another order read what is there, and wait for nobody.
#[tokio::test]
async fn duplicates_in_opposite_order_do_not_wait_for_each_other() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let [one, two] =
        ["one", "two"].map(|key| call(&format!("body => 'x', idempotency_key => '{key}'")));
    db.client.row(&one).await?;
    db.client.row(&two).await?;
    let (first, second) = (db.connect().await?, db.connect().await?);
    for client in [&first, &second] {
        client
            .batch_execute("begin; set local statement_timeout = '10s'")
            .await?;
    }
    for (client, query) in [
        (&first, &one),
        (&second, &two),
        (&first, &two),
        (&second, &one),
    ] {
        assert!(client.row(query).await?.starts_with("duplicate|"));
    }
    Ok(())
}

/// Drivers set the time zone of their host.
#[tokio::test]
async fn a_call_is_the_same_in_another_time_zone() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let times = "scheduled_for => '2030-12-24 10:00+00', expires_at => '2031-01-01 00:00+00', idempotency_key";
    for (zone, single, bulk) in [
        ("UTC", "scheduled", "1|0"),
        ("America/New_York", "duplicate", "0|1"),
        ("Asia/Kathmandu", "duplicate", "0|1"),
    ] {
        db.client
            .batch_execute(&format!("set timezone = '{zone}'"))
            .await?;
        let query = format!(
            "select status from postroad.enqueue('email', 'a@x.org', body => 'x', {times} => 'one')"
        );
        assert_eq!(db.client.row(&query).await?, single, "{zone}");
        let query = format!(
            "select queued, duplicate from postroad.enqueue_bulk('email', '[\"a@x.org\"]', body => 'x', {times} => 'many')"
        );
        assert_eq!(db.client.row(&query).await?, bulk, "{zone}");
    }
    Ok(())
}
