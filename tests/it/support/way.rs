//! A way to a server that a test can cut, and mend again.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to a new connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It leads to the server.
    Open,
    /// It is closed at once.
    Closed,
    /// It is taken, and nothing is ever answered.
    Silent,
}

/// A port on loopback that leads to another one. Ends when dropped.
pub(crate) struct Way {
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
    _serving: JoinSet<()>,
}

impl Way {
    /// A way to `port`, open.
    pub(crate) async fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own_port = listener.local_addr()?.port();
        let (mode, told) = watch::channel(Mode::Open);
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, port, told));
        Ok(Self {
            port: own_port,
            mode,
            _serving: serving,
        })
    }

    /// Changes what happens to new connections; those that are open end, but for silence: they stay and say no more.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn serve(listener: TcpListener, port: u16, mode: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let mut mode = mode.clone();
        connections.spawn(async move {
            if *mode.borrow() == Mode::Open {
                let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
                    return;
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => return,
                    _ = mode.wait_for(|mode| *mode != Mode::Open) => {}
                }
            }
            if *mode.borrow() == Mode::Silent {
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
