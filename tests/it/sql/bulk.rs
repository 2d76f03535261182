//! `enqueue_bulk`: one content for many recipients, in one call.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// `queued|suppressed|invalid|duplicate|reason` of a call with these recipients.
fn bulk(recipients: &str, arguments: &str) -> String {
    format!(
        "select queued, suppressed, invalid, duplicate, reason \
         from postroad.enqueue_bulk('email', {recipients}{arguments}, body => 'x')"
    )
}

/// A sender that counts must be able to account for each of its recipients.
#[tokio::test]
async fn every_recipient_is_counted_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'STOP@x.org', 'complaint')")
        .await?;
    let sender = db.connect_as("postroad_sender").await?;
    for (recipients, wanted) in [
        ("'[]'", "0|0|0|0|null"),
        (r#"'["a@x.org", "b@x.org"]'"#, "2|0|0|0|null"),
        (
            r#"'[{"address": "a@x.org", "id": 1, "type": "subscriber", "locale": "de", "data": {"n": 1}}, "b@x.org"]'"#,
            "2|0|0|0|null",
        ),
        (r#"'["a@x.org", "a@X.ORG", " a@x.org "]'"#, "1|0|0|2|null"),
        (r#"'["a@x.org", "A@x.org"]'"#, "2|0|0|0|null"),
        (
            r#"'["Stop@X.org", "stop@x.org", "a@x.org"]'"#,
            "1|2|0|0|null",
        ),
        (
            r#"'["stop@X.org", "stop@x.org", "stop@x.org"]'"#,
            "0|1|0|2|null",
        ),
        (
            r#"'["nobody", "", null, 5, [], {}, {"address": null}]'"#,
            "0|0|7|0|null",
        ),
        (r#"'["nobody", "nobody"]'"#, "0|0|2|0|null"),
        (
            r#"'[{"address": "a@x.org", "id": "12"}, {"address": "b@x.org", "id": 9223372036854775807}]'"#,
            "2|0|0|0|null",
        ),
        (
            r#"'[{"address": "a@x.org", "id": "12a"}, {"address": "b@x.org", "id": 9223372036854775808}, {"address": "c@x.org", "id": 1.5}]'"#,
            "0|0|3|0|null",
        ),
        (
            r#"'[{"address": "a@x.org", "id": null, "data": null}]'"#,
            "1|0|0|0|null",
        ),
    ] {
        assert_eq!(
            sender.row(&bulk(recipients, "")).await?,
            wanted,
            "{recipients}"
        );
    }
    let written = "select (select count(*) from postroad.messages), (select sum(cardinality(message_id || more_ids)) from postroad.message_queue), \
        (select count(*) from postroad.delivery_events where event_type = 'suppressed' and reason = 'complaint')";
    assert_eq!(db.client.row(written).await?, "14|11|3");
    Ok(())
}

/// What belongs to one recipient is in its row; what is shared is fetched by its content.
#[tokio::test]
async fn each_message_has_its_recipients_data_and_the_shared_content() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let call = r#"select batch_id from postroad.enqueue_bulk('email', '[{"address": "a@X.org", "id": 7, "type": "subscriber", "locale": "de",
        "data": {"n": 1}}, "b@x.org"]', subject => 's', body => 'b', html => 'h', data => '{"d": 1}', options => '{"tags": ["t"]}', locale => 'en',
        source_type => 'issue', source_id => 3, tenant_id => 5, ip_pool => 'bulk', gateway => 'smtp')"#;
    let batch = db.client.row(call).await?;
    let rows = "select recipient, recipient_id, recipient_type, locale, data, subject, body, options, source_type, source_id, tenant_id, ip_pool, gateway, \
        priority, message_type, content_id = batch_id from postroad.messages order by recipient";
    assert_eq!(
        db.client.rows(rows).await?,
        [
            r#"a@x.org|7|subscriber|de|{"n": 1}|null|null|null|issue|3|5|bulk|smtp|3|campaign|t"#,
            "b@x.org|null|null|en|null|null|null|null|issue|3|5|bulk|smtp|3|campaign|t",
        ]
    );
    let content = format!(
        "select subject, body, html, data, options from postroad.fetch_contents('{{{batch}}}')"
    );
    assert_eq!(
        db.client.row(&content).await?,
        r#"s|b|h|{"d": 1}|{"tags": ["t"]}"#
    );
    Ok(())
}

/// A megabyte a recipient would be a hundred gigabytes.
#[tokio::test]
async fn a_large_body_is_stored_once_for_a_hundred_thousand_recipients() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let call = "select queued from postroad.enqueue_bulk('email', \
        (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 100000) as n), \
        html => (select string_agg(md5(n::text), '') from generate_series(1, 32768) as n))";
    assert_eq!(db.client.row(call).await?, "100000");
    let bytes = "select (select sum(pg_total_relation_size(t.relid)) from pg_partition_tree('postroad.contents') as t) < 3 * 1048576, \
        (select sum(pg_total_relation_size(t.relid)) from pg_partition_tree('postroad.messages') as t) / 100000 < 300, \
        (select octet_length(c.html) from postroad.contents as c)";
    assert_eq!(db.client.row(bytes).await?, "t|t|1048576");
    assert_eq!(
        db.client
            .row("select max(size_kb) from postroad.message_queue")
            .await?,
        "0",
        "shared content is no part of a claim"
    );
    Ok(())
}

/// A newsletter for tomorrow morning waits as a whole; the suppressed are recorded at once.
#[tokio::test]
async fn a_scheduled_bulk_send_waits_for_its_time() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'stop@x.org')")
        .await?;
    let call = bulk(
        r#"'["a@x.org", "stop@x.org", "b@x.org"]'"#,
        ", scheduled_for => now() + interval '1 h'",
    );
    assert_eq!(db.client.row(&call).await?, "2|1|0|0|null");
    let places = "select (select count(*) from postroad.message_queue), (select count(*) from postroad.scheduled where priority = 3 and due_at > now())";
    assert_eq!(db.client.row(places).await?, "0|2");
    Ok(())
}

/// A newsletter that is sent twice is worse than one that is late.
#[tokio::test]
async fn the_key_of_a_bulk_send_stands_for_the_whole_call() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let two = r#"'["a@x.org", "b@x.org"]'"#;
    let three = r#"'["a@x.org", "b@x.org", "c@x.org"]'"#;
    let key = ", idempotency_key => 'issue-1'";
    assert_eq!(db.client.row(&bulk(two, key)).await?, "2|0|0|0|null");
    assert_eq!(
        db.client.row(&bulk(two, key)).await?,
        "0|0|0|2|idempotency_key"
    );
    assert_eq!(
        db.client.row(&bulk(three, key)).await?,
        "0|0|3|0|key_reused"
    );
    assert_eq!(
        db.client
            .row(&bulk(two, ", idempotency_key => 'issue-2'"))
            .await?,
        "2|0|0|0|null"
    );
    let ids = "select count(distinct batch_id), count(*) from postroad.messages";
    assert_eq!(db.client.row(ids).await?, "2|4");
    Ok(())
}

/// The same rules as for one message, for the call as a whole.
#[tokio::test]
async fn a_wrong_call_raises_and_bad_data_makes_all_invalid() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (call, code) in [
        ("'email', '{}', body => 'x'", "PR001"),
        ("'email', '\"a@x.org\"', body => 'x'", "PR001"),
        ("'email', null, body => 'x'", "PR001"),
        ("'fax', '[]', body => 'x'", "PR002"),
        ("'email', '[]', body => 'x', priority => 'P9'", "PR002"),
        ("'sms', '[]', html => 'x'", "PR003"),
        ("'email', '[]'", "PR003"),
        ("'email', '[]', template => 'weekly'", "PR004"),
        (
            "'email', '[]', body => 'x', options => '{\"a\": 1}'",
            "PR005",
        ),
    ] {
        let raised = db
            .client
            .raised(&format!("select * from postroad.enqueue_bulk({call})"))
            .await?;
        assert_eq!(raised.code, code, "{call}: {}", raised.message);
    }
    let call = bulk(
        r#"'["a@x.org", "b@x.org"]'"#,
        ", subject => repeat('s', 999)",
    );
    assert_eq!(db.client.row(&call).await?, "0|0|2|0|subject_too_long");
    let left = "select (select count(*) from postroad.messages) + (select count(*) from postroad.contents)";
    assert_eq!(db.client.row(left).await?, "0");
    Ok(())
}

/// A worker bounds its claims in bytes: data of one's own counts, and no data is no size.
#[tokio::test]
async fn the_queue_knows_the_average_size_of_what_each_recipient_adds() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let call = bulk(
        r#"(select jsonb_agg(jsonb_build_object('address', 'u' || n || '@x.org', 'data', repeat(md5(n::text), 320))) from generate_series(1, 5) as n)"#,
        "",
    );
    assert_eq!(db.client.row(&call).await?, "5|0|0|0|null");
    assert_eq!(
        db.client
            .row("select min(size_kb), max(size_kb) from postroad.message_queue")
            .await?,
        "10|10"
    );
    let batch = db.client.row("select batch_id from postroad.begin_bulk('email', null, 'x', null, null, null, 'alert', null, null, null, null, null, null, null)").await?;
    let rows = format!(
        "select queued from postroad.enqueue_rows('{batch}', 'email', '{{z@x.org}}', null, null, null, null, 'alert', 1::smallint, null, null, null, null, null, null, null, null)"
    );
    assert_eq!(db.client.row(&rows).await?, "1");
    assert_eq!(
        db.client
            .row("select size_kb from postroad.message_queue where priority = 1")
            .await?,
        "0"
    );
    Ok(())
}

/// A slice of a bulk send that waits for ever, or has always expired, is a mistake, as in the calls that make slices of a table.
#[tokio::test]
async fn rows_of_a_bulk_send_have_finite_times() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    let batch = sender.row("select batch_id from postroad.begin_bulk('email', null, 'x', null, null, null, 'alert', null, null, null, null, null, null, null)").await?;
    for (times, queued) in [
        ("now() + interval '1 hour', now() + interval '1 day'", true),
        ("'infinity', null", false),
        ("null, 'infinity'", false),
        ("'-infinity', null", false),
    ] {
        let rows = format!(
            "select queued from postroad.enqueue_rows('{batch}', 'email', '{{z@x.org}}', null, null, null, null, 'alert', 1::smallint, {times}, null, null, null, null, null, null)"
        );
        match sender.query(rows.as_str(), &[]).await {
            Ok(_) => assert!(queued, "{times}"),
            Err(error) => {
                let code = error.code().map(tokio_postgres::error::SqlState::code);
                assert_eq!((queued, code), (false, Some("PR001")), "{times}");
            }
        }
    }
    Ok(())
}

/// Whoever gets one mail of a bulk send knows its id, and could report a bounce or a complaint of the others if theirs followed from it.
#[tokio::test]
async fn the_ids_of_a_bulk_send_do_not_follow_from_one_another() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let enqueue = "select queued from postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 1000) as n), body => 'x')";
    assert_eq!(db.client.row(enqueue).await?, "1000");
    let steps = "with step as (
          select ('x' || right(m.message_id::text, 6))::bit(24)::integer - lag(('x' || right(m.message_id::text, 6))::bit(24)::integer) over (order by m.message_id) as width,
            left(m.message_id::text, 30) > lag(left(m.message_id::text, 30)) over (order by m.message_id) as is_after
          from postroad.messages as m
        )
        select count(distinct s.width) > 990, bool_and(s.is_after), bool_and(s.width = 1) from step as s where s.width is not null";
    assert_eq!(
        db.client.row(steps).await?,
        "t|t|f",
        "a count, and behind it what nobody can guess"
    );
    let order = "select string_agg(m.recipient, ' ' order by m.message_id) = (select string_agg('u' || n || '@x.org', ' ' order by n) from generate_series(1, 1000) as n) from postroad.messages as m";
    assert_eq!(db.client.row(order).await?, "t", "they lie in their order");
    Ok(())
}
