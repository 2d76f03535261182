//! Messages by their status: every page finds what has it, and reads little for that.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

const STATUSES: [&str; 11] = [
    "scheduled",
    "queued",
    "processing",
    "sent",
    "delivered",
    "bounced",
    "failed",
    "cancelled",
    "expired",
    "suppressed",
    "unknown",
];

fn call(parameters: &Value, tenant: Option<i64>) -> String {
    let call = json!({"parameters": parameters, "caller": {"tenant_id": tenant}});
    format!("postroad.http_messages('{call}')")
}

/// The ids that all pages show together, as a caller who is bound to a tenant sees them, or one who is not.
async fn listed(
    client: &Client,
    mut parameters: Value,
    tenant: Option<i64>,
) -> anyhow::Result<Vec<String>> {
    let bound = tenant.map_or(String::new(), |tenant| tenant.to_string());
    client
        .batch_execute(&format!("set postroad.tenant = '{bound}'"))
        .await?;
    let mut ids = Vec::new();
    loop {
        let query = format!("select body from {}", call(&parameters, tenant));
        let body: Value = serde_json::from_str(&client.row(&query).await?)?;
        let shown = body["messages"].as_array().cloned().unwrap_or_default();
        ids.extend(
            shown
                .iter()
                .filter_map(|item| item["message_id"].as_str().map(str::to_owned)),
        );
        match &body["next_cursor"] {
            Value::Null => return Ok(ids),
            next => parameters["cursor"] = next.clone(),
        }
    }
}

/// Sixteen of a bulk send share a row of the queue; some of them may be in rows of their own again, in the middle of the others.
#[tokio::test]
async fn each_page_of_what_is_queued_goes_on_where_the_last_one_ended() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bulk = "select queued from postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 60) as n), body => 'x', priority => 'P4')";
    for _ in 0..2 {
        assert_eq!(db.client.row(bulk).await?, "60");
        db.enqueue_many(3, 4).await?;
    }
    let (lease, _) = db.claim(4, 21).await?;
    db.client
        .rows(&format!("select postroad.release('{lease}')"))
        .await?;
    db.claim(4, 5).await?;
    let middle = "select more_ids[8] from postroad.message_queue where cardinality(more_ids) = 15 order by seq limit 1 offset 2";
    let middle = db.client.row(middle).await?;
    for call in ["cancel", "retry"] {
        let done = format!("select postroad.{call}('{middle}')");
        assert_eq!(db.client.row(&done).await?, "t", "{call}");
    }
    let waiting = "select u.id from postroad.message_queue as q, unnest(q.message_id || q.more_ids) as u (id) order by 1 desc";
    let waiting = db.client.rows(waiting).await?;
    assert_eq!(waiting.len(), 121);
    for limit in [1, 7, 16, 50] {
        let pages = listed(
            &db.client,
            json!({"status": "queued", "limit": limit}),
            None,
        )
        .await?;
        assert_eq!(pages, waiting, "{limit} a page");
    }
    Ok(())
}

/// A message of each status and of some that were another before, by way of what workers and webhooks say.
async fn fill(db: &TestDb, tenant: &str) -> anyhow::Result<()> {
    let more = format!("tenant_id => {tenant}");
    for event in [
        "sent",
        "failed",
        "bounced",
        "expired",
        "suppressed",
        "unknown",
    ] {
        for webhook in ["", "delivered", "opened", "bounced", "complained"] {
            let address = format!("{event}-{webhook}-{tenant}@example.org"); // what bounces is suppressed
            let id = db
                .enqueue_to(&address, &format!("{more}, source_type => 'x{webhook}'"))
                .await?;
            let (lease, _) = db.claim(4, 1).await?;
            db.complete(&Outcome::new(&lease, &id, event)).await?;
            if !webhook.is_empty() {
                let event = format!(
                    r#"{{"message_id": "{id}", "event_type": "{webhook}", "source_key": "k-{id}"}}"#
                );
                db.record("stub", &event).await?;
            }
        }
    }
    let retried = db.enqueue_to("ada@example.org", &more).await?;
    let (lease, _) = db.claim(4, 1).await?;
    db.complete(&Outcome::deferred(&lease, &retried, "60"))
        .await?;
    db.enqueue_to(
        "ada@example.org",
        &format!("{more}, scheduled_for => now() + interval '1 h'"),
    )
    .await?;
    let cancelled = db.enqueue_to("ada@example.org", &more).await?;
    db.client
        .rows(&format!("select postroad.cancel('{cancelled}')"))
        .await?;
    for _ in 0..3 {
        db.enqueue_to("ada@example.org", &format!("{more}, priority => 'P1'"))
            .await?;
    }
    db.claim(1, 2).await?;
    Ok(())
}

/// A short cut to the messages of a status must lead to all of them, in the same order, and to no other.
#[tokio::test]
async fn each_list_by_status_is_what_status_says_of_each_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    fill(&db, "null").await?;
    fill(&db, "7").await?;
    fill(&db, "8").await?;
    let client = db.connect().await?;
    let mut found = BTreeSet::new();
    for status in STATUSES {
        for (tenant, source, limit) in [
            (None, None, 2),
            (None, None, 100),
            (None, Some("xopened"), 3),
            (Some(7), None, 2),
            (Some(7), Some("x"), 100),
            (Some(9), None, 100),
        ] {
            let mut parameters = json!({"status": status, "limit": limit});
            let mut fits = String::from("true");
            if let Some(tenant) = tenant {
                fits += &format!(" and m.tenant_id = {tenant}");
            }
            if let Some(source) = source {
                parameters["source"] = source.into();
                fits += &format!(" and m.source_type = '{source}'");
            }
            let wanted = db.client.rows(&format!(
                "select m.message_id from postroad.messages as m, postroad.status(m.message_id) as s \
                 where s.status = '{status}' and {fits} order by m.message_id desc"
            )).await?;
            let ids = listed(&client, parameters.clone(), tenant).await?;
            assert_eq!(ids, wanted, "{parameters} {tenant:?}");
            if !ids.is_empty() {
                found.insert(status);
            }
        }
    }
    assert_eq!(found.len(), STATUSES.len(), "{found:?}");
    Ok(())
}

/// Buffers that a page touches, of a session that has planned it before.
async fn buffers(client: &Client, parameters: &Value, tenant: Option<i64>) -> anyhow::Result<u64> {
    let bound = tenant.map_or(String::new(), |tenant| tenant.to_string());
    client
        .batch_execute(&format!("set postroad.tenant = '{bound}'"))
        .await?;
    let page = call(parameters, tenant);
    for _ in 0..6 {
        client.rows(&format!("select {page}")).await?; // plans, until they are kept
    }
    let explained = client
        .rows(&format!(
            "explain (analyze, buffers, costs off, timing off) select {page}"
        ))
        .await?;
    let line = explained
        .iter()
        .find(|line| line.contains("Buffers: shared"))
        .ok_or_else(|| anyhow::anyhow!("{explained:?}"))?;
    Ok(line
        .split([' ', '='])
        .filter_map(|word| word.parse::<u64>().ok())
        .sum())
}

/// A year of messages must not make the newest fifty dear, nor one status among them; and what is rare costs a bounded part of them.
#[tokio::test]
async fn a_page_reads_little_however_many_messages_there_are() -> anyhow::Result<()> {
    let ordinary = [
        (json!({}), None),
        (json!({"channel": "email"}), None),
        (json!({"source": "weekly", "status": "delivered"}), None),
        (json!({"status": "queued"}), None),
        (json!({"status": "scheduled"}), None),
        (json!({"status": "sent"}), None),
        (json!({"status": "delivered"}), None),
        (json!({"status": "failed"}), None),
        (json!({}), Some(7)),
        (json!({"status": "queued"}), Some(7)),
    ];
    let rare = [
        (json!({"channel": "voice"}), None),
        (json!({"status": "expired"}), None),
        (json!({"status": "cancelled", "source": "none"}), None),
        (json!({"status": "queued", "channel": "voice"}), None),
        (json!({"status": "sent", "channel": "voice"}), None),
        (json!({"status": "unknown"}), Some(7)),
    ];
    let mut costs = Vec::new();
    for count in [3_000, 60_000] {
        let db = TestDb::new().await?;
        db.client.batch_execute(&format!(
            "select postroad.enqueue('voice', '+14155550123', body => 'x');
             select postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@example.org') from generate_series(1, {count}) as n),
               body => 'x', source_type => 'weekly');
             select postroad.enqueue_bulk('email', (select jsonb_agg('t' || n || '@example.org') from generate_series(1, 400) as n),
               body => 'x', source_type => 'weekly', tenant_id => 7);
             create temporary table placed as
               select m.message_id, row_number() over (order by m.message_id desc) as n from postroad.messages as m;
             with gone as (delete from postroad.message_queue as q using placed as p where p.message_id = q.message_id and p.n > 200 returning q.*)
             insert into postroad.scheduled (message_id, due_at, priority)
             select g.message_id, 'infinity', g.priority from gone as g join placed as p using (message_id) where p.n <= 400;
             insert into postroad.delivery_events (message_id, lease_id, attempt, event_type, gateway)
             select p.message_id, gen_random_uuid(), 1, case when p.n % 10 = 0 then 'failed' else 'sent' end, 'stub' from placed as p where p.n > 400;
             insert into postroad.delivery_events (message_id, event_type, gateway, source_key)
             select p.message_id, 'delivered', 'stub', 'k' from placed as p where p.n > 400 and p.n % 10 in (1, 2, 3, 4);",
        )).await?;
        db.client.batch_execute("vacuum analyze postroad.messages, postroad.delivery_events, postroad.message_queue, postroad.scheduled").await?;
        let client = db.connect().await?;
        buffers(&client, &json!({}), None).await?; // a new session reads the catalog, some pages a day
        let mut pages = Vec::new();
        for (parameters, tenant) in ordinary.iter().chain(&rare) {
            pages.push(buffers(&client, parameters, *tenant).await?);
        }
        costs.push(pages);
    }
    for (place, (parameters, tenant)) in ordinary.iter().enumerate() {
        let (few, many) = (costs[0][place], costs[1][place]);
        assert!(few > 50, "counted: {parameters} {few}");
        assert!(
            many <= few + few / 2 + 50 && many < 4_000,
            "{parameters} {tenant:?}: {few} and {many} buffers"
        );
    }
    for (place, (parameters, tenant)) in rare.iter().enumerate() {
        let many = costs[1][ordinary.len() + place];
        assert!(many < 12_000, "{parameters} {tenant:?}: {many} buffers");
    }
    Ok(())
}
