//! What monitors, the live page and `postroad stats` ask for.

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{Database, DbError};

/// Bounds each statement on a [`Line`]: what looks must not load the database for long.
const BOUND: &str = "set statement_timeout = '5s'; set idle_in_transaction_session_timeout = '10s'";

/// One connection, one question at a time: many who ask are no flood of connections.
pub struct Line {
    database: Database,
    client: Mutex<Option<Client>>,
}

/// The line while it is used. Unless it is [`kept`](Self::keep), its connection is closed: a question that failed or was
/// given up leaves none behind that is still at it.
pub struct Open<'a> {
    kept: MutexGuard<'a, Option<Client>>,
    client: Client,
}

impl Line {
    /// One that connects when it is first used.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            client: Mutex::new(None),
        }
    }

    /// Waits for its turn, and connects where there is no connection.
    ///
    /// # Errors
    ///
    /// The database does not answer, or refuses.
    pub async fn open(&self) -> Result<Open<'_>, DbError> {
        let mut kept = self.client.lock().await;
        let client = match kept.take() {
            Some(client) if !client.is_closed() => client,
            _ => {
                let client = self.database.connect().await?;
                client.batch_execute(BOUND).await?;
                client
            }
        };
        Ok(Open { kept, client })
    }
}

impl Open<'_> {
    /// The connection.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The connection, for a transaction.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Keeps the connection for the next one.
    pub fn keep(mut self) {
        *self.kept = Some(self.client);
    }
}

/// The queue, the gateways and the rest that monitors ask for.
///
/// # Errors
///
/// When the call failed.
pub async fn figures(client: &Client) -> Result<Value, DbError> {
    Ok(client
        .query_one("select postroad.figures()", &[])
        .await?
        .try_get(0)?)
}

/// The latest events, failures by reason, and the last hour by minute.
///
/// # Errors
///
/// When the call failed.
pub async fn recent(client: &Client) -> Result<Value, DbError> {
    Ok(client
        .query_one("select postroad.recent()", &[])
        .await?
        .try_get(0)?)
}

/// A message's whole way; `None` when it is not known.
///
/// # Errors
///
/// When the call failed.
pub async fn message_report(client: &Client, id: Uuid) -> Result<Option<Value>, DbError> {
    let query = "select postroad.message_report($1)";
    Ok(client.query_one(query, &[&id]).await?.try_get(0)?)
}

/// The newest messages to an address, and how far was looked back.
///
/// # Errors
///
/// When the call failed.
pub async fn find_messages(client: &Client, address: &str) -> Result<Value, DbError> {
    let query = "select jsonb_build_object(
        'messages', coalesce(jsonb_agg(to_jsonb(f) - 'looked_back_to') filter (where f.message_id is not null), '[]'),
        'looked_back_to', nullif(min(f.looked_back_to), '-infinity'))
        from postroad.find_messages($1) as f";
    Ok(client.query_one(query, &[&address]).await?.try_get(0)?)
}

/// What an operator may do from the live page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Pauses a scope.
    Pause {
        /// `priority`, `channel`, `gateway` …
        scope: &'a str,
        /// Which one.
        key: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Ends a pause.
    Resume {
        /// See `Pause`.
        scope: &'a str,
        /// See `Pause`.
        key: &'a str,
    },
    /// Queues a message again.
    Retry(Uuid),
    /// Withdraws a message.
    Cancel(Uuid),
}

/// Does it, on behalf of `caller`; whether there was anything to do.
///
/// # Errors
///
/// When the call failed; SQLSTATE `PR001` or `PR002`: by what the operator said.
pub async fn act(client: &mut Client, caller: &str, action: &Action<'_>) -> Result<bool, DbError> {
    let transaction = client.transaction().await?;
    // Who it was, for whatever records that.
    let named = "select set_config('postroad.caller', $1, true)";
    transaction.execute(named, &[&caller]).await?;
    let row = match action {
        Action::Pause { scope, key, reason } => {
            let call = "select postroad.pause($1, $2, $3) is not null";
            transaction.query_one(call, &[scope, key, reason]).await?
        }
        Action::Resume { scope, key } => {
            let call = "select postroad.resume($1, $2)";
            transaction.query_one(call, &[scope, key]).await?
        }
        Action::Retry(id) => {
            transaction
                .query_one("select postroad.retry($1)", &[id])
                .await?
        }
        Action::Cancel(id) => {
            transaction
                .query_one("select postroad.cancel($1)", &[id])
                .await?
        }
    };
    let done = row.try_get(0)?;
    transaction.commit().await?;
    Ok(done)
}
