//! Opening: connect, greet, encrypt, log in.

use std::io;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{timeout, timeout_at};

use super::Session;
use crate::gateway::smtp::classify::{Failure, Stage};
use crate::gateway::smtp::config::{Config, Login, Tls};
use crate::gateway::smtp::wire::{Cause, Reply, Wire};
use crate::model::outcome::{Fault, SendError};
use crate::model::secret::Secret;

/// The extensions that a server named, as far as they are used here.
#[derive(Debug, Default)]
pub(super) struct Offers {
    starttls: bool,
    pub(super) smtputf8: bool,
    pub(super) eight_bit_mime: bool,
    /// `SIZE`, and the limit in bytes if it names one (RFC 1870).
    pub(super) size: Option<u64>,
    /// Notifications name the mail as we do (RFC 3461).
    pub(super) dsn: bool,
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
                Some("DSN") => offers.dsn = true,
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

impl Session {
    /// Connects, encrypts and logs in as `config` says, until `limit`.
    pub(in crate::gateway::smtp) async fn open(
        config: &Config,
        limit: Instant,
    ) -> Result<Self, Failure> {
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
        let credentials = STANDARD.encode(format!("\0{username}\0{password}"));
        // Some servers quote what they refuse.
        let encoded = STANDARD.encode(password);
        let secrets = [&credentials, &encoded, password].into_iter();
        self.wire.mask(secrets.map(Secret::new).collect());
        if self.offers.auth_plain {
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
        self.wire.mask(Vec::new());
        Ok(())
    }
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
