//! A private Postgres for the test run, and in it a database for each test: a clone of one that was migrated once.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;

use anyhow::Context as _;
use postroad::db::Database;
use postroad::db::migrate::migrate;
use postroad::embedded::Embedded;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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

    /// Another connection of the owner.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        Ok(self.database.connect().await?)
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
