//! `/health/live` and `/health/ready`.

use std::time::Duration;

use async_trait::async_trait;
use hyper::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::Request;
use super::respond::{Refusal, Response, json as answer};
use super::route::Handler;
use crate::db::{Database, DbError};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs; says nothing about what it depends on, so that nobody restarts it for a database's sake.
pub(super) struct Live;

#[async_trait]
impl Handler for Live {
    async fn handle(&self, _request: Request) -> Result<Response, Refusal> {
        Ok(answer(StatusCode::OK, &json!({"status": "ok"})))
    }
}

/// The database answers; 503 with a reason when it does not within two seconds. Asks over one connection of its own,
/// one question at a time: a flood of health checks is no flood of connections.
pub(super) struct Ready {
    database: Database,
    client: Mutex<Option<Client>>,
}

#[async_trait]
impl Handler for Ready {
    async fn handle(&self, _request: Request) -> Result<Response, Refusal> {
        let reason = match tokio::time::timeout(PATIENCE, self.ask()).await {
            Ok(Ok(())) => return Ok(answer(StatusCode::OK, &json!({"status": "ok"}))),
            Ok(Err(error)) => one_line(&error),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        let reason = format!("the database does not answer: {reason}");
        Ok(answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"status": "unavailable", "reason": reason}),
        ))
    }
}

impl Ready {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            client: Mutex::new(None),
        }
    }

    async fn ask(&self) -> Result<(), DbError> {
        let mut kept = self.client.lock().await;
        // Taken out while it is used: a question that fails or is given up must not leave its connection behind.
        let client = match kept.take() {
            Some(client) if !client.is_closed() => client,
            _ => self.database.connect().await?,
        };
        client.simple_query("select 1").await?;
        *kept = Some(client);
        Ok(())
    }
}

/// An error with its causes, without what repeats the one before.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !line.contains(&cause_text) {
            line = format!("{line}: {cause_text}");
        }
        source = cause.source();
    }
    line
}
