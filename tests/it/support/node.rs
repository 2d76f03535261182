//! Processes of the product on a test's database, and what their stub gateways recorded.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use uuid::Uuid;

use super::process::{Directory, signal, wait_until};
use super::wait::until;

/// A process of ours; killed when dropped.
pub(crate) struct Node {
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Starts `postroad ARGUMENTS --config NAME.toml` on a database; `name` tells it from others in the directory.
    pub(crate) fn start(
        directory: &Directory,
        url: &str,
        name: &str,
        arguments: &[&str],
        config: &str,
    ) -> anyhow::Result<Self> {
        let file = format!("{name}.toml");
        directory.write(&file, config)?;
        let log = directory.path.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = directory
            .postroad(&[arguments, &["--config", &file]].concat())
            .env("DATABASE_URL", url)
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()?;
        Ok(Self { child, log })
    }

    /// One that was started otherwise.
    pub(crate) fn of(child: Child) -> Self {
        Self {
            child,
            log: PathBuf::new(),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or_default()
    }

    /// Sends a signal, such as `-STOP`.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.pid().to_string(), name);
    }

    /// Stops it as it is (SIGSTOP), and waits until each of its threads stands still: the signal is not in time for all.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.pid());
        wait_until("all threads stand still", || {
            let stands_still = |task: std::io::Result<fs::DirEntry>| {
                let status = task.and_then(|task| fs::read_to_string(task.path().join("stat")));
                status.is_ok_and(|line| {
                    line.rsplit(')')
                        .next()
                        .is_some_and(|rest| rest.starts_with(" T"))
                })
            };
            fs::read_dir(&tasks).is_ok_and(|mut tasks| tasks.all(stands_still))
        });
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end; the exit code, none when a signal ended it.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let mut code = None;
        until("the process ended", async || {
            let status = self.child.try_wait()?;
            code = status.and_then(|status| status.code());
            Ok(status.is_some())
        })
        .await?;
        Ok(code)
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() || std::env::var_os("SHOW_LOGS").is_some() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}

/// The file in which stub gateways of all processes of a test write what they send: the oracle.
pub(crate) struct Record {
    path: PathBuf,
}

impl Record {
    pub(crate) fn new(directory: &Directory, name: &str) -> Self {
        Self {
            path: directory.path.join(name),
        }
    }

    /// A `[gateways.NAME]` table that records here; `more` are further settings.
    pub(crate) fn stub(&self, name: &str, more: &str) -> String {
        format!(
            "[gateways.{name}]\ntype = \"stub\"\nrecord = {:?}\n{more}\n",
            self.path
        )
    }

    /// The messages in the order in which their sends began.
    pub(crate) fn sends(&self) -> Vec<Uuid> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let ids = text.lines().filter_map(|line| line.split(' ').nth(1));
        ids.filter_map(|id| id.parse().ok()).collect()
    }

    /// How often each message was sent.
    pub(crate) fn counts(&self) -> BTreeMap<Uuid, usize> {
        let mut counts = BTreeMap::new();
        for id in self.sends() {
            *counts.entry(id).or_default() += 1;
        }
        counts
    }

    /// Waits until so many sends began.
    pub(crate) async fn wait_for(&self, count: usize) -> anyhow::Result<()> {
        let what = format!("{count} sends began");
        until(&what, async || Ok(self.sends().len() >= count)).await?;
        Ok(())
    }
}
