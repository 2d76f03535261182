//! The HTTP server, on a listener of the test.

mod bodies;
mod crashes;
mod limits;
mod links;
mod tls;
mod webhooks;

use std::net::SocketAddr;

use postroad::db::pool::Database;
use postroad::gateway::endpoints::Endpoints;
use postroad::server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nobody listens on port 1.
const NO_DATABASE: &str = "postgres://ada:hunter2@127.0.0.1:1/post";

async fn start() -> anyhow::Result<(SocketAddr, CancellationToken, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shutdown = CancellationToken::new();
    let database = Database::new(NO_DATABASE, "test")?;
    let context = server::Context {
        settings: server::Settings::default(),
        api: server::api::Settings::default(),
        database,
        endpoints: Endpoints::default(),
        webhook_counts: Default::default(),
        links: None,
        page: server::live::Setup::default(),
        has_metrics: true,
    };
    let running = server::run(listener, context, shutdown.clone());
    let server = tokio::spawn(async move { running.await.expect("it runs") });
    Ok((address, shutdown, server))
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A database that is down must take the node out of rotation, not get its process killed.
#[tokio::test]
async fn without_a_database_it_is_live_but_not_ready() -> anyhow::Result<()> {
    let (address, _shutdown, _server) = start().await?;
    assert!(
        ask(address, "GET", "/health/live")
            .await?
            .starts_with("HTTP/1.1 200")
    );
    let ready = ask(address, "GET", "/health/ready").await?;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("the database does not answer"), "{ready}");
    for secret in ["hunter2", "ada", "post\"", "127.0.0.1", "refused"] {
        assert!(!ready.contains(secret), "anyone may ask: {ready}");
    }
    Ok(())
}

/// Callers are programs: they get JSON for what is not there, too.
#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_json() -> anyhow::Result<()> {
    let (address, _shutdown, _server) = start().await?;
    for (method, path, status) in [("GET", "/none", "404"), ("POST", "/health/live", "405")] {
        let answer = ask(address, method, path).await?;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(
            answer.contains("application/json") && answer.contains("\"error\""),
            "{answer}"
        );
        assert_eq!(
            status == "405",
            answer.contains("allow: GET, HEAD"),
            "{answer}"
        );
    }
    Ok(())
}

/// A client that keeps its connection open must not keep the process from ending.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_idle_connections() -> anyhow::Result<()> {
    let (address, shutdown, server) = start().await?;
    let mut idle = TcpStream::connect(address).await?;
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n")
        .await?;
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    shutdown.cancel();
    server.await?;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "it still listens"
    );
    Ok(())
}

/// The one thing that goes wrong at a start, told with what to do about it.
#[tokio::test]
async fn a_taken_port_is_a_clear_error() -> anyhow::Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let settings = server::Settings {
        listen: taken.local_addr()?,
        ..server::Settings::default()
    };
    let error = server::listen(&settings).await.expect_err("it is taken");
    assert!(error.to_string().contains("POSTROAD_LISTEN"), "{error}");
    Ok(())
}
