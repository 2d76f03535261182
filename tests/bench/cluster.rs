//! The bench's own Postgres, and a database for each subject: a clone of one that the product migrated.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use postroad::db::Database;
use postroad::db::migrate::migrate;
use postroad::embedded::{Binaries, Embedded};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Durable, and large enough that no checkpoint falls into a round.
const SETTINGS: [&str; 8] = [
    "fsync = on",
    "synchronous_commit = on",
    "full_page_writes = on",
    "shared_buffers = '2GB'",
    "max_wal_size = '8GB'",
    "checkpoint_timeout = '15min'",
    "wal_keep_size = '2GB'",
    "max_connections = 100",
];

/// The database that is cloned.
const TEMPLATE: &str = "postroad";

/// No statement of the bench itself takes longer.
const STATEMENT_LIMIT: &str = "statement_timeout=600000";

/// A Postgres of our own.
pub(crate) struct Cluster {
    embedded: Embedded,
    binaries: Binaries,
    /// Everything is in here; gone when the bench ends, however it ends.
    pub(crate) root: PathBuf,
    _reaper: Child,
}

/// A subject's database.
pub(crate) struct Db {
    pub(crate) url: String,
    pub(crate) database: Database,
    pub(crate) client: Client,
}

impl Cluster {
    /// Starts it, with `more` settings beside ours.
    pub(crate) async fn start(more: &[(String, String)]) -> anyhow::Result<Self> {
        let id = Uuid::now_v7().simple().to_string();
        let root = env::temp_dir().join(format!("postroad-bench-{}", &id[20..]));
        let reaper = reaper(&root)?;
        let never = CancellationToken::new();
        let embedded = Embedded::start(&root, &never).await?;
        let client = Database::new(&embedded.url(), "bench")?.connect().await?;
        for setting in SETTINGS {
            let statement = format!("alter system set {setting}");
            client.batch_execute(&statement).await?;
        }
        for (name, value) in more {
            let statement = format!("alter system set {name} = '{value}'");
            client.batch_execute(&statement).await?;
        }
        drop(client);
        embedded.stop().await?;
        let embedded = Embedded::start(&root, &never).await?;
        let database = Database::new(&embedded.url(), "bench")?;
        migrate(&database).await.context("cannot migrate")?;
        let binaries = Binaries::find(None)?;
        Ok(Self {
            embedded,
            binaries,
            root,
            _reaper: reaper,
        })
    }

    /// A migrated database that nobody has used, with the bench's own tables. It is the only one: those of the
    /// subjects before are dropped.
    pub(crate) async fn fresh(&self, name: &str) -> anyhow::Result<Db> {
        let admin = Database::new(&self.url("postgres"), "bench")?
            .connect()
            .await?;
        let old = "select datname from pg_database where datname like 'bench\\_%'";
        for row in admin.query(old, &[]).await? {
            let statement = format!("drop database {} with (force)", row.get::<_, &str>(0));
            admin.batch_execute(&statement).await?;
        }
        let name = format!("bench_{name}");
        admin
            .batch_execute(&format!("create database {name} template {TEMPLATE}"))
            .await?;
        let url = self.url(&name);
        let database = Database::new(&url, "bench")?.with_setting(STATEMENT_LIMIT);
        let client = database.connect().await?;
        client
            .batch_execute(
                "create schema bench;
                 create table bench.equal_row (id uuid primary key, body text) with (autovacuum_enabled = off);
                 create unlogged table bench.recipients (address text, id bigint, data jsonb)
                   with (autovacuum_enabled = off);
                 create table bench.other (n integer);",
            )
            .await?;
        Ok(Db {
            url,
            database,
            client,
        })
    }

    pub(crate) fn url(&self, database: &str) -> String {
        let from = format!("/{TEMPLATE}?");
        self.embedded
            .url()
            .replacen(&from, &format!("/{database}?"), 1)
    }

    /// A program of the server's version. Some systems link only a few of them into the usual folders.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let beside = self.binaries.program(name);
        let real = self.binaries.program("postgres").canonicalize()?;
        let folders = [beside, real.with_file_name(name)];
        let found = folders.into_iter().find(|path| path.is_file());
        found.with_context(|| {
            let folder = self.binaries.folder.display();
            format!("no {name} in {folder}; install it (Debian: apt install postgresql-contrib)")
        })
    }

    /// The folder of the write-ahead log.
    pub(crate) fn wal_folder(&self) -> PathBuf {
        self.root.join("pgdata/pg_wal")
    }

    /// Notes a process that must not outlive us.
    pub(crate) fn note_process(&self, pid: u32) -> anyhow::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(pids(&self.root))?;
        Ok(writeln!(file, "{pid}")?)
    }

    /// The processes that were noted have ended.
    pub(crate) fn forget_processes(&self) {
        let _ = fs::remove_file(pids(&self.root));
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.embedded.stop().await?)
    }
}

impl Db {
    /// Another connection.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        Ok(self.database.connect().await?)
    }

    /// A number that a query returns.
    pub(crate) async fn number(&self, query: &str) -> anyhow::Result<i64> {
        let row = self.client.query_one(query, &[]).await;
        Ok(row.with_context(|| query.to_owned())?.try_get(0)?)
    }

    /// Puts the round on the same ground as the others: nothing of the one before is left to be written.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        Ok(self.client.batch_execute("checkpoint").await?)
    }
}

fn pids(root: &Path) -> PathBuf {
    root.join("processes")
}

/// Ends what was started and removes the files when this process ends, however it ends: its input is closed then.
fn reaper(root: &Path) -> anyhow::Result<Child> {
    let script = r#"cat >/dev/null
        [ -e "$0/processes" ] && kill -KILL $(cat "$0/processes")
        [ -e "$0/pgdata/postmaster.pid" ] && kill -QUIT "$(head -n 1 "$0/pgdata/postmaster.pid")" && sleep 1
        rm -rf "$0""#;
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(root)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the process that cleans up")
}
