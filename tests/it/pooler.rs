//! Behind PgBouncer, which many services reach their Postgres through.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use anyhow::Context as _;
use postroad::db::Database;
use postroad::db::migrate::{check_schema, migrate};

use crate::support::db::TestDb;
use crate::support::process::Directory;
use crate::support::sql::Sql as _;
use crate::support::wait::until;

/// One of a test's own; ended when dropped.
struct Bouncer {
    child: Child,
    directory: Directory,
    name: String,
}

impl Bouncer {
    async fn start(db: &TestDb, pool_mode: &str) -> anyhow::Result<Self> {
        let at = "select current_database() || ' ' || trim('\"' from current_setting('unix_socket_directories')) || ' ' || current_setting('port') || ' ' || current_user";
        let at = db.client.row(at).await?;
        let [name, sockets, port, user] = at.split(' ').collect::<Vec<_>>()[..] else {
            anyhow::bail!("the server is at {at}")
        };
        let directory = Directory::new()?;
        fs::set_permissions(&directory.path, fs::Permissions::from_mode(0o777))?;
        let settings = format!(
            "[databases]\n{name} = host={sockets} port={port} user={user}\n\
             [pgbouncer]\nunix_socket_dir = {}\nlisten_port = 6432\nauth_type = any\npool_mode = {pool_mode}\n\
             ignore_startup_parameters = extra_float_digits,options\n",
            directory.path.display()
        );
        directory.write("pgbouncer.ini", &settings)?;
        let mut command = Command::new("pgbouncer");
        if fs::metadata("/proc/self")?.uid() == 0 {
            // It does not run as root; as who may reach the server.
            let owner = fs::metadata(sockets)?.uid().to_string();
            let owner = Command::new("id").args(["-nu", &owner]).output()?.stdout;
            command.args(["-u", String::from_utf8(owner)?.trim()]);
        }
        let sbin = "/usr/sbin:/usr/local/sbin:";
        let path = format!("{sbin}{}", env::var("PATH").unwrap_or_default());
        let child = command
            .arg(directory.path.join("pgbouncer.ini"))
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("pgbouncer is missing; ./scripts/test installs it (Debian: pgbouncer)")?;
        let bouncer = Self {
            child,
            directory,
            name: name.to_owned(),
        };
        let socket = bouncer.directory.path.join(".s.PGSQL.6432");
        until("pgbouncer listens", async || Ok(socket.exists())).await?;
        Ok(bouncer)
    }

    fn url(&self) -> String {
        format!(
            "postgres:///{}?host={}&port=6432&user=postroad",
            self.name,
            self.directory.path.display()
        )
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Locks by which the dead are told from the living, and notifications, are a session's: behind a pooler of transactions they would be anybody's.
#[tokio::test]
async fn processes_of_ours_refuse_a_pooler_of_transactions_and_not_one_of_sessions()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bouncer = Bouncer::start(&db, "transaction").await?;
    let database = Database::new(&bouncer.url(), "test")?;
    for refused in [
        check_schema(&database).await,
        migrate(&database).await.map(drop),
    ] {
        let error = refused.expect_err("refused").to_string();
        assert!(error.contains("pool_mode = session"), "{error}");
    }
    let bouncer = Bouncer::start(&db, "session").await?;
    let database = Database::new(&bouncer.url(), "test")?;
    migrate(&database).await?;
    Ok(check_schema(&database).await?)
}

/// A service keeps the pooler that it has.
#[tokio::test]
async fn a_service_enqueues_through_a_pooler_of_transactions() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bouncer = Bouncer::start(&db, "transaction").await?;
    let (service, connection) = Database::new(&bouncer.url(), "test")?.connect_raw().await?;
    tokio::spawn(connection);
    let mut statuses = Vec::new();
    for statement in [
        "begin",
        "select status from postroad.enqueue('email', 'ada@example.org', body => 'x')",
        "rollback",
        "select status from postroad.enqueue('email', 'ada@example.org', body => 'x')",
        "select queued from postroad.enqueue_bulk('email', '[\"a@x.org\", \"b@x.org\"]', body => 'x')",
    ] {
        for answer in service.simple_query(statement).await? {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = answer {
                statuses.push(row.get(0).unwrap_or_default().to_owned());
            }
        }
    }
    assert_eq!(statuses, ["queued", "queued", "2"]);
    let held = "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(
        db.client.row(held).await?,
        "0",
        "nothing is left in a session"
    );
    assert_eq!(db.claim(4, 10).await?.1.len(), 1);
    Ok(())
}
