//! Connections: from a URL to clients and pools of them.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Timeouts};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DbError;
use crate::tls;

/// Where the database is and how to reach it; cheap to clone.
#[derive(Clone)]
pub struct Database {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
}

/// Has the server notice, in some twenty seconds, that the client's host vanished: for connections that hold advisory
/// locks, which others wait for. Its own default is two hours.
pub const NOTICE_ABSENCE: &str = "set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 3;
    set tcp_keepalives_count = 3; set tcp_user_timeout = 20000";

/// Whatever the defaults of the database or the role are: statements that wait for a lock then look again, policies bind rather than refuse, a backslash in a
/// string is one, and times and intervals are written as we read them.
const SESSION: &str = "set session characteristics as transaction isolation level read committed; set row_security = on;
    set standard_conforming_strings = on; set datestyle = 'ISO'; set intervalstyle = 'postgres'";

impl Database {
    /// Reads a URL (`postgres://user:password@host:port/name?sslmode=…`) or a key-value string of libpq.
    ///
    /// `sslmode` means what it means to libpq: `disable`, `prefer` (default) and `require` do not verify the
    /// server's certificate; `verify-full` (and `verify-ca`, treated alike) does, against the system's roots.
    ///
    /// # Errors
    ///
    /// [`DbError::Url`] when it cannot be read. The URL itself is not in the message: it may hold a password.
    pub fn new(url: &str, application_name: &str) -> Result<Self, DbError> {
        let verify = ["verify-full", "verify-ca"]
            .iter()
            .any(|mode| url.contains(&format!("sslmode={mode}")));
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config: tokio_postgres::Config = url.parse().map_err(|error: tokio_postgres::Error| {
            use std::error::Error as _;
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            DbError::Url(format!(
                "DATABASE_URL is not a Postgres URL such as postgres://user:password@host:5432/name: {cause}"
            ))
        })?;
        if config.get_application_name().is_none() {
            config.application_name(application_name);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        // A server that vanished (a failover, a cut cable) is noticed in some twenty seconds, idle or asked; the
        // system's own limits are hours and a quarter of one.
        config
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(20));
        // Only a server that is to be verified needs authorities on this machine.
        let tls =
            tls::client(verify, None).map_err(|error| DbError::Url(format!("sslmode: {error}")))?;
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new((*tls).clone()),
        })
    }

    /// The same database with settings of Postgres for each session, such as `synchronous_commit=off`.
    #[must_use]
    pub fn with_setting(&self, setting: &str) -> Self {
        let mut config = self.config.clone();
        let options = config
            .get_options()
            .map(|old| format!("{old} "))
            .unwrap_or_default();
        config.options(format!("{options}-c {setting}"));
        Self {
            config,
            tls: self.tls.clone(),
        }
    }

    /// One connection with the defaults of the server; the caller drives the returned half, which also yields notifications.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses.
    pub async fn connect_raw(&self) -> Result<(tokio_postgres::Client, Connection), DbError> {
        Ok(self.config.connect(self.tls.clone()).await?)
    }

    /// One connection, driven by a task of the current runtime.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses.
    pub async fn connect(&self) -> Result<tokio_postgres::Client, DbError> {
        let (client, connection) = self.connect_raw().await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to postgres ended");
            }
        });
        client.batch_execute(SESSION).await?;
        Ok(client)
    }

    /// A pool of at most `size` connections, which belong to the runtime that asks for them.
    pub fn pool(&self, size: usize) -> Pool {
        let manager = Manager::from_config(
            self.config.clone(),
            self.tls.clone(),
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let timeouts = Timeouts {
            wait: Some(Duration::from_secs(5)),
            create: Some(Duration::from_secs(5)),
            recycle: None,
        };
        Pool::builder(manager)
            .max_size(size)
            .timeouts(timeouts)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    let set = client.batch_execute(SESSION).await;
                    set.map_err(HookError::Backend)
                })
            }))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime and a size is always built")
    }
}

/// The driving half of a connection.
pub type Connection = tokio_postgres::Connection<
    tokio_postgres::Socket,
    <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket>>::Stream,
>;
