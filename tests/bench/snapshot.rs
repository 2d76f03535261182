//! g. Drains while a transaction stays open: the fifth must be as fast as the first.

use crate::drain::drain;
use crate::figure::{Bar, Figure, median, number};
use crate::worker::Worker;
use crate::{Bench, progress};

/// What stays open for the whole of it.
const HELD: [(&str, &str); 2] = [
    (
        "one held snapshot",
        "begin isolation level repeatable read; select count(*) from bench.other",
    ),
    (
        "one idle open writer",
        "begin; insert into bench.other values (1)",
    ),
];

const DRAINS: usize = 5;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.options.size(200_000, 20_000);
    let mut figures = Vec::new();
    for (name, statement) in HELD {
        let (mut first, mut fifth, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.options.rounds() {
            let db = bench.cluster.fresh("snapshot").await?;
            let mut worker = Worker::start(&bench.cluster, &db, "0ms").await?;
            drain(&db, &mut worker, count / 10).await?;
            let holder = db.connect().await?;
            holder.batch_execute(statement).await?;
            let mut rates = Vec::new();
            for _ in 0..DRAINS {
                rates.push(drain(&db, &mut worker, count).await?.rate);
            }
            holder.batch_execute("rollback").await?;
            worker.stop().await?;
            first.push(rates[0]);
            fifth.push(rates[DRAINS - 1]);
            let rates: Vec<_> = rates.iter().map(|rate| number(*rate)).collect();
            progress(format!("{name}: {}", rates.join(", ")));
            notes.push(rates.join(", "));
        }
        let ratio = median(&fifth) / median(&first);
        progress(format!("{name}: fifth / first {ratio:.2}"));
        figures.push(
            Figure::new(
                format!("g. fifth drain under {name} (floor: first)"),
                "/s",
                fifth,
            )
            .floor(&first)
            .bar(Bar::TimesFloor(0.9))
            .note(format!("the five: {}", notes.join("; "))),
        );
    }
    Ok(figures)
}
