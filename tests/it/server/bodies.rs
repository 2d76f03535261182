//! What bodies take of the server's memory, and who may take it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use postroad::gateway::endpoints::{EndpointSettings, Endpoints};
use postroad::model::duration::Text;
use postroad::server::{self, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::db::TestDb;
use crate::support::signed::SECRET;
use crate::support::wait::until;

/// As large as mails that come back may be, but for a little.
const LARGE: usize = 8_388_600;

/// A server with these endpoints; it ends with the value.
struct Served {
    address: SocketAddr,
    _running: JoinSet<()>,
}

impl Served {
    async fn start(
        db: &TestDb,
        endpoints: &[(&str, &str)],
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let endpoints = endpoints.iter().map(|(name, settings)| {
            let settings: EndpointSettings = toml::from_str(settings).expect(settings);
            ((*name).to_owned(), settings)
        });
        let context = server::Context {
            settings,
            api: server::api::Settings::default(),
            database: db.database.clone(),
            endpoints: Endpoints::build(&endpoints.collect())?,
            webhook_counts: Default::default(),
            links: None,
            page: server::live::Setup::default(),
            has_metrics: true,
        };
        let mut running = JoinSet::new();
        running.spawn(async move {
            let served = server::run(listener, context, CancellationToken::new());
            served.await.expect("it serves");
        });
        Ok(Self {
            address,
            _running: running,
        })
    }

    /// A connection of another address of this machine.
    async fn connect_from(&self, last: u8) -> anyhow::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
        Ok(socket.connect(self.address).await?)
    }

    /// The status of the answer to a request, of whose body `body` is sent, and `missing` bytes are not.
    async fn ask(&self, from: u8, head: &str, body: &str, missing: usize) -> anyhow::Result<u16> {
        let mut stream = self.connect_from(from).await?;
        let length = body.len() + missing;
        let request = format!(
            "{head}\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut line = [0; 12];
        stream.read_exact(&mut line).await?;
        Ok(std::str::from_utf8(&line[9..])?.parse()?)
    }
}

/// A request's first line, and the headers that it brings.
fn post(path: &str, headers: &[&str]) -> String {
    let mut head = format!("POST {path} HTTP/1.1");
    for header in headers {
        head = format!("{head}\r\n{header}");
    }
    head
}

/// Bodies take memory: whoever proves nothing in the head of a request does not get to send one.
#[tokio::test]
async fn what_brings_no_proof_is_refused_before_its_body_comes() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let settings = Settings {
        body_timeout: Text(Duration::from_millis(300)),
        ..Settings::default()
    };
    let generic = format!("type = 'generic'\nsecret = '{SECRET}'");
    let endpoints = [
        ("smtp", "type = 'smtp'\ntoken = 'a token of sixteen'"),
        ("fcm", "type = 'fcm'\ntoken = 'a token of sixteen'"),
        (
            "bandwidth",
            "type = 'bandwidth'\nusername = 'a'\npassword = 'b'",
        ),
        ("ovh", "type = 'ovh'\nsecret = 'of_some_length-0123456789'"),
        (
            "twilio",
            "type = 'twilio'\nauth_token = 'a token of sixteen'",
        ),
        ("generic", generic.as_str()),
    ];
    let served = Served::start(&db, &endpoints, settings).await?;
    let bearer = "authorization: Bearer a token of sixteen";
    let ovh = "/webhooks/ovh/of_some_length-0123456789";
    for (path, proof, no_proof) in [
        ("/webhooks/smtp", &[bearer][..], "authorization: Bearer b"),
        ("/webhooks/fcm", &[bearer], "authorization: Basic Yg=="),
        (
            "/webhooks/bandwidth",
            &["authorization: Basic YTpi"],
            bearer,
        ),
        ("/webhooks/twilio", &["x-twilio-signature: bm8="], bearer),
        (
            "/webhooks/generic",
            &[
                "webhook-id: 1",
                "webhook-timestamp: 1",
                "webhook-signature: v1,bm8=",
            ],
            "webhook-id: 1",
        ),
    ] {
        for lacking in [&[][..], &[no_proof]] {
            let status = served.ask(1, &post(path, lacking), "{", 100).await?;
            assert_eq!(status, 401, "{path} {lacking:?}");
        }
        let status = served.ask(1, &post(path, proof), "{", 100).await?;
        assert_eq!(status, 408, "{path}: its body is waited for");
    }
    for (path, expected) in [("/webhooks/ovh/another", 401), (ovh, 408)] {
        let status = served.ask(1, &post(path, &[]), "{", 100).await?;
        assert_eq!(status, expected, "{path}");
    }
    Ok(())
}

/// Sends bodies that lack their last byte, and holds them.
async fn hold(
    served: &Served,
    from: impl IntoIterator<Item = u8>,
    size: usize,
    held: &mut JoinSet<TcpStream>,
) -> anyhow::Result<()> {
    for from in from {
        let mut stream = served.connect_from(from).await?;
        let head = format!(
            "POST /webhooks/smtp HTTP/1.1\r\nhost: t\r\nauthorization: Bearer token-of-sixteen\r\ncontent-length: {}\r\n\r\n",
            size + 1
        );
        held.spawn(async move {
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&vec![b'x'; size]).await;
            let _ = stream.read_u8().await; // refused, or as long as the test takes
            stream
        });
    }
    Ok(())
}

const SMTP: (&str, &str) = ("smtp", "type = 'smtp'\ntoken = 'token-of-sixteen'");

/// Whoever fills what webhooks may take must not keep anyone from sending, nor from unsubscribing.
#[tokio::test]
async fn bodies_of_webhooks_leave_room_for_calls() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let key: String = db
        .value("select key from postroad.create_api_key('test', '{sender}')")
        .await?;
    let served = Served::start(&db, &[SMTP], Settings::default()).await?;
    let mut held = JoinSet::new();
    hold(&served, 2..33, LARGE, &mut held).await?;
    let webhook = post(
        "/webhooks/smtp",
        &["authorization: Bearer token-of-sixteen"],
    );
    let mail = "x".repeat(1_040_000);
    let mut froms = (40..90).cycle();
    until("the memory for webhooks is taken", async || {
        hold(&served, froms.next(), mail.len(), &mut held).await?;
        Ok(served.ask(99, &webhook, &mail, 0).await? == 503)
    })
    .await?;
    let send = post(
        "/api/v1/messages",
        &[&format!("authorization: Bearer {key}")],
    );
    let message =
        format!(r#"{{"channel": "email", "recipient": "a@example.org", "body": "{mail}"}}"#);
    assert_eq!(served.ask(99, &send, &message, 0).await?, 202);
    Ok(())
}

/// One address with slow bodies takes its own share, and no other's.
#[tokio::test]
async fn bodies_of_one_address_leave_room_for_other_addresses() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, &[SMTP], Settings::default()).await?;
    let mut held = JoinSet::new();
    hold(&served, [2, 2], LARGE, &mut held).await?;
    let webhook = post(
        "/webhooks/smtp",
        &["authorization: Bearer token-of-sixteen"],
    );
    let mail = "x".repeat(1_040_000);
    until("its share is taken", async || {
        hold(&served, [2], mail.len(), &mut held).await?;
        Ok(served.ask(2, &webhook, &mail, 0).await? == 503)
    })
    .await?;
    assert_eq!(served.ask(3, &webhook, &mail, 0).await?, 200);
    Ok(())
}
