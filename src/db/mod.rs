//! Postgres: the only SQL text in Rust. `db` knows no provider.

pub mod calls;
pub mod clock;
pub mod events;
pub mod http;
pub mod inbox;
pub mod listen;
pub mod looks;
pub mod migrate;
pub mod operate;
pub mod pool;
pub mod pooler;
pub mod record;
pub mod suppressions;
pub mod types;

pub use pool::Database;
use tokio_postgres::error::SqlState;

/// A failed call to Postgres.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The URL is not one of a Postgres, or not of its sessions.
    #[error("{0}")]
    Url(String),
    /// Postgres refused, or the connection broke.
    #[error("postgres: {}", describe(.0))]
    Postgres(tokio_postgres::Error), // not its source: that says the same once more, with the values in `detail`
    /// No connection could be had.
    #[error("no connection to postgres: {0}")]
    Pool(String),
    /// A lock could not be had in time.
    #[error("{0}")]
    Busy(String),
    /// A migration could not be applied.
    #[error("migration: {0}")]
    Migration(String),
    /// The schema of this database is not the one that this binary needs.
    #[error("{0}")]
    Schema(String),
}

impl DbError {
    /// The SQLSTATE, when Postgres gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Postgres(error) => error.code().map(SqlState::code),
            Self::Busy(_) => Some(SqlState::LOCK_NOT_AVAILABLE.code()),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<deadpool_postgres::PoolError> for DbError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::Postgres(error),
            other => Self::Pool(other.to_string()),
        }
    }
}

/// Message, SQLSTATE and hint, without the values that `detail` may hold.
fn describe(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match error.as_db_error() {
        Some(db) => {
            let is_without_schema = *db.code() == SqlState::INVALID_SCHEMA_NAME
                && db.message().contains("\"postroad\"");
            let hint = match db.hint() {
                None if is_without_schema => Some("run postroad migrate"),
                hint => hint,
            };
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} [{}]{hint}", db.message(), db.code().code())
        }
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
