//! An SMTP server double: takes mails on loopback, keeps all that it was told, and fails as scripted.
//!
//! ```ignore
//! let sink = SmtpSink::start().on(Stage::Rcpt, Reply("550 5.1.1 no such user")).await?;
//! ```

mod session;

use std::collections::HashMap;
use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Where in a session a fault is put. Each is the point of the reply to that command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Connect,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// After the first bytes of a mail, long before its end.
    Body,
    /// After the dot that ends a mail.
    Dot,
    Rset,
}

/// What happens there instead of the usual. A 421 closes the session as well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Reply(&'static str),
    /// Says so and closes.
    Last(&'static str),
    Close,
    /// Says nothing any more.
    Hang,
    /// The usual reply, so much later.
    Slow(Duration),
}

/// A mail as it was accepted.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedMail {
    /// Which session brought it, from 1.
    pub(crate) session: usize,
    /// What stood between the brackets of `MAIL FROM`.
    pub(crate) from: String,
    /// What followed them.
    pub(crate) parameters: String,
    pub(crate) to: Vec<String>,
    /// Header and body, the dot-stuffing undone.
    pub(crate) data: Vec<u8>,
    pub(crate) encrypted: bool,
    /// Who had logged in.
    pub(crate) login: Option<String>,
}

/// What a sink will do; `.await` starts it.
pub(crate) struct Script {
    answers: Vec<(Stage, When, Answer)>,
    /// Extensions that EHLO names, besides STARTTLS and AUTH.
    offers: Vec<&'static str>,
    knows_ehlo: bool,
    tls: Option<(Encryption, Arc<ServerConfig>)>,
    certificate_pem: String,
    login: Option<(&'static str, &'static str)>,
    mechanisms: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    /// The n-th time that the stage is reached, over all sessions, from 1.
    Time(usize),
    /// `RCPT` to this address.
    To(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    StartTls,
    Implicit,
}

impl Script {
    /// Does so each time.
    pub(crate) fn on(self, stage: Stage, answer: Answer) -> Self {
        self.when(stage, When::Always, answer)
    }

    /// Does so the n-th time that the stage is reached, over all sessions, from 1.
    pub(crate) fn at(self, stage: Stage, time: usize, answer: Answer) -> Self {
        self.when(stage, When::Time(time), answer)
    }

    /// Does so for one recipient.
    pub(crate) fn on_rcpt(self, address: &'static str, answer: Answer) -> Self {
        self.when(Stage::Rcpt, When::To(address), answer)
    }

    fn when(mut self, stage: Stage, when: When, answer: Answer) -> Self {
        self.answers.push((stage, when, answer));
        self
    }

    /// Names these extensions and no others.
    pub(crate) fn offering(mut self, offers: &[&'static str]) -> Self {
        self.offers = offers.to_vec();
        self
    }

    /// Knows HELO only.
    pub(crate) fn without_ehlo(mut self) -> Self {
        self.knows_ehlo = false;
        self
    }

    pub(crate) fn with_starttls(self) -> Self {
        self.encrypted(Encryption::StartTls)
    }

    pub(crate) fn with_tls(self) -> Self {
        self.encrypted(Encryption::Implicit)
    }

    fn encrypted(mut self, how: Encryption) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        self.certificate_pem = made.cert.pem();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.into()], PrivateKeyDer::from(key))
            .expect("a key that fits");
        self.tls = Some((how, Arc::new(config)));
        self
    }

    /// Takes mails from this user only.
    pub(crate) fn with_login(mut self, username: &'static str, password: &'static str) -> Self {
        self.login = Some((username, password));
        self
    }

    /// What AUTH offers; `PLAIN LOGIN` by default.
    pub(crate) fn with_mechanisms(mut self, mechanisms: &'static str) -> Self {
        self.mechanisms = mechanisms;
        self
    }
}

impl IntoFuture for Script {
    type Output = io::Result<SmtpSink>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(SmtpSink::run(self))
    }
}

/// A running sink. Dropped, it closes everything.
pub(crate) struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    close: watch::Sender<usize>,
    _tasks: JoinSet<()>,
}

struct Shared {
    script: Script,
    acceptor: Option<TlsAcceptor>,
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    mails: Vec<ReceivedMail>,
    /// Session and command, credentials left out.
    commands: Vec<(usize, String)>,
    sessions: usize,
    open_sessions: usize,
    reached: HashMap<Stage, usize>,
}

impl SmtpSink {
    /// A server that accepts everything.
    pub(crate) fn start() -> Script {
        Script {
            answers: Vec::new(),
            offers: vec!["PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8"],
            knows_ehlo: true,
            tls: None,
            certificate_pem: String::new(),
            login: None,
            mechanisms: "PLAIN LOGIN",
        }
    }

    async fn run(script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = script.tls.as_ref().map(|(_, tls)| Arc::clone(tls).into());
        let shared = Arc::new(Shared {
            script,
            acceptor,
            seen: Mutex::default(),
            changed: Notify::new(),
        });
        let (close, closing) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let shared = Arc::clone(&shared);
            async move {
                let mut sessions = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    sessions.spawn(session::serve(Arc::clone(&shared), stream, closing.clone()));
                }
            }
        });
        Ok(Self {
            address,
            shared,
            close,
            _tasks: tasks,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate that a client must trust, PEM.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.shared.script.certificate_pem
    }

    pub(crate) fn mails(&self) -> Vec<ReceivedMail> {
        self.shared.seen().mails.clone()
    }

    /// How many sessions there were, closed ones included.
    pub(crate) fn sessions(&self) -> usize {
        self.shared.seen().sessions
    }

    /// The commands so far, of all sessions; what AUTH carried is left out.
    pub(crate) fn commands(&self) -> Vec<String> {
        let seen = self.shared.seen();
        seen.commands.iter().map(|(_, c)| c.clone()).collect()
    }

    /// How many commands began so.
    pub(crate) fn count(&self, start: &str) -> usize {
        let commands = self.commands();
        commands.iter().filter(|c| c.starts_with(start)).count()
    }

    /// Returns once there are `count` mails, with them.
    pub(crate) async fn wait_for_mails(&self, count: usize) -> Vec<ReceivedMail> {
        self.wait_until(|seen| seen.mails.len() >= count).await;
        self.mails()
    }

    /// Closes the sessions that wait for a command, and returns once they are closed.
    pub(crate) async fn close_sessions(&self) {
        self.close.send_modify(|round| *round += 1);
        self.wait_until(|seen| seen.open_sessions == 0).await;
    }

    async fn wait_until(&self, reached: impl Fn(&Seen) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if reached(&self.shared.seen()) {
                return;
            }
            changed.await;
        }
    }
}
