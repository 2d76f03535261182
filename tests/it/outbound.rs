//! Events posted to endpoints by the real process: signed, again after failures, through kills.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use tokio_postgres::Client;

use crate::support::db::TestDb;
use crate::support::http_double::{HttpDouble, Request};
use crate::support::node::Node;
use crate::support::process::Directory;
use crate::support::sql::Sql as _;
use crate::support::wait::until;

const LOCAL: &str = "[outbound]\nallow_private = true\ntimeout = \"2s\"\n";

struct Site {
    db: TestDb,
    directory: Directory,
}

impl Site {
    async fn new() -> anyhow::Result<Self> {
        Ok(Self {
            db: TestDb::new().await?,
            directory: Directory::new()?,
        })
    }

    fn start(&self, name: &str, config: &str) -> anyhow::Result<Node> {
        Node::start(&self.directory, &self.db.url, name, &["outbound"], config)
    }

    /// An endpoint at the double; its secret.
    async fn endpoint(&self, double: &HttpDouble, types: &str) -> anyhow::Result<String> {
        let url = double.url();
        let add = format!(
            "select signing_secret from postroad.add_webhook_endpoint('{url}/hook', '{{{types}}}')"
        );
        self.db.client.row(&add).await
    }

    async fn emit(&self, count: u32) -> anyhow::Result<()> {
        emit(&self.db.client, count).await
    }

    /// Lets what waits for its next attempt, or for a process that died, be due now.
    async fn hurry(&self) -> anyhow::Result<()> {
        let hurry = "update postroad.webhook_outbox set due_at = clock_timestamp() where due_at is not null";
        self.db.client.batch_execute(hurry).await?;
        Ok(())
    }
}

async fn emit(client: &Client, count: u32) -> anyhow::Result<()> {
    let emit = format!(
        "select postroad.emit_system_event('test', n::text) from generate_series(1, {count}) as n"
    );
    client.rows(&emit).await?;
    Ok(())
}

async fn requests(double: &HttpDouble, count: usize) -> anyhow::Result<Vec<Request>> {
    let what = format!("{count} requests came");
    until(&what, async || Ok(double.requests().len() >= count)).await?;
    Ok(double.requests())
}

/// How often each subject came, and whether each always had the same id.
fn subjects(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for request in requests {
        let subject = request.json()["data"]["subject"].to_string();
        let id = request.header("webhook-id").to_owned();
        let first = ids.entry(subject.clone()).or_insert_with(|| id.clone());
        assert_eq!(*first, id, "another id for {subject}");
        *counts.entry(subject).or_default() += 1;
    }
    counts
}

/// Due times are not committed in order: whoever looks from where it came to starts over now and then.
#[tokio::test]
async fn a_delivery_that_turns_up_behind_those_that_were_posted_is_posted_too() -> anyhow::Result<()>
{
    let site = Site::new().await?;
    let receiver = HttpDouble::start().await;
    site.endpoint(&receiver, "system.*").await?;
    let _node = site.start("node", LOCAL)?;
    site.emit(1).await?;
    requests(&receiver, 1).await?;
    let late = r#"insert into postroad.webhook_outbox (endpoint_id, webhook_id, event_type, payload, due_at)
        values (1, 'evt_late', 'system.test', '{"data": {"subject": "late"}}', clock_timestamp() - interval '1 hour')"#;
    site.db.client.batch_execute(late).await?;
    requests(&receiver, 2).await?;
    Ok(())
}

/// A receiver checks the signature with the library of its language, and knows the event by its id.
#[tokio::test]
async fn an_event_is_posted_as_standard_webhooks_says() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let receiver = HttpDouble::start().await;
    let secret = site.endpoint(&receiver, "message.*").await?;
    let _node = site.start("node", LOCAL)?;
    let (id, _) = site.db.ended("sent").await?;
    let posted = requests(&receiver, 2).await?;
    let request = posted.last().expect("a request");
    assert_eq!((&*request.method, &*request.path), ("POST", "/hook"));
    assert_eq!(request.header("content-type"), "application/json");
    let body = request.json();
    assert_eq!(body["data"]["message_id"], id);
    assert!(
        body["type"]
            .as_str()
            .is_some_and(|t| t.starts_with("message."))
    );
    assert!(body["timestamp"].as_str().is_some_and(|t| t.ends_with('Z')));
    assert!(!request.text().contains("ada@example.org"), "an address");
    let key = STANDARD.decode(secret.trim_start_matches("whsec_"))?;
    let (event, at) = (
        request.header("webhook-id"),
        request.header("webhook-timestamp"),
    );
    let signed = format!("{event}.{at}.{}", request.text());
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac));
    assert_eq!(request.header("webhook-signature"), expected);
    site.db
        .wait_until("count(*) = 2 from postroad.webhook_deliveries where state = 'delivered'")
        .await?;
    Ok(())
}

/// A receiver that was down gets all of it, under the same ids.
#[tokio::test]
async fn what_failed_is_posted_again_with_the_same_id() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let receiver = HttpDouble::start().await;
    receiver.answer(503, &[("retry-after", "1000")], "");
    receiver.answer(200, &[], "");
    site.endpoint(&receiver, "system.test").await?;
    let node = site.start("node", LOCAL)?;
    site.emit(1).await?;
    site.db
        .wait_until(
            "count(*) = 1 from postroad.webhook_deliveries where attempts = 1 and last_status = 503
             and last_error = 'receiver_unavailable' and due_at > clock_timestamp() + interval '900 seconds'",
        )
        .await?;
    site.hurry().await?;
    let posted = requests(&receiver, 2).await?;
    assert_eq!(subjects(&posted).len(), 1);
    assert_eq!(posted[0].body, posted[1].body);
    site.db
        .wait_until("(select failing_since is null from postroad.webhook_endpoints)")
        .await?;
    assert!(!node.log().contains("whsec_"), "{}", node.log());
    Ok(())
}

/// 410: the receiver wants no more, and gets no more.
#[tokio::test]
async fn an_endpoint_that_is_gone_gets_no_more_requests() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let (gone, other) = (
        HttpDouble::answering(410, "").await,
        HttpDouble::start().await,
    );
    site.endpoint(&gone, "system.test").await?;
    site.endpoint(&other, "system.*").await?;
    let _node = site.start("node", LOCAL)?;
    site.emit(1).await?;
    site.db
        .wait_until(
            "exists (select from postroad.webhook_endpoints where disabled_reason = 'gone')",
        )
        .await?;
    site.emit(1).await?;
    // The other one is told of it: an event like any other.
    let posted = requests(&other, 3).await?;
    let types: Vec<_> = posted.iter().map(|r| r.json()["type"].clone()).collect();
    assert!(
        types.contains(&"system.endpoint_disabled".into()),
        "{types:?}"
    );
    assert_eq!(gone.requests().len(), 1);
    Ok(())
}

/// One that hangs holds a request or a few; the others get theirs meanwhile.
#[tokio::test]
async fn a_slow_endpoint_does_not_delay_the_others() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let (slow, quick) = (HttpDouble::hanging().await, HttpDouble::start().await);
    site.endpoint(&slow, "system.test").await?;
    site.endpoint(&quick, "system.test").await?;
    let config = LOCAL.replace("2s", "60s");
    let _node = site.start("node", &config)?;
    site.emit(50).await?;
    let posted = requests(&quick, 50).await?;
    assert_eq!(subjects(&posted).len(), 50);
    assert!(slow.requests().len() <= 4, "{}", slow.requests().len());
    Ok(())
}

/// Whoever may add an endpoint must not reach what stands behind the firewall, by any spelling.
#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let receiver = HttpDouble::start().await;
    let port = receiver
        .url()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
        let add = format!(
            "select postroad.add_webhook_endpoint('http://{host}:{port}/', '{{system.test}}')"
        );
        site.db.client.row(&add).await?;
    }
    let strict = site.start("strict", "")?;
    site.emit(1).await?;
    site.db
        .wait_until("count(*) = 4 from postroad.webhook_deliveries where last_error = 'address_not_allowed'")
        .await?;
    assert_eq!(receiver.connections(), 0);
    strict.kill();
    // A claim that it sent before is under way still, and would take them for a minute.
    site.db
        .wait_until("count(*) = 0 from pg_stat_activity where datname = current_database() and application_name = 'postroad'")
        .await?;
    site.hurry().await?;
    let _open = site.start("open", LOCAL)?;
    site.db
        .wait_until("count(*) > 1 from postroad.webhook_deliveries where state = 'delivered'")
        .await?;
    Ok(())
}

/// Killed again and again, with two at work: nothing is lost, and what comes twice has the id that it had.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_at_any_point_lose_no_event() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let receiver = HttpDouble::start().await;
    site.endpoint(&receiver, "system.test").await?;
    let writer = site.db.connect().await?;
    let writing = tokio::spawn(async move {
        for n in 1..=60 {
            let emit = format!(
                "select postroad.emit_system_event('test', '{n}.' || m) from generate_series(1, 10) as m"
            );
            writer.rows(&emit).await?;
        }
        anyhow::Ok(())
    });
    let mut nodes = vec![site.start("a", LOCAL)?];
    for round in 0..6 {
        nodes.push(site.start(&format!("b{round}"), LOCAL)?);
        requests(&receiver, 40 * (round + 1)).await?;
        nodes.remove(0).kill();
        site.hurry().await?;
    }
    writing.await??;
    let all = async || {
        site.hurry().await?;
        Ok(subjects(&receiver.requests()).len() == 600)
    };
    until("each event came", all).await?;
    site.db
        .wait_until("count(*) = 600 from postroad.webhook_deliveries where state = 'delivered'")
        .await?;
    Ok(())
}

/// A deployment ends what it began: what is under way is recorded, and nothing comes twice.
#[tokio::test]
async fn a_shutdown_finishes_the_requests_under_way() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let receiver = HttpDouble::start().await;
    site.endpoint(&receiver, "system.test").await?;
    let mut node = site.start("node", LOCAL)?;
    site.emit(30).await?;
    requests(&receiver, 5).await?;
    node.signal("-TERM");
    assert_eq!(node.ended().await?, Some(0));
    let open = "select count(*) from postroad.webhook_outbox where due_at > clock_timestamp()";
    assert_eq!(
        site.db.client.row(open).await?,
        "0",
        "taken and not recorded"
    );
    let _next = site.start("next", LOCAL)?;
    let posted = requests(&receiver, 30).await?;
    assert!(subjects(&posted).values().all(|count| *count == 1));
    Ok(())
}

/// Nobody who writes pays for a notification; who listens gets it soon.
#[tokio::test]
async fn listeners_are_told_of_new_events_soon() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = Node::start(&site.directory, &site.db.url, "maintain", &["maintain"], "")?;
    site.db
        .wait_until("exists (select from postroad.event_ticks)")
        .await?;
    let (app, mut connection) = site.db.database.connect_raw().await?;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) =
            std::future::poll_fn(|context| connection.poll_message(context)).await
        {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                let _ = told.send(note.channel().to_owned());
            }
        }
    });
    app.batch_execute("set role postroad_consumer; select postroad.listen_events()")
        .await?;
    for _ in 0..3 {
        while heard.try_recv().is_ok() {}
        site.db.enqueue_to("a@x.org", "").await?;
        let note = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await?;
        assert_eq!(note.as_deref(), Some("postroad_events"));
    }
    Ok(())
}
