//! The floor of what goes in by the thousand: COPY of equal rows into a table with one uuid primary key.

use std::time::Instant;

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::SinkExt as _;
use uuid::Uuid;

use crate::cluster::Db;
use crate::payload;

/// What is handed to the connection at a time.
const CHUNK: usize = 256 << 10;

/// Both of Postgres's formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

/// The floor of a subject.
pub(crate) struct Copy {
    count: usize,
    /// Bytes of text that make a row as large as ours.
    text_bytes: usize,
    pub(crate) format: Format,
}

impl Copy {
    /// Rows as large as those that `query` returns: our record of a message. The format is the faster one.
    pub(crate) async fn of_equal_rows(db: &Db, count: usize, query: &str) -> anyhow::Result<Self> {
        let mut copy = Self {
            count,
            text_bytes: equal_text_bytes(db, query).await?,
            format: Format::Binary,
        };
        let binary = copy.rows_per_second(db).await?;
        copy.format = Format::Text;
        if binary > copy.rows_per_second(db).await? {
            copy.format = Format::Binary;
        }
        Ok(copy)
    }

    /// One round, into the emptied table.
    pub(crate) async fn rows_per_second(&self, db: &Db) -> anyhow::Result<f64> {
        db.client.batch_execute("truncate bench.equal_row").await?;
        let chunks = self.render();
        db.settle().await?;
        let format = match self.format {
            Format::Text => "text",
            Format::Binary => "binary",
        };
        let statement = format!("copy bench.equal_row (id, body) from stdin (format {format})");
        let from = Instant::now();
        let sink = db.client.copy_in::<_, Bytes>(&statement).await?;
        tokio::pin!(sink);
        for chunk in chunks {
            sink.feed(chunk).await?;
        }
        let rows = sink.finish().await?;
        let seconds = from.elapsed().as_secs_f64();
        anyhow::ensure!(rows == self.count as u64, "COPY took {rows} rows");
        Ok(rows as f64 / seconds)
    }

    /// The rows as COPY takes them, with ids in order of time, as ours are.
    fn render(&self) -> Vec<Bytes> {
        let body = payload::text(self.text_bytes);
        let mut chunks = Vec::new();
        let mut buffer = BytesMut::with_capacity(CHUNK + 4096);
        if self.format == Format::Binary {
            buffer.put_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        }
        for _ in 0..self.count {
            let id = Uuid::now_v7();
            match self.format {
                Format::Text => {
                    buffer.put_slice(id.to_string().as_bytes());
                    buffer.put_u8(b'\t');
                    buffer.put_slice(body.as_bytes());
                    buffer.put_u8(b'\n');
                }
                Format::Binary => {
                    buffer.put_i16(2);
                    buffer.put_i32(16);
                    buffer.put_slice(id.as_bytes());
                    buffer.put_i32(i32::try_from(body.len()).expect("a short body"));
                    buffer.put_slice(body.as_bytes());
                }
            }
            if buffer.len() >= CHUNK {
                chunks.push(buffer.split().freeze());
            }
        }
        if self.format == Format::Binary {
            buffer.put_i16(-1);
        }
        chunks.push(buffer.freeze());
        chunks
    }
}

/// How long the text beside a uuid must be for the row to have the size that `query` returns; it is tried.
pub(crate) async fn equal_text_bytes(db: &Db, query: &str) -> anyhow::Result<usize> {
    let row = db.client.query_one(query, &[]).await?;
    let ours: i32 = row.try_get(0)?;
    let header_and_uuid = 24 + 16 + 4;
    let length = usize::try_from(ours - header_and_uuid).context("our row is tiny")?;
    let row = db
        .client
        .query_one(
            "with r as (insert into bench.equal_row values (gen_random_uuid(), $1) returning equal_row)
             select pg_column_size(r.equal_row) from r",
            &[&payload::text(length)],
        )
        .await?;
    let floor: i32 = row.try_get(0)?;
    db.client.batch_execute("truncate bench.equal_row").await?;
    anyhow::ensure!(
        ours == floor,
        "the floor's row has {floor} bytes, ours {ours}"
    );
    Ok(length)
}

/// The size of our record of a message.
pub(crate) const OUR_ROW: &str = "select pg_column_size(m) from postroad.messages as m limit 1";
