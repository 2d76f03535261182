//! SQL as an operator would type it: a query in, its rows as text out.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use super::db::TestDb;

/// What Postgres raised.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Queries whose values are read as text; null is the word `null`.
pub(crate) trait Sql {
    /// Every row, its values separated by `|`.
    async fn rows(&self, query: &str) -> anyhow::Result<Vec<String>>;

    /// The only row.
    async fn row(&self, query: &str) -> anyhow::Result<String>;

    /// What a query that must fail raises.
    async fn raised(&self, query: &str) -> anyhow::Result<Raised>;
}

impl Sql for Client {
    async fn rows(&self, query: &str) -> anyhow::Result<Vec<String>> {
        let messages = self.simple_query(query).await.map_err(|error| {
            let shown = query.chars().take(300).collect::<String>();
            anyhow::Error::new(error).context(shown)
        })?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let texts = rows.map(|row| {
            let values: Vec<_> = (0..row.len())
                .map(|index| row.get(index).unwrap_or("null"))
                .collect();
            values.join("|")
        });
        Ok(texts.collect())
    }

    async fn row(&self, query: &str) -> anyhow::Result<String> {
        let mut rows = self.rows(query).await?;
        anyhow::ensure!(rows.len() == 1, "{} rows from: {query}", rows.len());
        Ok(rows.remove(0))
    }

    async fn raised(&self, query: &str) -> anyhow::Result<Raised> {
        let shown = query.chars().take(300).collect::<String>();
        let Err(error) = self.simple_query(query).await else {
            anyhow::bail!("did not fail: {shown}");
        };
        let Some(error) = error.as_db_error() else {
            return Err(anyhow::Error::new(error).context(shown));
        };
        Ok(Raised {
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().unwrap_or_default().to_owned(),
        })
    }
}

/// The worker that [`TestDb::claim`] claims for.
pub(crate) const WORKER: i64 = 7;

impl TestDb {
    /// Enqueues with these named arguments beside a channel and a body; returns the id.
    pub(crate) async fn enqueue_to(
        &self,
        recipient: &str,
        arguments: &str,
    ) -> anyhow::Result<String> {
        let separator = if arguments.is_empty() { "" } else { ", " };
        self.client
            .row(&format!(
                "select message_id from postroad.enqueue('email', '{recipient}', body => 'x'{separator}{arguments})"
            ))
            .await
    }

    /// Enqueues `count` messages of a priority in one statement, to `u1@example.org` and so on.
    pub(crate) async fn enqueue_many(&self, count: u32, priority: u8) -> anyhow::Result<()> {
        self.client
            .rows(&format!(
                "select count(e.message_id) from generate_series(1, {count}) as n, \
                 lateral postroad.enqueue('email', 'u' || n || '@example.org', body => 'x', priority => 'P{priority}') as e"
            ))
            .await?;
        Ok(())
    }

    /// Claims as [`WORKER`] would, which is registered first; returns the lease and `id|attempt|verdict|pause` of each.
    pub(crate) async fn claim(
        &self,
        priority: u8,
        count: u32,
    ) -> anyhow::Result<(String, Vec<String>)> {
        self.register(WORKER).await?;
        let lease = Uuid::now_v7().to_string();
        let query = claim_query(&lease, WORKER, priority, count);
        let claimed = self.client.rows(&query).await?;
        Ok((lease, claimed))
    }

    /// Registers a worker, unless it is.
    pub(crate) async fn register(&self, worker: i64) -> anyhow::Result<()> {
        self.client
            .rows(&format!(
                "select postroad.register_worker({worker}, 'host', 1, 'v', '{{0,1,2,3,4}}') \
                 where not exists (select from postroad.worker_sessions where worker_id = {worker})"
            ))
            .await?;
        Ok(())
    }

    /// Completes one message; `retry` is in seconds, or `null`.
    pub(crate) async fn complete(&self, outcome: &Outcome<'_>) -> anyhow::Result<()> {
        self.client.rows(&outcome.query()).await?;
        Ok(())
    }

    /// Waits until a backend waits for a lock.
    pub(crate) async fn waits(&self, pid: &str) -> anyhow::Result<()> {
        self.until(&format!(
            "select wait_event_type = 'Lock' from pg_stat_activity where pid = {pid}"
        ))
        .await
    }

    /// Waits until a query that has one row says true.
    pub(crate) async fn until(&self, query: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.client.row(query).await? != "t" {
            anyhow::ensure!(Instant::now() < deadline, "waited in vain until {query}");
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Records what a gateway reports, JSON objects with commas between; returns how many were new.
    pub(crate) async fn record(&self, gateway: &str, events: &str) -> anyhow::Result<String> {
        let events = events.replace('\'', "''");
        self.client
            .row(&format!(
                "select postroad.record_events('{gateway}', '[{events}]')"
            ))
            .await
    }

    /// Enqueues one message to somebody new, claims it and completes it so; returns its id and its lease.
    pub(crate) async fn ended(&self, event: &str) -> anyhow::Result<(String, String)> {
        let recipient = format!("ada-{}@example.org", Uuid::now_v7().simple());
        let id = self.enqueue_to(&recipient, "").await?;
        let (lease, claimed) = self.claim(4, 1).await?;
        anyhow::ensure!(
            claimed.len() == 1 && claimed[0].starts_with(&id),
            "{claimed:?}"
        );
        self.complete(&Outcome::new(&lease, &id, event)).await?;
        Ok((id, lease))
    }
}

/// `id|attempt|verdict|pause` of what a claim takes.
pub(crate) fn claim_query(lease: &str, worker: i64, priority: u8, count: u32) -> String {
    format!(
        "select message_id, attempt, verdict, pause_id from postroad.claim({priority}::smallint, '{lease}', {worker}, {count})"
    )
}

/// One outcome, as `complete` takes it.
pub(crate) struct Outcome<'a> {
    pub(crate) lease: &'a str,
    pub(crate) id: &'a str,
    pub(crate) event: &'a str,
    pub(crate) attempt: i16,
    pub(crate) reason: &'a str,
    /// Seconds, or `null`.
    pub(crate) retry: &'a str,
    pub(crate) counted: bool,
    /// An id, or `null`.
    pub(crate) pause: &'a str,
    pub(crate) finished: bool,
}

impl<'a> Outcome<'a> {
    /// The last one of its lease, with nothing but its event.
    pub(crate) const fn new(lease: &'a str, id: &'a str, event: &'a str) -> Self {
        Self {
            lease,
            id,
            event,
            attempt: 1,
            reason: "because",
            retry: "null",
            counted: true,
            pause: "null",
            finished: true,
        }
    }

    /// A deferral that is tried again after so many seconds.
    pub(crate) const fn deferred(lease: &'a str, id: &'a str, retry: &'a str) -> Self {
        let mut outcome = Self::new(lease, id, "deferred");
        outcome.retry = retry;
        outcome
    }

    /// The call that records it.
    pub(crate) fn query(&self) -> String {
        let Self {
            lease,
            id,
            event,
            attempt,
            reason,
            retry,
            counted,
            pause,
            finished,
        } = self;
        let retries = if *retry == "null" {
            "'{}'".into()
        } else {
            format!("array[{retry}::float8]")
        };
        let finished = if *finished {
            format!("'{{{lease}}}'")
        } else {
            "'{}'".into()
        };
        format!(
            "select postroad.complete('{{{lease}}}', '{{{id}}}', '{{{event}}}', '{{{attempt}}}', '{{stub}}', array['x-{lease}'], \
             '{{{reason}}}', array[null::jsonb], {retries}, '{{{counted}}}', array[{pause}::bigint], {finished})"
        )
    }
}
