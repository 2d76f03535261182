//! What callers are told: problems with the field that is wrong, and what an endpoint answers.

use serde_json::{Value, json};

use super::Api;
use crate::support::sql::Sql as _;

/// A form shows an error beside the field that is wrong; a program finds it by its pointer.
#[tokio::test]
async fn a_problem_says_which_field_is_wrong() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api
        .key("roles => '{sender,reader,admin}', requests_per_second => 100000")
        .await?;
    let email = |more: Value| {
        let mut body = json!({"channel": "email", "recipient": "ada@example.org", "body": "x"});
        let fields = more.as_object().cloned().unwrap_or_default();
        body.as_object_mut().expect("an object").extend(fields);
        body
    };
    for (body, status, places) in [
        (json!({}), 400, vec!["#/channel", "#/recipient"]),
        (json!([]), 400, vec!["#"]),
        (email(json!({"channel": "fax"})), 400, vec!["#/channel"]),
        (email(json!({"recipient": 7})), 400, vec!["#/recipient"]),
        (
            email(json!({"recipient": ["ada@example.org"]})),
            400,
            vec!["#/recipient"],
        ),
        (email(json!({"to": "ada@example.org"})), 400, vec!["#/to"]),
        (email(json!({"a/b~c": 1})), 400, vec!["#/a~1b~0c"]),
        (
            email(json!({"message_type": "spam"})),
            400,
            vec!["#/message_type"],
        ),
        (
            email(json!({"scheduled_for": "tomorrow"})),
            400,
            vec!["#/scheduled_for"],
        ),
        (
            email(json!({"scheduled_for": "2026-13-01T00:00:00Z"})),
            400,
            vec!["#/scheduled_for"],
        ),
        (
            email(json!({"recipient_id": 1.5})),
            400,
            vec!["#/recipient_id"],
        ),
        (
            email(json!({"recipient_id": 1e30})),
            400,
            vec!["#/recipient_id"],
        ),
        (
            email(json!({"recipient": "nobody"})),
            422,
            vec!["#/recipient"],
        ),
        (
            email(json!({"recipient": "a\u{0}@example.org"})),
            422,
            vec!["#"],
        ),
        (email(json!({"subject": "a\nb"})), 422, vec!["#/subject"]),
        (
            email(json!({"expires_at": "2020-01-01T00:00:00Z"})),
            422,
            vec!["#/expires_at"],
        ),
        (
            email(json!({"options": {"ccc": []}})),
            422,
            vec!["#/options"],
        ),
        (
            email(json!({"template": "weekly"})),
            422,
            vec!["#/template"],
        ),
        (
            json!({"channel": "email", "recipient": "ada@example.org"}),
            422,
            vec!["#/body"],
        ),
        (
            json!({"channel": "sms", "recipient": "+14155550123", "html": "<p>"}),
            422,
            vec!["#/html"],
        ),
    ] {
        let answered = api.call(&key, "POST", "/messages", &body).await?;
        assert_eq!(
            (answered.status, answered.places()),
            (status, places),
            "{body}: {:?}",
            answered.body
        );
        assert_eq!(answered.header("content-type"), "application/problem+json");
        assert_eq!(answered.body["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(answered.body[member].is_string(), "{body}: {member}");
        }
    }
    for (path, place) in [
        ("/messages?limit=0", "limit"),
        ("/messages?limit=many", "limit"),
        ("/messages?status=lost", "status"),
        ("/messages?colour=red", "colour"),
        ("/messages?cursor=made-up", "cursor"),
        ("/messages?limit=1&limit=2", "limit"),
        ("/messages/7", "message_id"),
    ] {
        let answered = api.call(&key, "GET", path, &Value::Null).await?;
        assert_eq!(
            (answered.status, answered.places()),
            (400, vec![place]),
            "{path}: {:?}",
            answered.body
        );
    }
    let answered = api
        .call(
            &key,
            "GET",
            "/suppressions?cursor=bm9uZSBvZiBvdXJz",
            &Value::Null,
        )
        .await?;
    assert_eq!((answered.status, answered.places()), (422, vec!["cursor"]));
    let none = "select (select count(*) from postroad.messages) + (select count(*) from postroad.message_queue)";
    assert_eq!(api.db.client.row(none).await?, "0");
    Ok(())
}

/// A body that cannot be read is told from one that says the wrong thing, and neither is a fault of ours.
#[tokio::test]
async fn a_body_that_is_no_json_is_refused_before_it_reaches_the_database() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}'").await?;
    let send = async |content_type: &str, body: Vec<u8>| {
        let request = api.request("POST", "/api/v1/messages").bearer_auth(&key);
        let request = request.header("content-type", content_type).body(body);
        anyhow::Ok(api.send(request).await?.status)
    };
    let good = br#"{"channel": "email", "recipient": "ada@example.org", "body": "x"}"#.to_vec();
    assert_eq!(
        send("application/json; charset=utf-8", good.clone()).await?,
        202
    );
    assert_eq!(send("application/vnd.api+json", good.clone()).await?, 202);
    assert_eq!(send("text/plain", good.clone()).await?, 415);
    assert_eq!(
        send("application/x-ndjson", good.clone()).await?,
        415,
        "no stream"
    );
    for body in [
        &b""[..],
        b"  ",
        b"{",
        b"{\"channel\": \"email\"",
        b"\xff\xfe",
        b"{} {}",
    ] {
        assert_eq!(
            send("application/json", body.to_vec()).await?,
            400,
            "{body:?}"
        );
    }
    let deep = [vec![b'['; 200_000], vec![b']'; 200_000]].concat();
    assert_eq!(send("application/json", deep).await?, 422);
    Ok(())
}

/// A monitor that asks for another page than there is must not wake somebody.
#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{reader}'").await?;
    for path in ["/message", "/messages/1/2/3", "/messages/", "/"] {
        let answered = api.call(&key, "GET", path, &Value::Null).await?;
        assert_eq!(answered.status, 404, "{path}");
        assert_eq!(answered.header("content-type"), "application/problem+json");
    }
    let answered = api.call(&key, "PATCH", "/messages", &Value::Null).await?;
    assert_eq!(
        (answered.status, answered.header("allow")),
        (405, "GET, POST")
    );
    assert_eq!(
        answered.header("access-control-allow-origin"),
        "",
        "CORS is off"
    );
    Ok(())
}

/// What a message goes through is told over HTTP as in SQL.
#[tokio::test]
async fn a_message_is_sent_found_cancelled_and_retried() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender,reader,admin}'").await?;
    let body = json!({"channel": "email", "recipient": "ada@EXAMPLE.org", "subject": "Hello", "body": "x", "html": "<p>x</p>", "message_type": "alert",
        "scheduled_for": "2036-01-31T12:00:00+01:00", "recipient_id": 7.0, "source_type": "alerts", "source_id": 3, "options": {"tags": ["a"]}, "data": {"n": 1}});
    let sent = api.call(&key, "POST", "/messages", &body).await?;
    assert_eq!(
        (sent.status, &sent.body["status"]),
        (202, &json!("scheduled")),
        "{:?}",
        sent.body
    );
    let id = sent.body["message_id"].as_str().expect("an id").to_owned();
    let kept = "select subject, body, html, recipient, recipient_id, source_type, source_id, priority, options, data, scheduled_for at time zone 'UTC' from postroad.messages";
    assert_eq!(
        api.db.client.row(kept).await?,
        "Hello|x|<p>x</p>|ada@example.org|7|alerts|3|1|{\"tags\": [\"a\"]}|{\"n\": 1}|2036-01-31 11:00:00"
    );
    let look = async |path: &str| {
        api.call(&key, "GET", &format!("/messages/{id}{path}"), &Value::Null)
            .await
    };
    let found = look("").await?.body;
    assert_eq!(
        (&found["status"], &found["recipient"], &found["priority"]),
        (&json!("scheduled"), &json!("ada@example.org"), &json!("P1"))
    );
    let change = async |method: &str, path: &str| {
        let answered = api
            .call(&key, method, &format!("/messages/{id}{path}"), &Value::Null)
            .await?;
        anyhow::Ok((answered.status, answered.body["status"].clone()))
    };
    assert_eq!(
        change("POST", "/retry").await?,
        (409, json!(409)),
        "it waits"
    );
    assert_eq!(change("DELETE", "").await?, (200, json!("cancelled")));
    assert_eq!(
        change("DELETE", "").await?,
        (409, json!(409)),
        "it has ended"
    );
    assert_eq!(
        change("POST", "/retry").await?,
        (200, json!("scheduled")),
        "its time is still to come"
    );
    let events = look("/timeline").await?.body["events"].clone();
    let types: Vec<_> = events
        .as_array()
        .into_iter()
        .flatten()
        .map(|event| event["event_type"].clone())
        .collect();
    assert_eq!(types, ["queued", "cancelled"]);
    let gates = look("/explain").await?.body["gates"].clone();
    assert_eq!(gates[0]["gate"], "record");
    let id_of_nothing = uuid::Uuid::now_v7();
    for path in ["", "/timeline", "/explain"] {
        let answered = api
            .call(
                &key,
                "GET",
                &format!("/messages/{id_of_nothing}{path}"),
                &Value::Null,
            )
            .await?;
        assert_eq!(answered.status, 404, "{path}");
    }
    let duplicate = json!({"channel": "email", "recipient": "a@example.org", "body": "x", "idempotency_key": "order-42"});
    let first = api.call(&key, "POST", "/messages", &duplicate).await?;
    let second = api.call(&key, "POST", "/messages", &duplicate).await?;
    assert_eq!((first.status, second.status), (202, 200));
    assert_eq!(first.body["message_id"], second.body["message_id"]);
    Ok(())
}

/// The description is what generators make clients of.
#[tokio::test]
async fn every_route_is_in_the_description() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let described = api.send(api.request("GET", "/openapi.json")).await?;
    assert_eq!(described.body["openapi"], "3.1.0");
    let routes = api
        .db
        .client
        .rows("select lower(method) || ' ' || path from postroad.api_routes")
        .await?;
    assert!(routes.len() >= 20);
    for route in routes {
        let (method, path) = route.split_once(' ').expect("two words");
        let operation = &described.body["paths"][format!("/api/v1{path}")][method];
        assert!(operation["summary"].is_string(), "{route}");
        assert!(
            operation["responses"]["default"]["$ref"].is_string(),
            "{route}"
        );
    }
    Ok(())
}

/// Postgres quotes in its log what it cannot read: what can be told before is not shown to it.
#[tokio::test]
async fn text_that_cannot_be_stored_does_not_reach_the_database() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender,reader}'").await?;
    let send = async |content_type: &str, body: String| {
        let path = match content_type {
            "application/json" => "/api/v1/messages",
            _ => "/api/v1/messages/bulk",
        };
        let request = api.request("POST", path).bearer_auth(&key);
        api.send(request.header("content-type", content_type).body(body))
            .await
    };
    for bad in [
        "\\u0000",
        "\\\\\\u0000",
        "\\ud83d",
        "\\udc00",
        "\\ud83d\\ud83d",
        "\\uD83D\\u0041",
    ] {
        let message = format!(
            r#"{{"channel": "email", "recipient": "ada@example.org", "body": "your code is 1234 {bad}"}}"#
        );
        let head = format!(r#"{{"channel": "email", "body": "your code is 1234 {bad}"}}"#);
        let line = format!(r#"{{"address": "ada@example.org", "data": {{"code": "1234 {bad}"}}}}"#);
        for (content_type, body) in [
            ("application/json", message),
            ("application/x-ndjson", format!("{head}\n{line}\n")),
            (
                "application/x-ndjson",
                format!("{{\"channel\": \"email\", \"body\": \"x\"}}\n{line}\n"),
            ),
        ] {
            let answered = send(content_type, body.clone()).await?;
            assert_eq!(answered.status, 422, "{body}: {:?}", answered.body);
            assert_eq!(
                answered.body["type"], "urn:postroad:problem:unstorable_value",
                "{body}"
            );
            assert!(
                !answered.places().is_empty(),
                "it went on to the database: {body}"
            );
        }
    }
    let path = "/messages?source=x%00y";
    let answered = api.call(&key, "GET", path, &Value::Null).await?;
    assert_eq!(
        (answered.status, answered.places()),
        (422, vec!["source"]),
        "{:?}",
        answered.body
    );
    for good in [
        "\\\\u0000",
        "\\ud83d\\ude00",
        "\\u0041",
        "\\\\ud83d",
        "\\n\\\"",
    ] {
        let message =
            format!(r#"{{"channel": "email", "recipient": "ada@example.org", "body": "{good}"}}"#);
        let answered = send("application/json", message).await?;
        assert_eq!(answered.status, 202, "{good}: {:?}", answered.body);
    }
    Ok(())
}
