//! API keys: made, shown once, used, revoked.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Api;
use crate::support::process::{Directory, stderr};
use crate::support::sql::Sql as _;
use crate::support::wait::until;

/// A key that was leaked must end at once, not when a cache does.
#[tokio::test]
async fn a_revoked_key_ends_within_two_seconds_while_it_is_in_use() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api
        .key("roles => '{reader}', requests_per_second => 100000")
        .await?;
    let ask = async || {
        anyhow::Ok(
            api.call(&key, "GET", "/suppressions", &Value::Null)
                .await?
                .status,
        )
    };
    assert_eq!(ask().await?, 200);
    api.db
        .client
        .rows("select postroad.revoke_api_key(1)")
        .await?;
    let revoked = Instant::now();
    until("the key has ended", async || {
        let began = revoked.elapsed();
        let has_ended = ask().await? == 401;
        let is_late = began > Duration::from_secs(2);
        anyhow::ensure!(has_ended || !is_late, "let in by a call {began:?} later");
        Ok(has_ended)
    })
    .await?;
    Ok(())
}

/// When a key was used last is worth knowing, and not worth a write for each call.
#[tokio::test]
async fn the_last_use_of_a_key_is_written_once_a_minute() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api
        .key("roles => '{reader}', requests_per_second => 100000")
        .await?;
    let sql = &api.db.client;
    let version = "select xmin, last_used_at is not null from postroad.api_keys";
    let before = sql.row(version).await?;
    assert!(before.ends_with("|f"), "{before}");
    let check =
        "select refusal is null from postroad.check_api_key((select hash from postroad.api_keys))";
    assert_eq!(
        api.call(&key, "GET", "/suppressions", &Value::Null)
            .await?
            .status,
        200
    );
    let used = sql.row(version).await?;
    assert!(used.ends_with("|t"), "{used}");
    for _ in 0..20 {
        assert_eq!(sql.row(check).await?, "t");
    }
    assert_eq!(
        sql.row(version).await?,
        used,
        "written again within the minute"
    );
    sql.batch_execute(
        "update postroad.api_keys set last_used_at = last_used_at - interval '1 minute'",
    )
    .await?;
    let aged = sql.row(version).await?;
    sql.row(check).await?;
    assert_ne!(sql.row(version).await?, aged);
    Ok(())
}

/// Whoever reads the table, or a backup, can call nothing with it.
#[tokio::test]
async fn a_key_is_kept_as_its_hash_alone() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let admin = api.key("roles => '{admin}'").await?;
    let body =
        json!({"name": "billing", "roles": ["sender"], "expires_at": "2036-01-01T00:00:00Z"});
    let request = api
        .request("POST", "/api/v1/keys")
        .bearer_auth(&admin)
        .header("content-type", "application/json");
    let request = request
        .header("idempotency-key", "one")
        .body(body.to_string());
    let again = request.try_clone().expect("a body that can be sent again");
    let made = api.send(request).await?;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let key = made.body["key"].as_str().expect("a key").to_owned();
    assert_eq!((key.len(), key.starts_with("pr_live_")), (57, true));
    let again = api.send(again).await?;
    assert_eq!(
        (again.status, again.header("idempotency-replay")),
        (201, "true")
    );
    assert_eq!(
        (&again.body["key"], &again.body["key_id"]),
        (&Value::Null, &made.body["key_id"]),
        "shown once"
    );
    let kept = "select string_agg(k::text, ' ') || (select coalesce(string_agg(a::text, ' '), '') from postroad.audit_log as a) \
        || (select string_agg(i::text, ' ') from postroad.http_idempotency as i) from postroad.api_keys as k";
    let kept = api.db.client.row(kept).await?;
    assert!(!kept.contains(&key) && !kept.contains(&key[14..]), "{kept}");
    assert!(
        kept.contains(&key[..14]),
        "its beginning tells it from others"
    );
    let sent = api
        .call(
            &key,
            "POST",
            "/messages",
            &json!({"channel": "email", "recipient": "a@example.org", "body": "x"}),
        )
        .await?;
    assert_eq!(sent.status, 202);
    Ok(())
}

/// The first key cannot be made over HTTP: there is none to ask with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_listed_and_revoked_on_the_command_line() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let directory = Directory::new()?;
    let run = |arguments: &[&str]| {
        let mut command = directory.postroad(arguments);
        command.env("DATABASE_URL", &api.db.url).output()
    };
    let made = run(&[
        "keys",
        "create",
        "portal",
        "--role",
        "sender",
        "--role",
        "reader",
        "--tenant",
        "7",
        "--expires",
        "90d",
    ])?;
    assert!(made.status.success(), "{}", stderr(&made));
    let key = String::from_utf8(made.stdout)?.trim().to_owned();
    let sent = api
        .call(
            &key,
            "POST",
            "/messages",
            &json!({"channel": "email", "recipient": "a@example.org", "body": "x"}),
        )
        .await?;
    assert_eq!(sent.status, 202, "{:?}", sent.body);
    assert_eq!(
        api.db
            .client
            .row("select tenant_id from postroad.messages")
            .await?,
        "7"
    );
    let listed = String::from_utf8(run(&["keys", "list"])?.stdout)?;
    assert!(
        listed.contains("portal") && listed.contains("active") && !listed.contains(&key),
        "{listed}"
    );
    let listed: Value = serde_json::from_slice(&run(&["keys", "list", "--json"])?.stdout)?;
    assert_eq!(
        (&listed[0]["name"], &listed[0]["tenant_id"]),
        (&json!("portal"), &json!(7))
    );
    assert!(run(&["keys", "revoke", "1"])?.status.success());
    let again = run(&["keys", "revoke", "1"])?;
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(
        stderr(&again),
        "postroad: there is no key 1, or it was revoked before"
    );
    for wrong in [
        &["keys", "create", "x"][..],
        &["keys", "create", "x", "--role", "root"],
        &["keys", "create", "x", "--role", "sender", "--expires", "90"],
    ] {
        assert_eq!(run(wrong)?.status.code(), Some(2), "{wrong:?}");
    }
    Ok(())
}

/// A tenant's admin was given a limit and a time: a key of its own making must not go beyond them.
#[tokio::test]
async fn keys_that_a_tenant_makes_keep_to_its_own_limit_and_time() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let soon = "clock_timestamp() + interval '1 h'";
    let arguments = format!(
        "roles => '{{admin}}', tenant_id => 7, requests_per_second => 50, expires_at => {soon}"
    );
    let bound = api.key(&arguments).await?;
    let unlimited = api.key("roles => '{admin}', tenant_id => 7").await?;
    let operator = api
        .key("roles => '{admin}', requests_per_second => 50")
        .await?;
    let make = async |key: &str, more: Value| {
        let mut body = json!({"name": "made", "roles": ["sender"]});
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        api.call(key, "POST", "/keys", &body).await
    };
    for (key, more, place) in [
        (
            &bound,
            json!({"requests_per_second": 51}),
            "#/requests_per_second",
        ),
        (
            &bound,
            json!({"requests_per_second": 1_000_000}),
            "#/requests_per_second",
        ),
        (
            &bound,
            json!({"expires_at": "2099-01-01T00:00:00Z"}),
            "#/expires_at",
        ),
        (
            &unlimited,
            json!({"requests_per_second": 1001}),
            "#/requests_per_second",
        ),
    ] {
        let made = make(key, more.clone()).await?;
        assert_eq!(
            (made.status, made.places()),
            (422, vec![place]),
            "{more}: {:?}",
            made.body
        );
    }
    for (key, more, limit, is_bounded) in [
        (&bound, json!({}), "50", "t"),
        (
            &bound,
            json!({"requests_per_second": null, "expires_at": null}),
            "50",
            "t",
        ),
        (&bound, json!({"requests_per_second": 50}), "50", "t"),
        (&bound, json!({"requests_per_second": 2}), "2", "t"),
        (
            &unlimited,
            json!({"requests_per_second": 1000}),
            "1000",
            "f",
        ),
        (&unlimited, json!({}), "null", "f"),
        (
            &unlimited,
            json!({"expires_at": "2099-01-01T00:00:00Z"}),
            "null",
            "f",
        ),
        (
            &operator,
            json!({"requests_per_second": 1_000_000}),
            "1000000",
            "f",
        ),
        (&operator, json!({}), "null", "f"),
    ] {
        let made = make(key, more.clone()).await?;
        assert_eq!(made.status, 201, "{more}: {:?}", made.body);
        let made = format!(
            "select requests_per_second, coalesce(expires_at <= {soon}, false) from postroad.api_keys where key_id = {}",
            made.body["key_id"]
        );
        assert_eq!(
            api.db.client.row(&made).await?,
            format!("{limit}|{is_bounded}"),
            "{more}"
        );
    }
    Ok(())
}
