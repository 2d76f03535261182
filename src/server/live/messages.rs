//! A message's whole way, and what an operator does about it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;
use url::form_urlencoded;
use uuid::Uuid;

use super::access::Gate;
use crate::db::DbError;
use crate::db::looks::{self, Action, Line};
use crate::server::Request;
use crate::server::respond::{Refusal, Response, json as answer};
use crate::server::route::Handler;

/// How long an answer may take, with the wait for those before it.
const PATIENCE: Duration = Duration::from_secs(10);
/// A longer address is none.
const ADDRESS_BYTES: usize = 4096;
/// An action has no more.
const ACTION_BYTES: usize = 16 * 1024;

/// Waits for an answer of the database.
async fn within<T>(asked: impl Future<Output = Result<T, DbError>>) -> Result<T, Refusal> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(_) => Err(Refusal::busy("the database takes too long to answer")),
    }
}

fn refusal(error: &DbError) -> Refusal {
    match error.code() {
        // By what the operator said: our own words, which name no address.
        Some("PR001" | "PR002") => {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        Some("42501") => {
            let error = "the database refuses: grant postroad_reader and postroad_admin to the user of database.url";
            Refusal::new(StatusCode::FORBIDDEN, error)
        }
        Some("57014") => Refusal::busy("the database takes too long to answer"),
        _ => {
            tracing::warn!(%error, "the live page could not ask the database");
            Refusal::busy("the database does not answer")
        }
    }
}

/// A message by its id.
pub(super) struct Report {
    gate: Arc<Gate>,
    line: Arc<Line>,
}

impl Report {
    pub(super) fn new(gate: &Arc<Gate>, line: &Arc<Line>) -> Self {
        let (gate, line) = (Arc::clone(gate), Arc::clone(line));
        Self { gate, line }
    }
}

#[async_trait]
impl Handler for Report {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        self.gate.caller(&request).await?;
        let id = request
            .parameters
            .first()
            .and_then(|id| id.parse::<Uuid>().ok());
        let id = id.ok_or_else(Refusal::not_found)?;
        let report = within(async {
            let open = self.line.open().await?;
            let report = looks::message_report(open.client(), id).await?;
            open.keep();
            Ok(report)
        });
        let report = report.await?.ok_or_else(Refusal::not_found)?;
        Ok(answer(StatusCode::OK, &report))
    }
}

/// Messages by address: `?address=`.
pub(super) struct Find {
    gate: Arc<Gate>,
    line: Arc<Line>,
}

impl Find {
    pub(super) fn new(gate: &Arc<Gate>, line: &Arc<Line>) -> Self {
        let (gate, line) = (Arc::clone(gate), Arc::clone(line));
        Self { gate, line }
    }
}

#[async_trait]
impl Handler for Find {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        self.gate.caller(&request).await?;
        let query = request.query().unwrap_or_default().as_bytes();
        let address = form_urlencoded::parse(query).find(|(name, _)| name == "address");
        let address = address.map(|(_, address)| address.replace('\0', "").trim().to_owned());
        let address = address.filter(|address| (1..=ADDRESS_BYTES).contains(&address.len()));
        let missing = || Refusal::new(StatusCode::BAD_REQUEST, "expected ?address=");
        let address = address.ok_or_else(missing)?;
        let found = within(async {
            let open = self.line.open().await?;
            let found = looks::find_messages(open.client(), &address).await?;
            open.keep();
            Ok(found)
        });
        Ok(answer(StatusCode::OK, &found.await?))
    }
}

/// Does what an admin asks for.
pub(super) struct Act {
    gate: Arc<Gate>,
    line: Arc<Line>,
}

impl Act {
    pub(super) fn new(gate: &Arc<Gate>, line: &Arc<Line>) -> Self {
        let (gate, line) = (Arc::clone(gate), Arc::clone(line));
        Self { gate, line }
    }
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Asked {
    Pause {
        scope: String,
        key: String,
        reason: String,
    },
    Resume {
        scope: String,
        key: String,
    },
    Retry {
        message_id: Uuid,
    },
    Cancel {
        message_id: Uuid,
    },
}

impl Asked {
    fn action(&self) -> Action<'_> {
        match self {
            Self::Pause { scope, key, reason } => Action::Pause { scope, key, reason },
            Self::Resume { scope, key } => Action::Resume { scope, key },
            Self::Retry { message_id } => Action::Retry(*message_id),
            Self::Cancel { message_id } => Action::Cancel(*message_id),
        }
    }
}

#[async_trait]
impl Handler for Act {
    async fn handle(&self, mut request: Request) -> Result<Response, Refusal> {
        let caller = self.gate.actor(&request).await?;
        let body = request.body(ACTION_BYTES).await?;
        let asked: Asked = serde_json::from_slice(&body).map_err(|_| {
            let error = "expected {\"action\": \"pause\" | \"resume\" | \"retry\" | \"cancel\", …}";
            Refusal::new(StatusCode::BAD_REQUEST, error)
        })?;
        let done = within(async {
            let mut open = self.line.open().await?;
            let done = looks::act(open.client_mut(), &caller.name, &asked.action()).await?;
            open.keep();
            Ok(done)
        });
        let done = done.await?;
        tracing::info!(by = caller.name, action = %word(&asked), done, "an action of the live page");
        Ok(answer(StatusCode::OK, &json!({"done": done})))
    }
}

fn word(asked: &Asked) -> String {
    match asked {
        Asked::Pause { scope, .. } => format!("pause {scope}"),
        Asked::Resume { scope, .. } => format!("resume {scope}"),
        Asked::Retry { message_id } => format!("retry {message_id}"),
        Asked::Cancel { message_id } => format!("cancel {message_id}"),
    }
}
