//! One session of the sink.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Answer, Encryption, ReceivedMail, Seen, Shared, Stage, When};

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Stream = BufReader<Box<dyn Io>>;

impl Shared {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen());
        self.changed.notify_waiters();
    }

    /// What the script has for this point.
    fn scripted(&self, stage: Stage, argument: &str) -> Option<Answer> {
        let mut seen = self.seen();
        let time = seen.reached.entry(stage).or_default();
        *time += 1;
        self.script
            .answers
            .iter()
            .find(|(at, when, _)| {
                *at == stage
                    && match when {
                        When::Always => true,
                        When::Time(n) => n == time,
                        When::To(address) => argument.contains(address),
                    }
            })
            .map(|(.., answer)| *answer)
    }
}

pub(super) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    mut closing: watch::Receiver<usize>,
) {
    let mut number = 0;
    shared.change(|seen| {
        seen.sessions += 1;
        seen.open_sessions += 1;
        number = seen.sessions;
    });
    closing.mark_unchanged();
    let _ = stream.set_nodelay(true);
    // However it ends, the client sees a closed connection.
    let _ = run(&shared, number, stream, closing).await;
    shared.change(|seen| seen.open_sessions -= 1);
}

async fn run(
    shared: &Shared,
    number: usize,
    tcp: TcpStream,
    mut closing: watch::Receiver<usize>,
) -> io::Result<()> {
    let implicit = matches!(shared.script.tls, Some((Encryption::Implicit, _)));
    let mut session = Session {
        shared,
        number,
        stream: BufReader::new(Box::new(tcp)),
        encrypted: false,
        login: None,
        mail: None,
    };
    if implicit {
        session = session.encrypt().await?;
    }
    session.answer(Stage::Connect, "", "220 sink ESMTP").await?;
    loop {
        let mut line = String::new();
        tokio::select! {
            read = session.stream.read_line(&mut line) => if read? == 0 { return Ok(()) },
            _ = closing.changed() => return session.reply("421 4.4.2 idle for too long").await,
        }
        let line = line.trim_end();
        let upper = line.to_ascii_uppercase();
        let shown = match upper.split_once(' ') {
            Some(("AUTH", _)) => upper.split(' ').take(2).collect::<Vec<_>>().join(" "),
            _ => line.to_owned(),
        };
        shared.change(|seen| seen.commands.push((number, shown)));
        match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" if !shared.script.knows_ehlo => session.reply("502 5.5.1 no EHLO").await?,
            "EHLO" => {
                let reply = session.offers();
                session.answer(Stage::Ehlo, "", &reply).await?;
            }
            "HELO" => session.reply("250 sink").await?,
            "STARTTLS" => {
                let answered = session.answer(Stage::StartTls, "", "220 go").await?;
                if answered {
                    session = session.encrypt().await?;
                }
            }
            "AUTH" => session.log_in(line).await?,
            "MAIL" => session.begin(line).await?,
            "RCPT" => {
                let accepted = session.answer(Stage::Rcpt, line, "250 2.1.5 ok").await?;
                if let (true, Some(mail)) = (accepted, &mut session.mail) {
                    mail.to.push(between_brackets(line).0);
                }
            }
            "DATA" => session.data().await?,
            "RSET" => {
                session.mail = None;
                session.answer(Stage::Rset, "", "250 2.0.0 ok").await?;
            }
            "QUIT" => return session.reply("221 bye").await,
            _ => session.reply("500 5.5.2 what").await?,
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    number: usize,
    stream: Stream,
    encrypted: bool,
    login: Option<String>,
    mail: Option<ReceivedMail>,
}

impl Session<'_> {
    async fn encrypt(mut self) -> io::Result<Self> {
        let acceptor = self.shared.acceptor.clone().ok_or(io::ErrorKind::Other)?;
        let stream = acceptor.accept(self.stream.into_inner()).await?;
        self.stream = BufReader::new(Box::new(stream));
        self.encrypted = true;
        Ok(self)
    }

    async fn reply(&mut self, text: &str) -> io::Result<()> {
        self.stream
            .write_all(format!("{text}\r\n").as_bytes())
            .await?;
        self.stream.flush().await
    }

    /// Answers as scripted, else with `usual`. Returns whether that was positive.
    async fn answer(&mut self, stage: Stage, argument: &str, usual: &str) -> io::Result<bool> {
        self.answer_after(stage, argument, usual, || {}).await
    }

    /// The same; `first` is done before a positive answer is sent.
    async fn answer_after(
        &mut self,
        stage: Stage,
        argument: &str,
        usual: &str,
        first: impl FnOnce(),
    ) -> io::Result<bool> {
        let reply = match self.shared.scripted(stage, argument) {
            None => usual,
            Some(Answer::Reply(reply)) => reply,
            Some(Answer::Last(reply)) => {
                self.reply(reply).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Some(Answer::Close) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Answer::Hang) => std::future::pending().await,
            Some(Answer::Slow(time)) => {
                tokio::time::sleep(time).await;
                usual
            }
        };
        let is_positive = reply.starts_with(if stage == Stage::Data { '3' } else { '2' });
        if is_positive {
            first();
        }
        self.reply(reply).await?;
        match reply.starts_with("421") {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(is_positive),
        }
    }

    fn offers(&self) -> String {
        let script = &self.shared.script;
        let mut lines = vec!["sink".to_owned()];
        lines.extend(script.offers.iter().map(|offer| (*offer).to_owned()));
        if matches!(script.tls, Some((Encryption::StartTls, _))) && !self.encrypted {
            lines.push("STARTTLS".into());
        }
        if script.login.is_some() {
            lines.push(format!("AUTH {}", script.mechanisms));
        }
        let last = lines.len() - 1;
        let line = |(index, line): (usize, &String)| {
            format!("250{}{line}", if index == last { ' ' } else { '-' })
        };
        let lines: Vec<_> = lines.iter().enumerate().map(line).collect();
        lines.join("\r\n")
    }

    async fn log_in(&mut self, line: &str) -> io::Result<()> {
        let decoded = |text: &str| {
            let bytes = STANDARD.decode(text.trim_end()).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let mut words = line.split(' ').skip(1);
        let given = match (words.next(), words.next()) {
            (Some("PLAIN"), Some(initial)) => {
                let text = decoded(initial);
                let mut fields = text.splitn(3, '\0').skip(1).map(str::to_owned);
                fields.next().zip(fields.next())
            }
            (Some("LOGIN"), None) => {
                let mut given = Vec::new();
                for prompt in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                    self.reply(prompt).await?;
                    let mut line = String::new();
                    self.stream.read_line(&mut line).await?;
                    given.push(decoded(&line));
                }
                given
                    .pop()
                    .and_then(|password| Some((given.pop()?, password)))
            }
            _ => None,
        };
        let expected = self.shared.script.login;
        let right = given.is_some_and(|(user, password)| expected == Some((&*user, &*password)));
        let usual = match right {
            true => "235 2.7.0 welcome",
            false => "535 5.7.8 wrong credentials",
        };
        if self.answer(Stage::Auth, "", usual).await? {
            self.login = expected.map(|(user, _)| user.to_owned());
        }
        Ok(())
    }

    async fn begin(&mut self, line: &str) -> io::Result<()> {
        if self.shared.script.login.is_some() && self.login.is_none() {
            return self.reply("530 5.7.0 log in first").await;
        }
        if self.mail.is_some() {
            return self.reply("503 5.5.1 one transaction at a time").await;
        }
        if self.answer(Stage::Mail, line, "250 2.1.0 ok").await? {
            let (from, parameters) = between_brackets(line);
            self.mail = Some(ReceivedMail {
                session: self.number,
                from,
                parameters,
                to: Vec::new(),
                data: Vec::new(),
                encrypted: self.encrypted,
                login: self.login.clone(),
            });
        }
        Ok(())
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.mail.as_ref().is_none_or(|mail| mail.to.is_empty()) {
            return self.reply("503 5.5.1 no valid recipients").await;
        }
        if !self.answer(Stage::Data, "", "354 go").await? {
            return Ok(());
        }
        if self.shared.scripted(Stage::Body, "").is_some() {
            self.stream.read_u8().await?;
            self.answer(Stage::Body, "", "").await?;
            return std::future::pending().await; // and reads no more
        }
        let data = self.read_mail().await?;
        // Taken away first: whatever the reply, the transaction is over.
        let mail = self.mail.take().map(|mail| ReceivedMail { data, ..mail });
        self.shared.change(|seen| {
            seen.commands.push((self.number, ".".into()));
        });
        let shared = self.shared;
        self.answer_after(Stage::Dot, "", "250 2.0.0 ok: queued as 4XYZ", || {
            shared.change(|seen| seen.mails.extend(mail));
        })
        .await?;
        Ok(())
    }

    /// Up to the final dot, which only CRLF dot CRLF is.
    async fn read_mail(&mut self) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        let mut at_line_start = true;
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if at_line_start && line == b".\r\n" {
                return Ok(data);
            }
            let stuffed = at_line_start && line.first() == Some(&b'.');
            at_line_start = line.ends_with(b"\r\n");
            data.extend_from_slice(&line[usize::from(stuffed)..]);
        }
    }
}

/// The path of `MAIL FROM:<path> parameters`, and the parameters.
fn between_brackets(line: &str) -> (String, String) {
    let (_, rest) = line.split_once('<').unwrap_or_default();
    let (path, parameters) = rest.rsplit_once('>').unwrap_or_default();
    (path.into(), parameters.trim().into())
}
