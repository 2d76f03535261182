//! What a client may not do to the server: take its time, send too much, hold its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use hyper::{Method, StatusCode};
use postroad::model::duration::Text;
use postroad::server::respond::{Refusal, Response, whole};
use postroad::server::route::{Handler, Route, Router};
use postroad::server::{Request, Server, Settings, respond};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::wait::until;

/// The most that a body may have here.
const BODY_MAX: usize = 64 * 1024;

/// Answers with what it was sent: how many bytes of body, and by whom.
struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, mut request: Request) -> Result<Response, Refusal> {
        let body = request.body(BODY_MAX).await?;
        let text = format!(
            "{} bytes from {} to {:?}?{}",
            body.len(),
            request.client,
            request.parameters,
            request.query().unwrap_or_default()
        );
        Ok(whole(StatusCode::OK, "text/plain", text))
    }
}

/// Counts a body piece by piece.
struct Count;

#[async_trait]
impl Handler for Count {
    async fn handle(&self, mut request: Request) -> Result<Response, Refusal> {
        let mut bytes = 0;
        while let Some(chunk) = request.chunk(BODY_MAX).await? {
            bytes += chunk.len();
        }
        Ok(whole(
            StatusCode::OK,
            "text/plain",
            format!("{bytes} bytes"),
        ))
    }
}

/// Never answers; says when it was asked.
struct Stuck(Arc<Notify>);

#[async_trait]
impl Handler for Stuck {
    async fn handle(&self, _request: Request) -> Result<Response, Refusal> {
        self.0.notify_one();
        std::future::pending().await
    }
}

struct Panics;

#[async_trait]
impl Handler for Panics {
    async fn handle(&self, _request: Request) -> Result<Response, Refusal> {
        panic!("as the test wants");
    }
}

/// Server-sent events without an end.
struct Events;

#[async_trait]
impl Handler for Events {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        let first = stream::iter([Ok(Bytes::from_static(b"data: 1\n\n"))]);
        let ending = request.ending.clone();
        let rest = stream::unfold((), move |()| {
            let ending = ending.clone();
            async move {
                ending.cancelled().await;
                None
            }
        });
        Ok(respond::stream(
            "text/event-stream",
            futures_util::StreamExt::chain(first, rest),
        ))
    }
}

/// A running server.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stuck: Arc<Notify>,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start(settings: Settings) -> anyhow::Result<Self> {
        let stuck = Arc::new(Notify::new());
        let route = |pattern, handler| Route::new(&[Method::GET, Method::POST], pattern, handler);
        let router = Router::default()
            .with(route("/echo/{name}", Arc::new(Echo)))
            .with(route("/count", Arc::new(Count)).timeout(None))
            .with(route("/events", Arc::new(Events)))
            .with(route("/panics", Arc::new(Panics)))
            .with(
                route("/stuck", Arc::new(Stuck(Arc::clone(&stuck))))
                    .timeout(Some(Duration::from_millis(100))),
            )
            .with(route("/busy", Arc::new(Stuck(Arc::clone(&stuck)))));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let server = Server::new(settings, router).map_err(anyhow::Error::msg)?;
        let server = tokio::spawn(server.serve(listener, shutdown.clone()));
        Ok(Self {
            address,
            stuck,
            shutdown,
            server,
        })
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        Ok(TcpStream::connect(self.address).await?)
    }

    /// Sends `request` on a connection of its own, and reads until the server closes it.
    async fn ask(&self, request: &str) -> anyhow::Result<String> {
        let mut stream = self.connect().await?;
        stream.write_all(request.as_bytes()).await?;
        read_to_end(&mut stream).await
    }

    /// Asks what must always be answered.
    async fn is_served(&self) -> anyhow::Result<()> {
        let answer = self.ask("GET /echo/x HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let answer = answer.await?;
        anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        Ok(())
    }
}

/// What comes until the connection ends, also when it is reset.
async fn read_to_end(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer));
    let _ = ended.await.context("the server left the connection open")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn quick() -> Settings {
    Settings {
        head_timeout: Text(Duration::from_millis(300)),
        body_timeout: Text(Duration::from_millis(300)),
        ..Settings::default()
    }
}

/// `Content-Length` is what the client says; what it sends counts.
#[tokio::test]
async fn a_body_is_read_up_to_its_limit_however_it_is_framed() -> anyhow::Result<()> {
    let server = Running::start(Settings::default()).await?;
    for (size, status) in [(BODY_MAX, "200"), (BODY_MAX + 1, "413")] {
        let body = "x".repeat(size);
        for path in ["/echo/a%20b?q=1", "/count"] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n");
            let length = format!("{head}content-length: {size}\r\n\r\n{body}");
            let chunks =
                format!("{head}transfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n");
            for request in [length, chunks] {
                let answer = server.ask(&request).await?;
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status}")),
                    "{answer}"
                );
                assert_eq!(
                    status == "200",
                    answer.contains(&format!("{size} bytes")),
                    "{answer}"
                );
            }
        }
    }
    let request = "POST /echo/a%20b?q=1 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    let answer = server.ask(request).await?;
    assert!(
        answer.ends_with("0 bytes from 127.0.0.1 to [\"a b\"]?q=1"),
        "{answer}"
    );
    Ok(())
}

/// A hundred megabytes are refused by their announcement, and by their sum; the client gets to read that.
#[tokio::test]
async fn a_body_of_100_mb_is_refused_and_others_are_served_meanwhile() -> anyhow::Result<()> {
    let server = Running::start(Settings::default()).await?;
    let size = 100 * 1024 * 1024;
    for framing in [
        format!("content-length: {size}"),
        "transfer-encoding: chunked".into(),
    ] {
        let (mut read, mut write) = server.connect().await?.into_split();
        let sending = tokio::spawn(async move {
            let head = format!("POST /echo/x HTTP/1.1\r\nhost: t\r\n{framing}\r\n\r\n");
            let _ = write.write_all(head.as_bytes()).await;
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..size / piece.len() {
                if framing.starts_with("transfer") {
                    let _ = write.write_all(b"10000\r\n").await;
                }
                if write.write_all(&piece).await.is_err() {
                    break;
                }
                if framing.starts_with("transfer") {
                    let _ = write.write_all(b"\r\n").await;
                }
            }
        });
        server.is_served().await?;
        let mut answer = vec![0; 12];
        read.read_exact(&mut answer).await?;
        assert_eq!(answer, b"HTTP/1.1 413");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), read.read_to_end(&mut rest));
        let _ = ended.await.context("the connection stays open")?;
        sending.await?;
    }
    Ok(())
}

/// Slow loris: a head that comes letter by letter, and a body that does.
#[tokio::test]
async fn who_takes_too_long_is_cut_off() -> anyhow::Result<()> {
    let server = Running::start(quick()).await?;
    for (start, answer) in [
        ("", ""),
        ("GET /echo/x HTTP/1.1\r\nhost:", ""),
        (
            "POST /echo/x HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\nab",
            "HTTP/1.1 408",
        ),
        (
            "POST /count HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\nab",
            "HTTP/1.1 408",
        ),
    ] {
        let (mut read, mut write) = server.connect().await?.into_split();
        write.write_all(start.as_bytes()).await?;
        // One byte now and then, which is not enough to be patient with, as long as the whole is not there.
        let dripping = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if write.write_all(b"x").await.is_err() {
                    break;
                }
            }
            write
        });
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), read.read_to_end(&mut said));
        let _ = ended
            .await
            .with_context(|| format!("{start:?} holds its connection"))?;
        let said = String::from_utf8_lossy(&said);
        // Only "/count" is patient with each piece.
        assert!(
            said.starts_with(answer) || start.contains("/count"),
            "{start:?}: {said:?}"
        );
        dripping.await?;
    }
    server.is_served().await
}

/// Memory for heads is bounded, by their size and by their number.
#[tokio::test]
async fn heads_beyond_measure_are_refused() -> anyhow::Result<()> {
    let server = Running::start(Settings::default()).await?;
    let head = |headers: &str| {
        format!("GET /echo/x HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n")
    };
    let sized = |size| head(&format!("x: {}\r\n", "a".repeat(size)));
    let many = |count| head(&"x: y\r\n".repeat(count));
    for (request, status) in [
        (sized(30_000), "200"),
        (sized(40_000), "431"),
        (sized(2_000_000), "431"),
        (many(90), "200"),
        (many(200), "431"),
        (head("no colon\r\n"), "400"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)), "4"),
    ] {
        let answer = server.ask(&request).await.unwrap_or_default();
        // What is sent on after the refusal may reset the connection before the answer is read.
        let reset = request.len() > 100_000 && answer.is_empty();
        assert!(
            reset || answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{} bytes: {answer}",
            request.len()
        );
    }
    server.is_served().await
}

/// Thousands of connections that say nothing, and some that say half of it: others are served at once all the same.
#[tokio::test]
async fn idle_connections_make_room_for_others() -> anyhow::Result<()> {
    let settings = Settings {
        max_connections: 50,
        ..Settings::default()
    };
    let server = Running::start(settings).await?;
    let mut idle = Vec::new();
    for n in 0..3000 {
        let mut stream = server.connect().await?;
        if n % 2 == 0 {
            let _ = stream
                .write_all(b"POST /echo/x HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\n")
                .await;
        }
        idle.push(stream);
        if n % 500 == 0 {
            server.is_served().await?;
        }
    }
    for _ in 0..20 {
        server.is_served().await?;
    }
    Ok(())
}

/// The bound counts what is worked on, too: a new connection waits for one that is done, and none of these is cut.
#[tokio::test]
async fn a_request_that_is_worked_on_keeps_its_connection() -> anyhow::Result<()> {
    let settings = Settings {
        max_connections: 1,
        ..Settings::default()
    };
    let server = Running::start(settings).await?;
    let mut busy = server.connect().await?;
    busy.write_all(b"GET /stuck HTTP/1.1\r\nhost: t\r\n\r\n")
        .await?;
    server.stuck.notified().await;
    let (answer, served) = tokio::join!(read_to_end(&mut busy), server.is_served());
    served?;
    assert!(
        answer?.starts_with("HTTP/1.1 503"),
        "its handler took too long"
    );
    Ok(())
}

/// Keep-alive: a connection serves one request after the other, and is closed by the deadline for the next head.
#[tokio::test]
async fn a_connection_serves_many_requests() -> anyhow::Result<()> {
    let server = Running::start(quick()).await?;
    let mut stream = server.connect().await?;
    for _ in 0..3 {
        stream
            .write_all(b"POST /echo/x HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nabc")
            .await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"]?") {
            answer.push(stream.read_u8().await?);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(read_to_end(&mut stream).await?, "");
    Ok(())
}

/// A bug in one handler is one request's misfortune.
#[tokio::test]
async fn a_handler_that_panics_or_hangs_is_answered_for() -> anyhow::Result<()> {
    let server = Running::start(Settings::default()).await?;
    for (path, status) in [("panics", "500"), ("stuck", "503")] {
        let request = format!("GET /{path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let answer = server.ask(&request).await?;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    server.is_served().await
}

/// A browser that is sent to any of our paths must not run, frame or keep what it finds there.
#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_browsers() -> anyhow::Result<()> {
    let server = Running::start(Settings::default()).await?;
    for path in ["/echo/x", "/nothing", "/panics"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let answer = server.ask(&request).await?;
        for header in [
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "referrer-policy: no-referrer",
            "content-security-policy: default-src 'none'",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(header), "{path} lacks {header}: {answer}");
        }
        assert!(
            !answer.contains("strict-transport-security"),
            "this is no TLS: {answer}"
        );
    }
    Ok(())
}

/// The address on which lists and limits rest is the proxy's word only where the proxy is ours.
#[tokio::test]
async fn the_client_is_whom_a_trusted_proxy_names() -> anyhow::Result<()> {
    let request = "GET /echo/x HTTP/1.1\r\nhost: t\r\nx-forwarded-for: 203.0.113.9\r\nconnection: close\r\n\r\n";
    for (trusted, client) in [("127.0.0.0/8", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")] {
        let settings = Settings {
            trusted_proxies: vec![trusted.parse().map_err(anyhow::Error::msg)?],
            ..Settings::default()
        };
        let answer = Running::start(settings).await?.ask(request).await?;
        assert!(
            answer.contains(&format!("from {client} ")),
            "{trusted}: {answer}"
        );
    }
    Ok(())
}

/// A stream without an end ends with the server; a handler that hangs does not keep it.
#[tokio::test]
async fn a_shutdown_ends_streams_and_leaves_what_hangs() -> anyhow::Result<()> {
    let server = Running::start(Settings::default()).await?;
    let mut events = server.connect().await?;
    events
        .write_all(b"GET /events HTTP/1.1\r\nhost: t\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"data: 1\n\n") {
        answer.push(events.read_u8().await?);
    }
    let mut hanging = server.connect().await?;
    hanging
        .write_all(b"GET /busy HTTP/1.1\r\nhost: t\r\n\r\n")
        .await?;
    server.stuck.notified().await;
    server.shutdown.cancel();
    assert_eq!(
        read_to_end(&mut events).await?,
        "\r\n0\r\n\r\n",
        "the stream ends as it should"
    );
    let server = server.server;
    until("the server ended", async || Ok(server.is_finished())).await?;
    Ok(())
}
