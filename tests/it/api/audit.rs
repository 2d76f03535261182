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
    let eve = sql
        .row("select postroad.audit_target(null, 'Eve@example.org')")
        .await?;
    let expected = [
        format!("{caller}|retry|{id}|{{\"status\": \"cancelled\"}}|{{\"status\": \"queued\"}}"),
        format!("{caller}|pause|gateway stub|null|{{\"reason\": \"maintenance\"}}"),
        format!(
            "{caller}|pause|gateway stub|{{\"reason\": \"maintenance\", \"paused_by\": \"{caller}\"}}|{{\"reason\": \"still\"}}"
        ),
        format!("{caller}|resume|gateway stub|{{\"reason\": \"still\"}}|null"),
        format!("{caller}|set_gateway_weight|stub|{{\"weight\": null}}|{{\"weight\": 80}}"),
        format!("{caller}|set_gateway_weight|stub|{{\"weight\": 80}}|{{\"weight\": null}}"),
        format!("{caller}|suppress|{eve}|null|{{\"reason\": \"manual\", \"channel\": null}}"),
        format!(
            "{caller}|unsuppress|{eve}|{{\"reason\": \"manual\", \"source\": \"{caller}\", \"channel\": null, \"tenant_id\": null, \"expires_at\": null}}|null"
        ),
        format!(
            "{caller}|create_api_key|{key_id}|null|{{\"name\": \"new\", \"roles\": [\"sender\"]}}"
        ),
    ];
    assert_eq!(noted, expected);

    sql.batch_execute(
        "delete from postroad.audit_log; select postroad.store_webhooks('{stub}', '{k}', '{null}', '{null}', '{null}', array['x'::bytea]);
         insert into postroad.webhook_errors (inbox_id, error) select inbox_id, 'x' from postroad.webhook_inbox; delete from postroad.webhook_batches",
    )
    .await?;
    for statement in [
        "select postroad.retry_failed()".to_owned(),
        format!("select postroad.settle('{unknown}', 'sent')"),
        "select postroad.set_suppression_rule('soft_bounce', is_on => false)".into(),
        "select postroad.set_sms_reply('help', 'Call us.')".into(),
        "select postroad.import_suppressions('{a@example.org,b@example.org}')".into(),
        "select postroad.set_rate_limit('domain', 'example.org', per_hour => 9)".into(),
        format!("select postroad.revoke_api_key({key_id})"),
        "select postroad.replay_webhooks('stub', '-infinity')".into(),
        "select postroad.replay_webhooks('none', '-infinity')".into(), // there are none
        format!("select postroad.retry('{failed}')"),                  // it waits already
    ] {
        sql.rows(&statement).await?;
    }
    let user = sql.row("select session_user").await?;
    let noted = sql
        .rows("select who, database_user, action, target from postroad.audit_trail()")
        .await?;
    let replayed = sql
        .row("select after from postroad.audit_log where action = 'replay_webhooks'")
        .await?;
    assert_eq!(
        serde_json::from_str::<Value>(&replayed)?,
        json!({"gateway": "stub", "since": "-infinity", "only_errors": true, "max_count": 10000, "replayed": 1})
    );
    let expected = [
        format!("{user}|{user}|replay_webhooks|1 requests"),
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

/// Somebody asks to be forgotten: what says who suppressed them must not say who they are, and must still be found.
#[tokio::test]
async fn the_audit_holds_no_address_and_is_found_by_one() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let sql = &api.db.client;
    for statement in [
        "suppress('email', 'Eve@Example.org')",
        "suppress('sms', '+1 415 555 0123')",
        "unsuppress('email', 'eve@example.org')",
        "import_suppressions('{mallory@example.org}')",
    ] {
        sql.rows(&format!("select postroad.{statement}")).await?;
    }
    let noted = sql
        .rows("select a::text from postroad.audit_log as a")
        .await?;
    assert_eq!(noted.len(), 4);
    for address in ["eve", "mallory", "5550123"] {
        let told = noted
            .iter()
            .find(|row| row.to_lowercase().contains(address));
        assert_eq!(told, None);
    }
    let of = async |channel: &str, address: &str| {
        let found = format!(
            "select count(*) from postroad.audit_trail() where target = postroad.audit_target({channel}, '{address}')"
        );
        sql.row(&found).await
    };
    assert_eq!(of("'email'", "EVE@example.org").await?, "2");
    assert_eq!(of("'sms'", "+14155550123").await?, "1");
    assert_eq!(of("'email'", "bob@example.org").await?, "0");
    // Nor can whoever reads the audit try addresses with a hash that everybody can make.
    let admin = api.db.connect_as("postroad_admin").await?;
    for private in [
        "select from postroad.address_key",
        "select postroad.address_hash('x')",
    ] {
        assert_eq!(admin.raised(private).await?.code, "42501", "{private}");
    }
    Ok(())
}
