//! What was answered is read: at once, later, or by another node.

use super::*;

/// A body that is not what we know stays, with why, for the release that knows it.
#[tokio::test]
async fn what_cannot_be_read_stays_and_is_read_when_asked_for() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(2, "").await?;
    let kind = Arc::new(Provider::default());
    kind.unreadable
        .lock()
        .expect("a list")
        .push(ids[0].to_string());
    let server = Running::start(&db.database, provider(&kind)).await?;
    let mut sender = server.connect().await?;
    for (n, body) in [ids[0].to_string(), "panic".into(), ids[1].to_string()]
        .iter()
        .enumerate()
    {
        let path = format!("/webhooks/provider?{n}");
        let (status, _) = sender.post(&path, &format!("proof: {n}\r\n"), body).await?;
        assert_eq!(status, 200);
    }
    let stats = "select stored, parsed, errors, waiting, events from postroad.webhook_stats";
    db.wait_until("(select parsed + errors from postroad.webhook_stats) = 3")
        .await?;
    assert_eq!(db.client.row(stats).await?, "3|1|2|0|1");
    let why = "select string_agg(error, ', ' order by inbox_id) from postroad.webhook_failures";
    assert_eq!(
        db.client.row(why).await?,
        "not what is documented, the parser panicked"
    );

    kind.unreadable.lock().expect("a list").clear();
    let admin = db.connect_as("postroad_admin").await?;
    assert_eq!(
        admin
            .row("select postroad.replay_webhooks('another')")
            .await?,
        "0"
    );
    assert_eq!(
        admin
            .row("select postroad.replay_webhooks('provider')")
            .await?,
        "2"
    );
    db.wait_until("(select parsed + errors from postroad.webhook_stats) = 3")
        .await?;
    assert_eq!(db.client.row(stats).await?, "3|2|1|0|2");
    // All of them again: events are kept once.
    assert_eq!(
        admin
            .row("select postroad.replay_webhooks(only_errors => false)")
            .await?,
        "3"
    );
    db.wait_until("(select parsed + errors from postroad.webhook_stats) = 3")
        .await?;
    assert_eq!(db.client.row(stats).await?, "3|2|1|0|2");
    assert_eq!(
        db.value::<i64>(
            "select count(*) from postroad.delivery_events where event_type = 'delivered'"
        )
        .await?,
        2
    );
    Ok(())
}

/// One event that the database does not take must not hold back the others of its batch.
#[tokio::test]
async fn an_event_that_cannot_be_recorded_holds_back_no_other() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(21, "").await?;
    db.client.batch_execute("alter table postroad.delivery_events add constraint no_poison check (reason <> 'poison')").await?;
    let kind = Arc::new(Provider::default());
    // As a process that was killed after its answer leaves them: one batch, unread.
    let mut bodies: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    bodies[7].insert(0, '!');
    store(&db, &bodies).await?;
    let _server = Running::start(&db.database, provider(&kind)).await?;
    db.wait_until("(select parsed + errors from postroad.webhook_stats) = 21")
        .await?;
    let stats = "select stored, parsed, errors, waiting, events from postroad.webhook_stats";
    assert_eq!(db.client.row(stats).await?, "21|20|1|0|20");
    let why = "select error from postroad.webhook_failures";
    assert_eq!(
        db.client.row(why).await?,
        "its events cannot be recorded: SQLSTATE 23514"
    );
    Ok(())
}

/// Stores requests of `provider` without reading them.
async fn store(db: &TestDb, bodies: &[String]) -> anyhow::Result<()> {
    let count = bodies.len();
    let bodies: Vec<_> = bodies.iter().map(String::as_bytes).collect();
    let keys: Vec<_> = (0..count).map(|_| Uuid::new_v4().to_string()).collect();
    let statement = "select count(*) from postroad.store_webhooks(array_fill('provider'::text, array[$3::int]), $1, array_fill(null::text, array[$3]),
        array_fill(null::text, array[$3]), array_fill(null::text, array[$3]), $2) where verdict = 'stored'";
    let row = db
        .client
        .query_one(statement, &[&keys, &bodies, &i32::try_from(count)?])
        .await?;
    assert_eq!(row.get::<_, i64>(0), i64::try_from(count)?);
    Ok(())
}

/// What a node that died has stored is read by those that live, each request by one of them.
#[tokio::test]
async fn what_was_left_behind_is_read_once_by_whoever_is_there() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(200, "").await?;
    for ids in ids.chunks(10) {
        let bodies: Vec<_> = ids.iter().map(Uuid::to_string).collect();
        store(&db, &bodies).await?;
    }
    let kind = Arc::new(Provider::default());
    // One that does not know the endpoint leaves it alone.
    let other = Running::start(&db.database, own("")).await?;
    let status = other
        .connect()
        .await?
        .post_signed("/webhooks/own", "m", &delivered(ids[0]))
        .await?;
    assert_eq!(status, 200);
    db.wait_until(
        "exists (select from postroad.webhook_stats where gateway = 'own' and parsed = 1)",
    )
    .await?;
    let waiting = "select waiting from postroad.webhook_stats where gateway = 'provider'";
    assert_eq!(db.client.row(waiting).await?, "200");

    let _one = Running::start(&db.database, provider(&kind)).await?;
    let _two = Running::start(&db.database, provider(&kind)).await?;
    db.wait_until("not exists (select from postroad.webhook_batches)")
        .await?;
    let stats = "select stored, parsed, errors, waiting, events from postroad.webhook_stats where gateway = 'provider'";
    assert_eq!(db.client.row(stats).await?, "200|200|0|0|200");
    Ok(())
}

/// What is stored is read before the process ends, where that goes quickly.
#[tokio::test]
async fn a_shutdown_reads_what_it_answered() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(50, "").await?;
    let server = Running::start(&db.database, own("")).await?;
    let mut sender = server.connect().await?;
    for id in &ids {
        let status = sender
            .post_signed("/webhooks/own", &id.to_string(), &delivered(*id))
            .await?;
        assert_eq!(status, 200);
    }
    server.stop().await?;
    let stats = "select stored, parsed, waiting, events from postroad.webhook_stats";
    assert_eq!(db.client.row(stats).await?, "50|50|0|50");
    Ok(())
}
