//! Bytes and replies on one connection. Knows lines, not what they mean.

use std::io;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::gateway::exchange;
use crate::model::secret::Secret;

/// One connection to a server, plain or encrypted.
pub(super) struct Wire {
    stream: Stream,
    /// Received and not yet read as a reply.
    received: Vec<u8>,
    /// What replies may quote and nobody is to read.
    secrets: Vec<Secret>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why no reply came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection failed or was closed.
    Closed,
    /// The time was over.
    Late,
    /// What came is not SMTP.
    Unintelligible,
}

impl From<io::Error> for Cause {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// The longest reply that is read, in bytes. RFC 5321, section 4.5.3.1.5, has 512 a line.
const REPLY_MAX: usize = 64 * 1024;

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream: Stream::Plain(stream),
            received: Vec::new(),
            secrets: Vec::new(),
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.tcp()
            .peer_addr()
            .is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// Whether the server has neither closed nor said anything since its last reply, as far as is known here.
    pub(super) fn is_quiet(&self) -> bool {
        let arrived = self.tcp().try_read(&mut [0]);
        self.received.is_empty()
            && arrived.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the server has said something, or closed, that was not read yet.
    pub(super) fn has_arrived(&self) -> bool {
        !self.received.is_empty() || self.tcp().peek(&mut [0]).now_or_never().is_some()
    }

    /// Encrypts from here on. Text that came before the handshake and was not read yet is a sign of somebody who
    /// adds to what the server says (RFC 3207, section 6), so it ends the connection.
    pub(super) async fn encrypt(
        self,
        config: &Arc<ClientConfig>,
        server_name: ServerName<'static>,
    ) -> io::Result<Self> {
        let Stream::Plain(stream) = self.stream else {
            return Ok(self);
        };
        if !self.received.is_empty() {
            return Err(io::Error::other("plain text after the reply to STARTTLS"));
        }
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(server_name, stream)
            .await?;
        exchange::remark("encrypted from here on");
        Ok(Self {
            stream: Stream::Tls(Box::new(stream)),
            received: Vec::new(),
            secrets: Vec::new(),
        })
    }

    /// Writes some of `bytes` and returns how many, at least one.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => stream.write(bytes).await?,
            Stream::Tls(stream) => stream.write(bytes).await?,
        };
        match written {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = &bytes[written..];
        }
        self.flush().await
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.flush().await,
            Stream::Tls(stream) => stream.flush().await,
        }
    }

    /// Has replies show `***` for each of `secrets` from here on.
    pub(super) fn mask(&mut self, secrets: Vec<Secret>) {
        self.secrets = secrets;
    }

    fn masked(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(Secret::expose);
        let secrets = secrets.filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    /// Reads one reply, of one or more lines.
    pub(super) async fn reply(&mut self) -> Result<Reply, Cause> {
        loop {
            if let Some((mut reply, length)) = Reply::parse(&self.received)? {
                if exchange::is_recorded() {
                    let text = String::from_utf8_lossy(&self.received[..length]);
                    exchange::came(|| self.masked(&text));
                }
                self.received.drain(..length);
                if !self.secrets.is_empty() {
                    reply.lines = reply.lines.iter().map(|line| self.masked(line)).collect();
                }
                return Ok(reply);
            }
            if self.received.len() > REPLY_MAX {
                return Err(Cause::Unintelligible);
            }
            let read = match &mut self.stream {
                Stream::Plain(stream) => stream.read_buf(&mut self.received).await?,
                Stream::Tls(stream) => stream.read_buf(&mut self.received).await?,
            };
            if read == 0 {
                return Err(Cause::Closed);
            }
        }
    }
}

/// What a server answered (RFC 5321, section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Three digits.
    pub(super) code: u16,
    /// The lines after the code, without line ends.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// The first reply in `bytes` and its length there; `None` while it is not whole.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Cause> {
        let mut reply = Self {
            code: 0,
            lines: Vec::new(),
        };
        let mut length = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else {
                return Ok(None);
            };
            length += line.len();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let (digits, rest) = text.split_at_checked(3).ok_or(Cause::Unintelligible)?;
            let code = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .ok_or(Cause::Unintelligible)?;
            if !reply.lines.is_empty() && code != reply.code {
                return Err(Cause::Unintelligible);
            }
            reply.code = code;
            let text = rest.get(1..).unwrap_or_default();
            reply.lines.push(String::from_utf8_lossy(text).into_owned());
            match rest.first() {
                Some(b'-') => {}
                None | Some(b' ') => return Ok(Some((reply, length))),
                Some(_) => return Err(Cause::Unintelligible),
            }
        }
        Ok(None)
    }

    /// Subject and detail of the enhanced status code (RFC 2034) if there is one of the reply's own class. Some
    /// servers write it as `#5.1.0` or `(5.1.0)`.
    pub(super) fn enhanced(&self) -> Option<(u16, u16)> {
        let first = self.lines.first()?.split_whitespace().next()?;
        let first = first.trim_matches(['#', '(', ')', '[', ']', ':', ';', ',', '<', '>']);
        let mut numbers = first.split('.').map(|number| {
            let digits =
                (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
            number.parse::<u16>().ok().filter(|_| digits)
        });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        (numbers.next().is_none() && class == self.code / 100).then_some((subject, detail))
    }

    /// The enhanced status code, else the basic one.
    pub(super) fn status(&self) -> String {
        match self.enhanced() {
            Some((subject, detail)) => format!("{}.{subject}.{detail}", self.code / 100),
            None => self.code.to_string(),
        }
    }

    /// As the server wrote it, its lines joined by spaces.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<(u16, Vec<String>, usize)>, Cause> {
        Reply::parse(text.as_bytes())
            .map(|found| found.map(|(reply, length)| (reply.code, reply.lines, length)))
    }

    /// A reply ends where its last line says so, and what follows belongs to the next.
    #[test]
    fn a_reply_has_all_its_lines_and_none_of_the_next() {
        let (code, lines, length) = parse("250-a\r\n250 b\r\n421 bye\r\n")
            .expect("a reply")
            .expect("whole");
        assert_eq!((code, length), (250, 14));
        assert_eq!(lines, ["a", "b"]);
        assert_eq!(parse("250-a\r\n250 b\r"), Ok(None));
        assert_eq!(parse("354\n"), Ok(Some((354, vec![String::new()], 4))));
    }

    /// Not every port that answers is a mail server.
    #[test]
    fn what_is_not_a_reply_is_unintelligible() {
        for text in [
            "HTTP/1.1 400\r\n",
            "25\r\n",
            "+50 a\r\n",
            "250-a\r\n550 b\r\n",
            "2500\r\n",
        ] {
            assert_eq!(parse(text), Err(Cause::Unintelligible), "{text:?}");
        }
    }

    /// RFC 2034, section 4: the class must be that of the reply.
    #[test]
    fn an_enhanced_code_of_another_class_is_none() {
        let status = |line: &str| {
            let (reply, _) = Reply::parse(line.as_bytes())
                .expect("a reply")
                .expect("whole");
            reply.status()
        };
        assert_eq!(status("550 5.1.1 no such user\r\n"), "5.1.1");
        assert_eq!(status("550 5.1.10\r\n"), "5.1.10");
        assert_eq!(status("550 #5.7.1 not you\r\n"), "5.7.1");
        assert_eq!(status("550 (5.2.1): disabled\r\n"), "5.2.1");
        assert_eq!(status("550 4.1.1 odd\r\n"), "550");
        assert_eq!(status("550 5.1 odd\r\n"), "550");
        assert_eq!(status("550 10.0.0.1 is blocked\r\n"), "550");
        assert_eq!(status("550 5.1.1.1\r\n"), "550");
        assert_eq!(status("550\r\n"), "550");
    }
}
