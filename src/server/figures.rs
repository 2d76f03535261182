//! What the database says of the queue and the gateways: asked once for all who want to know at about the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::db::looks::{self, Line};
use crate::db::{Database, DbError};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was asked less long ago is not asked again.
const FRESH: Duration = Duration::from_millis(700);

/// The figures, with the moment at which they were asked.
#[derive(Clone)]
pub(super) struct Read {
    pub(super) at: Instant,
    pub(super) value: Arc<Value>,
}

/// Asks the database over one connection of its own.
pub(super) struct Figures {
    line: Line,
    last: Mutex<Option<Read>>,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoFigures {
    #[error("{0}")]
    Database(#[from] DbError),
    #[error("no answer within {PATIENCE:?}")]
    Late,
}

impl NoFigures {
    /// The SQLSTATE, when Postgres answered with an error.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Database(error) => error.code(),
            Self::Late => None,
        }
    }
}

impl Figures {
    pub(super) fn new(database: Database) -> Self {
        Self {
            line: Line::new(database),
            last: Mutex::new(None),
        }
    }

    /// The figures, at most so old.
    pub(super) async fn get(&self) -> Result<Read, NoFigures> {
        let Ok(read) = timeout(PATIENCE, self.read()).await else {
            return Err(NoFigures::Late);
        };
        read
    }

    async fn read(&self) -> Result<Read, NoFigures> {
        // Those who come meanwhile wait here, and find what the first one got.
        let mut last = self.last.lock().await;
        if let Some(read) = &*last
            && read.at.elapsed() < FRESH
        {
            return Ok(read.clone());
        }
        let open = self.line.open().await?;
        let at = Instant::now();
        let value = looks::figures(open.client()).await?;
        open.keep();
        let read = Read {
            at,
            value: Arc::new(value),
        };
        *last = Some(read.clone());
        Ok(read)
    }
}
