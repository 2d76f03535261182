//! The boundary between tenants, where it is kept: in Postgres.

use super::Api;
use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// A filter that is forgotten in one of our functions must show nothing, rather than everything.
#[tokio::test]
async fn a_statement_without_a_filter_sees_the_callers_tenant_alone() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for tenant in ["7", "8", "null"] {
        let arguments = format!("tenant_id => {tenant}");
        db.enqueue_to("queued@example.org", &arguments).await?;
        db.enqueue_to(
            "later@example.org",
            &format!("{arguments}, scheduled_for => now() + interval '1 h'"),
        )
        .await?;
        let id = db.enqueue_to("cancelled@example.org", &arguments).await?;
        db.client
            .rows(&format!("select postroad.cancel('{id}')"))
            .await?;
        db.client
            .rows(&format!(
                "select postroad.suppress('email', 'eve@example.org', tenant_id => {tenant})"
            ))
            .await?;
        db.client
            .rows(&format!(
                "select postroad.create_api_key('x', '{{sender}}', tenant_id => {tenant})"
            ))
            .await?;
    }
    db.client.batch_execute("insert into postroad.messages_kept select * from postroad.messages; \
        insert into postroad.audit_log (tenant_id, who, action, target) values (7, 'x', 'x', 'x'), (8, 'x', 'x', 'x')").await?;
    let bound = db.connect_as("postroad_bound_functions").await?;
    let count = async |table: &str| {
        bound
            .row(&format!("select count(*) from postroad.{table}"))
            .await
    };
    for (table, own, all) in [
        ("messages", "3", "9"),
        ("messages_kept", "3", "9"),
        ("message_queue", "1", "3"),
        ("scheduled", "1", "3"),
        ("delivery_events", "1", "3"),
        ("suppression_list", "1", "3"),
        ("api_keys", "1", "3"),
        ("audit_log", "1", "8"),
    ] {
        bound.batch_execute("set postroad.tenant = '7'").await?;
        assert_eq!(count(table).await?, own, "{table}");
        bound.batch_execute("set postroad.tenant = '9'").await?;
        assert_eq!(count(table).await?, "0", "{table}");
        bound.batch_execute("set postroad.tenant = ''").await?;
        assert_eq!(count(table).await?, all, "{table}: bound to none");
    }
    // Nor can it write for another, or go around the policy by a partition.
    bound.batch_execute("set postroad.tenant = '7'").await?;
    let theirs = "select message_id from postroad.messages where tenant_id = 8 limit 1";
    let theirs = db.client.row(theirs).await?;
    for statement in [
        "insert into postroad.suppression_list (address, tenant_id, reason) values ('x', 8, 'x')",
        "insert into postroad.audit_log (tenant_id, who, action, target) values (8, 'x', 'x', 'x')",
        "insert into postroad.api_keys (tenant_id, created_by, name, prefix, hash, roles) values (8, 'x', 'x', 'x', 'x', '{sender}')",
        &format!(
            "insert into postroad.message_queue (seq, message_id, priority) values (1, '{theirs}', 4)"
        ),
        &format!(
            "insert into postroad.delivery_events (message_id, event_type) values ('{theirs}', 'cancelled')"
        ),
        "update postroad.suppression_list set tenant_id = 8",
        "update postroad.api_keys set tenant_id = null",
    ] {
        let raised = bound.raised(statement).await?;
        let is_policy = raised.message.contains("row-level security");
        assert!(is_policy, "{statement}: {}", raised.message);
    }
    assert_eq!(bound.row("with gone as (delete from postroad.message_queue returning 1) select count(*) from gone").await?, "1");
    for table in [
        "messages_default",
        "late_events",
        "leases",
        "contents",
        "idempotency_keys",
    ] {
        let raised = bound
            .raised(&format!("select from postroad.{table}"))
            .await?;
        assert_eq!(raised.code, "42501", "{table}");
    }
    Ok(())
}

/// A table that is added later must not be left outside of the boundary.
#[tokio::test]
async fn every_table_that_callers_functions_may_touch_is_bound_or_has_no_tenant()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let open = "select c.relname from pg_class as c where c.relnamespace = 'postroad'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition \
        and has_table_privilege('postroad_bound_functions', c.oid, 'select, insert, update, delete') and not c.relrowsecurity \
        and exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname in ('tenant_id', 'message_id') and not a.attisdropped)";
    assert_eq!(db.client.rows(open).await?, Vec::<String>::new());
    let bypass =
        "select rolbypassrls or rolsuper from pg_roles where rolname = 'postroad_bound_functions'";
    assert_eq!(db.client.row(bypass).await?, "f");
    Ok(())
}

/// Connections are shared: what one call was bound to must not bind, or free, the next one.
#[tokio::test]
async fn the_boundary_ends_with_the_call() -> anyhow::Result<()> {
    let settings = postroad::server::api::Settings {
        connections: 1,
        ..Default::default()
    };
    let api = Api::start_with(settings).await?;
    api.db.enqueue_to("a@example.org", "tenant_id => 7").await?;
    let keys = [
        (api.key("roles => '{reader}', tenant_id => 7").await?, 1),
        (api.key("roles => '{reader}', tenant_id => 8").await?, 0),
        (api.key("roles => '{reader}'").await?, 1),
    ];
    for turn in 0..6 {
        for (place, (key, wanted)) in keys.iter().enumerate() {
            let answered = api
                .call(key, "GET", "/messages", &serde_json::Value::Null)
                .await?;
            let seen = answered.body["messages"].as_array().map_or(99, Vec::len);
            assert_eq!(seen, *wanted, "turn {turn}, key {place}");
        }
    }
    Ok(())
}
