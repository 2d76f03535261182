//! b. Messages enqueued by the thousand, one kilobyte of data for each recipient.

use std::time::Instant;

use serde_json::value::RawValue;
use tokio_postgres::types::Json;

use crate::cluster::Db;
use crate::copy::{Copy, OUR_ROW};
use crate::figure::{Bar, Figure, number};
use crate::{Bench, payload, progress};

/// Recipients of one call with JSON.
const CALL: usize = 10_000;

const ENQUEUE_BULK: &str = "
    select b.queued from postroad.enqueue_bulk(channel => 'email', recipients => $1, subject => 'News from the post road',
      body => 'Read on at the link below.', message_type => 'campaign') as b";

const ENQUEUE_BULK_FROM: &str = "
    select b.queued from postroad.enqueue_bulk_from(channel => 'email', recipients => 'bench.recipients',
      subject => 'News from the post road', body => 'Read on at the link below.', message_type => 'campaign') as b";

/// Fills the table of recipients.
pub(crate) async fn fill_recipients(db: &Db, count: usize) -> anyhow::Result<()> {
    db.client.batch_execute("truncate bench.recipients").await?;
    let statement = format!(
        "insert into bench.recipients (address, id, data)
         select 'user' || lpad(n::text, 8, '0') || '@example.org', n, replace($1, '{}', lpad(n::text, 8, '0'))::jsonb
         from generate_series(1, $2::bigint) as n",
        payload::NUMBER
    );
    let count = i64::try_from(count)?;
    db.client
        .execute(&statement, &[&payload::data_template(), &count])
        .await?;
    Ok(db
        .client
        .batch_execute("vacuum analyze bench.recipients")
        .await?)
}

/// Enqueues the table of recipients; how many messages that made.
pub(crate) async fn enqueue_from_table(db: &Db) -> anyhow::Result<usize> {
    let row = db.client.query_one(ENQUEUE_BULK_FROM, &[]).await?;
    Ok(usize::try_from(row.get::<_, i32>(0))?)
}

async fn enqueue_json(db: &Db, calls: &[Box<RawValue>]) -> anyhow::Result<usize> {
    let statement = db.client.prepare(ENQUEUE_BULK).await?;
    let mut queued = 0;
    for call in calls {
        let row = db.client.query_one(&statement, &[&Json(call)]).await?;
        queued += usize::try_from(row.get::<_, i32>(0))?;
    }
    Ok(queued)
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.options.size(200_000, 40_000);
    let db = bench.cluster.fresh("bulk").await?;
    fill_recipients(&db, 1).await?;
    enqueue_from_table(&db).await?;
    let copy = Copy::of_equal_rows(&db, count, OUR_ROW).await?;
    fill_recipients(&db, count).await?;
    let calls: Vec<Box<RawValue>> = (0..count / CALL)
        .map(|nth| RawValue::from_string(payload::recipients(nth * CALL, CALL)))
        .collect::<Result<_, _>>()?;

    let (mut floor, mut json, mut table) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.options.rounds() {
        floor.push(copy.rows_per_second(&db).await?);
        db.settle().await?;
        let from = Instant::now();
        let queued = enqueue_json(&db, &calls).await?;
        json.push(queued as f64 / from.elapsed().as_secs_f64());
        anyhow::ensure!(queued == count, "enqueue_bulk queued {queued}");
        floor.push(copy.rows_per_second(&db).await?);
        db.settle().await?;
        let from = Instant::now();
        let queued = enqueue_from_table(&db).await?;
        table.push(queued as f64 / from.elapsed().as_secs_f64());
        anyhow::ensure!(queued == count, "enqueue_bulk_from queued {queued}");
        let last = |of: &Vec<f64>| number(of.last().copied().unwrap_or_default());
        progress(format!(
            "jsonb {}, table {}, COPY {}",
            last(&json),
            last(&table),
            last(&floor)
        ));
    }
    Ok(vec![
        Figure::new("b. bulk enqueue, jsonb, 10,000 a call", "/s", json)
            .floor(&floor)
            .bar(Bar::TimesFloor(0.6))
            .note(format!("floor: COPY, {:?}, of equal rows", copy.format)),
        Figure::new("b. bulk enqueue from a table", "/s", table)
            .floor(&floor)
            .bar(Bar::TimesFloor(0.6)),
    ])
}
