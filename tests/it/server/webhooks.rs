//! What providers post, from the request to its events.

mod reading;
mod unproven;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use postroad::db::pool::Database;
use postroad::gateway::endpoints::{Endpoint, EndpointSettings, Endpoints};
use postroad::gateway::source::{
    Action, Posted, Refused, Stored, Unreadable, Verified, WebhookSource,
};
use postroad::model::event::EventType;
use postroad::model::report::Report;
use postroad::server::{self, Settings, WebhookCounts};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::http_double::HttpDouble;
use crate::support::signed::{SECRET, Sender, headers};
use crate::support::sql::Sql as _;
use crate::support::wait::until;

/// A server with endpoints, which may do what the role `postroad_webhook` may do.
struct Running {
    address: SocketAddr,
    counts: Arc<WebhookCounts>,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(database: &Database, endpoints: Endpoints) -> anyhow::Result<Self> {
        Self::with(database, endpoints, Settings::default()).await
    }

    async fn with(
        database: &Database,
        endpoints: Endpoints,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (counts, shutdown) = (Arc::default(), CancellationToken::new());
        let context = server::Context {
            settings,
            api: server::api::Settings::default(),
            database: database.with_setting("role=postroad_webhook"),
            endpoints,
            webhook_counts: Arc::clone(&counts),
            links: None,
            page: server::live::Setup::default(),
            has_metrics: true,
        };
        let running = server::run(listener, context, shutdown.clone());
        let server = tokio::spawn(async move { running.await.expect("it runs") });
        Ok(Self {
            address,
            counts,
            shutdown,
            server,
        })
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        Sender::connect(self.address).await
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        Ok(self.server.await?)
    }
}

/// The endpoint `own`, of events in our own words, with further settings.
fn own(more: &str) -> Endpoints {
    let settings = format!("type = 'generic'\nsecret = '{SECRET}'\n{more}");
    let settings: EndpointSettings = toml::from_str(&settings).expect("settings");
    Endpoints::build(&[("own".to_owned(), settings)].into()).expect("endpoints")
}

/// A provider whose requests are signed by nothing but the header `proof`, and mean what the test says.
#[derive(Default)]
struct Provider {
    action: Action,
    /// Ids of messages whose events cannot be read, for now.
    unreadable: Mutex<Vec<String>>,
}

#[async_trait]
impl WebhookSource for Provider {
    fn name(&self) -> &str {
        "provider"
    }

    async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
        let proof = posted.headers.get("proof").and_then(|v| v.to_str().ok());
        match proof {
            Some(proof) => Ok(Verified {
                key: posted.query.map(str::to_owned),
                replay: Some(proof.to_owned()),
                action: self.action.clone(),
            }),
            None => Err(Refused::Unavailable("the key cannot be had")),
        }
    }

    /// A body is the ids of delivered messages, a line each.
    fn parse(&self, stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
        let text = String::from_utf8_lossy(stored.body);
        let unreadable = self.unreadable.lock().expect("a list").clone();
        let reports = text.lines().map(|line| {
            assert_ne!(line, "panic", "as the test wants");
            if unreadable.iter().any(|id| id == line) {
                return Err(Unreadable("not what is documented".into()));
            }
            let (id, reason) = match line.strip_prefix('!') {
                Some(id) => (id, Some("poison")),
                None => (line, None),
            };
            let mut report = Report::new(EventType::Delivered, "delivered", format!("k-{id}"));
            report.message_id = id.parse().ok();
            report.reason = reason;
            Ok(report)
        });
        reports.collect()
    }
}

fn provider(provider: &Arc<Provider>) -> Endpoints {
    let endpoint = Endpoint::new(Arc::clone(provider) as Arc<dyn WebhookSource>);
    Endpoints::of([("provider".to_owned(), endpoint)])
}

fn delivered(id: Uuid) -> String {
    format!(r#"{{"id": "e-{id}", "type": "delivered", "message_id": "{id}"}}"#)
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// The whole way: what is signed is stored as it came, answered, and becomes an event; by both paths.
#[tokio::test]
async fn a_signed_request_becomes_an_event() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(2, "").await?;
    let server = Running::start(&db.database, own("")).await?;
    let mut sender = server.connect().await?;
    let body = delivered(ids[0]);
    let headers = headers("m1", &body, 0);
    let (status, answer) = sender
        .post("/webhooks/own?from=here", &headers, &body)
        .await?;
    assert_eq!((status, answer.as_str()), (200, "{}"));
    let path = "/api/webhooks/communication/own";
    assert_eq!(
        sender.post_signed(path, "m2", &delivered(ids[1])).await?,
        200
    );
    db.wait_until(
        "(select count(*) from postroad.delivery_events where event_type = 'delivered') = 2",
    )
    .await?;
    let stored = "select gateway, delivery_key, query, content_type, convert_from(body, 'UTF8') from postroad.webhook_inbox order by inbox_id limit 1";
    assert_eq!(
        db.client.row(stored).await?,
        format!("own|m1|from=here|application/json|{body}")
    );
    let event = format!(
        "select gateway, source_key, detail ->> 'event' from postroad.delivery_events where message_id = '{}' and event_type = 'delivered'",
        ids[0]
    );
    assert_eq!(
        db.client.row(&event).await?,
        format!("own|e-{}|delivered", ids[0])
    );
    assert_eq!(read(&server.counts.stored), 2);
    let stats =
        "select gateway, stored, parsed, errors, waiting, events from postroad.webhook_stats";
    db.wait_until("not exists (select from postroad.webhook_batches)")
        .await?;
    assert_eq!(db.client.row(stats).await?, "own|2|2|0|0|2");
    Ok(())
}

/// A forged complaint suppresses a victim: nothing of what is refused is kept, and each refusal says what it is.
#[tokio::test]
async fn what_is_not_proven_is_refused_counted_and_not_kept() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(1, "").await?;
    let server = Running::start(&db.database, own("max_body_bytes = 500")).await?;
    let body = delivered(ids[0]);
    let large = " ".repeat(501);
    let good = headers("m1", &body, 0);
    for (path, headers, body, expected) in [
        ("/webhooks/twilio", good.as_str(), body.as_str(), 404),
        ("/webhooks/own/x/y", &good, &body, 404),
        ("/webhooks/own", "", &body, 401),
        ("/webhooks/own", &good, "{}", 401),
        ("/webhooks/own", &headers("m1", &body, -400), &body, 403),
        ("/webhooks/own", &headers("m1", &large, 0), &large, 413),
    ] {
        let mut sender = server.connect().await?;
        let (status, answer) = sender.post(path, headers, body).await?;
        assert_eq!(status, expected, "{path} {headers} {answer}");
        assert!(answer.starts_with("{\"error\":"), "{answer}");
    }
    let near = own("allow_from = ['192.0.2.0/24']");
    let closed = Running::start(&db.database, near).await?;
    assert_eq!(
        closed
            .connect()
            .await?
            .post("/webhooks/own", &good, &body)
            .await?
            .0,
        403
    );
    let counts = &server.counts;
    assert_eq!(
        read(&counts.unknown),
        1,
        "the other one is no endpoint's path"
    );
    assert_eq!(read(&counts.unauthenticated), 2);
    assert_eq!(read(&counts.forbidden), 1);
    assert_eq!(read(&counts.malformed), 1);
    assert_eq!(read(&closed.counts.forbidden), 1);
    assert_eq!(read(&counts.stored), 0);
    assert_eq!(
        db.value::<i64>("select count(*) from postroad.webhook_inbox")
            .await?,
        0
    );
    Ok(())
}

/// Providers send again when our answer is lost, to any node, also after a restart.
#[tokio::test]
async fn a_delivery_that_comes_again_is_answered_and_kept_once() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(1, "").await?;
    let body = delivered(ids[0]);
    let (one, two) = (
        Running::start(&db.database, own("")).await?,
        Running::start(&db.database, own("")).await?,
    );
    for server in [&one, &two, &one] {
        let status = server
            .connect()
            .await?
            .post_signed("/webhooks/own", "m1", &body)
            .await?;
        assert_eq!(status, 200);
    }
    assert_eq!(
        (read(&one.counts.stored), read(&one.counts.duplicate)),
        (1, 1)
    );
    assert_eq!(
        (read(&two.counts.stored), read(&two.counts.duplicate)),
        (0, 1)
    );
    one.stop().await?;
    let again = Running::start(&db.database, own("")).await?;
    assert_eq!(
        again
            .connect()
            .await?
            .post_signed("/webhooks/own", "m1", &body)
            .await?,
        200
    );
    assert_eq!(read(&again.counts.duplicate), 1);
    assert_eq!(
        db.value::<i64>("select count(*) from postroad.webhook_inbox")
            .await?,
        1
    );
    Ok(())
}

/// Where a signature does not cover the body (Mailgun's), a captured one must not vouch for another body.
#[tokio::test]
async fn a_token_is_good_for_one_delivery_on_all_nodes() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(2, "").await?;
    let kind = Arc::new(Provider::default());
    let (one, two) = (
        Running::start(&db.database, provider(&kind)).await?,
        Running::start(&db.database, provider(&kind)).await?,
    );
    let post = async |server: &Running, query: &str, proof: &str, id: Uuid| {
        let headers = format!("proof: {proof}\r\n");
        let path = format!("/webhooks/provider?{query}");
        let mut sender = server.connect().await?;
        Ok::<_, anyhow::Error>(sender.post(&path, &headers, &id.to_string()).await?.0)
    };
    assert_eq!(post(&one, "a", "token", ids[0]).await?, 200);
    assert_eq!(
        post(&two, "a", "token", ids[0]).await?,
        200,
        "the same one again"
    );
    assert_eq!(
        post(&two, "b", "token", ids[1]).await?,
        403,
        "another one with its token"
    );
    assert_eq!(post(&one, "b", "token", ids[1]).await?, 403);
    assert_eq!(post(&two, "b", "fresh", ids[1]).await?, 200);
    assert_eq!(read(&two.counts.forbidden), 1);
    assert_eq!(
        db.value::<i64>("select count(*) from postroad.webhook_inbox")
            .await?,
        2
    );
    Ok(())
}

/// 2xx is a promise: without a database there is none, and the provider sends again.
#[tokio::test]
async fn what_cannot_be_stored_is_to_be_sent_again() -> anyhow::Result<()> {
    let nowhere = Database::new("postgres://127.0.0.1:1/post", "test")?;
    let server = Running::start(&nowhere, own("")).await?;
    let mut sender = server.connect().await?;
    let body = delivered(Uuid::now_v7());
    assert_eq!(sender.post_signed("/webhooks/own", "m1", &body).await?, 503);
    assert_eq!(read(&server.counts.unavailable), 1);
    let kind = Arc::new(Provider::default());
    let server = Running::start(&nowhere, provider(&kind)).await?;
    let (status, _) = server
        .connect()
        .await?
        .post("/webhooks/provider", "", "x")
        .await?;
    assert_eq!(status, 503, "its key cannot be had");
    Ok(())
}

/// SNS sends nothing before its subscription is confirmed; only what the source took for genuine is got.
#[tokio::test]
async fn a_subscription_is_confirmed_by_one_request_that_goes_nowhere_else() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let aws = HttpDouble::start().await;
    let kind = Arc::new(Provider {
        action: Action::Confirm(format!("{}/confirm?token=1", aws.url())),
        ..Provider::default()
    });
    let server = Running::start(&db.database, provider(&kind)).await?;
    let post = async || {
        let mut sender = server.connect().await?;
        Ok::<_, anyhow::Error>(
            sender
                .post("/webhooks/provider", "proof: x\r\n", "{}")
                .await?
                .0,
        )
    };
    assert_eq!(post().await?, 200);
    let requests = aws.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("GET", "/confirm?token=1")
    );
    let elsewhere = format!("{}/elsewhere", aws.url());
    aws.answer(302, &[("location", &elsewhere)], "");
    assert_eq!(
        post().await?,
        503,
        "a redirect is no confirmation, and is not followed"
    );
    assert_eq!(aws.requests().len(), 2);
    assert_eq!(
        db.value::<i64>("select count(*) from postroad.webhook_inbox")
            .await?,
        0
    );

    let ignoring = Arc::new(Provider {
        action: Action::Ignore,
        ..Provider::default()
    });
    let server = Running::start(&db.database, provider(&ignoring)).await?;
    let (status, _) = server
        .connect()
        .await?
        .post("/webhooks/provider", "proof: x\r\n", "{}")
        .await?;
    assert_eq!((status, read(&server.counts.ignored)), (200, 1));
    assert_eq!(
        db.value::<i64>("select count(*) from postroad.webhook_inbox")
            .await?,
        0
    );
    Ok(())
}

/// Twilio signs the URL that it called; what stands between us and it must not change that.
#[tokio::test]
async fn the_url_is_the_public_one() -> anyhow::Result<()> {
    struct ByUrl(&'static str);

    #[async_trait]
    impl WebhookSource for ByUrl {
        fn name(&self) -> &str {
            "by_url"
        }

        async fn verify(&self, posted: &Posted<'_>) -> Result<Verified, Refused> {
            match posted.url == self.0 {
                true => Ok(Verified {
                    action: Action::Ignore,
                    ..Verified::default()
                }),
                false => Err(Refused::Unauthenticated("another URL")),
            }
        }

        fn parse(&self, _stored: &Stored<'_>) -> Result<Vec<Report>, Unreadable> {
            Ok(Vec::new())
        }
    }

    let nowhere = Database::new("postgres://127.0.0.1:1/post", "test")?;
    for (public_url, expected) in [
        (None, "http://post.example.org/webhooks/by_url?a=%20b"),
        (
            Some("https://public.example.org/post/"),
            "https://public.example.org/post/webhooks/by_url?a=%20b",
        ),
    ] {
        let settings = Settings {
            public_url: public_url.map(str::to_owned),
            ..Settings::default()
        };
        let endpoints = Endpoints::of([(
            "by_url".to_owned(),
            Endpoint::new(Arc::new(ByUrl(expected))),
        )]);
        let server = Running::with(&nowhere, endpoints, settings).await?;
        let (status, _) = server
            .connect()
            .await?
            .post("/webhooks/by_url?a=%20b", "", "x")
            .await?;
        assert_eq!(status, 200, "{expected}");
    }
    Ok(())
}

/// Requests that come at once are stored together, and each is told what became of it.
#[tokio::test]
async fn requests_that_come_at_once_share_a_commit() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(300, "").await?;
    let server = Running::start(&db.database, own("")).await?;
    let posts = ids.iter().map(|id| {
        let address = server.address;
        let body = delivered(*id);
        async move {
            let mut sender = Sender::connect(address).await?;
            sender
                .post_signed("/webhooks/own", &id.to_string(), &body)
                .await
        }
    });
    let answers = futures_util::future::try_join_all(posts).await?;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    until("all are read", async || {
        let read: i64 = db
            .value("select coalesce(max(parsed), 0) from postroad.webhook_counts")
            .await?;
        Ok(read == 300)
    })
    .await?;
    let transactions: i64 = db
        .value("select count(distinct xmin::text) from postroad.webhook_inbox")
        .await?;
    assert!(
        transactions < 150,
        "{transactions} transactions for 300 requests"
    );
    Ok(())
}
