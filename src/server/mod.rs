//! The HTTP server: small, HTTP/1.1, on a listener that is handed in.

mod health;
pub mod settings;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use settings::Settings;

use crate::db::pool::Database;
use health::Health;

/// Connections at once; further ones wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 512;

/// How long a client may take to send the head of a request, and to begin the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a shutdown waits for answers under way.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// Opens the listener.
///
/// # Errors
///
/// The address is taken, is not of this machine, or needs rights that the process lacks.
pub async fn listen(settings: &Settings) -> io::Result<TcpListener> {
    let listen = settings.listen;
    TcpListener::bind(listen).await.map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "{listen} is taken by another process; set POSTROAD_LISTEN or server.listen to a free one"
            ),
            _ => format!("cannot listen on {listen}: {error}"),
        };
        io::Error::new(error.kind(), problem)
    })
}

/// Serves until `shutdown`, then finishes the answers under way.
pub async fn run(listener: TcpListener, database: Database, shutdown: CancellationToken) {
    let health = Arc::new(Health::new(database));
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let health = Arc::clone(&health);
                    let shutdown = shutdown.clone();
                    connections.spawn(async move {
                        serve(stream, health, shutdown).await;
                        drop(permit);
                    });
                }
                // A client that is gone already, or no file descriptor left: the next one may do better.
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown.cancelled() => {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, health: Arc<Health>, shutdown: CancellationToken) {
    let service = service_fn(|request| {
        let health = Arc::clone(&health);
        async move { Ok::<_, Infallible>(answer(&health, request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(SHUTDOWN_PATIENCE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection ended early");
    }
}

async fn answer(health: &Health, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = match request.uri().path() {
        "/health/live" | "/health/ready" if !is_read(request.method()) => (
            StatusCode::METHOD_NOT_ALLOWED,
            json!({"error": "method not allowed", "allowed": "GET, HEAD"}),
        ),
        "/health/live" => health.live(),
        "/health/ready" => health.ready().await,
        path => (
            StatusCode::NOT_FOUND,
            json!({"error": "not found", "path": path}),
        ),
    };
    respond(status, &body)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
