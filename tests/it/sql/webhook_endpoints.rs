//! Endpoints: what may be one, what it gets, and its secrets.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// An endpoint that nobody can post to, or that waits for events that do not exist, helps nobody.
#[tokio::test]
async fn an_endpoint_is_a_url_with_known_types_and_a_secret_that_can_sign() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let admin = db.connect_as("postroad_admin").await?;
    for good in [
        "'https://a.example/x?y=1'",
        "'http://a.example', '{message.sent,message.opened,system.suppression_added}', '{email,sms}', 7",
        "'https://a.example', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'",
        "'https://a.example', secret => 'whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk='",
    ] {
        let call = format!("select signing_secret from postroad.add_webhook_endpoint({good})");
        let secret = admin.row(&call).await?;
        assert!(secret.starts_with("whs"), "{good}");
    }
    for (bad, code) in [
        ("null", "PR001"),
        ("'ftp://a.example'", "PR001"),
        ("'https://user:pw@a.example'", "PR001"),
        ("'https://a.example', '{sent}'", "PR002"),
        ("'https://a.example', '{message.opend}'", "PR002"),
        ("'https://a.example', '{}'", "PR002"),
        ("'https://a.example', null", "PR002"),
        ("'https://a.example', channels => '{fax}'", "PR002"),
        ("'https://a.example', channels => '{}'", "PR002"),
        ("'https://a.example', secret => 'hunter2'", "PR001"),
        (
            "'https://a.example', secret => 'whsec_aHVudGVyMg=='",
            "PR001",
        ),
        ("'https://a.example', secret => 'whsec_!'", "PR001"),
    ] {
        let call = format!("select postroad.add_webhook_endpoint({bad})");
        let raised = admin.raised(&call).await?;
        assert_eq!(raised.code, code, "{bad}: {}", raised.message);
        let told = format!("{}{}", raised.message, raised.hint);
        assert!(!told.contains("hunter2") && !told.contains(":pw"), "{told}");
    }
    let made = "select count(distinct signing_secret), min(length(signing_secret)) from (
        select (postroad.add_webhook_endpoint('https://a.example')).signing_secret from generate_series(1, 20)) as s";
    assert_eq!(admin.row(made).await?, "20|50", "32 bytes each");
    Ok(())
}

/// Each endpoint gets what it asked for, of its tenant, and an address only if somebody said so.
#[tokio::test]
async fn an_endpoint_gets_the_events_that_its_filters_name() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.ended("sent").await?; // before anybody asked
    for endpoint in [
        "'https://a.example/all', '{message.*,system.*}'",
        "'https://a.example/sent', '{message.sent}', include_addresses => true",
        "'https://a.example/seven', '{message.*,system.*}', tenant_id => 7",
        "'https://a.example/sms', '{message.*}', '{sms}'",
        "'https://a.example/system', '{system.suppression_added}', include_addresses => true",
    ] {
        let add = format!("select postroad.add_webhook_endpoint({endpoint})");
        db.client.row(&add).await?;
    }
    db.ended("sent").await?;
    let seven = "tenant_id => 7, source_type => 'shop', source_id => 3, recipient_id => 9";
    let id = db.enqueue_to("b@x.org", seven).await?;
    db.client
        .batch_execute(
            "select postroad.emit_system_event('suppression_added', 'email', '{\"address\": \"ada@x.org\", \"tenant_id\": 7}');
             select postroad.emit_system_event('suppression_added', 'email', '{\"tenant_id\": 8}')",
        )
        .await?;
    let worker = db.connect_as("postroad_worker").await?;
    while worker.row("select postroad.dispatch_events()").await? != "0" {}
    let of = async |name: &str| -> anyhow::Result<Vec<String>> {
        let query = format!(
            "select event_type from postroad.webhook_deliveries where url like '%/{name}' order by delivery_id"
        );
        db.client.rows(&query).await
    };
    let (queued, sent, system) = ("message.queued", "message.sent", "system.suppression_added");
    assert_eq!(of("all").await?, [queued, sent, queued, system, system]);
    assert_eq!(of("sent").await?, [sent]);
    assert_eq!(of("seven").await?, [queued, system]);
    assert_eq!(of("sms").await?, Vec::<String>::new());
    assert_eq!(of("system").await?, [system, system]);

    let payload = "select payload::jsonb -> 'data' from postroad.webhook_outbox join postroad.webhook_endpoints using (endpoint_id)";
    let data = format!("{payload} where url like '%/seven' order by delivery_id");
    let wanted = format!(
        r#"{{"channel": "email", "source_id": 3, "tenant_id": 7, "message_id": "{id}", "source_type": "shop", "message_type": "transactional", "recipient_id": 9}}"#
    );
    let data = db.client.rows(&data).await?;
    assert_eq!(data[0], wanted);
    assert_eq!(
        data[1],
        r#"{"detail": {"tenant_id": 7}, "subject": "email"}"#
    );
    let open = format!("{payload} where include_addresses order by delivery_id");
    let open = db.client.rows(&open).await?.join(" ");
    assert!(
        open.contains("@example.org") && open.contains("ada@x.org"),
        "{open}"
    );
    let shown = "select count(*) from postroad.webhook_outbox where payload ~ '@' and endpoint_id not in (select endpoint_id from postroad.webhook_endpoints where include_addresses)";
    assert_eq!(db.client.row(shown).await?, "0");
    let ids = "select count(distinct webhook_id) = count(*) and bool_and(webhook_id !~ '\\.') from postroad.webhook_outbox";
    assert_eq!(db.client.row(ids).await?, "t");
    Ok(())
}

/// The receiver may change over at any time within a day.
#[tokio::test]
async fn a_replaced_secret_signs_until_its_time_is_over() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let admin = db.connect_as("postroad_admin").await?;
    let add = "select signing_secret from postroad.add_webhook_endpoint('https://a.example', '{system.*}')";
    let old = admin.row(add).await?;
    let new = admin
        .row("select postroad.rotate_webhook_secret(1)")
        .await?;
    let claimed = async || -> anyhow::Result<String> {
        db.client
            .rows("select postroad.emit_system_event('test', 'x')")
            .await?;
        db.client.rows("select postroad.dispatch_events()").await?;
        let claim = "select array_to_string(secrets, ' ') from postroad.claim_webhooks(1, '{}')";
        db.client.row(claim).await
    };
    assert_eq!(claimed().await?, format!("{new} {old}"));
    let newer = admin
        .row("select postroad.rotate_webhook_secret(1, old_valid_for => '0')")
        .await?;
    assert_eq!(
        claimed().await?,
        format!("{newer} {old}"),
        "the older one has its day"
    );
    db.client
        .batch_execute("update postroad.webhook_secrets set valid_until = clock_timestamp() where valid_until is not null")
        .await?;
    assert_eq!(claimed().await?, newer);
    for (call, code) in [
        ("rotate_webhook_secret(9)", "PR002"),
        ("rotate_webhook_secret(1, 'x')", "PR001"),
        ("rotate_webhook_secret(1, old_valid_for => '-1 s')", "PR001"),
    ] {
        let raised = admin.raised(&format!("select postroad.{call}")).await?;
        assert_eq!(raised.code, code, "{call}");
    }
    Ok(())
}

/// One at a time for an endpoint that fails, a few for one that does not, none for one that is disabled.
#[tokio::test]
async fn an_endpoint_gets_its_share_of_requests_and_no_more() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for n in 1..=3 {
        let add =
            format!("select postroad.add_webhook_endpoint('https://{n}.example', '{{system.*}}')");
        db.client.row(&add).await?;
    }
    db.client
        .rows("select postroad.emit_system_event('test', n::text) from generate_series(1, 10) as n")
        .await?;
    db.client.rows("select postroad.dispatch_events()").await?;
    db.client
        .batch_execute(
            "update postroad.webhook_endpoints set failing_since = clock_timestamp() where endpoint_id = 2;
             select postroad.set_webhook_endpoint(3, enabled => false)",
        )
        .await?;
    let claim = async |busy: &str| -> anyhow::Result<Vec<String>> {
        let query = format!(
            "select endpoint_id || ':' || (payload::jsonb #>> '{{data,subject}}') from postroad.claim_webhooks(3, '{{{busy}}}')"
        );
        db.client.rows(&query).await
    };
    assert_eq!(claim("1").await?, ["1:1", "2:1", "1:2"]);
    // From where they go on: a transaction that ends within two seconds is not passed over.
    let from = async |rest: &str| -> anyhow::Result<String> {
        let query = format!(
            "begin; select count(*), bool_and(reached < clock_timestamp() - interval '1.9 seconds') from postroad.claim_webhooks(3, '{{1,2}}'{rest})"
        );
        let row = db.client.row(&query).await?;
        db.client.batch_execute("rollback").await?;
        Ok(row)
    };
    let after = |time: &str| {
        format!(", '1 minute', '{{1}}', array[clock_timestamp() {time} interval '1 minute']")
    };
    assert_eq!(from("").await?, "2|t");
    assert_eq!(from(&after("-")).await?, "2|t");
    assert_eq!(from(&after("+")).await?, "0|null", "before that place");
    assert_eq!(claim("1,1,1,2").await?, Vec::<String>::new());
    assert_eq!(claim("2").await?, ["1:3", "1:4", "1:5"], "in their order");
    let admin = db.connect_as("postroad_admin").await?;
    assert_eq!(
        admin
            .row("select postroad.set_webhook_endpoint(3, enabled => true)")
            .await?,
        "t"
    );
    assert_eq!(
        claim("1,1,1,2").await?,
        ["3:1", "3:2", "3:3"],
        "what waited goes on"
    );
    // A process that dies lets go after a while.
    db.client
        .batch_execute("update postroad.webhook_outbox set due_at = clock_timestamp() where due_at > clock_timestamp()")
        .await?;
    assert_eq!(claim("2,3,3,3").await?.len(), 3);
    assert_eq!(
        admin
            .row("select postroad.remove_webhook_endpoint(1)")
            .await?,
        "t"
    );
    assert_eq!(
        admin
            .row("select postroad.remove_webhook_endpoint(1)")
            .await?,
        "f"
    );
    assert_eq!(
        admin
            .row("select postroad.set_webhook_endpoint(1, enabled => true)")
            .await?,
        "f"
    );
    Ok(())
}

/// 410 ends it at once, days of failure end it too, a success starts the clock anew; and it is told.
#[tokio::test]
async fn an_endpoint_that_is_gone_or_fails_for_days_is_disabled_and_told() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for n in 1..=3 {
        let add = format!(
            "select postroad.add_webhook_endpoint('https://{n}.example', '{{system.test}}', tenant_id => {n})"
        );
        db.client.row(&add).await?;
        let emit = format!(
            "select postroad.emit_system_event('test', 'x', '{{\"tenant_id\": {n}}}') from generate_series(1, 3)"
        );
        db.client.rows(&emit).await?;
    }
    db.client.row("select postroad.dispatch_events()").await?;
    let complete = async |id: u32, outcome: &str| -> anyhow::Result<()> {
        let call = format!("select postroad.complete_webhook({id}, {outcome})");
        db.client.row(&call).await?;
        Ok(())
    };
    let ids = "select string_agg(delivery_id::text, ' ' order by delivery_id) from postroad.webhook_outbox group by endpoint_id order by endpoint_id";
    assert_eq!(db.client.rows(ids).await?, ["1 2 3", "4 5 6", "7 8 9"]);
    complete(1, "410, 'endpoint_gone', null").await?;
    for id in [4, 7] {
        complete(id, "500, 'receiver_unavailable', 5").await?;
    }
    complete(8, "200, null, null").await?;
    complete(8, "500, 'late', 5").await?; // recorded already
    db.client
        .batch_execute("update postroad.webhook_endpoints set failing_since = failing_since - interval '6 days'")
        .await?;
    complete(5, "500, 'receiver_unavailable', 5").await?;
    complete(9, "500, 'receiver_unavailable', 5").await?;
    let reader = db.connect_as("postroad_reader").await?;
    let stats = "select disabled_reason, disabled_at is not null, waiting from postroad.outbound_stats order by endpoint_id";
    assert_eq!(
        reader.rows(stats).await?,
        ["gone|t|2", "failing|t|3", "null|f|2"]
    );
    let told = "select subject, detail ->> 'reason' from postroad.system_log where kind = 'endpoint_disabled' order by event_id";
    assert_eq!(reader.rows(told).await?, ["1|gone", "2|failing"]);
    let states =
        "select string_agg(state, ' ' order by delivery_id) from postroad.webhook_deliveries";
    assert_eq!(
        reader.row(states).await?,
        "given_up held held held held held waiting delivered waiting"
    );
    Ok(())
}

/// While nobody listens, events pass by: an endpoint that is added later begins with what comes then.
#[tokio::test]
async fn an_endpoint_begins_with_what_happens_after_it_was_added() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let add = "select postroad.add_webhook_endpoint('https://a.example', '{system.*}')";
    let emit = "select postroad.emit_system_event('test', 'x')";
    db.client.rows(emit).await?;
    db.client.rows(add).await?;
    db.client.rows(emit).await?;
    assert_eq!(
        db.client.row("select postroad.dispatch_events()").await?,
        "1"
    );
    db.client
        .rows("select postroad.set_webhook_endpoint(1, enabled => false)")
        .await?;
    db.client.rows(emit).await?;
    db.client
        .batch_execute("update postroad.consumers set seen_at = seen_at - interval '1 minute'")
        .await?;
    assert_eq!(
        db.client.row("select postroad.dispatch_events()").await?,
        "0"
    );
    db.client
        .rows("select postroad.set_webhook_endpoint(1, enabled => true)")
        .await?;
    assert_eq!(
        db.client.row("select postroad.dispatch_events()").await?,
        "0",
        "it passed by"
    );
    db.client.rows(emit).await?;
    assert_eq!(
        db.client.row("select postroad.dispatch_events()").await?,
        "1"
    );
    Ok(())
}
