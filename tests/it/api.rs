//! The HTTP API, as its callers meet it: a server, a database, and requests.

mod access;
mod answers;
mod audit;
mod bounds;
mod cursors;
mod excess;
mod keys;
mod lists;
mod once;
mod streams;
mod tenants;
mod tokens;

use std::net::SocketAddr;

use postroad::gateway::http;
use postroad::server::{self, api};
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// A server over a database of its own.
struct Api {
    db: TestDb,
    address: SocketAddr,
    client: reqwest::Client,
    shutdown: CancellationToken,
    _server: JoinHandle<()>,
}

/// What it answered.
#[derive(Debug)]
struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    /// What is wrong, and where: `#/recipient`, or the name of a parameter.
    fn places(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        errors
            .into_iter()
            .flatten()
            .filter_map(|error| error["pointer"].as_str().or(error["parameter"].as_str()))
            .collect()
    }
}

impl Api {
    async fn start() -> anyhow::Result<Self> {
        Self::start_with(api::Settings::default()).await
    }

    async fn start_with(settings: api::Settings) -> anyhow::Result<Self> {
        let db = TestDb::new().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shutdown = CancellationToken::new();
        let context = server::Context {
            settings: server::Settings::default(),
            api: settings,
            database: db.database.clone(),
            endpoints: Default::default(),
            webhook_counts: Default::default(),
            links: None,
            page: server::live::Setup::default(),
            has_metrics: true,
        };
        let running = server::run(listener, context, shutdown.clone());
        let server = tokio::spawn(async move { running.await.expect("it runs") });
        Ok(Self {
            db,
            address,
            client: http::client().map_err(anyhow::Error::msg)?,
            shutdown,
            _server: server,
        })
    }

    /// Makes a key with these arguments of `create_api_key` beside its name, such as `roles => '{sender}'`.
    async fn key(&self, arguments: &str) -> anyhow::Result<String> {
        let query = format!("select key from postroad.create_api_key(name => 'test', {arguments})");
        self.db.client.row(&query).await
    }

    /// A request, not yet sent.
    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    /// Sends a request.
    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answered> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await?;
        let body = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&text)?,
        };
        Ok(Answered {
            status,
            headers,
            body,
        })
    }

    /// Calls an endpoint with a key; `null` as the body sends none.
    async fn call(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Answered> {
        let mut request = self
            .request(method, &format!("/api/v1{path}"))
            .bearer_auth(key);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        self.send(request).await
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
