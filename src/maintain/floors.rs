//! Raises the floors from which claims look, so that what was claimed long ago costs them nothing.

use tokio_postgres::Client;

use crate::db::DbError;
use crate::db::calls::{self, Enqueuers};

/// What is noted between two rounds.
#[derive(Default)]
pub(super) struct Floors {
    noted: Option<Enqueuers>,
}

impl Floors {
    /// One round: advances to what was noted before, if nobody of then still writes, and notes anew.
    pub(super) async fn advance(&mut self, client: &Client) -> Result<(), DbError> {
        if let Some(noted) = &self.noted
            && !calls::advance_floors(client, noted).await?
        {
            return Ok(());
        }
        self.noted = Some(calls::note_enqueuers(client).await?);
        Ok(())
    }
}
