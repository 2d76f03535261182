//! Lists, page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Api;
use crate::support::sql::Sql as _;

/// All pages of a list, and how many there were.
async fn pages(
    api: &Api,
    key: &str,
    path: &str,
    list: &str,
    mut between: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(Vec<Value>, usize)> {
    let (mut items, mut count, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answered = api
            .call(key, "GET", &format!("{path}{cursor}"), &Value::Null)
            .await?;
        anyhow::ensure!(answered.status == 200, "{:?}", answered.body);
        items.extend(answered.body[list].as_array().cloned().unwrap_or_default());
        count += 1;
        match answered.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok((items, count)),
        }
        between().await?;
    }
}

/// New messages come in while somebody turns pages: none is shown twice, none is left out.
#[tokio::test]
async fn pages_of_messages_are_stable_while_more_come_in() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api
        .key("roles => '{reader}', requests_per_second => 100000")
        .await?;
    api.db.enqueue_many(95, 4).await?;
    let there = api
        .db
        .client
        .rows("select message_id from postroad.messages")
        .await?;
    let (items, count) = pages(&api, &key, "/messages?limit=10", "messages", async || {
        api.db.enqueue_many(3, 4).await
    })
    .await?;
    assert_eq!((items.len(), count), (95, 10));
    let ids: Vec<_> = items
        .iter()
        .filter_map(|item| item["message_id"].as_str())
        .collect();
    assert!(ids.is_sorted_by(|one, next| one > next), "the newest first");
    let ids: BTreeSet<_> = ids.into_iter().collect();
    assert_eq!(ids, there.iter().map(String::as_str).collect());
    Ok(())
}

/// What is asked for is shown, and nothing beside it.
#[tokio::test]
async fn messages_are_found_by_what_they_are() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api
        .key("roles => '{reader}', requests_per_second => 100000")
        .await?;
    let alert = api
        .db
        .enqueue_to(
            "a@example.org",
            "message_type => 'alert', source_type => 'alerts', source_id => 3",
        )
        .await?;
    let other = api
        .db
        .enqueue_to("b@example.org", "source_type => 'alerts', source_id => 4")
        .await?;
    let cancelled = api.db.enqueue_to("c@example.org", "").await?;
    api.db
        .client
        .rows(&format!("select postroad.cancel('{cancelled}')"))
        .await?;
    let bulk = api.db.client.row("select batch_id from postroad.enqueue_bulk('email', '[\"d@example.org\"]', body => 'x')").await?;
    let of_bulk = api
        .db
        .client
        .row("select message_id from postroad.messages where batch_id is not null")
        .await?;
    for (query, wanted) in [
        ("message_type=alert".to_owned(), vec![&alert]),
        ("source=alerts".into(), vec![&other, &alert]),
        ("source=alerts:4".into(), vec![&other]),
        ("source=alert".into(), vec![]),
        ("status=cancelled".into(), vec![&cancelled]),
        ("status=queued&priority=P4".into(), vec![&other]),
        ("channel=sms".into(), vec![]),
        (format!("batch_id={bulk}"), vec![&of_bulk]),
    ] {
        let answered = api
            .call(&key, "GET", &format!("/messages?{query}"), &Value::Null)
            .await?;
        let found: Vec<_> = answered.body["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        let ids: Vec<_> = found
            .iter()
            .filter_map(|item| item["message_id"].as_str())
            .collect();
        assert_eq!(ids, wanted, "{query}");
        assert_eq!(answered.body["next_cursor"], Value::Null, "{query}");
    }
    Ok(())
}

/// A filter that fits nothing must not read a year of messages in one call.
#[tokio::test]
async fn a_page_that_finds_little_ends_early_and_goes_on() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{reader}'").await?;
    let wanted = api
        .db
        .enqueue_to("first@example.org", "message_type => 'alert'")
        .await?;
    api.db.client.batch_execute("select postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@example.org') from generate_series(1, 10000) as n), body => 'x')").await?;
    let first = api
        .call(&key, "GET", "/messages?message_type=alert", &Value::Null)
        .await?;
    assert_eq!(first.body["messages"], json!([]));
    let cursor = first.body["next_cursor"]
        .as_str()
        .expect("it goes on")
        .to_owned();
    let second = api
        .call(
            &key,
            "GET",
            &format!("/messages?message_type=alert&cursor={cursor}"),
            &Value::Null,
        )
        .await?;
    assert_eq!(second.body["messages"][0]["message_id"], wanted);
    assert_eq!(second.body["next_cursor"], Value::Null);
    Ok(())
}

/// An address is on the list for a channel, for all, for a tenant: each entry is shown once, across the edges of pages.
#[tokio::test]
async fn pages_of_suppressions_show_each_entry_once() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api
        .key("roles => '{reader}', requests_per_second => 100000")
        .await?;
    api.db.client.batch_execute(
        "select postroad.suppress(channel, 'u' || n || '@example.org', tenant_id => tenant)
         from generate_series(1, 5) as n, unnest(array['email', null]) as c (channel), unnest(array[null, 7, 8]) as t (tenant)",
    ).await?;
    for limit in [1, 4, 7, 30, 100] {
        let (items, _) = pages(
            &api,
            &key,
            &format!("/suppressions?limit={limit}"),
            "suppressions",
            async || Ok(()),
        )
        .await?;
        let distinct: BTreeSet<_> = items
            .iter()
            .map(|item| {
                format!(
                    "{} {} {}",
                    item["address"], item["channel"], item["tenant_id"]
                )
            })
            .collect();
        assert_eq!((items.len(), distinct.len()), (30, 30), "by {limit}");
    }
    let one = api
        .call(
            &key,
            "GET",
            "/suppressions?address=U3@example.org",
            &Value::Null,
        )
        .await?;
    assert_eq!(one.body["suppressions"].as_array().map(Vec::len), Some(6));
    Ok(())
}

/// A cursor is an id to whoever decodes it: where a page ends must tell a tenant of no other tenant's message.
#[tokio::test]
async fn pages_of_a_tenant_end_at_messages_of_its_own() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api
        .key("roles => '{reader}', tenant_id => 1, requests_per_second => 100000")
        .await?;
    let (later, first) = (
        "scheduled_for => now() + interval '1 h'",
        "priority => 'P1'",
    );
    let mut own: Vec<(&str, BTreeSet<String>)> = Vec::new();
    for (status, more) in [("queued", ""), ("scheduled", later), ("processing", first)] {
        let mut ids = BTreeSet::new();
        for _ in 0..2 {
            let more = match more {
                "" => "tenant_id => 1".into(),
                more => format!("tenant_id => 1, {more}"),
            };
            ids.insert(api.db.enqueue_to("ada@example.org", &more).await?);
            let more = more.replacen("tenant_id => 1", "tenant_id => 2", 1);
            api.db.client.batch_execute(&format!(
                "select postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@example.org') from generate_series(1, 1500) as n), body => 'x', {more})"
            )).await?;
        }
        own.push((status, ids));
    }
    while !api.db.claim(1, 1000).await?.1.is_empty() {}
    for (status, ids) in own {
        for limit in [1, 50] {
            let mut found = BTreeSet::new();
            let mut cursor = String::new();
            loop {
                let path = format!("/messages?status={status}&limit={limit}{cursor}");
                let page = api.call(&key, "GET", &path, &Value::Null).await?;
                assert_eq!(page.status, 200, "{:?}", page.body);
                let items = page.body["messages"].as_array().into_iter().flatten();
                found.extend(
                    items.filter_map(|item| item["message_id"].as_str().map(str::to_owned)),
                );
                let Some(next) = page.body["next_cursor"].as_str() else {
                    break;
                };
                let tenant = format!(
                    "select tenant_id from postroad.messages where message_id = postroad.read_cursor('{next}')"
                );
                assert_eq!(api.db.client.rows(&tenant).await?, ["1"], "{path}");
                cursor = format!("&cursor={next}");
            }
            assert_eq!(found, ids, "{status}, {limit} a page");
        }
    }
    let made_up = format!("&cursor={}w", "_".repeat(21));
    for status in ["queued", "scheduled", "processing", "failed", "sent"] {
        let key = api.key("roles => '{reader}', tenant_id => 3").await?;
        let path = format!("/messages?status={status}{made_up}");
        let page = api.call(&key, "GET", &path, &Value::Null).await?;
        let nothing = json!({"messages": [], "next_cursor": null});
        assert_eq!(page.body, nothing, "{path}");
    }
    Ok(())
}

/// What waits longer than messages are kept is copied aside, and is a tenant's all the same.
#[tokio::test]
async fn a_tenant_finds_what_waits_longer_than_messages_are_kept() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{reader}', tenant_id => 1").await?;
    let later = "scheduled_for => now() + interval '90 days'";
    let mut ids = Vec::new();
    for tenant in [1, 2, 1] {
        let more = format!("tenant_id => {tenant}, {later}");
        let id = api.db.enqueue_to("ada@example.org", &more).await?;
        if tenant == 1 {
            ids.insert(0, id);
        }
    }
    api.db.client.batch_execute(&format!(
        "with gone as (delete from postroad.messages where message_id <> '{}' returning *) insert into postroad.messages_kept select * from gone",
        ids[0]
    )).await?;
    for (query, wanted) in [
        ("status=scheduled", &ids[..]),
        ("status=scheduled&channel=email", &ids[..]),
        ("status=scheduled&channel=sms", &[]),
        ("status=queued", &[]),
    ] {
        let path = format!("/messages?{query}");
        let page = api.call(&key, "GET", &path, &Value::Null).await?;
        let items = page.body["messages"].as_array().into_iter().flatten();
        let found: Vec<_> = items
            .filter_map(|item| item["message_id"].as_str())
            .collect();
        assert_eq!(found, wanted, "{query}");
        assert_eq!(page.body["next_cursor"], Value::Null, "{query}");
    }
    Ok(())
}
