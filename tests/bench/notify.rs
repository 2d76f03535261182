//! i. Notifications sent while no pool could use them.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::{AsyncMessage, Client};

use crate::Bench;
use crate::cluster::Db;
use crate::drain::{PAUSE, RESUME, fill};
use crate::figure::{Bar, Figure};
use crate::pgbench::{Length, Script, run};
use crate::single::scripts;
use crate::worker::Worker;

const CLIENTS: u32 = 8;

/// Counts the notifications of P3.
pub(crate) struct Listener {
    _client: Client,
    count: Arc<AtomicU64>,
}

impl Listener {
    pub(crate) async fn start(db: &Db) -> anyhow::Result<Self> {
        let (client, mut connection) = db.database.connect_raw().await?;
        let count = Arc::new(AtomicU64::new(0));
        tokio::spawn({
            let count = Arc::clone(&count);
            async move {
                while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                    if matches!(message, AsyncMessage::Notification(_)) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        client.batch_execute("listen postroad_p3").await?;
        Ok(Self {
            _client: client,
            count,
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Notifications per 1,000 enqueues.
async fn enqueue(bench: &Bench, db: &Db, script: &Script) -> anyhow::Result<f64> {
    let listener = Listener::start(db).await?;
    let each = Length::Transactions(bench.options.size(1000, 250));
    let (_, count) = run(&bench.cluster, db, script, CLIENTS, each).await?;
    sleep(Duration::from_millis(200)).await; // the last one may be on its way
    Ok(listener.count() as f64 * 1000.0 / count as f64)
}

async fn still_waiting(db: &Db) -> anyhow::Result<()> {
    let waiting =
        db.number("select count(*) from (select from postroad.message_queue_p3 limit 100) as q");
    let waiting = waiting.await?;
    anyhow::ensure!(waiting == 100, "the pool was not busy to the end");
    Ok(())
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let db = bench.cluster.fresh("notify").await?;
    let (script, _) = scripts(&db).await?;
    let stopped = enqueue(bench, &db, &script).await?;

    let worker = Worker::start(&bench.cluster, &db, "0ms").await?;
    db.client.batch_execute(PAUSE).await?;
    fill(&db, bench.options.size(600_000, 200_000)).await?;
    db.client.batch_execute(RESUME).await?;
    sleep(Duration::from_millis(700)).await; // the poll of a pool that was paused
    let busy = enqueue(bench, &db, &script).await?;
    still_waiting(&db).await?;
    worker.stop().await?;

    let db = bench.cluster.fresh("notify").await?;
    let (script, _) = scripts(&db).await?;
    fill(&db, 5000).await?;
    let worker = Worker::start(&bench.cluster, &db, "500ms").await?;
    sleep(Duration::from_secs(1)).await;
    let saturated = enqueue(bench, &db, &script).await?;
    still_waiting(&db).await?;
    worker.stop().await?;

    let figure = |state: &str, value| {
        Figure::new(
            format!("i. notifications per 1,000, workers {state}"),
            "",
            vec![value],
        )
        .bar(Bar::Below(1.0))
    };
    Ok(vec![
        figure("busy", busy),
        figure("saturated", saturated),
        figure("not running", stopped),
    ])
}
