//! A session with a server: opened once, then one transaction a mail (RFC 5321, section 3.3).

use std::io;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{timeout, timeout_at};

use super::classify::{Failure, Stage};
use super::config::{Config, Login, Tls};
use super::wire::{Cause, Reply, Wire};
use crate::gateway::mime::{Address, Mail};
use crate::model::outcome::{Blame, Fault, SendError};

/// An open session.
pub(super) struct Session {
    wire: Wire,
    offers: Offers,
    usable: bool,
}

/// The extensions that a server named, as far as they are used here.
#[derive(Debug, Default)]
struct Offers {
    starttls: bool,
    smtputf8: bool,
    eight_bit_mime: bool,
    /// `SIZE`, and the limit in bytes if it names one (RFC 1870).
    size: Option<u64>,
    auth_plain: bool,
    auth_login: bool,
}

impl Offers {
    fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // Some servers write "AUTH=" for clients of 1998.
            let mut words = line.split([' ', '=']);
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("8BITMIME") => offers.eight_bit_mime = true,
                Some("SIZE") => {
                    offers.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0));
                }
                Some("AUTH") => {
                    for mechanism in words {
                        offers.auth_plain |= mechanism == "PLAIN";
                        offers.auth_login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

/// What a server accepted.
pub(super) struct Accepted {
    /// Its reply to the mail.
    pub(super) reply: Reply,
    /// Its replies to the copies that it refused.
    pub(super) refused_copies: Vec<Reply>,
}

impl Session {
    /// Connects, encrypts and logs in as `config` says, until `limit`.
    pub(super) async fn open(config: &Config, limit: Instant) -> Result<Self, Failure> {
        let opening = async {
            let mut session = Self {
                wire: Wire::new(connect(config, limit).await?),
                offers: Offers::default(),
                usable: true,
            };
            if config.tls == Tls::Tls {
                session = session.encrypt(config).await?;
            }
            session.expect(Stage::Open, limit, 220..=220).await?;
            session.hello(config, limit).await?;
            session = session.start_tls(config, limit).await?;
            if let Some(login) = &config.login {
                session.log_in(login, limit).await?;
            }
            Ok(session)
        };
        timeout_at(limit.into(), opening)
            .await
            .unwrap_or(Err(Failure::Lost(Stage::Open, Cause::Late)))
    }

    async fn hello(&mut self, config: &Config, limit: Instant) -> Result<(), Failure> {
        let ehlo = format!("EHLO {}\r\n", config.hello);
        match self.command(Stage::Open, &ehlo, limit).await {
            Ok(reply) => self.offers = Offers::read(&reply),
            // A server from before 1995 knows no EHLO, and nothing that it would announce.
            Err(Failure::Refused(_, reply)) if matches!(reply.code, 500..=504) => {
                let helo = format!("HELO {}\r\n", config.hello);
                self.command(Stage::Open, &helo, limit).await?;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    async fn start_tls(mut self, config: &Config, limit: Instant) -> Result<Self, Failure> {
        match config.tls {
            Tls::None | Tls::Tls => return Ok(self),
            Tls::Opportunistic if !self.offers.starttls => return Ok(self),
            Tls::Starttls if !self.offers.starttls => return Err(of_gateway("tls_not_offered")),
            Tls::Opportunistic | Tls::Starttls => {}
        }
        match self.command(Stage::Open, "STARTTLS\r\n", limit).await {
            Ok(_) => {}
            Err(failure) if config.tls == Tls::Opportunistic && failure.leaves_session() => {
                return Ok(self);
            }
            Err(failure) => return Err(failure),
        }
        self = self.encrypt(config).await?;
        // What was announced in the clear may have been anybody's word (RFC 3207, section 4.2).
        self.offers = Offers::default();
        self.hello(config, limit).await?;
        Ok(self)
    }

    async fn encrypt(mut self, config: &Config) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let error = SendError::new(Fault::Gateway { retry_after: None }, "tls_failed")
                .with_text(&error.to_string());
            Failure::Local(error)
        };
        let name = config.server_name.clone();
        let name = name.ok_or_else(|| failed(io::Error::other("host is no server name")))?;
        self.wire = self
            .wire
            .encrypt(&config.tls_client, name)
            .await
            .map_err(failed)?;
        Ok(self)
    }

    /// AUTH PLAIN (RFC 4616), else the older LOGIN.
    async fn log_in(&mut self, login: &Login, limit: Instant) -> Result<(), Failure> {
        if !self.wire.is_encrypted() && !self.wire.is_loopback() {
            return Err(of_gateway("credentials_not_encrypted"));
        }
        let (username, password) = (&login.username, login.password.expose());
        if self.offers.auth_plain {
            let credentials = STANDARD.encode(format!("\0{username}\0{password}"));
            let auth = format!("AUTH PLAIN {credentials}\r\n");
            self.write(Stage::Auth, &auth, limit).await?;
        } else if self.offers.auth_login {
            self.write(Stage::Auth, "AUTH LOGIN\r\n", limit).await?;
            for credential in [username, password] {
                self.expect(Stage::Auth, limit, 334..=334).await?;
                let line = format!("{}\r\n", STANDARD.encode(credential));
                self.write(Stage::Auth, &line, limit).await?;
            }
        } else {
            return Err(of_gateway("auth_not_offered"));
        }
        self.expect(Stage::Auth, limit, 200..=299).await?;
        Ok(())
    }

    /// Whether another mail may be tried on it.
    pub(super) fn is_usable(&self) -> bool {
        self.usable && self.wire.is_quiet()
    }

    /// Hands `mail` over in one transaction. `first_limit` is for the reply to the first command: a kept session
    /// that has become a dead end shows there.
    pub(super) async fn send(
        &mut self,
        mail: &Mail,
        deadline: Instant,
        first_limit: Instant,
    ) -> Result<Accepted, Failure> {
        // Stands while the transaction is under way: a caller that gives up in between leaves it so.
        self.usable = false;
        let result = self.transaction(mail, deadline, first_limit).await;
        self.usable = match &result {
            Ok(_) => true,
            Err(failure @ Failure::Refused(Stage::Rcpt | Stage::Data, _)) => {
                failure.leaves_session() && self.reset(deadline).await
            }
            Err(failure) => failure.leaves_session(),
        };
        result
    }

    async fn transaction(
        &mut self,
        mail: &Mail,
        deadline: Instant,
        first_limit: Instant,
    ) -> Result<Accepted, Failure> {
        let from = self.mail_command(mail)?;
        let first_limit = first_limit.min(deadline);
        self.command(Stage::Mail, &from, first_limit).await?;
        let rcpt = |address: &Address| format!("RCPT TO:<{address}>\r\n");
        self.command(Stage::Rcpt, &rcpt(&mail.recipient), deadline)
            .await?;
        let mut refused_copies = Vec::new();
        for copy in &mail.copies {
            match self.command(Stage::Rcpt, &rcpt(copy), deadline).await {
                Ok(_) => {}
                Err(Failure::Refused(stage, reply)) => {
                    let failure = Failure::Refused(stage, reply.clone());
                    if !failure.leaves_session() {
                        return Err(failure);
                    }
                    refused_copies.push(reply);
                }
                Err(failure) => return Err(failure),
            }
        }
        self.write(Stage::Data, "DATA\r\n", deadline).await?;
        self.expect(Stage::Data, deadline, 354..=354).await?;
        self.write_mail(&stuffed(&mail.bytes), deadline).await?;
        let reply = self.expect(Stage::FinalDot, deadline, 200..=299).await?;
        Ok(Accepted {
            reply,
            refused_copies,
        })
    }

    fn mail_command(&self, mail: &Mail) -> Result<String, Failure> {
        use std::fmt::Write as _;
        let refused = |blame, reason| {
            Err(Failure::Local(SendError::new(
                Fault::Permanent(blame),
                reason,
            )))
        };
        let mut command = format!("MAIL FROM:<{}>", mail.sender);
        if let Some(limit) = self.offers.size {
            let size = mail.bytes.len();
            if limit > 0 && u64::try_from(size).is_ok_and(|size| size > limit) {
                return refused(Blame::Message, "message_too_large");
            }
            let _ = write!(command, " SIZE={size}");
        }
        if mail.needs_smtputf8 {
            if !self.offers.smtputf8 {
                let blame = match mail.recipient.user().is_ascii() {
                    true => Blame::Message,
                    false => Blame::Recipient,
                };
                return refused(blame, "smtputf8_required");
            }
            command.push_str(" SMTPUTF8");
            if self.offers.eight_bit_mime {
                command.push_str(" BODY=8BITMIME");
            }
        }
        command.push_str("\r\n");
        Ok(command)
    }

    /// Writes `mail`, which ends in the final dot, and knows whether that dot can have left.
    async fn write_mail(&mut self, mail: &[u8], deadline: Instant) -> Result<(), Failure> {
        let mut written = 0;
        while written < mail.len() {
            let stage = match written > mail.len() - FINAL_DOT.len() {
                true => Stage::FinalDot,
                false => Stage::Body,
            };
            let writing = self.wire.write(&mail[written..]);
            written += within(stage, deadline, async { Ok(writing.await?) }).await?;
        }
        let flushing = self.wire.flush();
        within(Stage::FinalDot, deadline, async { Ok(flushing.await?) }).await
    }

    /// Forgets the transaction that failed. Returns whether the session is fit for the next.
    async fn reset(&mut self, deadline: Instant) -> bool {
        let limit = deadline.min(Instant::now() + RESET_TIMEOUT);
        self.command(Stage::Open, "RSET\r\n", limit).await.is_ok()
    }

    async fn command(
        &mut self,
        stage: Stage,
        line: &str,
        limit: Instant,
    ) -> Result<Reply, Failure> {
        self.write(stage, line, limit).await?;
        self.expect(stage, limit, 200..=299).await
    }

    async fn write(&mut self, stage: Stage, line: &str, limit: Instant) -> Result<(), Failure> {
        let writing = self.wire.write_all(line.as_bytes());
        let written = within(stage, limit, async { Ok(writing.await?) }).await;
        match written {
            // A server that closes says why first (421), and that can still be read.
            Err(Failure::Lost(stage, Cause::Closed)) => {
                let reply = within(stage, limit, self.wire.reply()).await?;
                Err(Failure::Refused(stage, reply))
            }
            written => written,
        }
    }

    async fn expect(
        &mut self,
        stage: Stage,
        limit: Instant,
        codes: std::ops::RangeInclusive<u16>,
    ) -> Result<Reply, Failure> {
        let reply = within(stage, limit, self.wire.reply()).await?;
        match codes.contains(&reply.code) {
            true => Ok(reply),
            false => Err(Failure::Refused(stage, reply)),
        }
    }
}

/// For the reply to RSET; the answer for the message is known already.
const RESET_TIMEOUT: Duration = Duration::from_secs(1);

/// Ends a mail, after the CRLF of its last line.
const FINAL_DOT: &[u8] = b".\r\n";

/// A mail as `DATA` carries it: a dot more before each line that begins with one, and the final dot (RFC 5321,
/// section 4.5.2).
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(mail.len() + mail.len() / 64 + FINAL_DOT.len());
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(FINAL_DOT);
    stuffed
}

async fn within<T>(
    stage: Stage,
    limit: Instant,
    action: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Failure> {
    timeout_at(limit.into(), action)
        .await
        .unwrap_or(Err(Cause::Late))
        .map_err(|cause| Failure::Lost(stage, cause))
}

fn of_gateway(reason: &'static str) -> Failure {
    Failure::Local(SendError::new(Fault::Gateway { retry_after: None }, reason))
}

/// Tries the server's addresses in turn, each with its share of the time that is left, so that one that leads
/// nowhere does not use up all of it.
async fn connect(config: &Config, limit: Instant) -> Result<TcpStream, Failure> {
    let failed = |error: io::Error| {
        let error = SendError::new(Fault::Gateway { retry_after: None }, "connect_failed")
            .with_text(&error.to_string());
        Failure::Local(error)
    };
    let addresses: Vec<_> = lookup_host((config.host.as_str(), config.port))
        .await
        .map_err(failed)?
        .collect();
    let mut last = failed(io::Error::other("the name has no address"));
    for (index, address) in addresses.iter().enumerate() {
        let left = limit.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        last = match timeout(share, TcpStream::connect(address)).await {
            // Commands are small and each waits for its reply: without this it waits for an ACK as well.
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => failed(error),
            },
            Ok(Err(error)) => failed(error),
            Err(_) => Failure::Lost(Stage::Open, Cause::Late),
        };
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of one dot would end the mail, and the rest would be read as commands.
    #[test]
    fn each_line_that_begins_with_a_dot_gets_one_more() {
        let mail = b"A: b\r\n\r\n.\r\n..\r\na.\r\n";
        assert_eq!(stuffed(mail), b"A: b\r\n\r\n..\r\n...\r\na.\r\n.\r\n");
    }
}
