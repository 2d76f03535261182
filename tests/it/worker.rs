//! Workers as processes: what they send, and what becomes of it when they, Postgres or a gateway fail.

mod batches;
mod bulk;
mod clock_steps;
mod connections;
mod counters;
mod crashes;
mod failover;
mod frozen;
mod full_disk;
mod leases;
mod outcomes;
mod panics;
mod poison;
mod routes;
mod shutdown;
mod throttled;
mod traces;
mod upkeep;
mod wakes;

use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::node::{Node, Record};
use crate::support::process::Directory;

/// A test's own database, directory and record of sends.
struct Site {
    db: TestDb,
    directory: Directory,
    record: Record,
}

impl Site {
    async fn new() -> anyhow::Result<Self> {
        let directory = Directory::new()?;
        Ok(Self {
            db: TestDb::new().await?,
            record: Record::new(&directory, "record"),
            directory,
        })
    }

    /// A worker of all priorities.
    fn worker(&self, name: &str, config: &str) -> anyhow::Result<Node> {
        self.node(name, &["worker"], config)
    }

    /// A worker whose stub gateway records what it sends, and accepts at once.
    fn accepting(&self, name: &str) -> anyhow::Result<Node> {
        self.worker(name, &self.record.stub("stub", ""))
    }

    /// A process that rescues and promotes, and sends nothing.
    fn maintain(&self) -> anyhow::Result<Node> {
        self.node("maintain", &["maintain"], "")
    }

    fn node(&self, name: &str, arguments: &[&str], config: &str) -> anyhow::Result<Node> {
        Node::start(&self.directory, &self.db.url, name, arguments, config)
    }

    /// Waits until so many worker processes are registered.
    async fn registered(&self, count: usize) -> anyhow::Result<()> {
        let condition = format!("count(*) = {count} from postroad.worker_sessions");
        self.db.wait_until(&condition).await?;
        Ok(())
    }

    /// Makes each statement that does `event` (`insert`, `delete`) on a table wait for the test, within its transaction.
    async fn gate(&self, event: &str, table: &str) -> anyhow::Result<Gate> {
        let client = self.db.connect().await?;
        client
            .batch_execute(&format!(
                "select pg_advisory_lock(4242);
                 create function public.gate() returns trigger language plpgsql as $$
                 begin
                   perform pg_advisory_xact_lock_shared(4242);
                   return coalesce(new, old);
                 end $$;
                 create trigger gate before {event} on postroad.{table} for each row execute function public.gate()"
            ))
            .await?;
        Ok(Gate { client })
    }
}

/// See [`Site::gate`]. Open once it is dropped.
struct Gate {
    client: Client,
}

/// Who waits at a gate.
const AT_GATE: &str = "from pg_locks as l
    where l.locktype = 'advisory' and l.objid = 4242 and not l.granted
      and l.database = (select d.oid from pg_database as d where d.datname = current_database())";

impl Gate {
    /// Waits until somebody waits here.
    async fn reached(&self, db: &TestDb) -> anyhow::Result<()> {
        db.wait_until(&format!("count(*) > 0 {AT_GATE}")).await?;
        Ok(())
    }

    /// Lets all go on.
    async fn open(self) -> anyhow::Result<()> {
        self.client
            .batch_execute("select pg_advisory_unlock(4242)")
            .await?;
        Ok(())
    }

    /// Rolls back those who wait, by ending their sessions, and lets others pass.
    async fn abort(self, db: &TestDb) -> anyhow::Result<()> {
        self.client
            .batch_execute(&format!("select pg_terminate_backend(l.pid) {AT_GATE}"))
            .await?;
        db.wait_until(&format!("count(*) = 0 {AT_GATE}")).await?;
        self.open().await
    }
}
