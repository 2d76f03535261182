//! How much a caller may ask and send.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use postroad::server::api::Settings;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Api;
use crate::support::sql::Sql as _;

fn gzip(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body)?;
    Ok(encoder.finish()?)
}

/// A loop gone wild in one service must not take the others' share; and it is told when to come again.
#[tokio::test]
async fn a_caller_beyond_its_limit_is_told_when_to_come_again() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let slow = api
        .key("roles => '{reader}', requests_per_second => 1")
        .await?;
    let other = api.key("roles => '{reader}'").await?;
    let id = uuid::Uuid::now_v7();
    let ask = async |key: &str| {
        api.call(key, "GET", &format!("/messages/{id}"), &Value::Null)
            .await
    };
    let first = ask(&slow).await?;
    assert_eq!(
        (first.status, first.header("ratelimit-policy")),
        (404, "\"caller\";q=1;w=1")
    );
    assert_eq!(first.header("ratelimit"), "\"caller\";r=0;t=1");
    let mut refused = ask(&slow).await?;
    for _ in 0..5 {
        if refused.status == 429 {
            break;
        }
        refused = ask(&slow).await?;
    }
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let others = ask(&other).await?;
    assert_eq!(
        (others.status, others.header("ratelimit-policy")),
        (404, "\"caller\";q=1000;w=1")
    );
    Ok(())
}

/// Mail bodies are large and shrink well; what inflates without end must not be inflated to it.
#[tokio::test]
async fn gzip_is_taken_and_given_within_bounds() -> anyhow::Result<()> {
    let settings = Settings {
        max_body_bytes: 100_000,
        ..Settings::default()
    };
    let api = Api::start_with(settings).await?;
    let key = api.key("roles => '{sender,reader}'").await?;
    let send = async |encoding: &str, body: Vec<u8>| {
        let request = api.request("POST", "/api/v1/messages").bearer_auth(&key);
        let request = request
            .header("content-type", "application/json")
            .header("content-encoding", encoding);
        anyhow::Ok(api.send(request.body(body)).await?.status)
    };
    let message = |length: usize| {
        json!({"channel": "email", "recipient": "ada@example.org", "body": "x".repeat(length)})
            .to_string()
            .into_bytes()
    };
    assert_eq!(send("gzip", gzip(&message(90_000))?).await?, 202);
    assert_eq!(send("gzip", gzip(&message(110_000))?).await?, 413);
    assert_eq!(send("identity", message(110_000)).await?, 413);
    assert_eq!(send("gzip", message(10)).await?, 400, "it is none");
    assert_eq!(send("br", message(10)).await?, 415);
    assert_eq!(
        api.db
            .client
            .row("select count(*) from postroad.messages")
            .await?,
        "1"
    );

    let ask = async |accepts: &str| {
        let request = api
            .request("GET", "/openapi.json")
            .header("accept-encoding", accepts);
        anyhow::Ok(request.send().await?)
    };
    let plain = ask("identity").await?;
    assert!(plain.headers().get("content-encoding").is_none());
    let plain = plain.bytes().await?;
    let packed = ask("gzip").await?;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert_eq!(packed.headers()["vary"], "Accept-Encoding");
    let packed = packed.bytes().await?;
    assert!(packed.len() * 3 < plain.len());
    let mut inflated = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut inflated)?;
    assert_eq!(inflated, plain);
    Ok(())
}

/// What a few kilobytes of gzip become takes a while in Postgres: one tenant's must not take every connection, nor memory.
#[tokio::test]
async fn large_bodies_of_one_tenant_leave_connections_to_others() -> anyhow::Result<()> {
    let settings = Settings {
        connections: 4,
        ..Settings::default()
    };
    let api = Api::start_with(settings).await?;
    let greedy = [
        api.key("roles => '{sender}', tenant_id => 1").await?,
        api.key("roles => '{sender}', tenant_id => 1").await?,
    ];
    let other = api.key("roles => '{reader}', tenant_id => 2").await?;
    let message =
        json!({"channel": "email", "recipient": "ada@example.org", "body": "x".repeat(2_000_000)});
    let body = gzip(message.to_string().as_bytes())?;
    let holder = api.db.connect().await?;
    holder
        .batch_execute("begin; lock table postroad.messages in share mode")
        .await?;
    let mut sending = JoinSet::new();
    for n in 0..12 {
        let request = api
            .request("POST", "/api/v1/messages")
            .bearer_auth(&greedy[n % 2])
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .body(body.clone());
        sending.spawn(async move { anyhow::Ok(request.send().await?.status().as_u16()) });
    }
    api.db
        .wait_until("exists (select from pg_locks where not granted and relation = 'postroad.messages'::regclass)")
        .await?;
    let path = format!("/messages/{}", uuid::Uuid::now_v7());
    for _ in 0..50 {
        let answered = api.call(&other, "GET", &path, &Value::Null).await?;
        assert_eq!(answered.status, 404, "{:?}", answered.body);
    }
    holder.batch_execute("commit").await?;
    while let Some(status) = sending.join_next().await {
        assert_eq!(status??, 202, "it waited for its turn");
    }
    Ok(())
}

/// An address is short; a megabyte of one must not be looked at letter by letter.
#[tokio::test]
async fn a_recipient_that_is_too_long_is_refused_by_its_length() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}'").await?;
    for (channel, fill) in [("sms", "("), ("email", "a"), ("email", ".")] {
        for (length, status) in [(4096, 422), (4097, 400)] {
            let recipient = fill.repeat(length);
            let message = json!({"channel": channel, "recipient": recipient, "body": "x"});
            let answered = api.call(&key, "POST", "/messages", &message).await?;
            let places = answered.places();
            assert_eq!(
                (answered.status, places),
                (status, vec!["#/recipient"]),
                "{channel} {length}"
            );
        }
    }
    let spaced = format!("+1{}4155550100", " ".repeat(50));
    let message = json!({"channel": "sms", "recipient": spaced, "body": "x"});
    let answered = api.call(&key, "POST", "/messages", &message).await?;
    assert_eq!(answered.status, 202, "{:?}", answered.body);
    Ok(())
}
