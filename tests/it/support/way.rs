//! A way to a server that a test can cut, and mend again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens to a new connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It leads to the server.
    Open = 0,
    /// It is closed at once.
    Closed = 1,
    /// It is taken, and nothing is ever answered.
    Silent = 2,
}

/// A port on loopback that leads to another one. Ends when dropped.
pub(crate) struct Way {
    pub(crate) port: u16,
    mode: Arc<AtomicU8>,
    _serving: JoinSet<()>,
}

impl Way {
    /// A way to `port`, open.
    pub(crate) async fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own_port = listener.local_addr()?.port();
        let mode = Arc::new(AtomicU8::new(Mode::Open as u8));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, port, Arc::clone(&mode)));
        Ok(Self {
            port: own_port,
            mode,
            _serving: serving,
        })
    }

    /// Changes what happens to new connections; those that are open end, but for silence: they stay and say no more.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

async fn serve(listener: TcpListener, port: u16, mode: Arc<AtomicU8>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let mode = Arc::clone(&mode);
        connections.spawn(async move {
            let began = mode.load(Ordering::SeqCst);
            let changed = async {
                while mode.load(Ordering::SeqCst) == began {
                    tokio::task::yield_now().await;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            if began == Mode::Open as u8 {
                let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
                    return;
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => return,
                    () = changed => {}
                }
            }
            if mode.load(Ordering::SeqCst) == Mode::Silent as u8 {
                // The peer waits; so does this end, until the peer gives up.
                let mut rest = [0; 512];
                while tokio::io::AsyncReadExt::read(&mut client, &mut rest)
                    .await
                    .is_ok_and(|count| count > 0)
                {}
            }
        });
    }
}
