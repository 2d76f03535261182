//! Bulk sends: as one body, and as a stream of lines.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Answered, Api};
use crate::support::sql::Sql as _;
use crate::support::wait::until;

async fn stream(
    api: &Api,
    key: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> anyhow::Result<Answered> {
    let mut request = api
        .request("POST", "/api/v1/messages/bulk")
        .bearer_auth(key);
    request = request.header("content-type", "application/x-ndjson");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(request.body(body)).await
}

fn lines(count: usize) -> Vec<u8> {
    let mut text =
        String::from("{\"channel\": \"email\", \"body\": \"x\", \"source_type\": \"news\"}\n");
    for n in 0..count {
        text.push_str(&format!(
            "{{\"address\": \"u{n}@example.org\", \"id\": {n}, \"data\": {{\"n\": \"a\\tb\"}}}}\n"
        ));
    }
    text.into_bytes()
}

async fn sent(api: &Api) -> anyhow::Result<String> {
    api.db.client.row("select count(*), count(distinct recipient_id), count(*) filter (where data ->> 'n' = E'a\\tb') from postroad.messages").await
}

/// A list of subscribers is longer than a body should be.
#[tokio::test]
async fn a_stream_of_lines_is_sent_whole() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}', tenant_id => 7").await?;
    let answered = stream(&api, &key, &[], lines(30_000)).await?;
    assert_eq!(answered.status, 202, "{:?}", answered.body);
    assert_eq!(
        (&answered.body["queued"], &answered.body["invalid"]),
        (&json!(30_000), &json!(0))
    );
    assert_eq!(sent(&api).await?, "30000|30000|30000");
    assert_eq!(
        api.db
            .client
            .row("select distinct tenant_id, source_type from postroad.messages")
            .await?,
        "7|news"
    );

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&lines(5_000))?;
    let gzip = gzip.finish()?;
    let headers = [("content-encoding", "gzip"), ("idempotency-key", "news-1")];
    let first = stream(&api, &key, &headers, gzip.clone()).await?;
    assert_eq!(
        (first.status, &first.body["queued"]),
        (202, &json!(5_000)),
        "{:?}",
        first.body
    );
    let again = stream(&api, &key, &headers, gzip).await?;
    assert_eq!(
        (again.status, again.header("idempotency-replay")),
        (202, "true")
    );
    assert_eq!(again.body, first.body);
    let other = stream(&api, &key, &headers[1..], lines(10)).await?;
    assert_eq!(other.status, 422);
    assert_eq!(sent(&api).await?, "35000|30000|35000");
    Ok(())
}

/// Half of a newsletter cannot be taken back, and cannot be sent again without sending it twice to some.
#[tokio::test]
async fn a_stream_with_a_bad_line_sends_nothing() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}', tenant_id => 7").await?;
    let good = lines(5_000);
    let with = |line: &str| [good.clone(), format!("{line}\n").into_bytes()].concat();
    let line_too_long = format!("\"{}\"", "x".repeat(1_100_000));
    for (what, body, status) in [
        ("no recipient", with("{\"adress\": \"x\"}"), 400),
        ("no JSON", with("u@example.org"), 400),
        ("a NUL", with("\"a\\u0000@example.org\""), 422),
        ("a long line", with(&line_too_long), 400),
        ("no lines", b"\n\n".to_vec(), 400),
        ("no recipients", lines(0), 400),
        (
            "no call",
            b"\"u@example.org\"\n\"v@example.org\"\n".to_vec(),
            400,
        ),
        (
            "an unknown channel",
            b"{\"channel\": \"fax\", \"body\": \"x\"}\n\"u@example.org\"\n".to_vec(),
            400,
        ),
        (
            "nothing to say",
            b"{\"channel\": \"email\"}\n\"u@example.org\"\n".to_vec(),
            422,
        ),
        (
            "another tenant",
            b"{\"channel\": \"email\", \"body\": \"x\", \"tenant_id\": 8}\n\"u@example.org\"\n"
                .to_vec(),
            403,
        ),
    ] {
        let answered = stream(&api, &key, &[("idempotency-key", "k")], body).await?;
        assert_eq!(answered.status, status, "{what}: {:?}", answered.body);
        assert_eq!(sent(&api).await?, "0|0|0", "{what}");
    }
    // Blank lines, and a last one without its end, are lines all the same.
    let body = b"{\"channel\": \"email\", \"body\": \"x\"}\r\n\r\n\"u@example.org\"\r\n  \n\"v@example.org\"".to_vec();
    let answered = stream(&api, &key, &[("idempotency-key", "k")], body).await?;
    assert_eq!(
        (answered.status, &answered.body["queued"]),
        (202, &json!(2)),
        "{:?}",
        answered.body
    );
    Ok(())
}

/// As one body it is bounded, and a recipient that is none is named.
#[tokio::test]
async fn a_bulk_send_in_one_body_has_ten_thousand_recipients_at_most() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let key = api.key("roles => '{sender}'").await?;
    let body = |count: usize| {
        let recipients: Vec<_> = (0..count)
            .map(|n| json!({"address": format!("u{n}@example.org"), "id": n}))
            .collect();
        json!({"channel": "email", "body": "x", "recipients": recipients})
    };
    let answered = api
        .call(&key, "POST", "/messages/bulk", &body(10_000))
        .await?;
    assert_eq!(
        (answered.status, &answered.body["queued"]),
        (202, &json!(10_000)),
        "{:?}",
        answered.body
    );
    let answered = api
        .call(&key, "POST", "/messages/bulk", &body(10_001))
        .await?;
    assert_eq!(
        (answered.status, answered.places()),
        (400, vec!["#/recipients"])
    );
    let mixed = json!({"channel": "email", "body": "x", "recipients": ["a@example.org", "nobody", "a@example.org", {"address": "b@example.org", "data": {}}]});
    let answered = api.call(&key, "POST", "/messages/bulk", &mixed).await?;
    let counts = ["queued", "invalid", "duplicate", "suppressed"]
        .map(|name| answered.body[name].as_i64().unwrap_or(-1));
    assert_eq!(counts, [2, 1, 1, 0], "{:?}", answered.body);
    let wrong = json!({"channel": "email", "body": "x", "recipients": ["a@example.org", {"address": "b@example.org", "ID": 1}]});
    let answered = api.call(&key, "POST", "/messages/bulk", &wrong).await?;
    assert_eq!(
        (answered.status, answered.places()),
        (400, vec!["#/recipients/1"])
    );
    Ok(())
}

/// A stream lasts as long as its sender likes: one tenant's must not keep the others' out.
#[tokio::test]
async fn slow_streams_of_one_tenant_leave_room_for_others() -> anyhow::Result<()> {
    let api = Api::start().await?;
    let slow = api.key("roles => '{sender}', tenant_id => 1").await?;
    let other = api.key("roles => '{sender}', tenant_id => 2").await?;
    let mut held = Vec::new();
    until("its share is taken", async || {
        let mut connection = TcpStream::connect(api.address).await?;
        let head = format!(
            "POST /api/v1/messages/bulk HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {slow}\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{{\r\n"
        );
        connection.write_all(head.as_bytes()).await?;
        held.push(connection);
        Ok(stream(&api, &slow, &[], lines(1)).await?.status == 503)
    })
    .await?;
    let answered = stream(&api, &other, &[], lines(1)).await?;
    assert_eq!(answered.status, 202, "{:?}", answered.body);
    Ok(())
}
