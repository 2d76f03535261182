//! Tells a server's sessions from those of a pooler that gives each transaction another one.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Database, DbError};

/// How often two connections are compared: a pooler may have several sessions to choose from.
const LOOKS: usize = 8;

/// Checks that a connection is a session: locks, settings and notifications are a session's, and workers are told from dead ones by a lock.
///
/// # Errors
///
/// [`DbError::Url`] when another connection gets its session, or it gets another one: says what to give instead.
pub async fn check_sessions(database: &Database) -> Result<(), DbError> {
    // Without our settings: behind such a pooler they would stay in sessions that others get.
    let (one, its) = database.connect_raw().await?;
    let (other, others) = database.connect_raw().await?;
    tokio::spawn(its);
    tokio::spawn(others);
    let session = session_of(&one).await?;
    for _ in 0..LOOKS {
        other.simple_query("begin").await?;
        if session_of(&other).await? == session || session_of(&one).await? != session {
            return Err(DbError::Url(
                "database.url leads through a pooler that gives each transaction another session (PgBouncer: pool_mode = transaction), and Postroad's \
                 processes need sessions of their own: give the server's own address, or a pool with pool_mode = session. Services that call SQL may stay \
                 behind the pooler"
                    .into(),
            ));
        }
        other.simple_query("rollback").await?;
    }
    Ok(())
}

/// The process of the server that answers; asked without a prepared statement, which a pooler may not know.
async fn session_of(client: &Client) -> Result<Option<String>, DbError> {
    let answers = client.simple_query("select pg_backend_pid()").await?;
    Ok(answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
