//! Idempotency-Key: a call that is made again is done once.

use serde_json::{Value, json};

use super::{Answered, Api};
use crate::support::sql::Sql as _;

async fn send(api: &Api, key: &str, once: &str, recipient: &str) -> anyhow::Result<Answered> {
    let body = json!({"channel": "email", "recipient": recipient, "body": "x"});
    let request = api.request("POST", "/api/v1/messages").bearer_auth(key);
    let request = request
        .header("content-type", "application/json")
        .header("idempotency-key", once);
    api.send(request.body(body.to_string())).await
}

async fn sent(api: &Api) -> anyhow::Result<String> {
    api.db
        .client
        .row("select count(*) from postroad.messages")
        .await
}

/// A client whose connection broke asks again, and must neither send twice nor wonder.
#[tokio::test]
async fn the_same_call_gets_the_first_answer_again() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let (one, other) = (
        api.key("roles => '{sender}'").await?,
        api.key("roles => '{sender}'").await?,
    );
    let first = send(&api, &one, "order-42", "a@example.org").await?;
    assert_eq!(
        (first.status, first.header("idempotency-replay")),
        (202, "")
    );
    let again = send(&api, &one, "order-42", "a@example.org").await?;
    assert_eq!(
        (again.status, again.header("idempotency-replay")),
        (202, "true")
    );
    assert_eq!(again.body, first.body);
    let reused = send(&api, &one, "order-42", "b@example.org").await?;
    assert_eq!(
        (reused.status, reused.places()),
        (422, vec!["Idempotency-Key"])
    );
    assert_eq!(sent(&api).await?, "1");
    // Keys are each caller's own.
    assert_eq!(
        send(&api, &other, "order-42", "b@example.org")
            .await?
            .status,
        202
    );
    assert_eq!(sent(&api).await?, "2");
    Ok(())
}

/// A refusal did nothing: corrected, the call may come with the same key.
#[tokio::test]
async fn a_call_that_was_refused_is_not_remembered() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}'").await?;
    assert_eq!(send(&api, &key, "k", "nobody").await?.status, 422);
    assert_eq!(send(&api, &key, "k", "a@example.org").await?.status, 202);
    for (once, status) in [
        ("a b", 400),
        ("", 400),
        (&"x".repeat(255), 202),
        (&"x".repeat(256), 400),
    ] {
        assert_eq!(
            send(&api, &key, once, "a@example.org").await?.status,
            status,
            "{} characters",
            once.len()
        );
    }
    Ok(())
}

/// Retries that overtake the first call are the usual case behind a timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_calls_at_the_same_time_one_runs() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}'").await?;
    for turn in 0..10 {
        let once = format!("turn-{turn}");
        let calls = (0..8).map(|_| send(&api, &key, &once, "a@example.org"));
        let answers = futures_util::future::try_join_all(calls).await?;
        let fresh = answers
            .iter()
            .filter(|a| a.status == 202 && a.header("idempotency-replay").is_empty())
            .count();
        assert_eq!(fresh, 1, "turn {turn}: {answers:?}");
        for answer in &answers {
            assert!(answer.status == 409 || answer.status == 202, "{answer:?}");
        }
    }
    assert_eq!(sent(&api).await?, "10");
    Ok(())
}

/// While the first call runs there is no answer yet to give again.
#[tokio::test]
async fn a_call_whose_first_one_runs_is_told_to_wait() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}'").await?;
    let running = api.db.connect().await?;
    running.batch_execute("begin").await?;
    let recall = "select state from postroad.recall_call('key:1', 'k', '\\x01')";
    assert_eq!(running.row(recall).await?, "new");
    let answered = send(&api, &key, "k", "a@example.org").await?;
    assert_eq!(
        (answered.status, answered.header("retry-after")),
        (409, "1")
    );
    assert_eq!(sent(&api).await?, "0");
    running.batch_execute("rollback").await?;
    assert_eq!(send(&api, &key, "k", "a@example.org").await?.status, 202);
    Ok(())
}

/// Keys are kept for 24 hours; the table must not keep them longer.
#[tokio::test]
async fn a_key_is_forgotten_after_a_day() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}'").await?;
    let sql = &api.db.client;
    send(&api, &key, "k", "a@example.org").await?;
    let age = async |hours: u32| {
        sql.batch_execute(&format!(
            "update postroad.http_idempotency set created_at = now() - interval '{hours} h'"
        ))
        .await
    };
    age(23).await?;
    sql.rows("select postroad.purge_idempotency_keys()").await?;
    assert_eq!(
        send(&api, &key, "k", "a@example.org")
            .await?
            .header("idempotency-replay"),
        "true"
    );
    age(25).await?;
    assert_eq!(
        send(&api, &key, "k", "b@example.org").await?.status,
        202,
        "another call, a day later"
    );
    age(25).await?;
    sql.rows("select postroad.purge_idempotency_keys()").await?;
    assert_eq!(
        sql.row("select count(*) from postroad.http_idempotency")
            .await?,
        "0"
    );
    let calls: Value = json!(sent(&api).await?);
    assert_eq!(calls, "2");
    Ok(())
}
