//! Callers beyond their limits, as a system event tells of them.

use futures_util::future::join_all;
use serde_json::Value;

use super::Api;
use crate::support::http_double::HttpDouble;
use crate::support::node::Node;
use crate::support::process::Directory;
use crate::support::sql::Sql as _;

/// What was told: the limit, its size, and for whom.
const TOLD: &str = "select subject, detail ->> 'kind', detail ->> 'limit', detail ->> 'window_seconds', coalesce(detail ->> 'tenant_id', 'all')
    from postroad.system_log where kind = 'rate_limit_exceeded' order by subject";

impl Api {
    /// Calls so often at once, and returns how many were refused.
    async fn flood(&self, key: &str, calls: usize) -> anyhow::Result<usize> {
        let id = uuid::Uuid::now_v7();
        let path = format!("/messages/{id}");
        let calls = (0..calls).map(|_| self.call(key, "GET", &path, &Value::Null));
        let mut refused = 0;
        for answer in join_all(calls).await {
            refused += usize::from(answer?.status == 429);
        }
        Ok(refused)
    }
}

/// A loop gone wild asks a thousand times a second; whoever is to be woken by it wants to be woken once.
#[tokio::test]
async fn a_caller_beyond_its_limit_is_a_system_event_once_and_posted_once() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let db = &api.db;
    let receiver = HttpDouble::start().await;
    let add = format!(
        "select endpoint_id from postroad.add_webhook_endpoint('{}/hook', '{{system.rate_limit_exceeded}}')",
        receiver.url()
    );
    db.client.rows(&add).await?;
    let directory = Directory::new()?;
    let config = "[outbound]\nallow_private = true\n";
    let _outbound = Node::start(&directory, &db.url, "outbound", &["outbound"], config)?;
    let slow = api
        .key("roles => '{reader}', tenant_id => 7, requests_per_second => 2")
        .await?;
    let other = api.key("roles => '{reader}'").await?;
    assert_eq!(api.flood(&other, 20).await?, 0);
    assert!(api.flood(&slow, 100).await? >= 50);
    let told = "exists (select from postroad.system_log where kind = 'rate_limit_exceeded')";
    db.wait_until(told).await?;
    assert!(api.flood(&slow, 50).await? >= 20);

    // Another caller's comes after anything that was still to be told of the first one.
    let third = api
        .key("roles => '{reader}', requests_per_second => 1")
        .await?;
    assert!(api.flood(&third, 20).await? >= 10);
    let ids = "select key_id from postroad.api_keys where requests_per_second is not null order by key_id";
    let ids = db.client.rows(ids).await?;
    let expected = [
        format!("api_key:{}|api_key|2|1|7", ids[0]),
        format!("api_key:{}|api_key|1|1|all", ids[1]),
    ];
    let condition = format!("count(*) = 2 from ({TOLD}) as t");
    db.wait_until(&condition).await?;
    let mut shown = db.client.rows(TOLD).await?;
    shown.sort_by_key(|line| line != &expected[0]);
    assert_eq!(shown, expected);

    crate::support::wait::until("both were posted", async || {
        Ok(receiver.requests().len() >= 2)
    })
    .await?;
    let posted = receiver.requests();
    assert_eq!(posted.len(), 2);
    assert!(posted.iter().all(|request| {
        request.json()["type"] == "system.rate_limit_exceeded"
            && !request.text().contains("pr_live")
    }));
    // They may come in any order.
    let subject = format!("api_key:{}", ids[0]);
    let mut bodies = posted.iter().map(|request| request.json());
    let first = bodies.find(|body| body["data"]["subject"] == *subject);
    let data = &first.expect("the first caller's")["data"];
    assert_eq!(data["detail"]["name"], *ids[0]);
    assert!(
        data["detail"]["retry_after_seconds"]
            .as_f64()
            .is_some_and(|s| s > 0.0 && s <= 1.0)
    );
    assert!(data["detail"]["first_seen_at"].is_string());
    Ok(())
}

/// The subject of a token is its issuer's choice, and may be an address.
#[tokio::test]
async fn a_tokens_subject_is_not_told() -> anyhow::Result<()> {
    let db = crate::support::db::TestDb::new().await?;
    let report = "select postroad.report_limited_callers('[{\"caller\": \"jwt:ada@example.org@7\", \"tenant_id\": 7, \"limit\": 5}]')";
    assert_eq!(db.client.row(report).await?, "1");
    let told = "select subject ~ '^token:[0-9a-f]{16}$', detail::text ~ 'ada', detail ->> 'tenant_id' from postroad.system_log";
    assert_eq!(db.client.row(told).await?, "t|f|7");
    Ok(())
}
