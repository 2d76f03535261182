//! Our links, followed over HTTP, down to the events.

use std::net::SocketAddr;
use std::sync::Arc;

use postroad::model::link::{Keys, Link, Purpose};
use postroad::server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn keys() -> Keys {
    Keys::new(&SECRET.into(), &[]).expect("keys")
}

struct Serving {
    address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Serving {
    async fn start(database: postroad::db::Database) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let context = server::Context {
            settings: server::Settings::default(),
            api: server::api::Settings::default(),
            database,
            endpoints: Default::default(),
            webhook_counts: Default::default(),
            links: Some(Arc::new(keys())),
            page: server::live::Setup::default(),
            has_metrics: true,
        };
        let running = server::run(listener, context, shutdown.clone());
        let running = tokio::spawn(async move { running.await.expect("it runs") });
        Ok(Self {
            address,
            shutdown,
            running,
        })
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        agent: &str,
        body: &str,
    ) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: t\r\nuser-agent: {agent}\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        self.ask("GET", path, BROWSER, "").await
    }

    /// Ends it, and with it what is still to be written.
    async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        Ok(self.running.await?)
    }
}

fn path(message_id: &str, purpose: Purpose) -> anyhow::Result<String> {
    let segment = purpose.kind().segment();
    let link = Link {
        message_id: Uuid::try_parse(message_id)?,
        gateway: "smtp".into(),
        purpose,
    };
    let token = keys().seal(&link).expect("a token");
    Ok(format!("/{segment}/{token}"))
}

/// How many there are.
async fn events(db: &TestDb) -> anyhow::Result<i64> {
    db.value("select count(*) from postroad.delivery_events")
        .await
}

async fn is_suppressed(db: &TestDb, address: &str) -> anyhow::Result<bool> {
    let query = format!("select postroad.is_suppressed('email', '{address}')");
    db.value(&query).await
}

fn click(target: &str) -> Purpose {
    Purpose::Click {
        target: target.into(),
    }
}

fn way_out() -> Purpose {
    Purpose::Unsubscribe {
        recipient: "ada@example.org".into(),
        tenant_id: None,
    }
}

/// What an SMTP relay does not tell is told by the mail itself, and machines are told from people.
#[tokio::test]
async fn opens_and_clicks_become_events_of_the_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("ada@example.org", "").await?;
    let server = Serving::start(db.database.clone()).await?;

    let open = path(&id, Purpose::Open)?;
    let pixel = server.get(&open).await?;
    assert!(pixel.starts_with("HTTP/1.1 200"), "{pixel}");
    assert!(
        pixel.contains("content-type: image/gif") && pixel.contains("GIF89a"),
        "{pixel}"
    );
    assert!(pixel.contains("cache-control: no-store"), "{pixel}");
    server.get(&open).await?;
    server.ask("HEAD", &open, "head", "").await?;
    server.ask("GET", &open, "Mozilla/5.0", "").await?;

    let target = "https://example.org/a?b=1&c=ü#d";
    let followed = server.get(&path(&id, click(target))?).await?;
    assert!(followed.starts_with("HTTP/1.1 302"), "{followed}");
    let location = "location: https://example.org/a?b=1&c=%C3%BC#d\r\n";
    assert!(followed.contains(location), "{followed}");
    server.stop().await?;

    let kept = db
        .client
        .rows(
            "select event_type, gateway, detail ->> 'machine', detail ->> 'url' from postroad.delivery_events
             order by event_type, detail ->> 'machine' nulls first",
        )
        .await?;
    let clicked = format!("clicked|smtp|null|{target}");
    assert_eq!(
        kept,
        [
            clicked.as_str(),
            "opened|smtp|null|null",
            "opened|smtp|apple_privacy|null"
        ],
        "the second look of the same hour is no news, a HEAD is no look"
    );
    Ok(())
}

/// There is no other place to which we lead, and no other message of which we count.
#[tokio::test]
async fn what_we_did_not_make_leads_nowhere() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("ada@example.org", "").await?;
    let server = Serving::start(db.database.clone()).await?;
    let good = path(&id, click("https://example.org/"))?;
    let token = good.trim_start_matches("/c/");
    for wrong in [
        "/c/https%3A%2F%2Fevil.example".to_owned(),
        "/c/x?url=https://evil.example".into(),
        format!("/o/{token}"),
        format!("/u/{token}"),
        format!("{good}A"),
        good[..good.len() - 1].to_owned(),
        "/u/x".into(),
    ] {
        let answer = server.get(&wrong).await?;
        assert!(answer.starts_with("HTTP/1.1 404"), "{wrong}: {answer}");
        assert!(!answer.contains("evil"), "{answer}");
    }
    let posted = server
        .ask("POST", &format!("/u/{token}"), BROWSER, "")
        .await?;
    assert!(posted.starts_with("HTTP/1.1 404"), "{posted}");
    server.stop().await?;
    assert_eq!(events(&db).await?, 0);
    Ok(())
}

/// Filters follow every link of a mail; only a person, or a mail client for one, posts.
#[tokio::test]
async fn a_get_asks_and_a_post_unsubscribes() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("ada@example.org", "").await?;
    let server = Serving::start(db.database.clone()).await?;
    let out = path(&id, way_out())?;

    let page = server.get(&out).await?;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    for needed in [
        "<html lang=\"en\">",
        "<form method=\"post\">",
        "<button type=\"submit\">",
        "default-src 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "referrer-policy: no-referrer",
        "x-robots-tag: noindex",
    ] {
        assert!(page.contains(needed), "{needed}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
    assert_eq!(events(&db).await?, 0, "a look unsubscribes nobody");

    for body in [
        "List-Unsubscribe=One-Click",
        "List-Unsubscribe=One-Click",
        "",
    ] {
        let done = server.ask("POST", &out, "", body).await?;
        assert!(done.starts_with("HTTP/1.1 200"), "{done}");
        assert!(done.contains("You are unsubscribed"), "{done}");
    }
    let kept = db
        .client
        .rows(
            "select distinct event_type, gateway, message_id, reason from postroad.delivery_events",
        )
        .await?;
    assert_eq!(kept, [format!("unsubscribed|smtp|{id}|unsubscribed")]);
    assert!(is_suppressed(&db, "ada@example.org").await?);
    server.stop().await
}

/// Newsletters lie in mailboxes for longer than their records do here.
#[tokio::test]
async fn the_way_out_works_when_the_message_is_gone() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = Serving::start(db.database.clone()).await?;
    let of_june_2024 = "01900000-0000-7000-8000-000000000001";
    let out = path(of_june_2024, way_out())?;
    let done = server.ask("POST", &out, "", "").await?;
    assert!(done.starts_with("HTTP/1.1 200"), "{done}");
    assert!(is_suppressed(&db, "ada@example.org").await?);
    assert!(!is_suppressed(&db, "eve@example.org").await?);
    server.stop().await
}

/// Who has enough of one shop has not left the others, whether its record is still there or not.
#[tokio::test]
async fn the_way_out_leads_out_of_one_tenants_mails() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = Serving::start(db.database.clone()).await?;
    let known = db.enqueue_to("ada@example.org", "tenant_id => 7").await?;
    let gone = "01900000-0000-7000-8000-000000000001";
    for (id, told, wanted) in [
        (gone, Some(5), "5"),
        (gone, None, "null"),
        (&known, Some(5), "7"),
    ] {
        let purpose = Purpose::Unsubscribe {
            recipient: "ada@example.org".into(),
            tenant_id: told,
        };
        let done = server.ask("POST", &path(id, purpose)?, "", "").await?;
        assert!(done.starts_with("HTTP/1.1 200"), "{done}");
        let listed = "select address, channel, tenant_id, reason from postroad.suppression_list";
        assert_eq!(
            db.client.rows(listed).await?,
            [format!("ada@example.org|email|{wanted}|unsubscribe")],
            "{id} {told:?}"
        );
        let anew = "delete from postroad.suppression_list; delete from postroad.delivery_events";
        db.client.batch_execute(anew).await?;
    }
    server.stop().await
}

/// A person who is told "done" must be right; one whose click cannot be counted must get on all the same.
#[tokio::test]
async fn without_a_database_links_lead_on_and_the_way_out_says_so() -> anyhow::Result<()> {
    let nowhere = postroad::db::Database::new(super::NO_DATABASE, "test")?;
    let server = Serving::start(nowhere).await?;
    let id = Uuid::now_v7().to_string();
    let out = server
        .ask("POST", &path(&id, way_out())?, BROWSER, "")
        .await?;
    assert!(out.starts_with("HTTP/1.1 503"), "{out}");
    assert!(
        out.contains("not unsubscribed yet") && out.contains("retry-after: 60"),
        "{out}"
    );
    Ok(())
}
