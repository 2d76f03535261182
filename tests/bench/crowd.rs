//! x. The server among a crowd: requests by the million, clients that say nothing, and clients that never finish a line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::api::{Work, flood};
use crate::cluster::Db;
use crate::figure::{Bar, Figure, number};
use crate::worker::Worker;
use crate::{Bench, progress};

/// What a crowd may take of the server's memory, in MiB, beyond what it had.
const CROWD_MIB: f64 = 256.0;

/// What a million requests may leave behind, in MiB.
const LEAK_MIB: f64 = 8.0;

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// Memory before and after so many requests, by connections that are kept.
pub(crate) async fn measure_requests(
    bench: &Bench,
    db: &Db,
    key: &str,
) -> anyhow::Result<Vec<Figure>> {
    let count = bench.options.requests(1_000_000, 20_000);
    db.settle().await?;
    let (mut server, address) = Worker::serve(&bench.cluster, db, "").await?;
    flood(address, key, Work::Requests(count / 20)).await?; // what it allocates once
    let before = server.memory()?.now;
    let mut after = Vec::new();
    for _ in 0..4 {
        flood(address, key, Work::Requests(count / 4)).await?;
        server.check()?;
        after.push(server.memory()?.now);
        let grown = mib(after[after.len() - 1]) - mib(before);
        progress(format!("memory {grown:+.2} MiB"));
    }
    let (last, middle) = (after[3], after[1]);
    server.stop().await?;
    Ok(vec![
        Figure::new(
            "x. memory of the server after its requests",
            "MiB",
            vec![mib(last)],
        )
        .floor(&[mib(before)])
        .bar(Bar::OverFloor(LEAK_MIB))
        .note(format!(
            "{} requests; {:+.2} MiB in the second half of them; floor: before",
            number(count as f64),
            mib(last) - mib(middle)
        )),
    ])
}

/// Others are served while connections are open that say nothing, and while some never end what they say; by a server that
/// has places for all of them, and by one that has not.
pub(crate) async fn measure_crowds(
    bench: &Bench,
    db: &Db,
    key: &str,
) -> anyhow::Result<Vec<Figure>> {
    let idle = bench.options.idle(10_000, 1_000);
    let slow = idle / 10;
    let length = Work::For(Duration::from_secs(bench.options.size(8, 3)));
    let mut figures = Vec::new();
    for (places, words) in [(idle + slow + 100, "all held"), (512, "512 held")] {
        db.settle().await?;
        let settings = format!("max_connections = {places}\n");
        let (mut server, address) = Worker::serve(&bench.cluster, db, &settings).await?;
        flood(address, key, Work::Requests(2_000)).await?;
        let before = server.memory()?.now;
        let alone = flood(address, key, length).await?;
        for (crowd, count, manner) in [
            ("idle connections", idle, Manner::Silent),
            ("slow-loris", slow, Manner::Slow),
        ] {
            let crowd_of = Crowd::gather(address, count, manner).await?;
            let (open, with) = (server.sockets()?, server.memory()?.now);
            let served = flood(address, key, length).await?;
            server.check()?;
            let most = server.memory()?.now.max(with);
            let (opened, failed) = crowd_of.disperse().await;
            progress(format!(
                "{} {crowd}, {words}: {} against {}, {:+.1} MiB",
                number(count as f64),
                number(served.rate),
                number(alone.rate),
                mib(most) - mib(before),
            ));
            let count = number(count as f64);
            figures.push(
                Figure::new(
                    format!("x. POST /messages beside {count} {crowd}, {words}"),
                    "/s",
                    vec![served.rate],
                )
                .floor(&[alone.rate])
                .bar(Bar::TimesFloor(0.5))
                .note(format!(
                    "floor: without them; {} of its own connections were ended",
                    served.reopened
                )),
            );
            figures.push(
                Figure::new(
                    format!("x. memory beside {count} {crowd}, {words}"),
                    "MiB",
                    vec![mib(most)],
                )
                .floor(&[mib(before)])
                .bar(Bar::OverFloor(CROWD_MIB))
                .note(format!(
                    "{open} sockets open at once, {opened} opened, {failed} refused; floor: before"
                )),
            );
        }
        server.stop().await?;
    }
    Ok(figures)
}

#[derive(Clone, Copy)]
enum Manner {
    /// Says nothing.
    Silent,
    /// Says a byte a second of a head that never ends.
    Slow,
}

/// Clients that take places; one whose connection the server ends comes again.
struct Crowd {
    clients: JoinSet<()>,
    opened: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl Crowd {
    /// Opens so many connections, and waits until each was opened once.
    async fn gather(address: SocketAddr, count: usize, manner: Manner) -> anyhow::Result<Self> {
        let (opened, failed): (Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let (opened, failed) = (Arc::clone(&opened), Arc::clone(&failed));
            clients.spawn(async move {
                loop {
                    match TcpStream::connect(address).await {
                        Ok(stream) => {
                            opened.fetch_add(1, Ordering::Relaxed);
                            stay(stream, manner).await;
                        }
                        Err(_) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            });
        }
        let crowd = Self {
            clients,
            opened,
            failed,
        };
        let tried = || crowd.opened.load(Ordering::Relaxed) + crowd.failed.load(Ordering::Relaxed);
        while tried() < count as u64 {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_secs(1)).await; // the server has accepted them
        Ok(crowd)
    }

    /// Ends them; how many connections were opened, and how many were not.
    async fn disperse(mut self) -> (u64, u64) {
        self.clients.shutdown().await;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.opened), count(&self.failed))
    }
}

/// Until the server ends it.
async fn stay(mut stream: TcpStream, manner: Manner) {
    if let Manner::Slow = manner {
        for byte in b"POST /api/v1/messages HTTP/1.1\r\nX-Slow: "
            .iter()
            .chain(std::iter::repeat(&b'a'))
        {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            let mut answer = [0; 64];
            tokio::select! {
                _ = stream.read(&mut answer) => return,
                () = sleep(Duration::from_secs(1)) => {}
            }
        }
    }
    let mut answer = [0; 64];
    while matches!(stream.read(&mut answer).await, Ok(read) if read > 0) {}
}
