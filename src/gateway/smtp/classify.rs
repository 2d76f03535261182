//! What went wrong and when → whose fault it was.

use super::wire::{Cause, Reply};
use crate::model::bounce;
use crate::model::outcome::{Blame, Fault, SendError};
use crate::model::report::BounceClass;

/// How far a mail had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// From the TCP connection to the login, before any mail.
    Open,
    /// `AUTH`, a part of opening whose refusal has reasons of its own.
    Auth,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`, of the recipient that the message is for.
    Rcpt,
    /// `DATA`.
    Data,
    /// The mail itself, before the dot that ends it was written.
    Body,
    /// The final dot was written, or may have been: the server may have the mail.
    FinalDot,
}

/// Why a mail was not accepted.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said so.
    Refused(Stage, Reply),
    /// The server said nothing that helps.
    Lost(Stage, Cause),
    /// Found out without asking.
    Local(SendError),
}

impl Failure {
    /// Whether the session, kept from an earlier mail, may merely have been too old, and no byte that ends a mail
    /// was written: then the mail is worth another try on a new session.
    pub(super) fn is_of_old_session(&self) -> bool {
        match self {
            Self::Refused(stage, reply) => *stage < Stage::FinalDot && reply.code == CLOSING,
            Self::Lost(stage, Cause::Closed) => *stage < Stage::FinalDot,
            Self::Lost(stage, Cause::Late) => *stage == Stage::Mail,
            Self::Lost(_, Cause::Unintelligible) | Self::Local(_) => false,
        }
    }

    /// As an error of a mail: what is said after several recipients were taken need not be about the one that counts.
    pub(super) fn of_mail(self, has_copies: bool) -> SendError {
        let after_all = matches!(self, Self::Refused(stage, _) if stage >= Stage::Data);
        let mut error = SendError::from(self);
        if has_copies && after_all && error.fault == RECIPIENT {
            error.fault = MESSAGE;
        }
        error
    }

    /// Whether the session can take another command.
    pub(super) fn leaves_session(&self) -> bool {
        match self {
            Self::Refused(Stage::Body, _) => false, // it may still wait for the rest
            Self::Refused(_, reply) => matches!(reply.code, 400..=599) && reply.code != CLOSING,
            Self::Lost(..) => false,
            Self::Local(_) => true,
        }
    }
}

/// Whether a refused `RCPT` says that the transaction has recipients enough (RFC 5321, section 4.5.3.1.10, which has 452 and knows of 552).
pub(super) fn is_of_too_many(reply: &Reply) -> bool {
    match reply.enhanced() {
        Some((subject, detail)) => (subject, detail) == (5, 3),
        None => matches!(reply.code, 452 | 552),
    }
}

/// "Service not available, closing transmission channel", in answer to anything (RFC 5321, section 3.8).
const CLOSING: u16 = 421;

impl From<Failure> for SendError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(stage, reply) => {
                let judged = refused(stage, reply.code, reply.enhanced());
                let (fault, reason) = by_words(stage, &reply, judged);
                Self::new(fault, reason)
                    .with_code(reply.status())
                    .with_text(&reply.text())
            }
            Failure::Lost(stage, cause) => {
                let (fault, reason) = lost(stage, &cause);
                Self::new(fault, reason)
            }
            Failure::Local(error) => error,
        }
    }
}

const TRANSIENT: Fault = Fault::Transient { retry_after: None };
const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const RECIPIENT: Fault = Fault::Permanent(Blame::Recipient);
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

/// What the words of a reply change in what its codes say.
fn by_words(stage: Stage, reply: &Reply, judged: (Fault, &'static str)) -> (Fault, &'static str) {
    match judged {
        _ if stage == Stage::Rcpt && reply.code >= 500 && denies_relaying(reply) => {
            (GATEWAY, "relaying_denied")
        }
        // Of one that closes for what we send, all messages are to blame.
        (_, "service_closing") if throttles(reply) => (GATEWAY, "throttled"),
        (fault, "service_unavailable" | "try_later") if throttles(reply) => (fault, "throttled"),
        (RECIPIENT, reason) => recipients(reply, reason),
        (MESSAGE, "policy_refused" | "refused") if class_of(reply) == BounceClass::Reputation => {
            (TRANSIENT, "reputation_refused")
        }
        judged => judged,
    }
}

/// What servers say to a client that they carry no mail for, or do not talk to: the gateway is set up wrongly.
const DENIALS: [&str; 20] = [
    "relay access denied",
    "relay denied",
    "relaying denied",
    "unable to relay",
    "cannot relay",
    "can't relay",
    "not relay",
    "relay not permitted",
    "relaying not permitted",
    "relaying is not permitted",
    "permitted to relay",
    "relay not allowed",
    "relaying not allowed",
    "relaying is not allowed",
    "allowed to relay",
    "relaying prohibited",
    "no relaying",
    "allowed rcpthosts", // qmail
    "client host rejected",
    "helo command rejected",
];

fn denies_relaying(reply: &Reply) -> bool {
    let text = reply.text().to_ascii_lowercase();
    DENIALS.iter().any(|words| text.contains(words))
}

/// What a reply is about, by its codes and words.
fn class_of(reply: &Reply) -> BounceClass {
    let status = reply.enhanced().map(|_| reply.status());
    bounce::classify(status.as_deref(), Some(reply.code), &reply.text()).class
}

/// A fault that the codes blame on the recipient, unless the words name another. Many servers use 550 for anything they
/// refuse, and each recipient that is blamed is suppressed: 550 alone does not suffice, nor does one that says in its text that it will pass.
fn recipients(reply: &Reply, reason: &'static str) -> (Fault, &'static str) {
    let says_for_now =
        || bounce::status_in(&reply.text()).is_some_and(|status| status.starts_with('4'));
    if reply.enhanced().is_none() && says_for_now() {
        return (TRANSIENT, "try_later");
    }
    match class_of(reply) {
        BounceClass::InvalidRecipient | BounceClass::MailboxUnavailable => (RECIPIENT, reason),
        BounceClass::MailboxFull => (TRANSIENT, "mailbox_full"),
        BounceClass::Throttled | BounceClass::Network => (TRANSIENT, "try_later"),
        BounceClass::Reputation => (TRANSIENT, "reputation_refused"),
        BounceClass::Authentication | BounceClass::Policy => (MESSAGE, "policy_refused"),
        BounceClass::Message => (MESSAGE, "refused"),
        BounceClass::AutoReply | BounceClass::Undetermined => {
            match (reply.code, reply.enhanced()) {
                (550, None) => (MESSAGE, "refused"),
                _ => (RECIPIENT, reason),
            }
        }
    }
}

/// Whether we send too much, or too fast. A server that closes for a policy (4.7.z) does; of other policies the words
/// must say so (`451 4.7.650 … temporarily rate limited`, `454 Throttling failure`). A greylist wants no less of us, it wants it later.
fn throttles(reply: &Reply) -> bool {
    if !matches!(reply.code, 421 | 450 | 451 | 452 | 454) {
        return false;
    }
    let text = reply.text().to_ascii_lowercase();
    if text.contains("greylist") || text.contains("graylist") {
        return false;
    }
    match reply.enhanced() {
        Some((7, _)) if reply.code == CLOSING => true,
        Some((7, 500)) => true, // "Server busy" of Exchange Online
        _ => class_of(reply) == BounceClass::Throttled,
    }
}

/// By the reply's first digit, 4yz transient and 5yz permanent (RFC 5321, section 4.2.1), but what concerns
/// neither the message nor its recipient is the gateway's. From the recipient on a server may close for what this
/// message is, so that it counts as an attempt, or that message could be tried for ever.
fn refused(stage: Stage, code: u16, enhanced: Option<(u16, u16)>) -> (Fault, &'static str) {
    match (stage, code) {
        (Stage::Open | Stage::Auth | Stage::Mail, CLOSING) => (GATEWAY, "service_closing"),
        (_, CLOSING) => (TRANSIENT, "service_closing"),
        // RFC 4954, section 6: authentication needed, too weak, failed, or encryption needed for it.
        (_, 530 | 534 | 535 | 538) => (GATEWAY, "auth_refused"),
        (Stage::Auth, 400..=599) => (GATEWAY, "auth_refused"),
        (Stage::Open, 400..=599) => (GATEWAY, "service_unavailable"),
        (_, 400..=499) => match enhanced {
            Some((2, 2)) => (TRANSIENT, "mailbox_full"),
            Some((5, 3)) => (TRANSIENT, "too_many_recipients"),
            _ => (TRANSIENT, "try_later"),
        },
        (_, 500..=599) if is_too_large(stage, code, enhanced) => (MESSAGE, "message_too_large"),
        (Stage::Mail, 500..=599) => (GATEWAY, "sender_refused"),
        (Stage::Rcpt, 500..=599) => {
            of_enhanced(enhanced).unwrap_or_else(|| recipient_by_code(code, enhanced))
        }
        (_, 500..=599) => match of_enhanced(enhanced) {
            // Its recipient was taken: an address in its header is meant.
            Some((RECIPIENT, "invalid_address")) | None => (MESSAGE, "refused"),
            Some(judged) => judged,
        },
        (Stage::FinalDot, _) => (Fault::Unknown, "protocol_error"),
        _ => (GATEWAY, "protocol_error"),
    }
}

/// RFC 1870, section 6.1, and RFC 3463. Plain 552 to `RCPT` is something else.
fn is_too_large(stage: Stage, code: u16, enhanced: Option<(u16, u16)>) -> bool {
    match enhanced {
        Some((2, 3) | (3, 4)) => true,
        Some(_) => false,
        None => code == 552 && stage != Stage::Rcpt,
    }
}

/// What the subject and detail of an enhanced code in class 5 say (RFC 3463, RFC 5248, RFC 7505).
fn of_enhanced(enhanced: Option<(u16, u16)>) -> Option<(Fault, &'static str)> {
    Some(match enhanced? {
        (1, 1 | 6) => (RECIPIENT, "mailbox_unavailable"),
        (1, 2 | 10) => (RECIPIENT, "domain_takes_no_mail"),
        (1, 3) => (RECIPIENT, "invalid_address"),
        // Many servers wait for RCPT with what they have against the sender.
        (1, 7 | 8) => (GATEWAY, "sender_refused"),
        (2, 1) => (RECIPIENT, "mailbox_disabled"),
        (2, 2) => (TRANSIENT, "mailbox_full"),
        (5, 3) => (TRANSIENT, "too_many_recipients"),
        (6, _) => (MESSAGE, "content_refused"),
        (7, _) => (MESSAGE, "policy_refused"),
        _ => return None,
    })
}

/// A refused `RCPT` whose enhanced code is absent or says little.
fn recipient_by_code(code: u16, enhanced: Option<(u16, u16)>) -> (Fault, &'static str) {
    match (code, enhanced) {
        // "Too many recipients" (RFC 5321, section 4.5.3.1.10), whatever the first digit.
        (552, _) => (TRANSIENT, "too_many_recipients"),
        (550 | 551 | 553, None) => (RECIPIENT, "mailbox_unavailable"),
        (556, _) => (RECIPIENT, "domain_takes_no_mail"),
        _ => (MESSAGE, "refused"),
    }
}

/// Silence is unknown from the final dot on, and harmless before. A deadline that passes is counted as an
/// attempt; so is a connection that is lost from the recipient on, as in [`refused`].
fn lost(stage: Stage, cause: &Cause) -> (Fault, &'static str) {
    match (stage, cause) {
        (Stage::FinalDot, Cause::Closed | Cause::Late) => (Fault::Unknown, "no_reply"),
        (Stage::FinalDot, Cause::Unintelligible) => (Fault::Unknown, "protocol_error"),
        (Stage::Open | Stage::Auth, Cause::Late) => (GATEWAY, "connect_timeout"),
        (_, Cause::Late) => (TRANSIENT, "deadline_passed"),
        (Stage::Rcpt | Stage::Data | Stage::Body, Cause::Closed) => (TRANSIENT, "connection_lost"),
        (_, Cause::Closed) => (GATEWAY, "connection_lost"),
        (_, Cause::Unintelligible) => (GATEWAY, "protocol_error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: [Stage; 5] = [
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Body,
        Stage::FinalDot,
    ];

    /// The first digit decides where nothing else does.
    #[test]
    fn four_is_transient_and_its_neighbour_five_is_not() {
        assert_eq!(refused(Stage::Rcpt, 450, None), (TRANSIENT, "try_later"));
        assert_eq!(
            refused(Stage::Rcpt, 550, None),
            (RECIPIENT, "mailbox_unavailable")
        );
        assert_eq!(
            refused(Stage::FinalDot, 451, None),
            (TRANSIENT, "try_later")
        );
        assert_eq!(refused(Stage::FinalDot, 554, None), (MESSAGE, "refused"));
    }

    /// 552 has three meanings: by stage, and by enhanced code.
    #[test]
    fn the_meaning_of_552_depends_on_what_it_answers() {
        let full = Some((2, 2));
        assert_eq!(
            refused(Stage::Rcpt, 552, None),
            (TRANSIENT, "too_many_recipients")
        );
        assert_eq!(refused(Stage::Rcpt, 552, full), (TRANSIENT, "mailbox_full"));
        assert_eq!(
            refused(Stage::FinalDot, 552, full),
            (TRANSIENT, "mailbox_full")
        );
        assert_eq!(
            refused(Stage::Mail, 552, None),
            (MESSAGE, "message_too_large")
        );
        assert_eq!(
            refused(Stage::FinalDot, 552, None),
            (MESSAGE, "message_too_large")
        );
    }

    /// Only a recipient's fault may suppress, so one that is not surely theirs is not called theirs.
    #[test]
    fn only_address_and_mailbox_codes_blame_the_recipient() {
        for detail in [(1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1)] {
            assert_eq!(
                refused(Stage::Rcpt, 550, Some(detail)).0,
                RECIPIENT,
                "{detail:?}"
            );
            let at_the_end = if detail == (1, 3) { MESSAGE } else { RECIPIENT }; // of an address in its header
            assert_eq!(
                refused(Stage::FinalDot, 550, Some(detail)).0,
                at_the_end,
                "{detail:?}"
            );
        }
        for detail in [(1, 0), (2, 0), (4, 1), (4, 6), (6, 0), (7, 1), (7, 26)] {
            assert_eq!(
                refused(Stage::Rcpt, 550, Some(detail)).0,
                MESSAGE,
                "{detail:?}"
            );
        }
        assert_eq!(
            refused(Stage::Rcpt, 550, Some((1, 8))),
            (GATEWAY, "sender_refused")
        );
    }

    /// A server that closes before it heard of the recipient has nothing against the message; later it may.
    #[test]
    fn a_421_is_the_gateways_before_the_recipient_and_a_422_is_not() {
        for stage in EACH {
            let fault = match stage {
                Stage::Mail => GATEWAY,
                _ => TRANSIENT,
            };
            assert_eq!(refused(stage, 421, None).0, fault, "{stage:?}");
            assert_eq!(refused(stage, 422, None).0, TRANSIENT, "{stage:?}");
        }
    }

    /// Before the dot a lost connection loses nothing; after it nobody knows.
    #[test]
    fn only_silence_after_the_final_dot_is_unknown() {
        for stage in EACH {
            for cause in [Cause::Closed, Cause::Late, Cause::Unintelligible] {
                let unknown = lost(stage, &cause).0 == Fault::Unknown;
                assert_eq!(unknown, stage == Stage::FinalDot, "{stage:?} {cause:?}");
                let again = Failure::Lost(stage, cause).is_of_old_session();
                assert!(!(again && unknown), "{stage:?} would be sent twice");
            }
        }
    }
}
