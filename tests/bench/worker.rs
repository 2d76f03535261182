//! A Postroad process as users run it: the release binary, its configuration in a file, the stub as gateway.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, Db};

/// How long it may take to come up, and to stop.
const PATIENCE: Duration = Duration::from_secs(40);

/// `postroad run`, worker, upkeep and server in one process; or `postroad serve`, the server alone.
pub(crate) struct Worker<'a> {
    child: Child,
    pid: u32,
    cluster: &'a Cluster,
    log_path: PathBuf,
}

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl<'a> Worker<'a> {
    /// Starts it and waits until it has registered. The gateway answers after `latency`, such as `0ms`.
    pub(crate) async fn start(
        cluster: &'a Cluster,
        db: &Db,
        latency: &str,
    ) -> anyhow::Result<Self> {
        let settings = format!(
            "[channels]\nemail = [\"stub\"]\n\n[gateways.stub]\ntype = \"stub\"\nlatency = \"{latency}\"\n"
        );
        Self::start_with(cluster, db, "worker", &settings).await
    }

    /// As [`start`](Self::start), with these settings beside the database; `name` tells it from another one.
    pub(crate) async fn start_with(
        cluster: &'a Cluster,
        db: &Db,
        name: &str,
        settings: &str,
    ) -> anyhow::Result<Self> {
        let settings = format!("[server]\nlisten = \"127.0.0.1:0\"\n\n{settings}");
        let mut worker = Self::spawn(cluster, db, "run", name, &settings)?;
        let deadline = Instant::now() + PATIENCE;
        let pid = worker.pid;
        let registered = format!("select count(*) from postroad.worker_sessions where pid = {pid}");
        while db.number(&registered).await? == 0 {
            worker.check()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "postroad did not register: {}",
                worker.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_millis(500)).await; // it elects, connects and goes to sleep
        Ok(worker)
    }

    /// Starts the server alone, with these further lines of `[server]`, and waits until it listens; returns where.
    pub(crate) async fn serve(
        cluster: &'a Cluster,
        db: &Db,
        settings: &str,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let settings = format!(
            "[server]\nlisten = \"{address}\"\n{settings}\n[api]\nrequests_per_second = 1000000\n"
        );
        let mut server = Self::spawn(cluster, db, "serve", "server", &settings)?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            server.check()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "postroad does not listen: {}",
                server.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok((server, address))
    }

    fn spawn(
        cluster: &'a Cluster,
        db: &Db,
        command: &str,
        name: &str,
        settings: &str,
    ) -> anyhow::Result<Self> {
        let config = cluster.root.join(format!("{name}.toml"));
        fs::write(
            &config,
            format!("[database]\nurl = \"{}\"\n\n{settings}", db.url),
        )?;
        let log_path = cluster.root.join(format!("{name}.log"));
        let log = File::create(&log_path)?;
        let child = Command::new(env!("CARGO_BIN_EXE_postroad"))
            .arg(command)
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
        let pid = child.id().context("postroad ended at once")?;
        cluster.note_process(pid)?;
        Ok(Self {
            child,
            pid,
            cluster,
            log_path,
        })
    }

    /// That it still runs.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => anyhow::bail!("postroad ended ({status}): {}", self.log()),
            None => Ok(()),
        }
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .context("memory is read from /proc, which only Linux has")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kb: u64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kb * 1024)
        };
        Ok(Memory {
            now: field("VmRSS:").context("no VmRSS")?,
            peak: field("VmHWM:").context("no VmHWM")?,
        })
    }

    /// Sockets that it has open.
    pub(crate) fn sockets(&self) -> anyhow::Result<usize> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid))
            .context("open files are read from /proc, which only Linux has")?;
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        Ok(targets
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count())
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after_name.split_whitespace().skip(11).take(2);
        ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    /// Stops it as an operator would.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let kill = format!("kill -TERM {}", self.pid);
        Command::new("sh").arg("-c").arg(kill).status().await?;
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .with_context(|| format!("postroad did not stop: {}", self.log()))??;
        self.cluster.forget_processes();
        anyhow::ensure!(
            status.success(),
            "postroad ended with {status}: {}",
            self.log()
        );
        Ok(())
    }

    /// The end of its log.
    fn log(&self) -> String {
        let text = fs::read_to_string(&self.log_path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}
