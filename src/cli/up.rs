//! `postroad up`: everything in one process.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::{env, io};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::roles::{self, Role};
use super::say;
use crate::config::Config;
use crate::db::migrate::migrate;
use crate::db::pool::Database;
use crate::embedded::{self, Embedded, EmbeddedError};
use crate::gateway::registry::{GatewaySettings, Registry};
use crate::model::message::{Channel, Priority};
use crate::server::{self, live, settings::DEFAULT_LISTEN};
use crate::{shutdown, telemetry};

/// The gateway of channels that have none.
const OUTBOX: &str = "outbox";

/// Starts the database, migrates, runs all roles, and stops it all in the opposite order.
pub(super) async fn up(mut config: Config) -> anyhow::Result<()> {
    telemetry::start();
    let shutdown = shutdown::on_signal()?;
    let root = env::current_dir()?.join(embedded::FOLDER);
    let outbox = add_outbox(&mut config, &root.join(OUTBOX))?;
    if !outbox.is_empty() {
        // What is written there is other people's mail.
        embedded::make_folder(&root)?;
        let mut private = DirBuilder::new();
        private
            .recursive(true)
            .mode(0o700)
            .create(root.join(OUTBOX))?;
    }
    if let Some(url) = config.database.url.clone() {
        let done = CancellationToken::new();
        return serve_all(
            config,
            url.expose(),
            outbox,
            "postroad psql",
            &shutdown,
            &done,
        )
        .await;
    }
    let mut private = match Embedded::start(&root, &shutdown).await {
        Ok(private) => private,
        Err(EmbeddedError::Interrupted) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    say(&private.describe());
    let (url, psql) = (private.url(), private.psql_line());
    // The roles end first, then the database.
    let done = CancellationToken::new();
    let (served, kept) = tokio::join!(
        serve_all(config, &url, outbox, &psql, &shutdown, &done),
        async {
            let kept = private.supervise(&done).await;
            shutdown.cancel();
            kept
        }
    );
    let stopped = private
        .stop()
        .await
        .context("cannot stop the private Postgres");
    kept?;
    served?;
    stopped
}

/// Migrates `url` and runs all roles on it, until `shutdown`; cancels `done` at the end, however that comes.
async fn serve_all(
    config: Config,
    url: &str,
    outbox: Vec<Channel>,
    psql: &str,
    shutdown: &CancellationToken,
    done: &CancellationToken,
) -> anyhow::Result<()> {
    let _done = done.clone().drop_guard();
    let database = Database::new(url, "postroad up")?;
    tokio::select! {
        migrated = migrate(&database) => migrated.context("cannot migrate")?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let listener = listen(&config.server).await?;
    let address = listener.local_addr()?;
    if !outbox.is_empty() {
        let channels: Vec<_> = outbox.iter().map(|channel| channel.as_str()).collect();
        say(&format!(
            "No gateway for {}: written to {}/{OUTBOX}",
            channels.join(", "),
            embedded::FOLDER
        ));
    }
    let scheme = config.server.scheme();
    say(&format!(
        "postroad is up, see {scheme}://{address}/. Ctrl-C stops it. Try, in another terminal:\n\n  \
         {psql}\n\n  \
         select * from postroad.enqueue(channel => 'email', recipient => 'ada@example.org',\n    \
         subject => 'Hello', body => 'It works.');\n"
    ));
    let all = vec![
        Role::Worker(Priority::ALL.to_vec()),
        Role::Maintain,
        Role::Outbound,
        Role::Serve,
    ];
    let page = page(&address, !outbox.is_empty())?;
    roles::run_until(
        config,
        all,
        database,
        Some((listener, page)),
        shutdown.clone(),
    )
    .await
}

/// The live page: for this machine, where nobody else reaches us.
fn page(address: &SocketAddr, has_outbox: bool) -> anyhow::Result<live::Setup> {
    let outbox = env::current_dir()?.join(embedded::FOLDER).join(OUTBOX);
    Ok(live::Setup {
        is_for_this_machine: address.ip().is_loopback(),
        outbox: has_outbox.then_some(outbox),
    })
}

/// The configured address; where that is the default one and taken, a free port.
async fn listen(settings: &server::Settings) -> anyhow::Result<TcpListener> {
    match server::listen(settings).await {
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && settings.listen.to_string() == DEFAULT_LISTEN =>
        {
            let mut free = settings.clone();
            free.listen.set_port(0);
            let listener = server::listen(&free).await?;
            say(&format!(
                "{DEFAULT_LISTEN} is taken, listening on {} instead",
                listener.local_addr()?
            ));
            Ok(listener)
        }
        result => Ok(result?),
    }
}

/// Gives every channel that has no gateway one that writes files to `path`. Returns these channels.
fn add_outbox(config: &mut Config, path: &Path) -> anyhow::Result<Vec<Channel>> {
    let registry = Registry::build(&config.gateways, &config.channels)?;
    let mut without = Vec::new();
    // Every order is written down, lest the new gateway become the failover of a channel that has others.
    let orders: Vec<_> = registry
        .names()
        .map(|(channel, names)| {
            (
                channel,
                names.into_iter().map(str::to_owned).collect::<Vec<_>>(),
            )
        })
        .collect();
    for (channel, mut names) in orders {
        // An empty list in the file means none.
        if names.is_empty() && !config.channels.contains_key(&channel) {
            without.push(channel);
            names.push(OUTBOX.to_owned());
        }
        config.channels.insert(channel, names);
    }
    if !without.is_empty() {
        let mut settings = toml::Table::new();
        settings.insert("type".into(), "file".into());
        settings.insert("path".into(), path.to_string_lossy().into_owned().into());
        if let Ok(from) = env::var("MAIL_FROM")
            && !from.is_empty()
        {
            settings.insert("from".into(), from.into());
        }
        let settings: GatewaySettings = settings.try_into()?;
        config.gateways.insert(OUTBOX.to_owned(), settings);
    }
    Ok(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str) -> Config {
        Config::from_parts(Some(("test.toml", file)), &|_| None).unwrap()
    }

    /// A developer's files must not become the failover of a real gateway: mail would look sent.
    #[test]
    fn the_outbox_serves_only_channels_without_a_gateway() {
        let file = "[gateways.a]\ntype = 'stub'\n[channels]\nsms = []";
        let mut some = config(file);
        assert_eq!(add_outbox(&mut some, Path::new("/x")).unwrap(), []);
        assert!(!some.gateways.contains_key(OUTBOX));
        assert!(some.channels[&Channel::Sms].is_empty());
        assert_eq!(some.channels[&Channel::Email], ["a"]);

        let mut none = config("");
        assert_eq!(
            add_outbox(&mut none, Path::new("/x")).unwrap(),
            Channel::ALL
        );
        assert_eq!(none.channels[&Channel::Push], [OUTBOX]);
        Registry::build(&none.gateways, &none.channels).unwrap();
    }
}
