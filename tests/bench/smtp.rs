//! l. Mails by SMTP beside Postfix's `smtp-source`, to the same `smtp-sink`: 10 sessions, 1 KB a mail.

use std::env;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::cluster::{Cluster, Db};
use crate::drain::{PAUSE, empty, let_go};
use crate::figure::{Bar, Figure, number};
use crate::worker::Worker;
use crate::{Bench, payload, progress};

const SESSIONS: usize = 10;

/// Bytes of text; with its header a mail of ours has about 1 KB then.
const TEXT: usize = 650;

/// Bytes of a mail of `smtp-source`.
const MAIL: usize = 1024;

pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.options.size(20_000, 3_000);
    let (sink, port) = start_sink(&bench.cluster).await?;
    let db = bench.cluster.fresh("smtp").await?;
    let settings = format!(
        "[worker.pools.P3]\nconcurrency = [{SESSIONS}, {SESSIONS}]\n[channels]\nemail = [\"smtp\"]\n\
         [gateways.smtp]\ntype = \"smtp\"\nurl = \"smtp://127.0.0.1:{port}?tls=none\"\nfrom = \"post@example.org\"\nconnections = {SESSIONS}\n"
    );
    let mut worker = Worker::start_with(&bench.cluster, &db, "worker", &settings).await?;
    ours(&db, &mut worker, count / 10).await?;
    let (mut rates, mut anew, mut kept) = (vec![], vec![], vec![]);
    for _ in 0..bench.options.rounds() {
        rates.push(ours(&db, &mut worker, count).await?);
        anew.push(source(port, count, &[]).await?);
        kept.push(source(port, count, &["-d"]).await?);
        let last = |values: &[f64]| number(values.last().copied().unwrap_or_default());
        progress(format!(
            "{} a second; smtp-source {}, with kept sessions {}",
            last(&rates),
            last(&anew),
            last(&kept)
        ));
    }
    worker.stop().await?;
    drop(sink);
    Ok(vec![
        Figure::new(
            "l. SMTP, 10 sessions (floor: smtp-source, a connection a mail)",
            "/s",
            rates.clone(),
        )
        .floor(&anew)
        .bar(Bar::TimesFloor(0.7))
        .note(format!("{count} mails; ours keep their sessions")),
        Figure::new("l. SMTP, 10 sessions (floor: smtp-source -d)", "/s", rates).floor(&kept),
    ])
}

/// Our rate, each mail with its event.
async fn ours(db: &Db, worker: &mut Worker<'_>, count: usize) -> anyhow::Result<f64> {
    db.client.batch_execute(PAUSE).await?;
    let queued: i32 = db
        .client
        .query_one(
            "select b.queued
             from postroad.enqueue_bulk(channel => 'email', recipients => (
                 select jsonb_agg('user' || n || '@example.org') from generate_series(1, $1::bigint) as n
               ), subject => 'News from the post road', body => $2, message_type => 'campaign') as b",
            &[&i64::try_from(count)?, &payload::text(TEXT)],
        )
        .await?
        .get(0);
    anyhow::ensure!(usize::try_from(queued)? == count, "{queued} queued");
    let released = let_go(db, worker).await?;
    Ok(empty(db, worker, released, count).await?.rate)
}

/// The rate of `smtp-source`.
async fn source(port: u16, count: usize, more: &[&str]) -> anyhow::Result<f64> {
    let began = Instant::now();
    let status = Command::new(program("smtp-source")?)
        .args(more)
        .args(["-s", &SESSIONS.to_string(), "-m", &count.to_string()])
        .args(["-l", &MAIL.to_string()])
        .args(["-f", "post@example.org", "-t", "user@example.org"])
        .arg(format!("127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .context("cannot run smtp-source")?;
    anyhow::ensure!(status.success(), "smtp-source ended with {status}");
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// Starts `smtp-sink` on a free port, and waits until it takes connections.
async fn start_sink(cluster: &Cluster) -> anyhow::Result<(Child, u16)> {
    let free = TcpListener::bind("127.0.0.1:0").await?;
    let port = free.local_addr()?.port();
    drop(free);
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let user: &[&str] = if is_root { &["-u", "nobody"] } else { &[] }; // it does not run as root
    let sink = Command::new(program("smtp-sink")?)
        .args(user)
        .arg(format!("127.0.0.1:{port}"))
        .arg("100") // connections that may wait
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start smtp-sink")?;
    cluster.note_process(sink.id().context("smtp-sink ended at once")?)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        anyhow::ensure!(Instant::now() < deadline, "smtp-sink does not listen");
        sleep(Duration::from_millis(20)).await;
    }
    Ok((sink, port))
}

/// One of Postfix's programs, which are not in everybody's PATH.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("no {name}; install Postfix's programs (Debian: postfix)"))
}
