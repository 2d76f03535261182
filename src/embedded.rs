//! The private Postgres of `postroad up`, under `.postroad/`, from the machine's own binaries.
//!
//! It listens on a Unix socket in a folder that only its owner can enter, and on no network: so there is no password
//! to keep and no port to find. It keeps its data when Postroad or Postgres is killed, and a server that outlived its
//! Postroad is taken over.

mod binaries;
mod launch;
mod place;
mod postmaster;
mod room;

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use binaries::{Binaries, OLDEST_MAJOR};
use launch::{
    Answer, Server, answers, initdb, launch, log_tail, logged, remove_unfinished, said_since, stop,
};
use place::{PORT, Place};
use postmaster::Postmaster;
use room::{Room, is_full, says_full};

use crate::db::operate;
use crate::db::pool::Database;

/// The folder of everything that `up` keeps, in the working directory.
pub const FOLDER: &str = ".postroad";

/// The database, and the user that owns it.
const NAME: &str = "postroad";

/// The database that is always there.
const MAINTENANCE: &str = "postgres";

/// How long a server that is neither up nor gone is waited for.
const TRANSITION: Duration = Duration::from_secs(60);

/// A server that ends so often in [`UNSTABLE_WITHIN`] is not started again.
const UNSTABLE_STARTS: usize = 5;
const UNSTABLE_WITHIN: Duration = Duration::from_secs(60);

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No fitting programs on this machine.
    #[error(
        "no PostgreSQL {wanted} found on this machine (looked in PATH, pg_config and the usual places); install it \
         (Debian, Ubuntu: apt install {package}; Fedora: dnf install postgresql-server; macOS: brew install \
         postgresql@17), or set DATABASE_URL to use a database that is there"
    )]
    NoBinaries {
        /// The version.
        wanted: String,
        /// The package that Debian has it in.
        package: String,
    },
    /// Another `up` works in this directory.
    #[error(
        "postroad up is already running in this directory (process {pid}); `postroad psql` connects to it"
    )]
    AlreadyRunning {
        /// Its process id, as it wrote it.
        pid: String,
    },
    /// We are root, as whom Postgres refuses to run, and there is nobody else.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither a user postgres nor nobody"
    )]
    NoUser,
    /// Something under our name in the temporary folder belongs to someone else.
    #[error(
        "{path} belongs to another user; remove it, or work in a directory with a shorter path"
    )]
    NotOurs {
        /// What is there.
        path: PathBuf,
    },
    /// A file or a process could not be used.
    #[error("cannot {what} {path}")]
    Io {
        /// The verb.
        what: &'static str,
        /// The file or the program.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program of Postgres failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it said last.
        output: String,
    },
    /// A server that neither answers nor ends.
    #[error("postgres (process {pid}) does not answer; see {log}")]
    Stuck {
        /// Its process id.
        pid: u32,
        /// Its log.
        log: PathBuf,
    },
    /// Postgres cannot start since the disk is full.
    #[error(
        "the disk at {disk} is full, and postgres cannot start (see {log}); make room there, and start again"
    )]
    NoRoom {
        /// Where the file system is mounted.
        disk: PathBuf,
        /// Postgres's log.
        log: PathBuf,
    },
    /// The shutdown signal came first.
    #[error("interrupted")]
    Interrupted,
}

/// For `map_err`: what was tried on which path.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.to_owned();
    move |source| EmbeddedError::Io { what, path, source }
}

/// A private Postgres that is up.
pub struct Embedded {
    place: Place,
    binaries: Binaries,
    server: Server,
    /// Held as long as we run, also by a process that is killed no longer.
    _lock: File,
}

impl Embedded {
    /// Makes the data when there is none, and starts the server or takes over the one that still runs.
    ///
    /// # Errors
    ///
    /// Any of [`EmbeddedError`]; what was begun is taken up by the next start.
    pub async fn start(root: &Path, shutdown: &CancellationToken) -> Result<Self, EmbeddedError> {
        make_folder(root)?;
        let lock = lock(&root.join("lock"))?;
        let place = Place::prepare(root)?;
        if !place
            .home
            .starts_with(root.canonicalize().map_err(failed("find", root))?)
        {
            info!(
                "the data is in {}, linked from {}",
                place.data.display(),
                root.join("pgdata").display()
            );
        }
        remove_unfinished(&place.home);
        let binaries = Binaries::find(data_version(&place.data)?)?;
        if !place.data.exists() {
            info!(
                "making a private PostgreSQL {} in {}",
                binaries.version.0,
                place.data.display()
            );
            tokio::select! {
                made = initdb(&place, &binaries) => made?,
                () = shutdown.cancelled() => return Err(EmbeddedError::Interrupted),
            }
        }
        let server = launch(&place, &binaries, shutdown).await?;
        let embedded = Self {
            place,
            binaries,
            server,
            _lock: lock,
        };
        embedded.ensure_database().await?;
        Ok(embedded)
    }

    /// How to connect: `postgresql:///postroad?host=…&user=postroad`.
    pub fn url(&self) -> String {
        url(&self.place.sockets, PORT, NAME)
    }

    /// The line that connects a `psql` that knows nothing of Postroad, whatever its environment says of another server.
    pub fn psql_line(&self) -> String {
        format!(
            "psql -h {} -p {PORT} -U {NAME} {NAME}",
            shell_quoted(&self.place.sockets.display().to_string())
        )
    }

    /// Version, data and log, for people.
    pub fn describe(&self) -> String {
        let (major, minor) = self.binaries.version;
        let (data, log) = (self.place.data.display(), self.place.log.display());
        format!("PostgreSQL {major}.{minor}, data in {data}, log in {log}")
    }

    /// Starts the server again when it ends, until `shutdown`. Where a full disk ended it, it waits for room.
    ///
    /// # Errors
    ///
    /// It ends again and again, or does not start.
    pub async fn supervise(&mut self, shutdown: &CancellationToken) -> Result<(), EmbeddedError> {
        let mut ends: Vec<Instant> = Vec::new();
        let mut room = Room::default();
        loop {
            let (started, log_bytes) = (Instant::now(), logged(&self.place.log));
            let status = tokio::select! {
                status = self.server.ended(&self.place.data) => status,
                () = shutdown.cancelled() => return Ok(()),
            };
            if started.elapsed() > UNSTABLE_WITHIN {
                room.reset();
            }
            warn!("postgres ended ({status}); starting it again");
            let said = said_since(&self.place.log, log_bytes);
            let mut has_no_room = is_full(&self.place).await || ends_full(&said);
            if !has_no_room {
                ends.retain(|end| end.elapsed() < UNSTABLE_WITHIN);
                ends.push(Instant::now());
                if ends.len() >= UNSTABLE_STARTS {
                    let output = log_tail(&self.place.log);
                    return Err(EmbeddedError::Program {
                        program: "postgres",
                        output,
                    });
                }
            }
            self.server = loop {
                if has_no_room && room.wait(&self.place, shutdown).await.is_err() {
                    return Ok(());
                }
                match launch(&self.place, &self.binaries, shutdown).await {
                    Err(EmbeddedError::Interrupted) => return Ok(()),
                    Err(EmbeddedError::NoRoom { .. }) => has_no_room = true,
                    launched => break launched?,
                }
            };
        }
    }

    /// Stops the server cleanly; connections that are left are closed.
    ///
    /// # Errors
    ///
    /// It did not stop; the next `up` takes it over.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        stop(&self.place, &self.binaries, self.server).await
    }

    async fn ensure_database(&self) -> Result<(), EmbeddedError> {
        if answers(&self.place.sockets, PORT, NAME).await != Answer::NoDatabase {
            return Ok(());
        }
        let refused = |error: crate::db::DbError| EmbeddedError::Program {
            program: "create database",
            output: error.to_string(),
        };
        let other = url(&self.place.sockets, PORT, MAINTENANCE);
        let other = Database::new(&other, "postroad up").map_err(refused)?;
        operate::create_database(&other, NAME)
            .await
            .map_err(refused)
    }
}

/// Whether the server ended for want of room: an error of a statement that found none is no end.
fn ends_full(said: &str) -> bool {
    said.lines()
        .any(|line| (line.contains("PANIC:") || line.contains("FATAL:")) && says_full(line))
}

/// The URL of the private Postgres that runs under `root` now, if one does.
pub async fn running_url(root: &Path) -> Option<String> {
    let data = root.join("pgdata").canonicalize().ok()?;
    let postmaster = Postmaster::read(&data)?;
    let sockets = postmaster.sockets?;
    let answer = answers(&sockets, postmaster.port, NAME).await;
    (answer == Answer::Yes).then(|| url(&sockets, postmaster.port, NAME))
}

/// Makes `root`, which others cannot look into; they may pass when we are root, for the server's user must.
///
/// # Errors
///
/// [`EmbeddedError::Io`]; also when it belongs to another user.
pub fn make_folder(root: &Path) -> Result<(), EmbeddedError> {
    fs::create_dir_all(root).map_err(failed("make", root))?;
    let mode = if place::is_root()? { 0o711 } else { 0o700 };
    fs::set_permissions(root, Permissions::from_mode(mode)).map_err(failed("own", root))?;
    let ignore = root.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(failed("write", &ignore))?;
    }
    Ok(())
}

/// Takes the lock of `up`, which the kernel drops with the process, however that ends.
fn lock(path: &Path) -> Result<File, EmbeddedError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = options.open(path).map_err(failed("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(EmbeddedError::AlreadyRunning {
                pid: pid.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
    }
    file.set_len(0).map_err(failed("write", path))?;
    writeln!(file, "{}", std::process::id()).map_err(failed("write", path))?;
    Ok(file)
}

/// The major version of the data that is there.
fn data_version(data: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

fn url(sockets: &Path, port: u16, database: &str) -> String {
    let mut host = String::new();
    for byte in sockets.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                host.push(char::from(*byte))
            }
            _ => host.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("postgresql:///{database}?host={host}&port={port}&user={NAME}")
}

fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    match text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project's path may hold anything that a folder's name may.
    #[test]
    fn the_url_and_the_psql_line_stand_odd_paths() {
        let url = url(Path::new("/a b/ü&/run"), PORT, NAME);
        assert_eq!(
            url,
            "postgresql:///postroad?host=/a%20b/%C3%BC%26/run&port=5432&user=postroad"
        );
        let config: tokio_postgres::Config = url.parse().unwrap();
        let host = tokio_postgres::config::Host::Unix("/a b/ü&/run".into());
        assert_eq!(config.get_hosts(), [host]);
        assert_eq!(shell_quoted("/a/b-c_1.x"), "/a/b-c_1.x");
        assert_eq!(shell_quoted("/it's"), r"'/it'\''s'");
    }
}
