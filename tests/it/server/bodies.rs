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
        ("smtp", "type = 'smtp'\ntoken = 'a token'"),
        ("fcm", "type = 'fcm'\ntoken = 'a token'"),
        (
            "bandwidth",
            "type = 'bandwidth'\nusername = 'a'\npassword = 'b'",
        ),
        ("ovh", "type = 'ovh'\nsecret = 'of_some_length-0123456789'"),
        ("twilio", "type = 'twilio'\nauth_token = 'a token'"),
        ("generic", generic.as_str()),
    ];
    let served = Served::start(&db, &endpoints, settings).await?;
    let bearer = "authorization: Bearer a token";
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
