//! Who may call what: one table with a row for each route.

use std::collections::BTreeSet;

use ring::hmac;
use serde_json::{Value, json};

use super::Api;
use super::tokens::{SECRET, claims, settings, signed, unsigned};
use crate::support::sql::Sql as _;

/// What another tenant's caller is to be told.
enum Stranger {
    /// That there is no such thing.
    NotFound,
    /// That it may not name another tenant.
    Forbidden,
    /// Nothing of others: what is said is empty.
    Empty(&'static str),
    /// That this is not for tenants.
    NotForTenants,
    /// Its own thing is made, of its own tenant.
    Own(&'static str),
}

/// A route, called so that whoever has the role gets `status`.
struct Case {
    method: &'static str,
    /// As `api_routes` has it.
    route: &'static str,
    /// What stands in it for the parameters.
    path: &'static str,
    body: Value,
    roles: &'static [&'static str],
    status: u16,
    stranger: Stranger,
}

const ROLES: [&str; 4] = ["sender", "reader", "admin", "webhook"];

/// `{sent}`, `{waiting}`, `{failed}` are messages of tenant 7, and `{key}` is a key of it.
#[rustfmt::skip]
fn cases() -> Vec<Case> {
    use Stranger::{Empty, Forbidden, NotForTenants, NotFound, Own};
    let message = json!({"channel": "email", "recipient": "ada@example.org", "body": "x"});
    let other = json!({"channel": "email", "recipient": "ada@example.org", "body": "x", "tenant_id": 7});
    let bulk = json!({"channel": "email", "recipients": ["ada@example.org"], "body": "x", "tenant_id": 7});
    let case = |method, route, path, body: &Value, roles, status, stranger| Case { method, route, path, body: body.clone(), roles, status, stranger };
    let none = &Value::Null;
    vec![
        case("POST", "/messages", "/messages", &message, &["sender"], 202, Own("select count(*) filter (where tenant_id = 8) = 1 and count(*) filter (where tenant_id not in (7, 8)) = 0 from postroad.messages")),
        case("POST", "/messages", "/messages", &other, &["sender"], 202, Forbidden),
        case("POST", "/messages/bulk", "/messages/bulk", &bulk, &["sender"], 202, Forbidden),
        case("GET", "/messages", "/messages", none, &["reader", "admin"], 200, Empty("messages")),
        case("GET", "/messages/{message_id}", "/messages/{waiting}", none, &["sender", "reader", "admin"], 200, NotFound),
        case("GET", "/messages/{message_id}/timeline", "/messages/{waiting}/timeline", none, &["sender", "reader", "admin"], 200, NotFound),
        case("GET", "/messages/{message_id}/explain", "/messages/{waiting}/explain", none, &["sender", "reader", "admin"], 200, NotFound),
        case("DELETE", "/messages/{message_id}", "/messages/{waiting}", none, &["sender", "admin"], 200, NotFound),
        case("POST", "/messages/{message_id}/retry", "/messages/{failed}/retry", none, &["admin"], 200, NotFound),
        case("GET", "/messages/stats/queue", "/messages/stats/queue", none, &["reader", "admin"], 200, NotForTenants),
        case("GET", "/messages/stats/channels", "/messages/stats/channels", none, &["reader", "admin"], 200, NotForTenants),
        case("GET", "/suppressions", "/suppressions", none, &["reader", "admin"], 200, Empty("suppressions")),
        case("POST", "/suppressions", "/suppressions", &json!({"address": "eve@example.org", "channel": "email", "tenant_id": 7}), &["admin"], 200, Forbidden),
        case("DELETE", "/suppressions/{address}", "/suppressions/bob@example.org?channel=email&tenant_id=7", none, &["admin"], 200, Forbidden),
        case("DELETE", "/suppressions/{address}", "/suppressions/carol@example.org?channel=email", none, &["admin"], 404, NotFound),
        case("GET", "/gateways", "/gateways", none, &["reader", "admin"], 200, NotForTenants),
        case("POST", "/gateways/{gateway}/pause", "/gateways/stub/pause", &json!({"reason": "test"}), &["admin"], 200, NotForTenants),
        case("POST", "/gateways/{gateway}/resume", "/gateways/stub/resume", none, &["admin"], 200, NotForTenants),
        case("PUT", "/gateways/{gateway}/weight", "/gateways/stub/weight", &json!({"weight": 3}), &["admin"], 200, NotForTenants),
        case("GET", "/keys", "/keys", none, &["admin"], 200, Own("select true")),
        case("POST", "/keys", "/keys", &json!({"name": "x", "roles": ["sender"], "tenant_id": 7}), &["admin"], 201, Forbidden),
        case("PUT", "/consumers/{consumer}", "/consumers/billing", &json!({}), &["webhook", "admin"], 200, NotForTenants),
        case("GET", "/consumers/{consumer}/events", "/consumers/billing/events", none, &["webhook"], 200, NotForTenants),
        case("POST", "/consumers/{consumer}/ack", "/consumers/billing/ack", &json!({"batch_id": 1}), &["webhook"], 200, NotForTenants),
        case("DELETE", "/consumers/{consumer}", "/consumers/billing", none, &["webhook", "admin"], 200, NotForTenants),
        case("GET", "/webhook-endpoints", "/webhook-endpoints", none, &["webhook", "reader", "admin"], 200, NotForTenants),
        case("POST", "/webhook-endpoints", "/webhook-endpoints", &json!({"url": "https://app.example.org/hooks", "event_types": ["message.*"]}), &["webhook", "admin"], 201, NotForTenants),
        case("PATCH", "/webhook-endpoints/{endpoint_id}", "/webhook-endpoints/{endpoint}", &json!({"enabled": false}), &["webhook", "admin"], 200, NotForTenants),
        case("POST", "/webhook-endpoints/{endpoint_id}/rotate", "/webhook-endpoints/{endpoint}/rotate", none, &["webhook", "admin"], 200, NotForTenants),
        case("DELETE", "/webhook-endpoints/{endpoint_id}", "/webhook-endpoints/{endpoint}", none, &["webhook", "admin"], 200, NotForTenants),
        case("DELETE", "/keys/{key_id}", "/keys/{key}", none, &["admin"], 200, NotFound),
    ]
}

/// Each route lets in whoever has the role, and nobody else: not another role, not another tenant, not a key that has
/// expired or was revoked, no token that is not signed, or is meant for somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_open_to_its_roles_and_to_nobody_else() -> anyhow::Result<()> {
    let api = Api::start_with(settings()).await?;
    let sql = &api.db.client;
    let cases = cases();
    let covered: BTreeSet<_> = cases
        .iter()
        .map(|case| format!("{} {}", case.method, case.route))
        .collect();
    let there = sql
        .rows("select method || ' ' || path from postroad.api_routes")
        .await?;
    let there: BTreeSet<_> = there.into_iter().collect();
    assert_eq!(covered, there, "each route has a row in this test");

    let expired = api.key("roles => '{sender,reader,admin,webhook}'").await?;
    sql.batch_execute("update postroad.api_keys set expires_at = now() - interval '1 s'")
        .await?;
    let revoked = api.key("roles => '{sender,reader,admin,webhook}'").await?;
    sql.rows("select postroad.revoke_api_key(max(key_id)) from postroad.api_keys")
        .await?;
    let all = json!(["sender", "reader", "admin", "webhook"]);
    let with = |name: &str, value: Value| {
        let mut claims = claims("ada", &all, Some(7));
        claims[name] = value;
        signed(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims("ada", &all, Some(7));
        claims
            .as_object_mut()
            .and_then(|claims| claims.remove(name))
            .expect("a claim");
        signed(&claims)
    };
    let another_secret = hmac::Key::new(hmac::HMAC_SHA256, &[9; 40]);
    let good = signed(&claims("ada", &all, Some(7)));
    let (body_of_good, _) = good.rsplit_once('.').expect("a signature");
    let forged = hmac::sign(&another_secret, body_of_good.as_bytes());
    let nobody = [
        ("no key", String::new()),
        ("an expired key", expired),
        ("a revoked key", revoked),
        ("a key that never was", api_key_that_never_was()),
        ("alg none", unsigned(&claims("ada", &all, Some(7)))),
        ("another audience", with("aud", json!("another"))),
        ("another issuer", with("iss", json!("another"))),
        ("an expired token", with("exp", json!(1_000_000_000))),
        (
            "a token not valid yet",
            with("nbf", json!(9_000_000_000_u64)),
        ),
        ("a token without audience", without("aud")),
        ("a token without issuer", without("iss")),
        ("a token without end", without("exp")),
        ("a token without subject", without("sub")),
        ("a token without tenant", signed(&claims("ada", &all, None))),
        (
            "another secret",
            format!(
                "{body_of_good}.{}",
                postroad::gateway::push::jwt::base64url(forged.as_ref())
            ),
        ),
    ];
    assert!(SECRET.len() >= 32);

    for case in &cases {
        let title = format!("{} {}", case.method, case.path);
        for (what, credential) in &nobody {
            let path = filled(&api, case.path).await?;
            let mut request = api.request(case.method, &format!("/api/v1{path}"));
            if !credential.is_empty() {
                request = request.bearer_auth(credential);
            }
            let answered = api.send(request.body(case.body.to_string())).await?;
            assert_eq!(answered.status, 401, "{title}: {what}: {:?}", answered.body);
            assert_eq!(answered.header("content-type"), "application/problem+json");
            assert_eq!(
                answered.header("www-authenticate"),
                "Bearer",
                "{title}: {what}"
            );
        }
        for role in ROLES {
            let key = api.key(&format!("roles => '{{{role}}}'")).await?;
            let path = filled(&api, case.path).await?;
            let answered = api.call(&key, case.method, &path, &case.body).await?;
            let wanted = if case.roles.contains(&role) {
                case.status
            } else {
                403
            };
            assert_eq!(
                answered.status, wanted,
                "{title}: {role}: {:?}",
                answered.body
            );
        }
        // The tenant's own caller, by a token; then another tenant's, with every role.
        let for_tenants = !matches!(case.stranger, Stranger::NotForTenants);
        let path = filled(&api, case.path).await?;
        let answered = api.call(&good, case.method, &path, &case.body).await?;
        let wanted = if for_tenants { case.status } else { 403 };
        let wanted = if title.contains("carol@") {
            200
        } else {
            wanted
        }; // hers is an entry of tenant 7
        assert_eq!(
            answered.status, wanted,
            "{title}: its tenant: {:?}",
            answered.body
        );

        let stranger = api
            .key("roles => '{sender,reader,admin,webhook}', tenant_id => 8")
            .await?;
        let path = filled(&api, case.path).await?;
        let answered = api.call(&stranger, case.method, &path, &case.body).await?;
        let status = answered.status;
        match case.stranger {
            Stranger::NotFound => assert_eq!(status, 404, "{title}: {:?}", answered.body),
            Stranger::Forbidden => assert_eq!(status, 403, "{title}: {:?}", answered.body),
            Stranger::NotForTenants => assert_eq!(status, 403, "{title}: {:?}", answered.body),
            Stranger::Empty(list) => {
                assert_eq!((status, &answered.body[list]), (200, &json!([])), "{title}");
            }
            Stranger::Own(check) => {
                assert_eq!(status, case.status, "{title}: {:?}", answered.body);
                assert_eq!(sql.row(check).await?, "t", "{title}");
                let keys = answered.body["keys"].as_array().into_iter().flatten();
                assert!(keys.into_iter().all(|key| key["tenant_id"] == 8), "{title}");
            }
        }
        sql.batch_execute("delete from postroad.messages where tenant_id = 8")
            .await?;
    }
    Ok(())
}

/// One that has the right form.
fn api_key_that_never_was() -> String {
    "pr_live_aZq9lS5GqTieUJrhDsXBGhbGxVS9KMFFoTEajf2SPT94b92d6".into()
}

/// A path with what its placeholders stand for, made anew: a call uses it up.
async fn filled(api: &Api, path: &str) -> anyhow::Result<String> {
    let sql = &api.db.client;
    sql.batch_execute(
        "insert into postroad.channel_health (gateway, channel, position) values ('stub', 'email', 1) on conflict do nothing;
         select postroad.suppress('email', 'bob@example.org', tenant_id => 7);
         select postroad.suppress('email', 'carol@example.org', tenant_id => 7);
         select postroad.register_consumer('billing');
         update postroad.consumers set registered_by = (select 'key:' || max(k.key_id) from postroad.api_keys as k) where consumer = 'billing'",
    )
    .await?;
    if path.contains("/ack") {
        // One batch is enough: to acknowledge it again is no error.
        api.db.enqueue_to("ada@example.org", "").await?;
        sql.rows("select * from postroad.read_events('billing')")
            .await?;
    }
    let id = if path.contains("{waiting}") || path.contains("{failed}") {
        let id = api
            .db
            .enqueue_to("ada@example.org", "tenant_id => 7")
            .await?;
        if path.contains("{failed}") {
            sql.rows(&format!("select postroad.cancel('{id}')")).await?;
        }
        id
    } else if path.contains("{endpoint}") {
        let query = "select endpoint_id from postroad.add_webhook_endpoint('https://app.example.org/hooks')";
        sql.row(query).await?
    } else if path.contains("{key}") {
        let query = "select key_id from postroad.create_api_key(name => 'x', roles => '{sender}', tenant_id => 7)";
        sql.row(query).await?
    } else {
        String::new()
    };
    Ok(path
        .replace("{waiting}", &id)
        .replace("{failed}", &id)
        .replace("{key}", &id)
        .replace("{endpoint}", &id))
}

/// Each app has a key, and reads what is its own; a key that replaces another goes on with its name.
#[tokio::test]
async fn a_consumer_is_for_the_key_that_registered_it() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = async |name: &str, roles: &str| -> anyhow::Result<String> {
        let query = format!(
            "select key from postroad.create_api_key(name => '{name}', roles => '{{{roles}}}')"
        );
        api.db.client.row(&query).await
    };
    let billing = key("billing", "webhook").await?;
    let reports = key("reports", "webhook").await?;
    let renewed = key("billing", "webhook").await?;
    let admin = key("root", "admin,webhook").await?;
    let path = "/consumers/invoices";
    let events = "/consumers/invoices/events";
    let ack = "/consumers/invoices/ack";
    let registered = api.call(&billing, "PUT", path, &json!({})).await?;
    assert_eq!(registered.body["changed"], true, "{:?}", registered.body);
    api.db.enqueue_to("ada@example.org", "").await?;

    let first = json!({"batch_id": 1});
    for key in [&billing, &renewed, &admin] {
        let read = api.call(key, "GET", events, &Value::Null).await?;
        assert_eq!(read.status, 200, "{:?}", read.body);
        assert_eq!(read.body["batch_id"], 1);
    }
    for (method, path, body) in [
        ("GET", events, &Value::Null),
        ("POST", ack, &first),
        ("DELETE", path, &Value::Null),
    ] {
        let refused = api.call(&reports, method, path, body).await?;
        assert_eq!(refused.status, 403, "{method}: {:?}", refused.body);
    }
    // Nor one that was registered in SQL, by the very user that the server is.
    let in_sql = "select postroad.register_consumer('books')";
    assert_eq!(api.db.client.row(in_sql).await?, "t");
    for (method, path) in [
        ("GET", "/consumers/books/events"),
        ("DELETE", "/consumers/books"),
    ] {
        for key in [&reports, &admin] {
            let refused = api.call(key, method, path, &Value::Null).await?;
            assert_eq!(refused.status, 403, "{method}: {:?}", refused.body);
        }
    }
    let acked = api.call(&billing, "POST", ack, &first).await?;
    assert_eq!(acked.body["changed"], true, "{:?}", acked.body);
    let ended = api.call(&admin, "DELETE", path, &Value::Null).await?;
    assert_eq!(ended.status, 200, "{:?}", ended.body);
    Ok(())
}
