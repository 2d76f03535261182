//! The real binary, in a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);

/// A directory that is removed at the end, with the Postgres that a failed test left in it.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

impl Directory {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        // The path of a socket will be below it, and must be short.
        let path = std::env::temp_dir().join(format!("postroad-{}", &id[16..]));
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// `postroad` with these arguments, in this directory, with an environment that says nothing else.
    pub(crate) fn postroad(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroad"));
        command.args(arguments).current_dir(&self.path).env_clear();
        for kept in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
            .env("POSTROAD_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null());
        command
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, text)?)
    }

    /// What a file in it says; nothing when there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        read(&self.path.join(name))
    }

    /// The server's process id; none when it is stopped.
    pub(crate) fn postgres_pid(&self) -> Option<String> {
        let file = self.path.join(".postroad/pgdata/postmaster.pid");
        let text = fs::read_to_string(file).ok()?;
        text.lines().next().map(str::to_owned)
    }

    /// What a query prints through `postroad psql`.
    pub(crate) fn psql(&self, query: &str) -> anyhow::Result<String> {
        let output = self.postroad(&["psql", "-XAtc", query]).output()?;
        anyhow::ensure!(output.status.success(), "{}", stderr(&output));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(pid) = self.postgres_pid() {
            signal(&pid, "-QUIT");
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Sends a signal, and says whether there was such a process.
pub(crate) fn signal(pid: &str, name: &str) -> bool {
    // The shell's own kill: minimal systems have no other.
    let mut kill = Command::new("sh");
    kill.args(["-c", &format!("kill {name} {pid}")])
        .stderr(Stdio::null());
    kill.status().is_ok_and(|status| status.success())
}

/// What a process wrote on standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Tries until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A `postroad up` that is up.
pub(crate) struct Up {
    child: Child,
    /// Where it answers health checks, such as `127.0.0.1:40123`.
    pub(crate) address: String,
    /// The line that it prints for psql.
    pub(crate) psql_line: String,
}

impl Up {
    /// Starts it, and waits for the line that says so.
    pub(crate) fn start(directory: &Directory) -> anyhow::Result<Self> {
        let log = directory.path.join("up.log");
        let mut child = directory
            .postroad(&["up"])
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let lines = lines(&mut child);
        let mut up = Self {
            child,
            address: String::new(),
            psql_line: String::new(),
        };
        let deadline = Instant::now() + PATIENCE;
        while up.psql_line.is_empty() {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some((_, rest)) = line.split_once("postroad is up, see http://") {
                        up.address = rest.split('/').next().unwrap_or_default().to_owned();
                    }
                    if line.trim_start().starts_with("psql ") {
                        up.psql_line = line.trim().to_owned();
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("up did not come up: {}", read(&log));
                }
            }
        }
        Ok(up)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends a signal and waits for the end. Returns the exit code; none when the signal itself ended it.
    pub(crate) fn end(mut self, name: &str) -> anyhow::Result<Option<i32>> {
        signal(&self.pid(), name);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            anyhow::ensure!(Instant::now() < deadline, "up did not end after {name}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of its standard output, read on, lest it block.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let stdout = child.stdout.take();
    thread::spawn(move || {
        for line in stdout
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
        {
            let Ok(line) = line else { return };
            let _ = sender.send(line);
        }
    });
    receiver
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
