//! Makes the data, starts the server or takes it over, and runs Postgres's programs.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::binaries::Binaries;
use super::place::{PORT, Place};
use super::postmaster::Postmaster;
use super::room::{disk_of, says_full};
use super::{EmbeddedError, MAINTENANCE, NAME, TRANSITION, failed};

/// What the name of data begins with until it is whole.
const UNFINISHED: &str = "pgdata.new-";

/// A log that is longer is put aside at a start, in the place of the one before.
const LOG_MAX_BYTES: u64 = 16 << 20;

/// How much of the log is looked through for the cause of an end.
const SAID_MAX_BYTES: u64 = 1 << 20;

/// A server that is up.
pub(super) enum Server {
    /// Started by us.
    Child(Child),
    /// Left by an earlier Postroad.
    Adopted(Postmaster),
}

impl Server {
    /// Waits for its end, and says how it came.
    pub(super) async fn ended(&mut self, data: &Path) -> String {
        match self {
            Self::Child(child) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            },
            Self::Adopted(postmaster) => {
                while postmaster.is_alive(data) {
                    sleep(Duration::from_millis(50)).await;
                }
                "left by an earlier postroad".into()
            }
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Child(child) => child.id().unwrap_or_default(),
            Self::Adopted(postmaster) => postmaster.pid,
        }
    }
}

/// Makes the data under another name and renames it when it is whole: a start that was cut short leaves nothing behind
/// that looks like data. The name is of this start alone, for an initdb may outlive the Postroad that ran it.
pub(super) async fn initdb(place: &Place, binaries: &Binaries) -> Result<(), EmbeddedError> {
    let id = uuid::Uuid::now_v7().simple();
    let unfinished = place.home.join(format!("{UNFINISHED}{id}"));
    let mut result = Ok(());
    for locale in ["C.UTF-8", "C"] {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed("remove", &unfinished))?;
        }
        place.make_private(&unfinished)?;
        let mut command = command(place, binaries, "initdb");
        command.args([
            "--username",
            NAME,
            "--auth=trust",
            "--encoding=UTF8",
            "--data-checksums",
        ]);
        command
            .args(["--lc-messages=C", "--locale", locale, "-D"])
            .arg(&unfinished);
        result = output(command, "initdb").await;
        match &result {
            Err(EmbeddedError::Program { output, .. }) if output.contains("locale") => {
                debug!("no locale {locale} on this machine");
            }
            _ => break,
        }
    }
    result?;
    // No network, whatever postgresql.conf comes to say.
    let hba = unfinished.join("pg_hba.conf");
    fs::write(
        &hba,
        "# The folder of the socket is private: who reaches it may enter.\nlocal all all trust\n",
    )
    .map_err(failed("write", &hba))?;
    fs::rename(&unfinished, &place.data).map_err(failed("rename", &unfinished))
}

/// Removes what earlier starts did not finish, as far as nothing writes to it still.
pub(super) fn remove_unfinished(home: &Path) {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            debug!("cannot remove {}: {error}", entry.path().display());
        }
    }
}

/// Starts the server, or takes over the one that runs, and waits until it answers.
pub(super) async fn launch(
    place: &Place,
    binaries: &Binaries,
    shutdown: &CancellationToken,
) -> Result<Server, EmbeddedError> {
    let deadline = Instant::now() + TRANSITION;
    loop {
        if let Some(found) = Postmaster::read(&place.data) {
            if found.is_alive(&place.data) {
                let sockets = found.sockets.as_deref().unwrap_or(&place.sockets);
                if answers(sockets, PORT, MAINTENANCE).await.is_up() && sockets == place.sockets {
                    info!(
                        "taking over the postgres that still runs (process {})",
                        found.pid
                    );
                    return Ok(Server::Adopted(found));
                }
                // It starts, stops or recovers.
                if Instant::now() > deadline {
                    return Err(EmbeddedError::Stuck {
                        pid: found.pid,
                        log: place.log.clone(),
                    });
                }
                pause(shutdown).await?;
                continue;
            }
            // Postgres itself would not start if another program has got that number since. Processes of the dead
            // server that still use the data are told by its shared memory, not by this file.
            let file = Postmaster::file(&place.data);
            debug!("removing {} of a server that is gone", file.display());
            let _ = fs::remove_file(file);
        }
        let logged = logged(&place.log);
        match spawn(place, binaries, shutdown).await? {
            Ok(child) => return Ok(Server::Child(child)),
            Err(_) if still_in_use(&place.log, logged) && Instant::now() < deadline => {
                pause(shutdown).await?
            }
            Err(_) if says_full(&said_since(&place.log, logged)) => {
                return Err(EmbeddedError::NoRoom {
                    disk: disk_of(&place.data),
                    log: place.log.clone(),
                });
            }
            Err(status) => {
                let output = format!("{status}; {}", log_tail(&place.log));
                return Err(EmbeddedError::Program {
                    program: "postgres",
                    output,
                });
            }
        }
    }
}

/// A server that answers, or the status with which it ended before it did.
async fn spawn(
    place: &Place,
    binaries: &Binaries,
    shutdown: &CancellationToken,
) -> Result<Result<Child, ExitStatus>, EmbeddedError> {
    if fs::metadata(&place.log).is_ok_and(|log| log.len() > LOG_MAX_BYTES) {
        let old = place.log.with_extension("log.old");
        fs::rename(&place.log, &old).map_err(failed("rename", &place.log))?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let log = options
        .open(&place.log)
        .map_err(failed("open", &place.log))?;
    let again = log.try_clone().map_err(failed("open", &place.log))?;
    let mut command = command(place, binaries, "postgres");
    command
        .arg("-D")
        .arg(&place.data)
        .args(["-c", "listen_addresses=", "-c"]);
    command.arg(format!("port={PORT}"));
    let sockets = place.sockets.display().to_string().replace('"', "\"\"");
    command
        .arg("-c")
        .arg(format!("unix_socket_directories=\"{sockets}\""));
    command.args([
        "-c",
        "unix_socket_permissions=0700",
        "-c",
        "cluster_name=postroad",
    ]);
    command.args([
        "-c",
        "logging_collector=off",
        "-c",
        "log_destination=stderr",
    ]);
    let command = command.stdin(Stdio::null()).stdout(log).stderr(again);
    let mut child = command
        .spawn()
        .map_err(failed("run", &binaries.program("postgres")))?;
    loop {
        if answers(&place.sockets, PORT, MAINTENANCE).await.is_up() {
            return Ok(Ok(child));
        }
        if let Some(status) = child.try_wait().map_err(failed("wait for", &place.data))? {
            return Ok(Err(status));
        }
        if let Err(interrupted) = pause(shutdown).await {
            stop(place, binaries, Server::Child(child)).await?;
            return Err(interrupted);
        }
    }
}

async fn pause(shutdown: &CancellationToken) -> Result<(), EmbeddedError> {
    tokio::select! {
        () = sleep(Duration::from_millis(50)) => Ok(()),
        () = shutdown.cancelled() => Err(EmbeddedError::Interrupted),
    }
}

/// Stops the server: cleanly, else at once.
pub(super) async fn stop(
    place: &Place,
    binaries: &Binaries,
    mut server: Server,
) -> Result<(), EmbeddedError> {
    for mode in ["fast", "immediate"] {
        let deadline = Instant::now() + TRANSITION;
        while Instant::now() < deadline {
            let mut pg_ctl = command(place, binaries, "pg_ctl");
            pg_ctl.args(["stop", "--wait", "--timeout=60", "--mode", mode, "-D"]);
            pg_ctl.arg(&place.data);
            // A server that was killed may be a zombie, for which pg_ctl would wait.
            tokio::select! {
                biased;
                _ = server.ended(&place.data) => return Ok(()),
                _ = output(pg_ctl, "pg_ctl") => {}
            }
            // It cannot stop one so young that it has not written its number yet.
            let ended = server.ended(&place.data);
            if timeout(Duration::from_millis(100), ended).await.is_ok() {
                return Ok(());
            }
        }
    }
    Err(EmbeddedError::Stuck {
        pid: server.pid(),
        log: place.log.clone(),
    })
}

/// One of Postgres's programs.
fn command(place: &Place, binaries: &Binaries, program: &str) -> Command {
    let mut command = command_as(place, &binaries.program(program));
    command.kill_on_drop(program != "postgres");
    command
}

/// A program, as the server's user, deaf to the terminal's Ctrl-C.
pub(super) fn command_as(place: &Place, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.process_group(0).current_dir(&place.home);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    if let Some(user) = place.user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

async fn output(mut command: Command, program: &'static str) -> Result<(), EmbeddedError> {
    let path = PathBuf::from(command.as_std().get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(failed("run", &path))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let output = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(EmbeddedError::Program { program, output })
}

#[derive(PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    /// The server is up, but not the database.
    NoDatabase,
    No,
}

impl Answer {
    pub(super) fn is_up(&self) -> bool {
        *self != Self::No
    }
}

/// Whether a server answers on the socket, asked for `database`.
pub(super) async fn answers(sockets: &Path, port: u16, database: &str) -> Answer {
    let mut config = tokio_postgres::Config::new();
    config
        .host_path(sockets)
        .port(port)
        .user(NAME)
        .dbname(database);
    config.connect_timeout(Duration::from_secs(2));
    match config.connect(tokio_postgres::NoTls).await {
        Ok((client, connection)) => {
            // With a goodbye, so that the server does not log a lost connection.
            drop(client);
            let _ = connection.await;
            Answer::Yes
        }
        Err(error) => match error.code() {
            Some(&SqlState::INVALID_CATALOG_NAME) => Answer::NoDatabase,
            _ => Answer::No,
        },
    }
}

/// Whether a start failed because processes of the server before it have not ended yet; `logged` bytes were in the log
/// before it. Those processes may write to it as well, so the last lines are not enough.
fn still_in_use(log: &Path, logged: u64) -> bool {
    let text = said_since(log, logged);
    text.contains("still in use") || text.contains("already exists")
}

/// How long the log is.
pub(super) fn logged(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |log| log.len())
}

/// What came into the log since it was so long; of much, the end.
pub(super) fn said_since(log: &Path, logged: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        let end = length.saturating_sub(SAID_MAX_BYTES);
        // One that is shorter now was put aside, and is all new.
        let from = if length >= logged { logged } else { 0 };
        file.seek(SeekFrom::Start(from.max(end)))?;
        let mut bytes = Vec::new();
        file.take(SAID_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// The last lines of the server's log.
pub(super) fn log_tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(1000)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<_> = text.lines().rev().take(3).collect();
        Ok(lines.into_iter().rev().collect::<Vec<_>>().join(" "))
    };
    read().unwrap_or_else(|error| format!("{} cannot be read: {error}", log.display()))
}
