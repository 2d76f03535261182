//! Who changed what.

use serde_json::{Value, json};

use super::Api;
use crate::support::sql::Sql as _;

/// After an outage somebody asks who paused it, over HTTP or in psql.
#[tokio::test]
async fn every_change_by_an_operator_is_noted_with_who_and_what_was_before() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let sql = &api.db.client;
    sql.batch_execute("insert into postroad.channel_health (gateway, channel, position) values ('stub', 'email', 1)").await?;
    let key = api.key("roles => '{admin}'").await?;
    let caller = sql
        .row("select 'key:' || max(key_id) from postroad.api_keys")
        .await?;
    sql.batch_execute("delete from postroad.audit_log").await?;
    let id = api.db.enqueue_to("ada@example.org", "").await?;
    sql.rows(&format!("select postroad.cancel('{id}')")).await?;
    let failed = api.db.ended("failed").await?.0;
    let unknown = api.db.ended("unknown").await?.0;
    for (method, path, body) in [
        ("POST", format!("/messages/{id}/retry"), Value::Null),
        (
            "POST",
            "/gateways/stub/pause".into(),
            json!({"reason": "maintenance"}),
        ),
        (
            "POST",
            "/gateways/stub/pause".into(),
            json!({"reason": "still"}),
        ),
        ("POST", "/gateways/stub/resume".into(), Value::Null),
        ("POST", "/gateways/stub/resume".into(), Value::Null), // changes nothing
        ("PUT", "/gateways/stub/weight".into(), json!({"weight": 80})),
        (
            "PUT",
            "/gateways/stub/weight".into(),
            json!({"weight": null}),
        ),
        (
            "POST",
            "/suppressions".into(),
            json!({"address": "eve@example.org"}),
        ),
        (
            "POST",
            "/suppressions".into(),
            json!({"address": "eve@example.org"}),
        ), // changes nothing
        (
            "DELETE",
            "/suppressions/eve@example.org".into(),
            Value::Null,
        ),
        (
            "POST",
            "/keys".into(),
            json!({"name": "new", "roles": ["sender"]}),
        ),
    ] {
        let answered = api.call(&key, method, &path, &body).await?;
        assert!(
            answered.status < 300,
            "{method} {path}: {:?}",
            answered.body
        );
    }
    let noted = "select who, action, target, before, after - 'expires_at' - 'tenant_id' - 'requests_per_second' from postroad.audit_log order by audit_id";
    let noted = sql.rows(noted).await?;
    let key_id = sql.row("select max(key_id) from postroad.api_keys").await?;
    let expected = [
        format!("{caller}|retry|{id}|{{\"status\": \"cancelled\"}}|{{\"status\": \"queued\"}}"),
        format!("{caller}|pause|gateway stub|null|{{\"reason\": \"maintenance\"}}"),
        format!(
            "{caller}|pause|gateway stub|{{\"reason\": \"maintenance\", \"paused_by\": \"{caller}\"}}|{{\"reason\": \"still\"}}"
        ),
        format!("{caller}|resume|gateway stub|{{\"reason\": \"still\"}}|null"),
        format!("{caller}|set_gateway_weight|stub|{{\"weight\": null}}|{{\"weight\": 80}}"),
        format!("{caller}|set_gateway_weight|stub|{{\"weight\": 80}}|{{\"weight\": null}}"),
        format!(
            "{caller}|suppress|eve@example.org|null|{{\"reason\": \"manual\", \"channel\": null}}"
        ),
        format!(
            "{caller}|unsuppress|eve@example.org|{{\"reason\": \"manual\", \"source\": \"{caller}\", \"channel\": null, \"tenant_id\": null, \"expires_at\": null}}|null"
        ),
        format!(
            "{caller}|create_api_key|{key_id}|null|{{\"name\": \"new\", \"roles\": [\"sender\"]}}"
        ),
    ];
    assert_eq!(noted, expected);

    sql.batch_execute("delete from postroad.audit_log").await?;
    for statement in [
        "select postroad.retry_failed()".to_owned(),
        format!("select postroad.settle('{unknown}', 'sent')"),
        "select postroad.set_suppression_rule('soft_bounce', is_on => false)".into(),
        "select postroad.set_sms_reply('help', 'Call us.')".into(),
        "select postroad.import_suppressions('{a@example.org,b@example.org}')".into(),
        "select postroad.set_rate_limit('domain', 'example.org', per_hour => 9)".into(),
        format!("select postroad.revoke_api_key({key_id})"),
        format!("select postroad.retry('{failed}')"), // it waits already
    ] {
        sql.rows(&statement).await?;
    }
    let user = sql.row("select session_user").await?;
    let noted = sql
        .rows("select who, database_user, action, target from postroad.audit_trail()")
        .await?;
    let expected = [
        format!("{user}|{user}|revoke_api_key|{key_id}"),
        format!("{user}|{user}|set_rate_limit|domain example.org"),
        format!("{user}|{user}|import_suppressions|2 entries"),
        format!("{user}|{user}|set_sms_reply|help"),
        format!("{user}|{user}|set_suppression_rule|soft_bounce"),
        format!("{user}|{user}|settle|{unknown}"),
        format!("{user}|{user}|retry_failed|1 messages"),
    ];
    assert_eq!(noted, expected);
    Ok(())
}
