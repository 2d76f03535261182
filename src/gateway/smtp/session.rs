//! A session with a server: opened once, then one transaction a mail (RFC 5321, section 3.3).

mod open;

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use self::open::Offers;
use super::classify::{Failure, Stage, is_of_too_many};
use super::wire::{Cause, Reply, Wire};
use crate::gateway::exchange;
use crate::gateway::mime::{Address, Mail};
use crate::model::outcome::{Blame, Fault, SendError};

/// An open session.
pub(super) struct Session {
    wire: Wire,
    offers: Offers,
    usable: bool,
}

/// How long a mail may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For all of it, up to the final dot and the reply to it.
    pub(super) deadline: Instant,
    /// That reply may come so long after the dot, if that is later.
    pub(super) after_dot: Duration,
}

/// What a server accepted.
pub(super) struct Accepted {
    /// Its reply to the mail.
    pub(super) reply: Reply,
    /// The copies that it refused, with its replies.
    pub(super) refused_copies: Vec<(Address, Reply)>,
}

impl Session {
    /// Whether another mail may be tried on it.
    pub(super) fn is_usable(&self) -> bool {
        self.usable && self.wire.is_quiet()
    }

    /// Hands `mail` over in one transaction. `first_limit` is for the reply to the first command: a kept session
    /// that has become a dead end shows there.
    pub(super) async fn send(
        &mut self,
        mail: &Mail,
        limits: Limits,
        first_limit: Instant,
    ) -> Result<Accepted, Failure> {
        // Stands while the transaction is under way: a caller that gives up in between leaves it so.
        self.usable = false;
        let mut result = self
            .transaction(
                mail,
                Some(&mail.recipient),
                &mail.copies,
                limits,
                first_limit,
            )
            .await;
        self.end(&result, limits.deadline).await;
        if let Ok(accepted) = &mut result {
            self.send_rest(mail, accepted, limits).await;
        }
        result
    }

    /// Hands `mail` to the copies that were too many for one transaction, in further ones (RFC 5321, section 4.5.3.1.10). Those that cannot be handed over
    /// stay refused: the message itself is accepted.
    async fn send_rest(&mut self, mail: &Mail, accepted: &mut Accepted, limits: Limits) {
        while self.is_usable() {
            let (rest, refused): (Vec<_>, Vec<_>) = accepted
                .refused_copies
                .drain(..)
                .partition(|(_, reply)| is_of_too_many(reply));
            accepted.refused_copies = refused;
            if rest.is_empty() {
                return;
            }
            let copies: Vec<Address> = rest.iter().map(|(copy, _)| copy.clone()).collect();
            self.usable = false;
            let result = self
                .transaction(mail, None, &copies, limits, limits.deadline)
                .await;
            self.end(&result, limits.deadline).await;
            match result {
                Ok(more) if more.refused_copies.len() < rest.len() => {
                    accepted.refused_copies.extend(more.refused_copies);
                }
                _ => return accepted.refused_copies.extend(rest),
            }
        }
    }

    /// Brings the session into a state for the next transaction, if that can be.
    async fn end(&mut self, result: &Result<Accepted, Failure>, deadline: Instant) {
        self.usable = match result {
            Ok(_) => true,
            Err(failure @ Failure::Refused(Stage::Rcpt | Stage::Data, _)) => {
                failure.leaves_session() && self.reset(deadline).await
            }
            Err(failure) => failure.leaves_session(),
        };
    }

    /// One transaction, for `recipient` if there is one, who must be taken, and for those of `copies` that are.
    async fn transaction(
        &mut self,
        mail: &Mail,
        recipient: Option<&Address>,
        copies: &[Address],
        limits: Limits,
        first_limit: Instant,
    ) -> Result<Accepted, Failure> {
        let deadline = limits.deadline;
        let from = self.mail_command(mail)?;
        let first_limit = first_limit.min(deadline);
        self.command(Stage::Mail, &from, first_limit).await?;
        let rcpt = |address: &Address| format!("RCPT TO:<{address}>\r\n");
        if let Some(recipient) = recipient {
            self.command(Stage::Rcpt, &rcpt(recipient), deadline)
                .await?;
        }
        let mut refused_copies = Vec::new();
        for copy in copies {
            match self.command(Stage::Rcpt, &rcpt(copy), deadline).await {
                Ok(_) => {}
                Err(Failure::Refused(stage, reply)) => {
                    let is_nobody = recipient.is_none() && refused_copies.len() + 1 == copies.len();
                    let failure = Failure::Refused(stage, reply.clone());
                    if is_nobody || !failure.leaves_session() {
                        return Err(failure);
                    }
                    refused_copies.push((copy.clone(), reply));
                }
                Err(failure) => return Err(failure),
            }
        }
        self.write(Stage::Data, "DATA\r\n", deadline).await?;
        self.expect(Stage::Data, deadline, 354..=354).await?;
        self.write_mail(&stuffed(&mail.bytes), deadline).await?;
        let dot_limit = deadline.max(Instant::now() + limits.after_dot);
        let reply = self.expect(Stage::FinalDot, dot_limit, 200..=299).await?;
        Ok(Accepted {
            reply,
            refused_copies,
        })
    }

    fn mail_command(&self, mail: &Mail) -> Result<String, Failure> {
        use std::fmt::Write as _;
        let refused = |reason| {
            let fault = Fault::Permanent(Blame::Message);
            Err(Failure::Local(SendError::new(fault, reason)))
        };
        let mut command = format!("MAIL FROM:<{}>", mail.sender);
        if let Some(limit) = self.offers.size {
            let size = mail.bytes.len();
            if limit > 0 && u64::try_from(size).is_ok_and(|size| size > limit) {
                return refused("message_too_large");
            }
            let _ = write!(command, " SIZE={size}");
        }
        if self.offers.dsn {
            // A UUID needs no encoding (RFC 3461, section 4.4).
            let id = mail.message_id.split('@').next().unwrap_or_default();
            let _ = write!(command, " ENVID={id}");
        }
        if mail.needs_smtputf8 {
            if !self.offers.smtputf8 {
                return refused("smtputf8_required"); // of this server: nothing is wrong with the address
            }
            command.push_str(" SMTPUTF8");
            if self.offers.eight_bit_mime {
                command.push_str(" BODY=8BITMIME");
            }
        }
        command.push_str("\r\n");
        Ok(command)
    }

    /// Writes `mail`, which ends in the final dot, and knows whether that dot can have left. A server that has enough says so amid the mail, and closes then
    /// or reads no more.
    async fn write_mail(&mut self, mail: &[u8], deadline: Instant) -> Result<(), Failure> {
        exchange::out(|| String::from_utf8_lossy(mail).into_owned());
        let mut written = 0;
        while written < mail.len() {
            let stage = match written > mail.len() - FINAL_DOT.len() {
                true => Stage::FinalDot,
                false => Stage::Body,
            };
            let limit = deadline.min(Instant::now() + LOOK_EVERY);
            let writing = self.wire.write(&mail[written..]);
            match within(stage, limit, async { Ok(writing.await?) }).await {
                Ok(count) => written += count,
                Err(Failure::Lost(_, Cause::Late)) if Instant::now() < deadline => {}
                Err(lost @ Failure::Lost(_, Cause::Closed)) => {
                    return Err(match self.last_words(stage, deadline).await {
                        Some(refused @ Failure::Refused(..)) => refused,
                        _ => lost,
                    });
                }
                Err(failure) => return Err(failure),
            }
            if stage == Stage::Body
                && written < mail.len()
                && self.wire.has_arrived()
                && let Some(failure) = self.last_words(stage, deadline).await
            {
                return Err(failure);
            }
        }
        let flushing = self.wire.flush();
        within(Stage::FinalDot, deadline, async { Ok(flushing.await?) }).await
    }

    /// Why a server that was not asked anything speaks or closes; `None` when no reply is to be had.
    async fn last_words(&mut self, stage: Stage, deadline: Instant) -> Option<Failure> {
        let limit = deadline.min(Instant::now() + LAST_WORDS_TIMEOUT);
        match within(stage, limit, self.wire.reply()).await {
            Ok(reply) if matches!(reply.code, 400..=599) => Some(Failure::Refused(stage, reply)),
            Ok(_) => Some(Failure::Lost(stage, Cause::Unintelligible)),
            Err(Failure::Lost(_, Cause::Late)) => None,
            Err(failure) => Some(failure),
        }
    }

    /// Says goodbye. Whether the server answers does not matter.
    pub(super) async fn quit(mut self, limit: Instant) {
        let _ = self.command(Stage::Open, "QUIT\r\n", limit).await;
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
        exchange::out(|| match stage {
            Stage::Auth if line.starts_with("AUTH PLAIN ") => "AUTH PLAIN ***".into(),
            Stage::Auth if !line.starts_with("AUTH ") => "***".into(),
            _ => line.into(),
        });
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

/// How often a mail that the server does not read is left to see whether it says why.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// For a reply that has begun to arrive.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

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
