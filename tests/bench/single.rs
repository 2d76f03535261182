//! a. Messages enqueued one by one, 8 connections, workers running.

use crate::cluster::Db;
use crate::copy::{OUR_ROW, equal_text_bytes};
use crate::drain::await_empty;
use crate::figure::{Bar, Figure, number};
use crate::notify::Listener;
use crate::pgbench::{ENQUEUE, INSERT, Length, Script, run};
use crate::worker::Worker;
use crate::{Bench, payload, progress};

const CLIENTS: u32 = 8;

/// Our call and the floor's, on rows of the same size.
pub(crate) async fn scripts(db: &Db) -> anyhow::Result<(Script, Script)> {
    let body = payload::text(payload::SIZE);
    db.client
        .execute(
            "select postroad.enqueue(channel => 'email', recipient => 'user' || 500000000 || '@example.org',
               subject => 'News from the post road', body => $1, message_type => 'campaign')",
            &[&body],
        )
        .await?;
    let ours = Script {
        text: ENQUEUE,
        body,
    };
    let floor = Script {
        text: INSERT,
        body: payload::text(equal_text_bytes(db, OUR_ROW).await?),
    };
    Ok((ours, floor))
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let db = bench.cluster.fresh("single").await?;
    let (ours, floor) = scripts(&db).await?;
    let mut worker = Worker::start(&bench.cluster, &db, "0ms").await?;
    await_empty(&db, &mut worker).await?;
    let listener = Listener::start(&db).await?;
    let length = Length::Seconds(bench.options.size(10, 3));
    let (mut ours_tps, mut floor_tps) = (Vec::new(), Vec::new());
    let mut enqueued = 0;
    for _ in 0..bench.options.rounds() {
        db.client.batch_execute("truncate bench.equal_row").await?;
        db.settle().await?;
        let (tps, _) = run(&bench.cluster, &db, &floor, CLIENTS, length).await?;
        floor_tps.push(tps);
        db.settle().await?;
        let (tps, count) = run(&bench.cluster, &db, &ours, CLIENTS, length).await?;
        ours_tps.push(tps);
        enqueued += count;
        worker.check()?;
        progress(format!(
            "{} against {}",
            number(tps),
            number(*floor_tps.last().unwrap_or(&0.0))
        ));
        await_empty(&db, &mut worker).await?;
    }
    let notified = listener.count();
    worker.stop().await?;
    let per_thousand = notified as f64 * 1000.0 / enqueued as f64;
    Ok(vec![
        Figure::new("a. single enqueue, 8 connections", "/s", ours_tps)
            .floor(&floor_tps)
            .bar(Bar::TimesFloor(0.6))
            .note(format!(
                "floor: pgbench insert of an equal row; the worker keeps up and sleeps in between: {} notifications per 1,000",
                number(per_thousand)
            )),
    ])
}
