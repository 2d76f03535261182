//! A provider of mail on loopback, as SendGrid answers: it takes its time, hangs, and dies as told.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

struct State {
    latency: Duration,
    hangs: AtomicBool,
    asked_at: Mutex<Vec<Instant>>,
}

/// It ends with the value.
pub(crate) struct Provider {
    port: u16,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Provider {
    /// Answers each request after `latency`.
    pub(crate) async fn start(latency: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = Arc::new(State {
            latency,
            hangs: AtomicBool::new(false),
            asked_at: Mutex::default(),
        });
        Ok(Self {
            port: listener.local_addr()?.port(),
            server: tokio::spawn(serve(listener, Arc::clone(&state))),
            state,
        })
    }

    /// A gateway's table of the configuration, for mails one by one.
    pub(crate) fn table(&self, name: &str) -> String {
        format!(
            "[gateways.{name}]\ntype = \"sendgrid\"\napi_key = \"bench\"\nfrom = \"post@example.org\"\nbatch = false\n\
             api_url = \"http://127.0.0.1:{}\"\n",
            self.port
        )
    }

    /// Takes requests from here on, and answers none; or answers again.
    pub(crate) fn hang(&self, hangs: bool) {
        self.state.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Closes its port and all connections.
    pub(crate) async fn die(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    /// Is there again, on the same port.
    pub(crate) async fn live(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        self.server = tokio::spawn(serve(listener, Arc::clone(&self.state)));
        Ok(())
    }

    /// How many requests came since then.
    pub(crate) fn asked_since(&self, since: Instant) -> usize {
        let asked_at = self.state.asked_at.lock();
        let asked_at = asked_at.unwrap_or_else(PoisonError::into_inner);
        asked_at.iter().filter(|at| **at >= since).count()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new(); // they end with it
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&state)));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await; // a client that goes away is no concern of a provider
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let asked_at = Instant::now();
    let _ = request.into_body().collect().await;
    state
        .asked_at
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked_at);
    sleep(state.latency.saturating_sub(asked_at.elapsed())).await;
    if state.hangs.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
