//! The suppression list, in and out.

use std::io::Write;

use bytes::Bytes;
use futures_util::{StreamExt as _, pin_mut};
use tokio_postgres::Client;

use super::DbError;

/// The columns of a list, in the order in which an export writes them.
pub const COLUMNS: [&str; 6] = [
    "address",
    "channel",
    "tenant_id",
    "reason",
    "expires_at",
    "source",
];

/// Entries as text, a vector for each of [`COLUMNS`], all of the same length.
#[derive(Debug, Default)]
pub struct Entries {
    /// The values of each column; `None` where there is none.
    pub columns: [Vec<Option<String>>; COLUMNS.len()],
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.columns[0].len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds one, its values in the order of [`COLUMNS`].
    pub fn push(&mut self, values: [Option<String>; COLUMNS.len()]) {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
}

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// Entries that are new on the list, or last longer now.
    pub changed: usize,
    /// Entries that said nothing new.
    pub unchanged: usize,
    /// Which were left out, from 0, and why.
    pub problems: Vec<(usize, String)>,
}

/// Puts entries on the list, or only checks them.
///
/// # Errors
///
/// When the call failed: none of these entries is on the list. It may be called again.
pub async fn import(
    client: &Client,
    entries: &Entries,
    dry_run: bool,
) -> Result<Imported, DbError> {
    let [addresses, channels, tenant_ids, reasons, expiries, sources] = &entries.columns;
    let row = client
        .query_one(
            "select changed, unchanged, bad_rows, problems \
             from postroad.import_suppressions($1, $2, $3, $4, $5, $6, $7)",
            &[
                addresses, channels, tenant_ids, reasons, expiries, sources, &dry_run,
            ],
        )
        .await?;
    let count = |index| {
        let count: i32 = row.try_get(index)?;
        Ok::<_, tokio_postgres::Error>(usize::try_from(count).unwrap_or(0))
    };
    let bad_rows: Vec<i32> = row.try_get(2)?;
    let problems: Vec<String> = row.try_get(3)?;
    let from_zero = |row: i32| usize::try_from(row - 1).unwrap_or(0);
    Ok(Imported {
        changed: count(0)?,
        unchanged: count(1)?,
        problems: bad_rows.into_iter().map(from_zero).zip(problems).collect(),
    })
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database did not give the list.
    #[error(transparent)]
    Db(#[from] DbError),
    /// It could not be written.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes the list as it holds now, as CSV with a line of [`COLUMNS`] before it; returns the bytes. `told` hears after
/// each part how many bytes there are.
///
/// # Errors
///
/// See [`ExportError`]; what is written by then is not the whole list.
pub async fn export(
    client: &Client,
    to: &mut (dyn Write + Send),
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, ExportError> {
    let query =
        "copy (select * from postroad.export_suppressions()) to stdout with (format csv, header)";
    let stream = client
        .copy_out::<_>(query)
        .await
        .map_err(DbError::Postgres)?;
    pin_mut!(stream);
    let mut written = 0;
    while let Some(part) = stream.next().await {
        let part: Bytes = part.map_err(DbError::Postgres)?;
        to.write_all(&part)?;
        written += part.len() as u64;
        told(written);
    }
    to.flush()?;
    Ok(written)
}
