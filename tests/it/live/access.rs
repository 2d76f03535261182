//! Who may look at the page, and who may act.

use std::net::SocketAddr;
use std::time::Duration;

use postroad::gateway::http;
use postroad::server::live::Setup;
use postroad::server::{self, Settings};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::db::TestDb;
use crate::support::wait::until;

/// A server; it ends with the value.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    client: Client,
    _running: JoinSet<()>,
}

impl Served {
    pub(super) async fn start(db: &TestDb, is_for_this_machine: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let context = server::Context {
            settings: Settings::default(),
            api: server::api::Settings::default(),
            database: db.database.clone(),
            page: Setup {
                is_for_this_machine,
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
        Ok(Self {
            address,
            client: http::client().map_err(anyhow::Error::msg)?,
            _running: running,
        })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }

    /// A pause, as the page asks for it.
    fn pause(&self) -> RequestBuilder {
        let body = json!({"action": "pause", "scope": "channel", "key": "sms", "reason": "a test"});
        let request = self
            .client
            .post(format!("http://{}/ui/actions", self.address));
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    fn login(&self, key: &str) -> RequestBuilder {
        let request = self
            .client
            .post(format!("http://{}/ui/login", self.address));
        request
            .header("content-type", "application/json")
            .body(json!({"key": key}).to_string())
    }
}

async fn status(request: RequestBuilder) -> anyhow::Result<u16> {
    Ok(request.send().await?.status().as_u16())
}

async fn pauses(db: &TestDb) -> anyhow::Result<i64> {
    db.value("select count(*) from postroad.pauses").await
}

/// A key of the HTTP API, with these arguments beside its name.
pub(super) async fn key(db: &TestDb, arguments: &str) -> anyhow::Result<String> {
    db.value(&format!(
        "select key from postroad.create_api_key(name => 'test', {arguments})"
    ))
    .await
}

/// What is behind the page is other people's addresses, of all tenants.
#[tokio::test]
async fn the_page_is_for_readers_and_admins_of_the_whole() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, false).await?;
    let admin = key(&db, "roles => '{admin}'").await?;
    let reader = key(&db, "roles => '{reader}'").await?;
    let refused = [
        key(&db, "roles => '{sender}'").await?,
        key(&db, "roles => '{reader,admin}', tenant_id => 7").await?,
        admin.replacen("pr_live_", "pr_live_x", 1),
        String::new(),
    ];
    let id = db.enqueue(1, "").await?[0];
    let report = format!("/ui/messages/{id}");
    for path in [
        "/ui/session",
        "/ui/feed",
        &report,
        "/ui/messages?address=a%40x.org",
        "/ui/outbox",
    ] {
        assert_eq!(status(served.get(path)).await?, 401, "{path}");
        for key in &refused {
            assert_eq!(
                status(served.get(path).bearer_auth(key)).await?,
                401,
                "{path}"
            );
        }
    }
    for key in [&admin, &reader] {
        assert_eq!(status(served.get(&report).bearer_auth(key)).await?, 200);
    }
    for (key, expected) in [(&refused[0], 401), (&refused[1], 401), (&reader, 403)] {
        assert_eq!(status(served.pause().bearer_auth(key)).await?, expected);
    }
    assert_eq!(status(served.pause()).await?, 401);
    assert_eq!(pauses(&db).await?, 0);
    assert_eq!(status(served.pause().bearer_auth(&admin)).await?, 200);
    let by: String = db.value("select paused_by from postroad.pauses").await?;
    assert!(by.starts_with("key:"), "who it was is recorded: {by}");
    // The page itself asks for a key; there is nothing in it.
    let page = served.get("/").send().await?;
    let policy = page.headers()["content-security-policy"]
        .to_str()?
        .to_owned();
    assert!(
        policy.contains("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(
        !page.text().await?.contains("<script>"),
        "a script of its own in the page"
    );
    Ok(())
}

/// A key is revoked because somebody else has it: what they look at ends, too.
#[tokio::test]
async fn a_feed_ends_with_its_key() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, false).await?;
    let revoked = key(&db, "roles => '{reader}'").await?;
    let other = key(&db, "roles => '{reader}'").await?;
    let feed = async |key: &str| served.get("/ui/feed").bearer_auth(key).send().await;
    let (mut ending, mut going_on) = (feed(&revoked).await?, feed(&other).await?);
    ending.chunk().await?;
    db.client
        .batch_execute("select postroad.revoke_api_key(min(key_id)) from postroad.api_keys")
        .await?;
    let to_its_end = async {
        while ending.chunk().await?.is_some() {}
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(20), to_its_end).await??;
    for _ in 0..3 {
        assert!(going_on.chunk().await?.is_some(), "the other goes on");
    }
    Ok(())
}

/// A dashboard that opens one feed after the other must not keep everybody else from looking.
#[tokio::test]
async fn feeds_of_one_caller_leave_room_for_others() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, false).await?;
    let many = key(&db, "roles => '{reader}'").await?;
    let other = key(&db, "roles => '{reader}'").await?;
    let feed = async |key: &str| served.get("/ui/feed").bearer_auth(key).send().await;
    let mut looking = Vec::new();
    while looking.len() <= 100 {
        let answer = feed(&many).await?;
        if answer.status() == 503 {
            break;
        }
        looking.push(answer);
    }
    assert!(looking.len() >= 20, "{}", looking.len());
    assert_eq!(feed(&other).await?.status(), 200);
    assert_eq!(feed(&many).await?.status(), 503);
    looking.clear();
    until("they have room again", async || {
        Ok(feed(&many).await?.status() == 200)
    })
    .await?;
    Ok(())
}

/// A browser keeps the key where no script finds it, and sends it to nobody else.
#[tokio::test]
async fn a_login_is_a_cookie_that_only_our_own_page_uses() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, false).await?;
    let admin = key(&db, "roles => '{admin}'").await?;
    assert_eq!(status(served.login("wrong-key-0123456789")).await?, 403);
    assert_eq!(
        status(served.login(&format!("{admin}; Path=/x"))).await?,
        403
    );
    let answer = served.login(&admin).send().await?;
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str()?.to_owned();
    for word in ["; HttpOnly", "; SameSite=Strict", "; Path=/;"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap_or_default().to_owned();
    let session: Value = serde_json::from_str(
        &served
            .get("/ui/session")
            .header("cookie", &pair)
            .send()
            .await?
            .text()
            .await?,
    )?;
    assert_eq!(session["is_admin"], true);

    // With the cookie, but from another page.
    let own = format!("http://{}", served.address);
    let refused = [
        served
            .pause()
            .header("cookie", &pair)
            .header("sec-fetch-site", "cross-site"),
        served
            .pause()
            .header("cookie", &pair)
            .header("sec-fetch-site", "same-site"),
        served
            .pause()
            .header("cookie", &pair)
            .header("origin", "https://evil.example"),
        served
            .pause()
            .header("cookie", &pair)
            .header("origin", "null"),
        served
            .client
            .post(format!("{own}/ui/actions"))
            .header("cookie", &pair)
            .body("action=pause"),
        served
            .client
            .post(format!("{own}/ui/actions"))
            .header("cookie", &pair)
            .header("content-type", "text/plain")
            .body("{}"),
    ];
    for request in refused {
        assert_eq!(status(request).await?, 403);
    }
    assert_eq!(pauses(&db).await?, 0);
    let ours = served
        .pause()
        .header("cookie", &pair)
        .header("sec-fetch-site", "same-origin")
        .header("origin", &own);
    assert_eq!(status(ours).await?, 200);
    assert_eq!(pauses(&db).await?, 1);
    Ok(())
}

/// A page elsewhere that could log its visitor in would have them act under a key of its own.
#[tokio::test]
async fn another_page_can_neither_log_in_nor_out() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, false).await?;
    let admin = key(&db, "roles => '{admin}'").await?;
    let logout = || {
        let request = served
            .client
            .post(format!("http://{}/ui/logout", served.address));
        request
            .header("content-type", "application/json")
            .body("{}")
    };
    for request in [served.login(&admin), logout()] {
        let answer = request
            .header("sec-fetch-site", "cross-site")
            .send()
            .await?;
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.headers().get("set-cookie"), None);
    }
    for request in [served.login(&admin), logout()] {
        let answer = request.header("sec-fetch-site", "same-origin").send();
        let answer = answer.await?;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("set-cookie"));
    }
    Ok(())
}

/// In development there is no key; a page elsewhere that has its name resolve to this machine must not get in.
#[tokio::test]
async fn the_open_page_is_for_this_machine_by_its_own_name() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, true).await?;
    for path in ["/", "/ui/page.js", "/ui/session", "/ui/feed"] {
        let rebound = served.get(path).header("host", "evil.example");
        assert_eq!(status(rebound).await?, 421, "{path}");
        let localhost = served.get(path).header("host", "localhost:8025");
        assert_eq!(status(localhost).await?, 200, "{path}");
    }
    let rebound = served.pause().header("host", "evil.example");
    assert_eq!(status(rebound).await?, 421);
    // A proxy on this machine asks under its name for whoever asked the proxy.
    for (name, value) in [
        ("forwarded", "for=203.0.113.9"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "post.example.org"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "203.0.113.9"),
        ("via", "1.1 proxy"),
    ] {
        for path in ["/", "/ui/session", "/ui/feed"] {
            let forwarded = served.get(path).header(name, value);
            assert_eq!(status(forwarded).await?, 421, "{path} {name}");
        }
        assert_eq!(
            status(served.pause().header(name, value)).await?,
            421,
            "{name}"
        );
    }
    assert_eq!(pauses(&db).await?, 0);
    assert_eq!(status(served.pause()).await?, 200);
    assert_eq!(pauses(&db).await?, 1);
    Ok(())
}

/// An operator's typing error is told as one; what is not there is not found.
#[tokio::test]
async fn actions_say_what_is_wrong_with_them() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, true).await?;
    let act = |body: Value| {
        let request = served
            .client
            .post(format!("http://{}/ui/actions", served.address));
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    };
    let id = uuid::Uuid::now_v7();
    let unknown = json!({"action": "pause", "scope": "channel", "key": "pigeon", "reason": "x"});
    let answer = act(unknown).send().await?;
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await?.contains("unknown channel"));
    assert_eq!(status(act(json!({"action": "drop"}))).await?, 400);
    assert_eq!(
        status(act(json!({"action": "cancel", "message_id": "x"}))).await?,
        400
    );
    let nothing: Value = serde_json::from_str(
        &act(json!({"action": "cancel", "message_id": id}))
            .send()
            .await?
            .text()
            .await?,
    )?;
    assert_eq!(nothing["done"], false);
    for path in [
        format!("/ui/messages/{id}"),
        "/ui/messages/x".into(),
        format!("/ui/outbox/{id}"),
        "/ui/outbox/..%2Fx".into(),
    ] {
        assert_eq!(status(served.get(&path)).await?, 404, "{path}");
    }
    assert_eq!(status(served.get("/ui/messages")).await?, 400);
    Ok(())
}
