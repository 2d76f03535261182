//! Between a process and Postgres: cuts connections so that the server does not notice.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy on a Unix socket.
pub(crate) struct Proxy {
    /// The database's URL through it.
    pub(crate) url: String,
    cut: watch::Sender<()>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens in `directory` for the database at `url`; [`cut`](Self::cut) will mean the connections of clients
    /// that said `words`.
    pub(crate) fn start(
        url: &str,
        directory: PathBuf,
        words: &'static str,
    ) -> anyhow::Result<Self> {
        let (_, rest) = url.split_once("host=").context("a host")?;
        let host = rest.split('&').next().unwrap_or(rest);
        let socket = format!("{host}/.s.PGSQL.5432");
        std::fs::create_dir(&directory)?;
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432"))?;
        let (cut, cutting) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await;
                let server = server.expect("the server is there");
                connections.spawn(serve(client, server, words, cutting.clone()));
            }
        });
        Ok(Self {
            url: url.replace(host, &directory.display().to_string()),
            cut,
            _tasks: tasks,
        })
    }

    /// The clients see their connections closed; the server goes on with what it was asked, and sees nothing.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }
}

async fn serve(
    client: UnixStream,
    server: UnixStream,
    words: &str,
    mut cutting: watch::Receiver<()>,
) {
    let said = Arc::new(AtomicBool::new(false));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; 65536];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..count]);
            said.fetch_or(text.contains(words), Ordering::Relaxed);
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    let cut = async { while cutting.changed().await.is_ok() && !said.load(Ordering::Relaxed) {} };
    tokio::select! {
        () = up => {}
        _ = copy(&mut from_server, &mut to_client) => {}
        () = cut => {
            drop((from_client, to_client));
            std::future::pending::<()>().await; // the server's side stays open
        }
    }
}
