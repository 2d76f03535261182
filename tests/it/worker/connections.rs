//! Postgres goes away under load, or only its connections: workers come back by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use tokio_postgres::Client;
use uuid::Uuid;

use super::*;
use crate::support::db::PrivateServer;
use crate::support::proxy::Proxy;
use crate::support::smtp_sink::{Answer, SmtpSink, Stage};
use crate::support::sql::Sql as _;
use crate::support::wait::until;

/// All connections of our processes.
const TERMINATE: &str = "select count(pg_terminate_backend(a.pid)) from pg_stat_activity as a
    where a.datname = current_database() and a.application_name = 'postroad'";

impl Site {
    /// The messages that are recorded as sent.
    pub(super) async fn recorded(&self) -> anyhow::Result<BTreeSet<Uuid>> {
        let query =
            "select distinct message_id from postroad.delivery_events where event_type = 'sent'";
        let rows = self.db.client.query(query, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// None is lost; a second send only of what may be resent, and of nothing that was recorded.
    pub(super) async fn check(
        &self,
        held: &[Uuid],
        resent: &[Uuid],
        recorded: &BTreeSet<Uuid>,
    ) -> anyhow::Result<()> {
        self.check_counts(&self.record.counts(), held, resent, recorded)
            .await
    }

    /// The same, by how often each was sent.
    async fn check_counts(
        &self,
        counts: &BTreeMap<Uuid, usize>,
        held: &[Uuid],
        resent: &[Uuid],
        recorded: &BTreeSet<Uuid>,
    ) -> anyhow::Result<()> {
        let statuses = self.db.statuses(resent).await?;
        assert_eq!(statuses.get("sent"), Some(&resent.len()), "{statuses:?}");
        let mut unknown = 0;
        for id in held {
            let status = self.db.status(*id).await?;
            unknown += usize::from(status == "unknown");
            assert!(["sent", "unknown"].contains(&status.as_str()), "{status}");
            assert!(
                counts.get(id) <= Some(&1),
                "sent twice though it is to be held"
            );
            assert!(
                status == "unknown" || counts.contains_key(id),
                "recorded, and never sent"
            );
        }
        for id in resent {
            assert!(counts.contains_key(id), "recorded, and never sent");
        }
        for id in recorded {
            assert_eq!(counts[id], 1, "sent again after it was recorded");
        }
        let twice = counts.values().filter(|count| **count > 1).count();
        eprintln!(
            "of {} sent twice: {twice}, unknown: {unknown}",
            held.len() + resent.len()
        );
        Ok(())
    }
}

/// A Postgres that crashes and recovers is the most ordinary failover there is.
#[tokio::test]
async fn postgres_crashing_under_load_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let server = PrivateServer::start().await?;
    let directory = Directory::new()?;
    let mut site = Site {
        db: TestDb::at(&server.url).await?,
        record: Record::new(&directory, "record"),
        directory,
    };
    let config = site.record.stub("stub", "latency = \"20ms\"");
    let _one = site.node("one", &["run"], &config)?;
    let _two = site.worker("two", &config)?;
    site.registered(2).await?;
    let mut held = site.db.enqueue(400, "message_type => 'campaign'").await?;
    let mut resent = site.db.enqueue(400, "").await?;
    site.record.wait_for(200).await?;
    server.crash()?;
    site.db.reconnect().await?;
    let recorded = site.recorded().await?;
    held.extend(site.db.enqueue(50, "message_type => 'campaign'").await?);
    resent.extend(site.db.enqueue(50, "").await?);
    site.db.wait_until_idle().await?;
    site.check(&held, &resent, &recorded).await?;
    site.registered(2).await?;
    Ok(())
}

/// The same with all roles in both processes, and a relay that counts the mails.
#[tokio::test]
async fn postgres_crashing_under_load_loses_and_doubles_no_mail() -> anyhow::Result<()> {
    let server = PrivateServer::start().await?;
    let directory = Directory::new()?;
    let mut site = Site {
        db: TestDb::at(&server.url).await?,
        record: Record::new(&directory, "record"),
        directory,
    };
    let latency = Answer::Slow(Duration::from_millis(20));
    let sink = SmtpSink::start().on(Stage::Dot, latency).await?;
    let config = format!(
        "[gateways.smtp]\ntype = \"smtp\"\nurl = \"smtp://127.0.0.1:{}\"\nfrom = \"post@example.org\"\n",
        sink.port()
    );
    let _one = site.node("one", &["run"], &config)?;
    let _two = site.node("two", &["run"], &config)?;
    site.registered(2).await?;
    let mut held = site.db.enqueue(300, "message_type => 'campaign'").await?;
    let mut resent = site.db.enqueue(300, "").await?;
    for round in 1..=2 {
        let enough = round * 150;
        until("mails came", async || Ok(sink.mails().len() >= enough)).await?;
        server.crash()?;
        site.db.reconnect().await?;
        held.extend(site.db.enqueue(50, "message_type => 'campaign'").await?);
        resent.extend(site.db.enqueue(50, "").await?);
    }
    let recorded = site.recorded().await?;
    site.db.wait_until_idle().await?;
    let mut counts = BTreeMap::new();
    for mail in sink.mails() {
        let text = String::from_utf8_lossy(&mail.data).into_owned();
        let all = held.iter().chain(&resent);
        let named = all
            .copied()
            .find(|id| text.contains(&format!("Message-ID: <{id}@")));
        *counts.entry(named.context("whose mail?")?).or_default() += 1;
    }
    site.check_counts(&counts, &held, &resent, &recorded)
        .await?;
    site.registered(2).await?;
    Ok(())
}

/// A pooler's restart, a firewall, an impatient administrator: each kills connections and no process.
#[tokio::test]
async fn losing_all_connections_again_and_again_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let config = site.record.stub("stub", "latency = \"20ms\"");
    let worker = site.worker("worker", &config)?;
    site.registered(1).await?;
    let held = site.db.enqueue(300, "message_type => 'campaign'").await?;
    let resent = site.db.enqueue(300, "").await?;
    let admin: Client = site.db.connect().await?;
    let mut recorded = BTreeSet::new();
    for round in 1..=4 {
        site.record.wait_for(round * 100).await?;
        recorded.extend(site.recorded().await?);
        admin.query_one(TERMINATE, &[]).await?;
    }
    site.db.wait_until_idle().await?;
    site.check(&held, &resent, &recorded).await?;
    site.registered(1).await?;
    assert!(
        worker
            .log()
            .contains("could not be begun; it is tried again"),
        "{}",
        worker.log()
    );
    Ok(())
}

/// The server commits a claim whose client is gone. The worker lives, so nobody rescues the lease: it must look for it
/// itself, and not only at once.
#[tokio::test]
async fn a_claim_that_commits_after_its_connection_was_lost_is_given_back() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let sockets = site.directory.path.join("proxy");
    let proxy = Proxy::start(&site.db.url, sockets, "postroad.claim(")?;
    let gate = site.gate("insert", "leases").await?;
    let config = site.record.stub("stub", "");
    let _worker = Node::start(&site.directory, &proxy.url, "worker", &["worker"], &config)?;
    let ids = site.db.enqueue(5, "").await?;
    gate.reached(&site.db).await?;
    proxy.cut();
    site.db
        .wait_until(
            "exists (select from pg_stat_activity as a
             where a.datname = current_database() and a.query like '%postroad.release(%' and a.state = 'idle')",
        )
        .await?;
    gate.open().await?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.statuses(&ids).await?["sent"], 5);
    assert!(site.record.counts().values().all(|count| *count == 1));
    Ok(())
}

/// The defaults of a database are somebody's choice, and the queue is made for Postgres' own.
#[tokio::test]
async fn connections_have_their_own_settings_whatever_the_defaults_are() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let defaults = [
        ("default_transaction_isolation", "repeatable read"),
        ("row_security", "off"),
        ("standard_conforming_strings", "off"),
        ("datestyle", "German, DMY"),
        ("intervalstyle", "sql_standard"),
    ];
    for (name, value) in defaults {
        let alter = format!(
            "do $$ begin execute format('alter database %I set {name} = %L', current_database(), '{value}'); end $$"
        );
        db.client.batch_execute(&alter).await?;
    }
    let settings = "select current_setting('transaction_isolation'), current_setting('row_security'), current_setting('standard_conforming_strings'),
        current_setting('datestyle'), current_setting('intervalstyle')";
    let (plain, connection) = db.database.connect_raw().await?;
    tokio::spawn(connection);
    assert_eq!(
        plain.row(settings).await?,
        "repeatable read|off|off|German, DMY|sql_standard"
    );
    let ours = "read committed|on|on|ISO, DMY|postgres";
    assert_eq!(db.database.connect().await?.row(settings).await?, ours);
    assert_eq!(db.database.pool(1).get().await?.row(settings).await?, ours);
    Ok(())
}
