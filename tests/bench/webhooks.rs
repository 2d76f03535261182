//! w. What providers post: events a second, from the signed request to the recorded event, and how long an answer takes.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePublicKey as _;
use ring::hmac;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::cluster::{Cluster, Db};
use crate::figure::{Bar, Figure, number, percentile};
use crate::{Bench, payload, progress};

/// Connections of the provider.
const CONNECTIONS: usize = 32;

/// Events in one request of SendGrid's.
const ARRAY: usize = 50;

/// How long the server may take to come up, and to read what it has stored.
const PATIENCE: Duration = Duration::from_secs(60);

const MAILGUN_KEY: &str = "bench-bench-bench-bench-bench-bench";

/// Whole requests, ready to be sent.
type Requests = Vec<Vec<u8>>;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let size = |full: usize, quick| bench.options.size(full, quick);
    let key = SigningKey::from_slice(&[7; 32]).context("a key")?;
    let mut figures = Vec::new();

    let (mut arrays, mut singles, mut answered) =
        (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    let mut late = Vec::new();
    for _ in 0..bench.options.rounds() {
        let db = bench.cluster.fresh("webhooks").await?;
        let count = size(100_000, 10_000);
        let ids = messages(&db, count + size(30_000, 3_000) + size(10_000, 2_000)).await?;
        let (of_arrays, rest) = ids.split_at(count);
        let (of_singles, of_paced) = rest.split_at(size(30_000, 3_000));
        let server = Server::start(&bench.cluster, &db, &key, free_address()?).await?;

        db.settle().await?;
        let (rate, answers) =
            flood(&db, &server, sendgrid(of_arrays, &key)?, of_arrays.len()).await?;
        progress(format!("{} events/s as arrays", number(rate)));
        arrays.push(rate);
        answered[0].push(answers);

        db.settle().await?;
        let (rate, answers) = flood(&db, &server, mailgun(of_singles), of_singles.len()).await?;
        progress(format!("{} events/s one by one", number(rate)));
        singles.push(rate);
        answered[1].push(answers);

        db.settle().await?;
        let p99 = paced(&server, mailgun(of_paced)).await?;
        progress(format!("p99 {} ms at 1,000/s", number(p99)));
        late.push(p99);
        server.kill().await?;
    }
    let note = |answered: &[f64]| {
        let middle = crate::figure::median(answered);
        format!("until recorded; answered at {}/s", number(middle))
    };
    figures.push(
        Figure::new("w. webhook events, SendGrid arrays of 50", "/s", arrays)
            .bar(Bar::AtLeast(10_000.0))
            .note(note(&answered[0])),
    );
    figures.push(
        Figure::new("w. webhook events, single Mailgun posts", "/s", singles)
            .bar(Bar::AtLeast(3_000.0))
            .note(note(&answered[1])),
    );
    figures
        .push(Figure::new("w. webhook answer at 1,000/s, p99", "ms", late).bar(Bar::Below(50.0)));
    figures.push(killed(bench, &key).await?);
    Ok(figures)
}

/// All events of a run in which the server is killed in the middle, and a client that sends again what got no 2xx.
async fn killed(bench: &Bench, key: &SigningKey) -> anyhow::Result<Figure> {
    let db = bench.cluster.fresh("webhooks").await?;
    let ids = messages(&db, bench.options.size(100_000, 10_000)).await?;
    let address = free_address()?;
    let server = Server::start(&bench.cluster, &db, key, address).await?;
    let requests = sendgrid(&ids, key)?;
    let half = requests.len() / 2;
    let (sending, left) = send_all(address, requests);
    while lock(&left).len() > half {
        sleep(Duration::from_millis(5)).await;
    }
    server.kill().await?;
    let server = Server::start(&bench.cluster, &db, key, address).await?;
    let again = sending.await?;
    read_all(&db).await?;
    let recorded = db.number("select count(distinct message_id) from postroad.delivery_events where event_type = 'delivered'").await?;
    let all = db
        .number("select count(*) from postroad.delivery_events where event_type = 'delivered'")
        .await?;
    server.kill().await?;
    let expected = i64::try_from(ids.len())?;
    let wrong = (expected - recorded).abs() + (all - recorded);
    Ok(Figure::new(
        "w. events lost or doubled by kill -9",
        "",
        vec![wrong as f64],
    )
    .bar(Bar::AtMost(0.0))
    .note(format!("{} events, {again} requests sent again", ids.len())))
}

/// Events a second until they are recorded, and until they are answered.
async fn flood(
    db: &Db,
    server: &Server<'_>,
    requests: Requests,
    events: usize,
) -> anyhow::Result<(f64, f64)> {
    let began = Instant::now();
    let (sending, _) = send_all(server.address, requests);
    let again = sending.await?;
    anyhow::ensure!(again == 0, "{again} requests were not answered 2xx");
    let answered = began.elapsed();
    read_all(db).await?;
    let rate = |took: Duration| events as f64 / took.as_secs_f64();
    Ok((rate(began.elapsed()), rate(answered)))
}

type Left = Arc<Mutex<VecDeque<Vec<u8>>>>;

fn lock(left: &Left) -> std::sync::MutexGuard<'_, VecDeque<Vec<u8>>> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends all requests over some connections, again what is not answered 2xx; how many that were.
fn send_all(
    address: SocketAddr,
    requests: Requests,
) -> (impl Future<Output = anyhow::Result<usize>>, Left) {
    let left: Left = Arc::new(Mutex::new(requests.into()));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let left = Arc::clone(&left);
        clients.spawn(async move {
            let (mut client, mut again) = (None, 0);
            loop {
                let Some(request) = lock(&left).pop_front() else {
                    return again;
                };
                if !matches!(post(&mut client, address, &request).await, Ok(200)) {
                    client = None;
                    again += 1;
                    lock(&left).push_back(request);
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }
    let sending = async move {
        let mut again = 0;
        while let Some(client) = clients.join_next().await {
            again += client?;
        }
        Ok(again)
    };
    (sending, left)
}

/// The 99th percentile of the time to an answer, in milliseconds, at 1,000 requests a second. The time counts from when a
/// request was due: one that waits for its connection is late, too.
async fn paced(server: &Server<'_>, requests: Requests) -> anyhow::Result<f64> {
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    let mut clients = JoinSet::new();
    let mut shares: Vec<Vec<(u32, Vec<u8>)>> = vec![Vec::new(); CONNECTIONS];
    for (nth, request) in (0..).zip(requests) {
        shares[nth as usize % CONNECTIONS].push((nth, request));
    }
    for share in shares {
        let address = server.address;
        clients.spawn(async move {
            let mut client = None;
            let mut took = Vec::with_capacity(share.len());
            for (nth, request) in share {
                let due = begin + Duration::from_millis(1) * nth;
                sleep_until(due).await;
                let status = post(&mut client, address, &request).await?;
                anyhow::ensure!(status == 200, "answered {status}");
                took.push(due.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(client) = clients.join_next().await {
        took.extend(client??);
    }
    took.sort_by(f64::total_cmp);
    Ok(percentile(&took, 99.0))
}

/// Posts a request on a connection that is kept, and returns the status of the answer, which has a known length.
async fn post(
    client: &mut Option<TcpStream>,
    address: SocketAddr,
    request: &[u8],
) -> anyhow::Result<u16> {
    let stream = match client {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            client.insert(stream)
        }
    };
    stream.write_all(request).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        let read = stream.read_buf(&mut answer).await?;
        anyhow::ensure!(read > 0, "the connection ended");
        let Some(head) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&answer[..head])?;
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|t| t.lines().next());
        let length: usize = length.context("no length")?.parse()?;
        if answer.len() >= head + 4 + length {
            let status = text.split(' ').nth(1).context("no status")?;
            return Ok(status.parse()?);
        }
    }
}

/// Waits until nothing waits to be read.
async fn read_all(db: &Db) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while db
        .number("select count(*) from postroad.webhook_batches")
        .await?
        > 0
    {
        anyhow::ensure!(Instant::now() < deadline, "webhook requests stay unread");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Enqueues messages, and returns their ids.
async fn messages(db: &Db, count: usize) -> anyhow::Result<Vec<String>> {
    for from in (0..count).step_by(10_000) {
        let recipients = payload::recipients(from, (count - from).min(10_000));
        let statement = "select postroad.enqueue_bulk(channel => 'email', recipients => $1::text::jsonb, subject => 'News', body => 'x', message_type => 'campaign')";
        db.client.execute(statement, &[&recipients]).await?;
    }
    let rows = db
        .client
        .query("select message_id::text from postroad.messages", &[])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn unix_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// Signed arrays of 50 events, one a message.
fn sendgrid(ids: &[String], key: &SigningKey) -> anyhow::Result<Requests> {
    let at = unix_seconds();
    let requests = ids.chunks(ARRAY).map(|ids| {
        let mut body = String::from("[");
        for id in ids {
            let comma = if body.len() > 1 { ",\r\n" } else { "" };
            write!(
                body,
                "{comma}{{\"email\":\"user@example.org\",\"event\":\"delivered\",\"postroad_id\":\"{id}\",\"response\":\"250 2.0.0 OK\",\
                 \"sg_event_id\":\"ZGVsaXZlcmVk-{id}\",\"sg_message_id\":\"{id}.filter0001.16648.5515E0B88.0\",\
                 \"smtp-id\":\"<{id}@example.org>\",\"timestamp\":{at}}}"
            )?;
        }
        body.push_str("]\r\n");
        let signature: DerSignature = key.sign(format!("{at}{body}").as_bytes());
        let signature = STANDARD.encode(signature.as_bytes());
        let headers = format!(
            "x-twilio-email-event-webhook-signature: {signature}\r\nx-twilio-email-event-webhook-timestamp: {at}\r\n"
        );
        Ok(request("sendgrid", &headers, &body))
    });
    requests.collect()
}

/// Signed posts of one event each.
fn mailgun(ids: &[String]) -> Requests {
    let key = hmac::Key::new(hmac::HMAC_SHA256, MAILGUN_KEY.as_bytes());
    let at = unix_seconds();
    let requests = ids.iter().map(|id| {
        let token = id.replace('-', "");
        let tag = hmac::sign(&key, format!("{at}{token}").as_bytes());
        let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let body = format!(
            "{{\"signature\":{{\"timestamp\":\"{at}\",\"token\":\"{token}\",\"signature\":\"{signature}\"}},\"event-data\":{{\
             \"id\":\"{token}\",\"timestamp\":{at}.5,\"event\":\"delivered\",\"log-level\":\"info\",\"recipient\":\"user@example.org\",\
             \"recipient-domain\":\"example.org\",\"envelope\":{{\"transport\":\"smtp\",\"sender\":\"post@example.org\",\"targets\":\"user@example.org\"}},\
             \"message\":{{\"headers\":{{\"message-id\":\"{id}@mg.example.org\",\"from\":\"post@example.org\",\"to\":\"user@example.org\",\"subject\":\"News\"}},\"size\":1024}},\
             \"delivery-status\":{{\"code\":250,\"message\":\"OK\",\"tls\":true,\"attempt-no\":1}},\"user-variables\":{{\"postroad_id\":\"{id}\"}}}}}}"
        );
        request("mailgun", "", &body)
    });
    requests.collect()
}

fn request(endpoint: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /webhooks/{endpoint} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// `postroad serve`, with both endpoints.
struct Server<'a> {
    child: Child,
    cluster: &'a Cluster,
    address: SocketAddr,
}

impl<'a> Server<'a> {
    async fn start(
        cluster: &'a Cluster,
        db: &Db,
        key: &SigningKey,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let public = key.verifying_key().to_public_key_der();
        let public = STANDARD.encode(public.context("a public key")?.as_bytes());
        let config = cluster.root.join("webhooks.toml");
        fs::write(
            &config,
            format!(
                "[database]\nurl = \"{}\"\n[server]\nlisten = \"{address}\"\n[webhooks.sendgrid]\ntype = \"sendgrid\"\n\
                 public_keys = [\"{public}\"]\n[webhooks.mailgun]\ntype = \"mailgun\"\nsigning_keys = [\"{MAILGUN_KEY}\"]\n",
                db.url
            ),
        )?;
        let log = File::create(cluster.root.join("server.log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_postroad"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start postroad")?;
        cluster.note_process(child.id().context("postroad ended at once")?)?;
        let mut server = Self {
            child,
            cluster,
            address,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            let ended = server.child.try_wait()?;
            anyhow::ensure!(
                ended.is_none() && Instant::now() < deadline,
                "postroad does not serve: {}",
                fs::read_to_string(cluster.root.join("server.log")).unwrap_or_default()
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// `kill -9`.
    async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        self.cluster.forget_processes();
        Ok(())
    }
}
