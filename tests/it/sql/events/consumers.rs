//! Who reads events: what it asks for, where it begins, and who ends it.

use super::*;

/// What a consumer did not ask for costs it no batch; system events go to those alone who ask, and without addresses.
#[tokio::test]
async fn a_consumer_reads_the_types_that_it_asked_for() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (consumer, types) in [
        ("sent", "'{sent}'"),
        ("plain", "null"),
        ("one", "'{system.suppression_added}'"),
        ("all", "'{*,system.*}'"),
    ] {
        register(&db.client, consumer, &format!(", null, {types}")).await?;
    }
    let (id, _) = db.ended("sent").await?;
    db.client
        .batch_execute(
            "begin; select postroad.emit_system_event('suppression_added', 'email', '{\"address\": \"ada@x.org\", \"reason\": \"complaint\"}');
             select postroad.emit_system_event('other', null); commit",
        )
        .await?;
    let types = async |consumer: &str| -> anyhow::Result<Vec<String>> {
        let query = format!("select event_type from postroad.read_events('{consumer}')");
        db.client.rows(&query).await
    };
    assert_eq!(types("sent").await?, ["sent"]);
    assert_eq!(types("plain").await?, ["queued", "sent"]);
    assert_eq!(types("one").await?, ["system.suppression_added"]);
    let all = ["queued", "sent", "system.suppression_added", "system.other"];
    assert_eq!(types("all").await?, all);
    let one = "select subject, detail from postroad.read_events('one')";
    let wanted = r#"email|{"reason": "complaint"}"#;
    assert_eq!(db.client.row(one).await?, wanted);
    let whole = "select event_type, message_id, channel, message_type, attempt, gateway, reason from postroad.read_events('sent')";
    let wanted = format!("sent|{id}|email|transactional|1|stub|because");
    assert_eq!(db.client.row(whole).await?, wanted);
    Ok(())
}

/// A new app may want what is to come, or all that is kept.
#[tokio::test]
async fn a_consumer_begins_now_or_at_a_time() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_to("old@x.org", "").await?;
    db.client.row("select postroad.count_events()").await?; // notes what could be seen at this time
    db.enqueue_to("a@x.org", "").await?;
    register(&db.client, "now", "").await?;
    let behind = "select behind < '1 minute' from postroad.event_consumers where consumer = 'now'";
    assert_eq!(db.client.row(behind).await?, "t", "it has just begun");
    register(&db.client, "all", ", '-infinity'").await?;
    register(&db.client, "since", ", clock_timestamp()").await?;
    db.enqueue_to("b@x.org", "").await?;
    assert_eq!(drain(&db.client, "now", 10).await?.len(), 1);
    assert_eq!(drain(&db.client, "all", 10).await?.len(), 3);
    assert_eq!(
        drain(&db.client, "since", 10).await?.len(),
        2,
        "from the last note on"
    );
    assert_eq!(register(&db.client, "all", "").await?, "f", "stays");
    let gone = "select postroad.unregister_consumer('all')";
    assert_eq!(db.client.row(gone).await?, "t");
    assert_eq!(db.client.row(gone).await?, "f");
    assert_eq!(register(&db.client, "all", ", '-infinity'").await?, "t");
    assert_eq!(drain(&db.client, "all", 10).await?.len(), 3);
    while db.client.row("select postroad.count_events()").await? != "0" {}
    let behind = "select count(*) from postroad.event_consumers where behind < '1 minute' and open_batch is null";
    assert_eq!(db.client.row(behind).await?, "4", "with our own");
    Ok(())
}

/// One app must not take another's events, nor make it lose its place; an operator may look, and tidy up.
#[tokio::test]
async fn a_consumer_is_read_and_ended_by_whoever_registered_it_or_by_an_operator()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = uuid::Uuid::now_v7().simple();
    let names = ["billing", "reports", "operator"].map(|name| format!("{name}_{id}"));
    for (name, role) in names.iter().zip(["consumer", "consumer", "admin"]) {
        db.client
            .batch_execute(&format!(
                "create role {name}; grant postroad_{role} to {name}"
            ))
            .await?;
    }
    db.client
        .batch_execute(&format!("grant postroad_consumer to {}", names[2]))
        .await?;
    let [billing, reports, operator] = &names;
    let login = async |name: &str| {
        let client = db.connect().await?;
        let statement = format!("set session authorization {name}");
        client.batch_execute(&statement).await?;
        anyhow::Ok(client)
    };
    let (billing_client, reports_client) = (login(billing).await?, login(reports).await?);
    let operator_client = login(operator).await?;
    assert_eq!(register(&billing_client, "invoices", "").await?, "t");
    assert_eq!(register(&billing_client, "refunds", "").await?, "t");
    let ends = |name: &str| format!("select postroad.unregister_consumer('{name}')");

    let id = db.enqueue_to("ada@x.org", "").await?;
    let reads = "select batch_id, message_id from postroad.read_events('invoices')";
    let acks = "select postroad.ack_events('invoices', 1)";
    let batch = [format!("1|{id}")];
    assert_eq!(reports_client.raised(reads).await?.code, "42501");
    assert_eq!(billing_client.rows(reads).await?, batch);
    assert_eq!(reports_client.raised(reads).await?.code, "42501");
    assert_eq!(reports_client.raised(acks).await?.code, "42501");
    assert_eq!(operator_client.rows(reads).await?, batch);
    assert_eq!(billing_client.row(acks).await?, "t");
    // What a caller of the HTTP API registered is not for a user who says to be that caller.
    db.client
        .batch_execute(
            "update postroad.consumers set registered_by = 'key:1' where consumer = 'refunds'",
        )
        .await?;
    let steals = "set postroad.caller = 'key:1'; select * from postroad.read_events('refunds')";
    assert_eq!(reports_client.raised(steals).await?.code, "42501");

    let raised = reports_client.raised(&ends("invoices")).await?;
    assert_eq!(raised.code, "42501", "{}", raised.message);
    assert!(raised.message.contains(billing), "{}", raised.message);
    assert_eq!(reports_client.row(&ends("none")).await?, "f");
    // A key of the HTTP API is not an operator, though its server's user may be one.
    operator_client
        .batch_execute("set postroad.caller = 'key:1'")
        .await?;
    assert_eq!(
        operator_client.raised(&ends("invoices")).await?.code,
        "42501"
    );
    operator_client
        .batch_execute("reset postroad.caller")
        .await?;

    assert_eq!(billing_client.row(&ends("invoices")).await?, "t");
    assert_eq!(operator_client.row(&ends("refunds")).await?, "t");
    drop((billing_client, reports_client, operator_client));
    for name in &names {
        db.client
            .batch_execute(&format!("drop role {name}"))
            .await?;
    }
    Ok(())
}

/// A typo must be told, and nobody may move our own readers.
#[tokio::test]
async fn wrong_calls_say_what_would_be_right() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    register(&db.client, "a", "").await?;
    for (call, code) in [
        ("register_consumer('_counters')", "PR001"),
        ("register_consumer('')", "PR001"),
        ("register_consumer(null)", "PR001"),
        ("register_consumer('b', null, '{sent,opend}')", "PR002"),
        ("register_consumer('b', null, '{}')", "PR002"),
        ("register_consumer('b', null, '{system}')", "PR002"),
        ("read_events('b')", "PR002"),
        ("read_events(null)", "PR002"),
        ("read_events('_counters')", "PR001"),
        ("read_events('a', 0)", "PR001"),
        ("read_events('a', 100001)", "PR001"),
        ("ack_events('b', 1)", "PR002"),
        ("ack_events('_counters', 1)", "PR002"),
        ("ack_events('a', 1)", "PR001"),
        ("ack_events('a', null)", "PR001"),
    ] {
        let raised = db.client.raised(&format!("select postroad.{call}")).await?;
        assert_eq!(raised.code, code, "{call}: {}", raised.message);
    }
    let ours = "select postroad.unregister_consumer('_counters')";
    assert_eq!(db.client.row(ours).await?, "f");
    db.client
        .batch_execute("update postroad.consumers set seen = '9000000000:9000000000:'")
        .await?;
    let restored = db.client.raised("select postroad.read_events('a')").await?;
    assert_eq!(restored.code, "PR011", "{}", restored.message);
    Ok(())
}

/// An app that counts bounces need not learn who they are; but a text message that comes in is from somebody.
#[tokio::test]
async fn events_name_no_recipient_but_the_sender_of_what_came_in() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    register(&db.client, "a", ", null, '{bounced,opened,received}'").await?;
    let id = db
        .enqueue_to("ada@x.org", r#"options => '{"cc": ["bob@x.org"]}'"#)
        .await?;
    let about = |event: &str, rest: &str| {
        format!(
            r#"{{"message_id": "{id}", "event_type": "{event}", "source_key": "1", "recipient": "bob@x.org"{rest}}}"#
        )
    };
    let events = [
        about("bounced", r#", "detail": {"code": "5.1.1"}"#),
        about("opened", ""),
        r#"{"event_type": "received", "source_key": "2", "recipient": "+14155550123"}"#.into(),
    ];
    assert_eq!(db.record("stub", &events.join(",")).await?, "3");
    let kept = "select count(*) from postroad.delivery_events where detail ? 'recipient'";
    assert_eq!(db.client.row(kept).await?, "3");
    let read = "select event_type, detail - 'provider_at' from postroad.read_events('a') order by event_type";
    assert_eq!(
        db.client.rows(read).await?,
        [
            r#"bounced|{"code": "5.1.1"}"#,
            "opened|null",
            r#"received|{"recipient": "+14155550123"}"#
        ]
    );
    Ok(())
}
