//! A connection of one's own, made anew after a failure: a statement that hangs takes its connection with it.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;

use crate::db::{Database, DbError};

pub(super) struct Link {
    database: Database,
    client: Option<Client>,
}

impl Link {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            client: None,
        }
    }

    /// Does `work` with the connection, within `patience`.
    pub(super) async fn with<T>(
        &mut self,
        patience: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        // Taken out: a connection that is not put back is closed.
        let kept = self.client.take().filter(|client| !client.is_closed());
        let working = async {
            let mut client = match kept {
                Some(client) => client,
                None => self.database.connect().await?,
            };
            let done = work(&mut client).await;
            Ok::<_, DbError>((client, done))
        };
        match timeout(patience, working).await {
            Ok(Ok((client, done))) => {
                if !client.is_closed() {
                    self.client = Some(client);
                }
                done
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(DbError::Pool(format!("no answer within {patience:?}"))),
        }
    }
}
