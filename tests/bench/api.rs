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
use crate::{Bench, payload, progress};

const CLIENTS: u32 = 8;

/// The rate at which latency is looked at, in requests a second.
const STEADY: u32 = 500;

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
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        loop {
            anyhow::ensure!(
                self.stream.read_buf(&mut self.buffer).await? > 0,
                "the server closed the connection"
            );
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

/// Requests a second of all connections together, each sending as fast as it is answered; and how many there were.
async fn flood(address: SocketAddr, key: &str, length: Duration) -> anyhow::Result<(f64, u64)> {
    let mut clients = JoinSet::new();
    let started = Instant::now();
    for client in 0..u64::from(CLIENTS) {
        let mut connection = Connection::open(address, key).await?;
        clients.spawn(async move {
            let content = payload::text(payload::SIZE);
            let mut count = 0;
            while started.elapsed() < length {
                connection
                    .send(client * 1_000_000_000 + count, &content)
                    .await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(done) = clients.join_next().await {
        count += done??;
    }
    Ok((count as f64 / started.elapsed().as_secs_f64(), count))
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
    let (mut server, address) = Worker::serve(&bench.cluster, &db).await?;
    let seconds = bench.options.size(10, 3);
    let length = Duration::from_secs(u64::from(seconds));
    flood(address, &key, Duration::from_secs(1)).await?; // connections, plans and caches are there
    let before = server.memory()?.now;
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
        let (rate, sent) = flood(address, &key, length).await?;
        ours.push(rate);
        count += sent;
        server.check()?;
        progress(format!("{} against {}", number(rate), number(tps)));
    }
    let grown = server.memory()?.now.saturating_sub(before) as f64 / (1024.0 * 1024.0);
    db.settle().await?;
    let latencies = steady(address, &key, length).await?;
    server.stop().await?;
    Ok(vec![
        Figure::new("x. POST /messages, 8 connections", "/s", ours)
            .floor(&floor)
            .bar(Bar::TimesFloor(0.5))
            .note("floor: the same enqueue by pgbench, 8 connections"),
        Figure::new(
            "x. POST /messages at 500/s, p99",
            "ms",
            vec![percentile(&latencies, 99.0)],
        )
        .bar(Bar::Below(20.0))
        .note("from when it was due"),
        Figure::new("x. memory of the server grown by", "MiB", vec![grown])
            .bar(Bar::AtMost(8.0))
            .note(format!("over {} requests", number(count as f64))),
    ])
}
