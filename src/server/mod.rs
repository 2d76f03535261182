//! The HTTP server: HTTP/1.1, on a listener that is handed in. Everything that a client may take its time with, or send
//! much of, has a bound: heads, bodies, answers, connections, memory.
//!
//! [`route`] says which [`Handler`] answers; a new route is a line in [`run`].

pub mod api;
mod certificate;
mod connections;
mod figures;
mod forwarded;
mod health;
mod links;
pub mod live;
mod metrics;
mod patient;
mod request;
pub mod respond;
pub mod route;
pub mod settings;
mod shares;
mod webhooks;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, OptionFuture};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

pub use forwarded::ForwardedHeader;
pub use request::Request;
pub use settings::{MetricsSettings, Settings};
pub use webhooks::Counts as WebhookCounts;

use crate::db::pool::Database;
use crate::gateway::endpoints::Endpoints;
use crate::ingest;
use crate::model::link::Keys;
use crate::telemetry::counted;
use certificate::Certificate;
use connections::{Connections, Ticket};
use figures::Figures;
use patient::Patient;
use request::{Limits, Memory};
use respond::{Body, Refusal, Response};
use route::{Handler, Route, Router};
use webhooks::Webhooks;

/// The head of a request: its first line and its headers, in bytes, and how many headers.
const HEAD_BYTES: usize = 32 * 1024;
const HEADERS: usize = 100;

/// What is read ahead of a connection, in bytes.
const READ_AHEAD: usize = 128 * 1024;

/// What all bodies that are read whole may take together, in bytes: of calls of the API, inflated ones too; of webhooks; and
/// of all that is small, logins and unsubscriptions. Where some may be larger than usual it is more: see [`memory`].
const BODIES_OF_CALLS: usize = 256 * 1024 * 1024;
const BODIES_OF_WEBHOOKS: usize = 64 * 1024 * 1024;
const OTHER_BODIES: usize = 32 * 1024 * 1024;

/// How long a client may take to read some of its answer.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);

/// How long a shutdown waits for answers under way.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// How long the rest of an answer may take when the connection's place is needed.
const LAST_BYTES: Duration = Duration::from_millis(500);

/// What the server works with.
pub struct Context {
    /// `[server]`.
    pub settings: Settings,
    /// `[api]`.
    pub api: api::Settings,
    /// Where it asks, and stores.
    pub database: Database,
    /// To which providers post.
    pub endpoints: Endpoints,
    /// What it counts of that.
    pub webhook_counts: Arc<WebhookCounts>,
    /// What opens our links; without it there are none.
    pub links: Option<Arc<Keys>>,
    /// How the live page is served.
    pub page: live::Setup,
    /// Whether `/metrics` is answered here; another listener may be for that.
    pub has_metrics: bool,
}

/// Opens the listener.
///
/// # Errors
///
/// The address is taken, is not of this machine, or needs rights that the process lacks.
pub async fn listen(settings: &Settings) -> io::Result<TcpListener> {
    bind(settings.listen, "POSTROAD_LISTEN or server.listen").await
}

/// Opens the listener for monitors, if there is to be one.
///
/// # Errors
///
/// As those of [`listen`].
pub async fn listen_for_monitors(settings: &MetricsSettings) -> io::Result<Option<TcpListener>> {
    match settings.listen {
        Some(listen) => {
            let setting = "POSTROAD_METRICS_LISTEN or metrics.listen";
            bind(listen, setting).await.map(Some)
        }
        None => Ok(None),
    }
}

async fn bind(listen: SocketAddr, setting: &str) -> io::Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("{listen} is taken by another process; set {setting} to a free one")
            }
            _ => format!("cannot listen on {listen}: {error}"),
        };
        io::Error::new(error.kind(), problem)
    })
}

/// Serves until `shutdown`, then finishes the answers under way.
///
/// # Errors
///
/// The certificate or its key cannot be used, or what `[api]` says.
pub async fn run(
    listener: TcpListener,
    context: Context,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let Context {
        settings,
        api,
        database,
        endpoints,
        webhook_counts,
        links,
        page,
        has_metrics,
    } = context;
    let endpoints = Arc::new(endpoints);
    let (inbox, ingesting) = ingest::start(&database, &endpoints, shutdown.clone());
    let _shown = counted::register({
        let counts = Arc::clone(&webhook_counts);
        move |samples| counts.collect(samples)
    });
    let webhook_memory = memory(BODIES_OF_WEBHOOKS, endpoints.max_body_bytes());
    let webhooks = Webhooks::new(endpoints, inbox, &settings, webhook_counts)?;
    let webhooks: Arc<dyn Handler> = Arc::new(webhooks);
    let figures = Arc::new(Figures::new(database.clone()));
    let call_memory = memory(BODIES_OF_CALLS, api.max_body_bytes);
    let api = api::Api::new(&database, &api)?;
    let [openapi, calls] = api.routes();
    let calls = calls.memory(&call_memory);
    let mut router = monitored(&figures, has_metrics).with(openapi).with(calls);
    router = live::routes(
        router,
        page,
        settings.is_secure(),
        &database,
        &figures,
        &api,
    );
    for pattern in webhooks::PATTERNS {
        let methods = [Method::POST, Method::GET];
        let route = Route::new(&methods, pattern, Arc::clone(&webhooks));
        router = router.with(route.memory(&webhook_memory));
    }
    drop(webhooks); // the router has the inbox: with it ends what reads it
    let mut recording: Option<BoxFuture<'static, ()>> = None;
    if let Some(keys) = links {
        let (routes, writing) = links::routes(keys, &database);
        router = routes.into_iter().fold(router, Router::with);
        recording = Some(writing.boxed());
    }
    let server = Server::new(settings, router)?;
    // The inbox and what we count end when nobody serves any more.
    tokio::join!(
        server.serve(listener, shutdown),
        ingesting,
        OptionFuture::from(recording)
    );
    Ok(())
}

/// Memory for bodies: `bytes` in all, a quarter of which is a client's share. A share has room for two bodies of `largest` at
/// least, as one came and as it is inflated, or such a one could never be taken.
fn memory(bytes: usize, largest: usize) -> Memory {
    let each = (bytes / 4).max(largest.saturating_mul(2));
    Memory::new(each.saturating_mul(4), each)
}

/// As [`run`], for monitors only: `/metrics` and the health checks.
///
/// # Errors
///
/// As those of [`run`].
pub async fn run_metrics(
    listener: TcpListener,
    settings: Settings,
    database: Database,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let router = monitored(&Arc::new(Figures::new(database)), true);
    Server::new(settings, router)?
        .serve(listener, shutdown)
        .await;
    Ok(())
}

/// The routes for monitors.
fn monitored(figures: &Arc<Figures>, has_metrics: bool) -> Router {
    let get = |pattern, handler: Arc<dyn Handler>| Route::new(&[Method::GET], pattern, handler);
    let router = Router::default()
        .with(get("/health/live", Arc::new(health::Live)))
        .with(get(
            "/health/ready",
            Arc::new(health::Ready::new(Arc::clone(figures))),
        ));
    match has_metrics {
        true => router.with(get(
            "/metrics",
            Arc::new(metrics::Metrics::new(Arc::clone(figures))),
        )),
        false => router,
    }
}

/// A table of routes, and the bounds under which it is served.
pub struct Server(Arc<Shared>);

struct Shared {
    settings: Settings,
    router: Router,
    tls: Option<Certificate>,
    limits: Limits,
}

impl Server {
    /// One that speaks TLS when `settings` has a certificate and a key.
    ///
    /// # Errors
    ///
    /// The certificate or its key cannot be used, or one is there without the other.
    pub fn new(settings: Settings, router: Router) -> Result<Self, String> {
        let tls = match (&settings.tls_certificate, &settings.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(Certificate::read(certificate.clone(), key.clone())?)
            }
            (None, None) => None,
            _ => return Err("tls_certificate and tls_key need each other".into()),
        };
        let limits = Limits {
            body_timeout: settings.body_timeout.0,
            memory: Memory::new(OTHER_BODIES, OTHER_BODIES / 4),
        };
        Ok(Self(Arc::new(Shared {
            settings,
            router,
            tls,
            limits,
        })))
    }

    /// Serves until `shutdown`, then finishes the answers under way, for some seconds at most. A certificate whose
    /// files change is read again within a minute, or at SIGHUP.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let places = Connections::new(self.0.settings.max_connections);
        let mut connections = JoinSet::new();
        let accepting = async {
            loop {
                while let Some(ended) = connections.try_join_next() {
                    note_panic(ended);
                }
                match listener.accept().await {
                    Ok((stream, peer)) => {
                        let ticket = places.admit().await;
                        let (shared, shutdown) = (Arc::clone(&self.0), shutdown.clone());
                        connections.spawn(shared.connection(stream, peer, ticket, shutdown));
                    }
                    // A client that is gone already, or no file descriptor left.
                    Err(error) => {
                        warn!(%error, "cannot accept a connection");
                        places.close_longest_waiting();
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        let watching = async {
            match &self.0.tls {
                Some(certificate) => certificate.watch(&shutdown).await,
                None => shutdown.cancelled().await,
            }
        };
        tokio::select! {
            () = accepting => {}
            () = watching => {}
        }
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    }
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(panic) = ended {
        error!(%panic, "a connection's task ended badly");
    }
}

/// What a connection is made of: TCP, or TLS over it.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Shared {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        ticket: Arc<Ticket>,
        shutdown: CancellationToken,
    ) {
        let _ = stream.set_nodelay(true);
        let head_timeout = self.settings.head_timeout.0;
        let wire: Box<dyn Wire> = match &self.tls {
            None => Box::new(stream),
            Some(certificate) => {
                let accepting = certificate.acceptor().accept(stream);
                let shaken = tokio::select! {
                    shaken = timeout(head_timeout, accepting) => shaken,
                    () = ticket.closed() => return,
                    () = shutdown.cancelled() => return,
                };
                match shaken {
                    Ok(Ok(stream)) => Box::new(stream),
                    Ok(Err(error)) => return debug!(%error, "no TLS with a client"),
                    Err(_) => return debug!("a client did not speak TLS in time"),
                }
            }
        };
        let service = service_fn(|request| {
            let answer = Arc::clone(&self).answer(request, peer, Arc::clone(&ticket), &shutdown);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(head_timeout)
                .max_headers(HEADERS)
                .max_header_size(HEAD_BYTES)
                .max_buf_size(READ_AHEAD)
                .serve_connection(TokioIo::new(Patient::new(wire, WRITE_PATIENCE)), service)
        );
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = ticket.closed() => {
                if !ticket.answered_lately() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                timeout(LAST_BYTES, connection).await.unwrap_or(Ok(()))
            }
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(SHUTDOWN_PATIENCE, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = served {
            debug!(%error, "a connection ended early");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
        ticket: Arc<Ticket>,
        shutdown: &CancellationToken,
    ) -> hyper::Response<Answer> {
        ticket.works();
        let settings = &self.settings;
        let client = forwarded::client(
            peer.ip(),
            request.headers(),
            settings.forwarded_header,
            &settings.trusted_proxies,
        );
        let request = Request::new(
            request,
            client,
            shutdown.clone(),
            self.limits.clone(),
            Arc::clone(&ticket),
        );
        let mut response = match self.dispatch(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into(),
        };
        respond::harden(response.headers_mut(), self.tls.is_some());
        response.map(|body| Answer { body, ticket })
    }

    async fn dispatch(&self, mut request: Request) -> Result<Response, Refusal> {
        let (route, parameters) = self.router.find(&request.method, request.path())?;
        request.parameters = parameters;
        if let Some(memory) = &route.memory {
            request.take_from(memory);
        }
        let handled = AssertUnwindSafe(route.handler.handle(request)).catch_unwind();
        let handled = match route.timeout {
            Some(bound) => timeout(bound, handled).await,
            None => Ok(handled.await),
        };
        match handled {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                error!("a handler panicked");
                let error = "this request cannot be answered; the log says more";
                Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error))
            }
            Err(_) => Err(Refusal::busy("it took too long")),
        }
    }
}

/// An answer's body. Once it is handed over, or given up, the client is waited for again.
struct Answer {
    body: Body,
    ticket: Arc<Ticket>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.ticket.answered();
    }
}
