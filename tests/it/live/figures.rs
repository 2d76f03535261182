//! What monitors and the page are told, and what that costs the database.

use std::collections::BTreeSet;
use std::time::Duration;

use postroad::gateway::http;
use postroad::server::live::Setup;
use postroad::server::{self, Settings};
use postroad::telemetry::samples::series_names;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::db::TestDb;
use crate::support::node::Node;
use crate::support::process::Directory;
use crate::support::sql::{Outcome, Sql as _};
use crate::support::wait::until;

/// A server that shows its page to this machine, and where.
async fn serve(db: &TestDb) -> anyhow::Result<(String, JoinSet<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let context = server::Context {
        settings: Settings::default(),
        api: server::api::Settings::default(),
        database: db.database.clone(),
        page: Setup {
            is_for_this_machine: true,
            outbox: None,
        },
        has_metrics: true,
        endpoints: Default::default(),
        webhook_counts: Default::default(),
        links: None,
    };
    let mut running = JoinSet::new();
    running.spawn(async move {
        let served = server::run(listener, context, CancellationToken::new());
        served.await.expect("it serves");
    });
    Ok((url, running))
}

async fn text(url: &str, accept: &str) -> anyhow::Result<(String, String)> {
    let client = http::client().map_err(anyhow::Error::msg)?;
    let answer = client.get(url).header("accept", accept).send().await?;
    let kind = answer.headers()["content-type"].to_str()?.to_owned();
    Ok((kind, answer.text().await?))
}

/// The value of a series; absent series are none.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        line.strip_prefix(series)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// What is on the page must be what is in the tables.
#[tokio::test]
async fn the_queue_is_told_by_priority() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (url, _running) = serve(&db).await?;
    db.enqueue_many(7, 1).await?;
    db.enqueue_many(3, 4).await?;
    db.enqueue_to(
        "later@example.org",
        "scheduled_for => now() + interval '1 hour'",
    )
    .await?;
    let (_, claimed) = db.claim(1, 2).await?;
    assert_eq!(claimed.len(), 2);
    db.client
        .rows("select postroad.pause('priority', 'P3', 'a test')")
        .await?;

    db.wait_until("postroad.count_events() is not null and coalesce((select sum(count) from postroad.message_counters where event_type = 'queued'), 0) = 11").await?;
    let (kind, shown) = text(&format!("{url}/metrics"), "*/*").await?;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    for (series, wanted) in [
        ("postroad_database_up", 1.0),
        ("postroad_queue_depth{priority=\"P1\"}", 5.0),
        ("postroad_queue_depth{priority=\"P4\"}", 3.0),
        ("postroad_queue_placed_total{priority=\"P1\"}", 7.0),
        ("postroad_processing_messages{priority=\"P1\"}", 2.0),
        ("postroad_scheduled_messages{priority=\"P4\"}", 1.0),
        ("postroad_queue_paused{priority=\"P3\"}", 1.0),
        ("postroad_queue_paused{priority=\"P4\"}", 0.0),
        ("postroad_pauses{scope=\"priority\"}", 1.0),
        ("postroad_partitions_ahead", 7.0),
        ("postroad_enqueued_messages_total{channel=\"email\"}", 11.0),
        ("postroad_queue_overdue{priority=\"P1\"}", 0.0),
    ] {
        assert_eq!(value(&shown, series), Some(wanted), "{series}\n{shown}");
    }
    let listed: BTreeSet<String> = series_names().collect();
    for line in shown.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        assert!(listed.contains(name), "{name} is not in the list");
    }
    let (kind, open) = text(
        &format!("{url}/metrics"),
        "application/openmetrics-text; version=1.0.0",
    )
    .await?;
    assert!(
        kind.starts_with("application/openmetrics-text") && open.ends_with("# EOF\n"),
        "{kind}"
    );
    Ok(())
}

/// Many viewers must not be many queries; and nobody's page none.
#[tokio::test(flavor = "multi_thread")]
async fn viewers_share_one_query_a_second() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    // The function counts its own calls, in what no transaction rolls back.
    db.client
        .batch_execute(
            "create sequence public.calls; grant all on public.calls to public;
             do $$ begin execute replace(pg_get_functiondef('postroad.recent()'::regprocedure),
               'begin', 'begin perform nextval(''public.calls'');'); end $$;
             alter function postroad.recent() volatile",
        )
        .await?;
    let calls = async || -> anyhow::Result<i64> {
        db.value("select last_value - case when is_called then 0 else 1 end from public.calls")
            .await
    };
    let (url, _running) = serve(&db).await?;
    let client = http::client().map_err(anyhow::Error::msg)?;
    let mut viewers = Vec::new();
    for _ in 0..20 {
        viewers.push(client.get(format!("{url}/ui/feed")).send().await?);
    }
    // Each of them gets three frames.
    for viewer in &mut viewers {
        let mut seen = String::new();
        while seen.matches("event: frame\n").count() < 3 {
            let chunk = timeout(Duration::from_secs(20), viewer.chunk()).await??;
            seen.push_str(&String::from_utf8_lossy(
                &chunk.ok_or_else(|| anyhow::anyhow!("the stream ended: {seen}"))?,
            ));
        }
        assert!(seen.starts_with("retry: 1000\nevent: history\n"), "{seen}");
    }
    let shared = calls().await?;
    assert!(
        (3..=8).contains(&shared),
        "{shared} queries for 20 viewers of 3 frames"
    );
    let (_, shown) = text(&format!("{url}/metrics"), "*/*").await?;
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("postroad_live_viewers ")),
        "{shown}"
    );
    drop(viewers);
    drop(client);
    // All of them are gone once the next frame cannot be written.
    let mut last = (calls().await?, std::time::Instant::now());
    until("nobody asks any more", async || {
        let now = calls().await?;
        if now != last.0 {
            last = (now, std::time::Instant::now());
        }
        Ok(last.1.elapsed() > Duration::from_secs(3))
    })
    .await?;
    Ok(())
}

/// A provider's outage must not take every process out of rotation; a database without our schema must.
#[tokio::test]
async fn ready_tells_what_concerns_this_process_from_what_concerns_all() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (url, _running) = serve(&db).await?;
    let client = http::client().map_err(anyhow::Error::msg)?;
    let ready = async || -> anyhow::Result<(u16, Value)> {
        let answer = client.get(format!("{url}/health/ready")).send().await?;
        Ok((
            answer.status().as_u16(),
            serde_json::from_str(&answer.text().await?)?,
        ))
    };
    let (status, body) = ready().await?;
    assert_eq!(
        (status, body["status"].as_str()),
        (200, Some("ok")),
        "{body}"
    );
    db.client
        .rows("select postroad.register_gateways('{relay,relay}', '{email,sms}', '{1,1}'), postroad.report_breaker('relay', true, 'stalled', 60000, null)")
        .await?;
    let mut body = Value::Null;
    until("it is told", async || {
        let (status, told) = ready().await?;
        assert_eq!(status, 200);
        body = told;
        Ok(body["status"] == "degraded")
    })
    .await?;
    assert_eq!(
        body["reasons"][0],
        "no gateway of email gets traffic: relay's breaker is open (stalled)"
    );

    db.client
        .batch_execute("alter function postroad.figures() rename to figures_of_another_version")
        .await?;
    until("it is not ready", async || {
        let (status, told) = ready().await?;
        Ok(status == 503
            && told["reasons"][0]
                .as_str()
                .is_some_and(|reason| reason.contains("postroad migrate")))
    })
    .await?;
    Ok(())
}

/// What happened last is shown first, however old its message is.
#[tokio::test]
async fn the_latest_events_are_the_latest() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let old = db.enqueue_to("ada@example.org", "priority => 'P1'").await?;
    for _ in 0..3 {
        db.ended("sent").await?;
    }
    let (lease, _) = db.claim(1, 1).await?;
    db.complete(&Outcome::new(&lease, &old, "failed")).await?;
    let latest = db
        .client
        .rows("select message_id, event_type, channel, priority from postroad.latest_events(2)")
        .await?;
    let events = db.client.rows("select message_id, event_type, 'email', case event_type when 'failed' then 'P1' else 'P4' end from postroad.delivery_events order by occurred_at desc limit 2").await?;
    assert_eq!(events[0], format!("{old}|failed|email|P1"));
    assert_eq!(latest, events);
    Ok(())
}

/// A typing error in upper case must find the message, and how far was looked must be said.
#[tokio::test]
async fn messages_are_found_by_address() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("Ada@Example.org", "").await?;
    db.enqueue_to("bob@example.org", "").await?;
    let found = "select message_id, recipient, looked_back_to from postroad.find_messages";
    assert_eq!(
        db.client
            .rows(&format!("{found}(' ADA@example.ORG')"))
            .await?,
        [format!("{id}|Ada@example.org|-infinity")]
    );
    assert_eq!(
        db.client
            .rows(&format!("{found}('eve@example.org')"))
            .await?,
        ["null|null|-infinity"]
    );
    let report = db.client.row(&format!("select postroad.message_report('{id}') #>> '{{message,status}}', postroad.message_report(gen_random_uuid())")).await?;
    assert_eq!(report, "queued|null");
    Ok(())
}

/// A worker without a server is scraped too; what it sent is counted, and only once it is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_shows_what_it_did_on_a_listener_for_monitors() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let directory = Directory::new()?;
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    let config =
        format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n[gateways.relay]\ntype = \"stub\"\n");
    let _worker = Node::start(&directory, &db.url, "worker", &["worker"], &config)?;
    db.enqueue(25, "message_type => 'alert'").await?;
    db.wait_until_idle().await?;
    let url = format!("http://127.0.0.1:{port}");
    let mut shown = String::new();
    until("25 are counted", async || {
        shown = text(&format!("{url}/metrics"), "*/*").await?.1;
        Ok(value(&shown, "postroad_sent_messages_total{priority=\"P1\"}") == Some(25.0))
    })
    .await?;
    for (series, wanted) in [
        ("postroad_claimed_messages_total{priority=\"P1\"}", 25.0),
        (
            "postroad_enqueue_to_sent_seconds_count{priority=\"P1\"}",
            25.0,
        ),
        (
            "postroad_gateway_request_seconds_count{gateway=\"relay\",outcome=\"accepted\"}",
            25.0,
        ),
        (
            "postroad_gateway_breaker{gateway=\"relay\",state=\"closed\"}",
            1.0,
        ),
        ("postroad_gateway_in_flight{gateway=\"relay\"}", 0.0),
        ("postroad_database_connections_max{pool=\"P1\"}", 3.0),
        ("postroad_workers", 1.0),
    ] {
        assert_eq!(value(&shown, series), Some(wanted), "{series}\n{shown}");
    }
    assert!(value(&shown, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    let client = http::client().map_err(anyhow::Error::msg)?;
    assert_eq!(
        client
            .get(format!("{url}/health/ready"))
            .send()
            .await?
            .status(),
        200
    );
    // Only monitors are served here.
    assert_eq!(client.get(format!("{url}/")).send().await?.status(), 404);
    Ok(())
}
