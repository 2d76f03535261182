//! x. Messages sent over HTTP, 8 connections that are kept, beside the same `enqueue` by SQL.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::figure::{Bar, Figure, number, percentile};
use crate::pgbench::{Length, run};
use crate::single::scripts;
use crate::worker::Worker;
use crate::{Bench, crowd, payload, progress};

const CLIENTS: u32 = 8;

/// The rate at which latency is looked at, in requests a second.
const STEADY: u32 = 500;

/// The server ended the connection; what was sent may have been done.
#[derive(Debug, thiserror::Error)]
#[error("the server ended the connection")]
struct Ended;

/// A connection that is kept, and spends as little as can be on its side: what is measured is the server.
struct Connection {
    stream: TcpStream,
    key: String,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            key: key.to_owned(),
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Sends a message of one kilobyte; fails unless it is accepted.
    async fn send(&mut self, recipient: u64, content: &str) -> anyhow::Result<()> {
        let body = json!({
            "channel": "email",
            "recipient": format!("user{recipient}@example.org"),
            "subject": "News from the post road",
            "body": content,
            "message_type": "campaign",
        })
        .to_string();
        let request = format!(
            "POST /api/v1/messages HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        let written = self.stream.write_all(request.as_bytes()).await;
        written.map_err(|_| Ended)?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await;
            anyhow::ensure!(read.map_err(|_| Ended)? > 0, Ended);
            let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let head = std::str::from_utf8(&self.buffer[..end])?;
            anyhow::ensure!(head.starts_with("HTTP/1.1 202"), "answered {head}");
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .context("no content-length")?;
            if self.buffer.len() >= end + 4 + length.parse::<usize>()? {
                return Ok(());
            }
        }
    }
}

/// How long a flood goes on.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    For(Duration),
    /// So many requests, of all connections together.
    Requests(u64),
}

/// What came of a flood.
pub(crate) struct Flooded {
    /// Requests a second of all connections together.
    pub(crate) rate: f64,
    pub(crate) count: u64,
    /// Connections that the server ended, and that were opened again.
    pub(crate) reopened: u64,
}

/// Messages by 8 connections that are kept, each sending as fast as it is answered.
pub(crate) async fn flood(address: SocketAddr, key: &str, work: Work) -> anyhow::Result<Flooded> {
    let mut clients = JoinSet::new();
    let started = Instant::now();
    for client in 0..u64::from(CLIENTS) {
        let mut connection = Connection::open(address, key).await?;
        let key = key.to_owned();
        clients.spawn(async move {
            let content = payload::text(payload::SIZE);
            let (mut count, mut reopened) = (0, 0);
            while match work {
                Work::For(length) => started.elapsed() < length,
                Work::Requests(all) => count < all.div_ceil(u64::from(CLIENTS)),
            } {
                let recipient = client * 1_000_000_000 + count;
                match connection.send(recipient, &content).await {
                    Ok(()) => count += 1,
                    Err(error) if error.is::<Ended>() && reopened < 10_000 => {
                        reopened += 1;
                        connection = Connection::open(address, &key).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
            anyhow::Ok((count, reopened))
        });
    }
    let (mut count, mut reopened) = (0, 0);
    while let Some(done) = clients.join_next().await {
        let (sent, again) = done??;
        count += sent;
        reopened += again;
    }
    Ok(Flooded {
        rate: count as f64 / started.elapsed().as_secs_f64(),
        count,
        reopened,
    })
}

/// Latencies in milliseconds, sorted, of requests that come at a steady rate, counted from when each was due.
async fn steady(address: SocketAddr, key: &str, length: Duration) -> anyhow::Result<Vec<f64>> {
    let mut clients = JoinSet::new();
    let started = Instant::now();
    for client in 0..CLIENTS {
        let mut connection = Connection::open(address, key).await?;
        clients.spawn(async move {
            let content = payload::text(payload::SIZE);
            let mut latencies = Vec::new();
            let gap = Duration::from_secs(1) * CLIENTS / STEADY;
            let mut due = started + gap * client / CLIENTS;
            while due < started + length {
                sleep(due.saturating_duration_since(Instant::now())).await;
                connection.send(u64::from(client), &content).await?;
                latencies.push(due.elapsed().as_secs_f64() * 1000.0);
                due += gap;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = clients.join_next().await {
        all.extend(done??);
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let db = bench.cluster.fresh("api").await?;
    let (script, _) = scripts(&db).await?;
    let made = "select key from postroad.create_api_key(name => 'bench', roles => '{sender}')";
    let key: String = db.client.query_one(made, &[]).await?.get(0);
    let (mut server, address) = Worker::serve(&bench.cluster, &db, "").await?;
    let seconds = bench.options.size(10, 3);
    let length = Duration::from_secs(u64::from(seconds));
    flood(address, &key, Work::For(Duration::from_secs(1))).await?; // connections, plans and caches are there
    let (mut ours, mut floor, mut count) = (Vec::new(), Vec::new(), 0);
    for _ in 0..bench.options.rounds() {
        db.settle().await?;
        let (tps, _) = run(
            &bench.cluster,
            &db,
            &script,
            CLIENTS,
            Length::Seconds(seconds),
        )
        .await?;
        floor.push(tps);
        db.settle().await?;
        let Flooded {
            rate,
            count: sent,
            reopened,
        } = flood(address, &key, Work::For(length)).await?;
        anyhow::ensure!(reopened == 0, "{reopened} connections were ended");
        ours.push(rate);
        count += sent;
        server.check()?;
        progress(format!("{} against {}", number(rate), number(tps)));
    }
    db.settle().await?;
    let latencies = steady(address, &key, length).await?;
    server.stop().await?;
    let mut figures = vec![
        Figure::new("x. POST /messages, 8 connections", "/s", ours)
            .floor(&floor)
            .bar(Bar::TimesFloor(0.5))
            .note(format!(
                "floor: the same enqueue by pgbench, 8 connections; {} requests",
                number(count as f64)
            )),
        Figure::new(
            "x. POST /messages at 500/s, p99",
            "ms",
            vec![percentile(&latencies, 99.0)],
        )
        .bar(Bar::Below(20.0))
        .note("from when it was due"),
    ];
    figures.extend(crowd::measure_crowds(bench, &db, &key).await?);
    figures.extend(crowd::measure_requests(bench, &db, &key).await?);
    Ok(figures)
}
