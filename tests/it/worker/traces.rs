//! A message as a part of its caller's trace.

use crate::support::db::TestDb;
use crate::support::http_double::HttpDouble;
use crate::support::node::Node;
use crate::support::process::Directory;
use crate::support::wait::until;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Worker and receivers: a webhook, and a collector of spans.
struct Set {
    db: TestDb,
    receiver: HttpDouble,
    collector: HttpDouble,
    node: Node,
}

async fn start(directory: &Directory, exports: bool) -> anyhow::Result<Set> {
    let db = TestDb::new().await?;
    let (receiver, collector) = (HttpDouble::start().await, HttpDouble::start().await);
    let telemetry = match exports {
        true => format!(
            "[telemetry]\notlp_endpoint = \"{}\"\notlp_headers = \"x-key=s3cret\"\n",
            collector.url()
        ),
        false => String::new(),
    };
    let config = format!(
        "{telemetry}[gateways.hook]\ntype = \"webhook\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nallow_private = true\n"
    );
    let node = Node::start(directory, &db.url, "node", &["worker"], &config)?;
    Ok(Set {
        db,
        receiver,
        collector,
        node,
    })
}

impl Set {
    async fn send(&self, options: &str) -> anyhow::Result<String> {
        let before = self.receiver.requests().len();
        let url = self.receiver.url();
        let id = self
            .db
            .value::<uuid::Uuid>(&format!(
                "select message_id from postroad.enqueue('webhook', '{url}/hook', body => 'x', options => '{options}')"
            ))
            .await?;
        until("it is received", async || {
            Ok(self.receiver.requests().len() > before)
        })
        .await?;
        Ok(id.to_string())
    }

    fn received(&self) -> String {
        let requests = self.receiver.requests();
        requests
            .last()
            .expect("a request")
            .header("traceparent")
            .to_owned()
    }
}

/// Without a collector the trace goes on as it came; what is no trace goes nowhere, and stops no message.
#[tokio::test(flavor = "multi_thread")]
async fn a_traceparent_goes_along_with_the_call() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let set = start(&directory, false).await?;
    let given = format!("00-{TRACE}-b7ad6b7169203331-01");
    set.send(&format!("{{\"traceparent\": \"{given}\"}}"))
        .await?;
    assert_eq!(set.received(), given);
    for nothing in [
        "{}",
        "{\"traceparent\": \"garbled\"}",
        "{\"traceparent\": \"00-00000000000000000000000000000000-b7ad6b7169203331-01\"}",
    ] {
        set.send(nothing).await?;
        assert_eq!(set.received(), "", "{nothing}");
    }
    Ok(())
}

/// A call is a span below the caller's; the receiver continues from that. An unsampled trace is not exported.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_sampled_trace_are_spans() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let set = start(&directory, true).await?;
    set.send(&format!(
        "{{\"traceparent\": \"00-{TRACE}-00f067aa0ba902b7-00\"}}"
    ))
    .await?;
    assert_eq!(set.received(), format!("00-{TRACE}-00f067aa0ba902b7-00"));
    set.receiver.answer(204, &[], "");
    set.receiver.answer(410, &[], "gone");
    set.send(&format!(
        "{{\"traceparent\": \"00-{TRACE}-b7ad6b7169203331-01\"}}"
    ))
    .await?;
    let first = set.received();
    let id = set
        .send(&format!(
            "{{\"traceparent\": \"00-{TRACE}-b7ad6b7169203331-01\"}}"
        ))
        .await?;
    let mut spans = Vec::new();
    until("both spans are exported", async || {
        let requests = set.collector.requests();
        let bodies = requests.iter().map(|request| request.json());
        spans = bodies
            .flat_map(|body| {
                body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default()
            })
            .collect();
        Ok(spans.len() >= 2)
    })
    .await?;
    let request = set.collector.requests().remove(0);
    assert_eq!(
        (request.path.as_str(), request.header("x-key")),
        ("/v1/traces", "s3cret")
    );
    for span in &spans {
        assert_eq!(
            (span["traceId"].as_str(), span["parentSpanId"].as_str()),
            (Some(TRACE), Some("b7ad6b7169203331"))
        );
        assert_eq!(
            (span["name"].as_str(), span["kind"].as_i64()),
            (Some("send webhook"), Some(3))
        );
    }
    assert!(
        first.contains(spans[0]["spanId"].as_str().expect("an id")),
        "{first}"
    );
    let text = spans[1].to_string();
    assert!(text.contains(&id) && text.contains("error.type"), "{text}");
    assert!(!text.contains(set.receiver.url()), "an address in a span");
    assert!(!set.node.log().contains("s3cret"));
    Ok(())
}

/// Whoever looks for a message in the log finds it by its id and by its trace, and no address there.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_message_and_trace_but_no_address() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let db = TestDb::new().await?;
    directory.write("node.toml", "[gateways.relay]\ntype = \"stub\"\n")?;
    let log = directory.path.join("debug.log");
    let child = directory
        .postroad(&["worker", "--config", "node.toml"])
        .env("DATABASE_URL", &db.url)
        .env("RUST_LOG", "postroad=debug")
        .stderr(std::fs::File::create(&log)?)
        .spawn()?;
    let _node = Node::of(child);
    let id = db
        .enqueue(
            1,
            &format!("options => '{{\"traceparent\": \"00-{TRACE}-b7ad6b7169203331-01\"}}'"),
        )
        .await?[0];
    db.wait_until_idle().await?;
    let text = std::fs::read_to_string(&log)?;
    let mut lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let line = lines.find(|line| line["message_id"] == id.to_string());
    let line = line.unwrap_or_default();
    assert_eq!(
        (line["message"].as_str(), line["trace_id"].as_str()),
        (Some("accepted"), Some(TRACE)),
        "{text}"
    );
    assert!(!text.contains("user0@example.org"), "{text}");
    Ok(())
}

/// Newsletters that share a call share its span; who follows one message finds the call by the link.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_several_is_a_span_that_each_message_links_to() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let db = TestDb::new().await?;
    let (provider, collector) = (
        HttpDouble::answering(202, "").await,
        HttpDouble::start().await,
    );
    let query = format!(
        "select postroad.enqueue_bulk('email',
           (select jsonb_agg('reader' || n || '@example.org') from generate_series(1, 60) as n),
           subject => 'Hello', body => 'News', message_type => 'newsletter',
           options => '{{\"traceparent\": \"00-{TRACE}-b7ad6b7169203331-01\"}}')"
    );
    db.client.batch_execute(&query).await?;
    let config = format!(
        "[telemetry]\notlp_endpoint = '{}'\n[gateways.sendgrid]\ntype = 'sendgrid'\napi_key = 's3cret'\napi_url = '{}'\nfrom = 'post@example.org'\n",
        collector.url(),
        provider.url()
    );
    let _node = Node::start(&directory, &db.url, "node", &["worker"], &config)?;
    db.wait_until_idle().await?;
    let mut spans: Vec<serde_json::Value> = Vec::new();
    let of_message = |span: &&serde_json::Value| span.to_string().contains("messaging.message.id");
    until("each message has its span", async || {
        let requests = collector.requests();
        let bodies = requests.iter().map(|request| request.json());
        let exported = bodies.flat_map(|body| {
            let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            spans.as_array().cloned().unwrap_or_default()
        });
        spans = exported.collect();
        Ok(spans.iter().filter(of_message).count() >= 60)
    })
    .await?;
    for span in &spans {
        assert_eq!(
            (&span["traceId"], &span["parentSpanId"]),
            (&TRACE.into(), &"b7ad6b7169203331".into())
        );
    }
    let mut several = 0;
    for request in provider.requests() {
        let mails = request.json()["personalizations"]
            .as_array()
            .map_or(0, Vec::len);
        let traceparent = request.header("traceparent").to_owned();
        let own = spans.iter().filter(|span| {
            traceparent
                == format!(
                    "00-{TRACE}-{}-01",
                    span["spanId"].as_str().unwrap_or_default()
                )
        });
        let own: Vec<_> = own.collect();
        assert_eq!(
            own.len(),
            1,
            "a call carries its own span on: {traceparent}"
        );
        assert_eq!(own[0]["kind"], 3);
        let linked = spans.iter().filter(|span| {
            span["links"][0]["spanId"] == own[0]["spanId"] && span["links"][0]["traceId"] == TRACE
        });
        let linked: Vec<_> = linked.collect();
        if mails < 2 {
            assert!(
                linked.is_empty() && of_message(&own[0]),
                "a message alone is its call"
            );
            continue;
        }
        several += 1;
        assert_eq!(linked.len(), mails);
        assert!(
            linked
                .iter()
                .all(|span| of_message(span) && span["kind"] == 1)
        );
        let count = own[0]["attributes"].as_array().and_then(|all| {
            all.iter()
                .find(|one| one["key"] == "messaging.batch.message_count")
        });
        assert_eq!(
            count.map(|count| &count["value"]["stringValue"]),
            Some(&mails.to_string().into())
        );
        assert!(!of_message(&own[0]), "it is of no message alone");
    }
    assert!(several > 0, "some shared a call");
    assert!(!format!("{spans:?}").contains("@example.org"));
    Ok(())
}
