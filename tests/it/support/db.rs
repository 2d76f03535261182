//! A private Postgres for the test run, and in it a database for each test: a clone of one that was migrated once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use postroad::db::Database;
use postroad::db::migrate::migrate;
use postroad::embedded::Embedded;
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::process::{Directory, signal};
use super::wait::until;

/// The database that the others are cloned from.
const TEMPLATE: &str = "postroad";

/// A test's own database.
pub(crate) struct TestDb {
    /// Its URL.
    pub(crate) url: String,
    /// As the product reaches it.
    pub(crate) database: Database,
    /// A connection of its owner, a superuser.
    pub(crate) client: Client,
}

impl TestDb {
    /// Clones the template.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let cluster = cluster()?;
        let name = format!("t_{}", Uuid::now_v7().simple());
        let admin = Database::new(&cluster.url("postgres"), "test")?
            .connect()
            .await?;
        // Two clones at a time would disturb each other: the template may have no connection.
        let statement =
            format!("select pg_advisory_lock(1); create database {name} template {TEMPLATE}");
        for part in statement.split("; ") {
            admin.batch_execute(part).await?;
        }
        admin.batch_execute("select pg_advisory_unlock(1)").await?;
        let url = cluster.url(&name);
        let database = Database::new(&url, "test")?;
        let client = database.connect().await?;
        Ok(Self {
            url,
            database,
            client,
        })
    }

    /// One on another server.
    pub(crate) async fn at(url: &str) -> anyhow::Result<Self> {
        let database = Database::new(url, "test")?;
        let client = database.connect().await?;
        Ok(Self {
            url: url.into(),
            database,
            client,
        })
    }

    /// The one of an `up` in this directory that writes what it prints to `up.out`, once it is up.
    pub(crate) async fn of_up(directory: &Directory) -> anyhow::Result<Self> {
        let url = format!(
            "postgresql:///postroad?host={}/.postroad/run&port=5432&user=postroad",
            directory.path.display()
        );
        let mut found = None;
        until("postroad is up", async || {
            if directory.read("up.out").contains("postroad is up") {
                found = Self::at(&url).await.ok();
            }
            Ok(found.is_some())
        })
        .await?;
        Ok(found.expect("a database"))
    }

    /// Connects again, once the server answers.
    pub(crate) async fn reconnect(&mut self) -> anyhow::Result<()> {
        let mut client = None;
        until("the server answers", async || {
            client = self.connect().await.ok();
            Ok(client.is_some())
        })
        .await?;
        self.client = client.context("a client")?;
        Ok(())
    }

    /// Another connection of the owner.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        Ok(self.database.connect().await?)
    }

    /// Enqueues mails to `count` recipients in one transaction, and returns their ids. `arguments` are further ones of
    /// `postroad.enqueue`, such as `message_type => 'campaign'`.
    pub(crate) async fn enqueue(&self, count: i32, arguments: &str) -> anyhow::Result<Vec<Uuid>> {
        let comma = if arguments.is_empty() { "" } else { ", " };
        let statement = format!(
            "select (postroad.enqueue('email', 'user' || n || '@example.org', body => 'x'{comma}{arguments})).message_id
             from generate_series(0, $1 - 1) as n"
        );
        let rows = self.client.query(&statement, &[&count]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The only value that a query gives.
    pub(crate) async fn value<T>(&self, query: &str) -> anyhow::Result<T>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        Ok(self.client.query_one(query, &[]).await?.try_get(0)?)
    }

    /// Waits until a condition, an expression of SQL, holds.
    pub(crate) async fn wait_until(&self, condition: &str) -> anyhow::Result<Duration> {
        let query = format!("select {condition}");
        let waited = until(condition, async || self.value(&query).await).await;
        if waited.is_err() {
            let places = "select concat_ws(' ', (select count(*) from postroad.message_queue), 'queued',
                (select count(*) from postroad.scheduled), 'scheduled', (select count(*) from postroad.leases), 'leases',
                (select string_agg(distinct event_type || ':' || coalesce(reason, ''), ' ') from postroad.delivery_events))";
            eprintln!("{}", self.value::<String>(places).await?);
        }
        waited
    }

    /// The statuses of messages, and how many have each.
    pub(crate) async fn statuses(&self, ids: &[Uuid]) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut statuses = BTreeMap::new();
        for id in ids {
            *statuses.entry(self.status(*id).await?).or_default() += 1;
        }
        Ok(statuses)
    }

    /// The status of a message.
    pub(crate) async fn status(&self, id: impl std::fmt::Display) -> anyhow::Result<String> {
        self.value(&format!("select status from postroad.status('{id}')"))
            .await
    }

    /// Waits until nothing is queued, scheduled or in a lease.
    pub(crate) async fn wait_until_idle(&self) -> anyhow::Result<Duration> {
        self.wait_until(
            "not exists (select from postroad.message_queue) and not exists (select from postroad.scheduled) \
             and not exists (select from postroad.leases)",
        )
        .await
    }

    /// A connection that may do what `role` may do.
    pub(crate) async fn connect_as(&self, role: &str) -> anyhow::Result<Client> {
        let client = self.connect().await?;
        client.batch_execute(&format!("set role {role}")).await?;
        Ok(client)
    }
}

/// The URL of an empty database, which nobody migrated.
pub(crate) async fn empty_database() -> anyhow::Result<String> {
    let cluster = cluster()?;
    let name = format!("e_{}", Uuid::now_v7().simple());
    let admin = Database::new(&cluster.url("postgres"), "test")?
        .connect()
        .await?;
    admin
        .batch_execute(&format!("create database {name} template template0"))
        .await?;
    Ok(cluster.url(&name))
}

/// A server of a test's own, with durable settings, which is started again when it ends.
pub(crate) struct PrivateServer {
    root: PathBuf,
    /// Its migrated database.
    pub(crate) url: String,
    _supervisor: JoinSet<()>,
    _reaper: Child,
}

impl PrivateServer {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let id = Uuid::now_v7().simple().to_string();
        let root = std::env::temp_dir().join(format!("postroad-db-{}", &id[16..]));
        let reaper = reaper(&root)?;
        let never = CancellationToken::new();
        let mut embedded = Embedded::start(&root, &never).await?;
        let url = embedded.url();
        migrate(&Database::new(&url, "test")?).await?;
        let mut supervisor = JoinSet::new();
        supervisor.spawn(async move {
            let ended = embedded.supervise(&never).await;
            ended.expect("postgres starts again");
        });
        Ok(Self {
            root,
            url,
            _supervisor: supervisor,
            _reaper: reaper,
        })
    }

    /// Ends it as `pg_ctl stop --mode immediate` does: no checkpoint, no goodbye to clients.
    pub(crate) fn crash(&self) -> anyhow::Result<()> {
        let file = std::fs::read_to_string(self.root.join("pgdata/postmaster.pid"))?;
        let pid = file.lines().next().context("a process id")?;
        anyhow::ensure!(signal(pid, "-QUIT"), "no server to crash");
        Ok(())
    }
}

struct Cluster {
    /// Of the template.
    url: String,
    /// Stops the server and removes its files when this process ends, however it ends: its input is closed then.
    _reaper: Child,
}

impl Cluster {
    fn url(&self, database: &str) -> String {
        self.url
            .replacen(&format!("/{TEMPLATE}?"), &format!("/{database}?"), 1)
    }
}

fn cluster() -> anyhow::Result<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    CLUSTER
        .get_or_init(|| start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("no Postgres for the tests: {error}"))
}

/// Starts the server on a thread whose runtime stays for as long as the process.
fn start() -> anyhow::Result<Cluster> {
    let id = Uuid::now_v7().simple().to_string();
    let root = std::env::temp_dir().join(format!("postroad-db-{}", &id[16..]));
    let reaper = reaper(&root)?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let started = serve(root).await;
            let _ = sender.send(
                started
                    .as_ref()
                    .map(Embedded::url)
                    .map_err(|error| format!("{error:#}")),
            );
            std::future::pending::<()>().await;
        });
    });
    let url = receiver.recv()?.map_err(anyhow::Error::msg)?;
    Ok(Cluster {
        url,
        _reaper: reaper,
    })
}

async fn serve(root: PathBuf) -> anyhow::Result<Embedded> {
    let never = CancellationToken::new();
    let embedded = Embedded::start(&root, &never).await?;
    let settings = [
        "fsync = off",
        "full_page_writes = off",
        "max_prepared_transactions = 8",
        "max_connections = 300",
        "autovacuum = off",
    ];
    let database = Database::new(&embedded.url(), "test")?;
    let client = database.connect().await?;
    for setting in settings {
        client
            .batch_execute(&format!("alter system set {setting}"))
            .await?;
    }
    drop(client);
    embedded.stop().await?;
    let embedded = Embedded::start(&root, &never).await?;
    let database = Database::new(&embedded.url(), "test")?;
    migrate(&database)
        .await
        .context("cannot migrate the template")?;
    Ok(embedded)
}

fn reaper(root: &std::path::Path) -> anyhow::Result<Child> {
    let script = r#"cat >/dev/null; [ -e "$0/pgdata/postmaster.pid" ] && kill -QUIT "$(head -n 1 "$0/pgdata/postmaster.pid")"; rm -rf "$0""#;
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the reaper of the test database")
}
