//! Why a mail bounced: enhanced status code (RFC 3463, IANA's "SMTP Enhanced Status Codes"), SMTP code, text → class.
//!
//! A provider's own fields go first, and are read beside the provider; here is what all of them end in. A class that
//! blames the recipient suppresses a person, so that codes and words which may mean something else do not reach it: a
//! policy code never blames the recipient whatever its text says, and a code that does is overruled by a text that says
//! plainly what else it was.

mod words;

use self::words::Words;
use super::report::{Bounce, BounceClass, BounceKind};
use BounceClass::{
    Authentication, InvalidRecipient, MailboxFull, MailboxUnavailable, Message, Network, Policy,
    Reputation, Throttled, Undetermined,
};

/// What is read of a text, in bytes: servers say what matters first.
const TEXT_READ: usize = 1024;

/// Classifies a bounce by its enhanced status code (`5.1.1`), SMTP code (550), and text (`550 5.1.1 User unknown`).
/// Codes that are not given are looked for in the text.
///
/// Hard is only what is for good and the recipient's: no such mailbox or domain, or a mailbox that is disabled (5.2.1).
pub fn classify(enhanced: Option<&str>, smtp: Option<u16>, text: &str) -> Bounce {
    let text = &text[..text.floor_char_boundary(TEXT_READ)];
    let status = enhanced
        .and_then(Status::read)
        .or_else(|| status_in(text).and_then(Status::read));
    let smtp = smtp
        .filter(|code| matches!(code, 400..=599))
        .or_else(|| smtp_code_in(text));
    let words = Words::of(text);
    let class = match status.map(of_status) {
        Some(Meaning::Recipient(class)) => match words.of_recipient() {
            Some(_) => class,
            None => words.of_others().unwrap_or(class),
        },
        Some(Meaning::Policy) => words.of_sender().unwrap_or(Policy),
        Some(Meaning::Plain(class)) => class,
        Some(Meaning::Vague(class)) => words.any().unwrap_or(class),
        None => match smtp.and_then(of_smtp_code) {
            Some(class) => class,
            None => words.any().unwrap_or(Undetermined),
        },
    };
    let is_for_good = match (status, smtp) {
        (Some(status), _) => status.class == 5,
        (None, Some(code)) => code >= 500,
        (None, None) => true, // nobody bounces for now without saying so
    };
    let is_disabled = status.is_some_and(|s| (s.subject, s.detail) == (2, 1));
    let kind = match class {
        InvalidRecipient if is_for_good => BounceKind::Hard,
        MailboxUnavailable if is_for_good && is_disabled => BounceKind::Hard,
        _ => BounceKind::Soft,
    };
    Bounce { kind, class }
}

/// The first enhanced status code in a text, of class 4 or 5; addresses of hosts look alike and are none.
pub fn status_in(text: &str) -> Option<&str> {
    let of_code = |c: char| c.is_ascii_digit() || c == '.';
    text.split(|c: char| !of_code(c))
        .map(|word| word.trim_end_matches('.'))
        .find(|word| Status::read(word).is_some())
}

/// The SMTP code with which a text begins, maybe behind `smtp;` (RFC 3464, section 2.3.6).
pub fn smtp_code_in(text: &str) -> Option<u16> {
    let text = text.trim_start();
    let text = match text.split_once(';') {
        Some((kind, rest)) if kind.trim().eq_ignore_ascii_case("smtp") => rest.trim_start(),
        _ => text,
    };
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let code = text[..digits.unwrap_or(text.len())].parse().ok()?;
    matches!(code, 400..=599).then_some(code)
}

/// An enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    class: u16,
    subject: u16,
    detail: u16,
}

impl Status {
    /// `class "." subject "." detail` (RFC 3463, section 2), of a failure.
    fn read(text: &str) -> Option<Self> {
        let number = |part: &str| {
            let is_number =
                (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| part.parse().ok()).flatten()
        };
        let mut parts = text.trim().split('.').map(number);
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        let status = Self {
            class,
            subject,
            detail,
        };
        (matches!(class, 4 | 5) && parts.next().is_none()).then_some(status)
    }
}

/// What a code says.
enum Meaning {
    /// The recipient's, unless the text says otherwise.
    Recipient(BounceClass),
    /// The receiver's policy; the text may say which, and nothing else.
    Policy,
    /// As it says.
    Plain(BounceClass),
    /// The text says more, or it is this.
    Vague(BounceClass),
}

/// By subject and detail. RFC 3463, section 3; 1.9, 1.10: RFC 5248, 7505; 7.8 to 7.30: RFC 4954, 5248, 6710, 7293, 7372,
/// 7505, 8616, 8689; three digits: Microsoft ("Email non-delivery reports in Exchange Online").
fn of_status(status: Status) -> Meaning {
    match (status.subject, status.detail) {
        (1, 1 | 2 | 3 | 6 | 10) => Meaning::Recipient(InvalidRecipient),
        (1, 7 | 8) => Meaning::Plain(Authentication), // the sender's address
        (1, 9) => Meaning::Plain(Network),
        (2, 1 | 4) => Meaning::Recipient(MailboxUnavailable),
        (2, 2) => Meaning::Plain(MailboxFull),
        (2, 3) | (3, 3 | 4) => Meaning::Plain(Message),
        (3, _) | (4, _) => Meaning::Vague(Network),
        (5, 3) => Meaning::Plain(Throttled), // too many recipients
        (6, _) => Meaning::Plain(Message),
        (7, 17 | 18) => Meaning::Recipient(InvalidRecipient), // the address changed hands
        (7, 3..=14 | 20..=27 | 29 | 30) => Meaning::Plain(Authentication),
        (7, 57 | 60 | 509 | 515) => Meaning::Plain(Authentication),
        (7, 16) => Meaning::Plain(Message),
        (7, 15 | 28) => Meaning::Plain(Throttled),
        (7, 511 | 606..=649 | 708) => Meaning::Plain(Reputation),
        (7, _) => Meaning::Policy,
        _ => Meaning::Vague(Undetermined),
    }
}

/// The codes that mean one thing without an enhanced one (RFC 4954, 5321, 7504). 550 means three, and its text says which.
fn of_smtp_code(code: u16) -> Option<BounceClass> {
    match code {
        556 => Some(InvalidRecipient),
        530 | 534 | 535 | 538 => Some(Authentication),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BounceClass::AutoReply;
    use BounceKind::{Hard, Soft};

    fn of(enhanced: &str, text: &str) -> (BounceKind, BounceClass) {
        let enhanced = Some(enhanced).filter(|code| !code.is_empty());
        let bounce = classify(enhanced, None, text);
        (bounce.kind, bounce.class)
    }

    /// These suppress a person for good, each with the code beside it that must not.
    #[test]
    fn only_address_and_mailbox_codes_blame_the_recipient_for_good() {
        for code in [
            "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.7.17", "5.7.18",
        ] {
            assert_eq!(of(code, ""), (Hard, InvalidRecipient), "{code}");
        }
        assert_eq!(of("5.2.1", ""), (Hard, MailboxUnavailable));
        for code in [
            "5.0.0", "5.1.0", "5.1.4", "5.1.5", "5.1.7", "5.1.8", "5.1.9", "5.1.11", "5.2.0",
            "5.2.3", "5.3.0", "5.4.1", "5.4.4", "5.5.0", "5.5.3", "5.6.0", "5.7.0", "5.7.1",
            "5.7.16", "5.7.19", "5.7.26",
        ] {
            let (kind, class) = of(code, "");
            assert!(kind == Soft && !class.is_recipients(), "{code}: {class:?}");
        }
    }

    /// What is so for now, or full, is counted before it suppresses.
    #[test]
    fn what_may_pass_is_soft() {
        assert_eq!(of("4.1.1", ""), (Soft, InvalidRecipient));
        assert_eq!(of("4.2.1", ""), (Soft, MailboxUnavailable));
        assert_eq!(of("5.2.2", ""), (Soft, MailboxFull));
        assert_eq!(of("4.2.2", ""), (Soft, MailboxFull));
        assert_eq!(of("5.2.4", ""), (Soft, MailboxUnavailable));
    }

    /// Policy and authentication blame the sender, whatever the text says besides.
    #[test]
    fn a_policy_code_never_blames_the_recipient() {
        for (code, text, class) in [
            ("5.7.1", "", Policy),
            ("5.7.1", "user unknown", Policy),
            ("5.7.1", "Unable to relay", Policy),
            (
                "5.7.1",
                "part of their network is on our block list (S3140)",
                Reputation,
            ),
            (
                "5.7.1",
                "Service unavailable, Client host [192.0.2.1] blocked using Spamhaus",
                Reputation,
            ),
            (
                "5.7.1",
                "Email rejected per DMARC policy of example.org",
                Authentication,
            ),
            (
                "4.7.1",
                "Greylisted, please try again in 300 seconds",
                Throttled,
            ),
            ("5.7.26", "unauthenticated mail", Authentication),
            (
                "5.7.509",
                "Access denied, sending domain does not pass DMARC",
                Authentication,
            ),
            ("5.7.511", "Access denied, banned sender", Reputation),
            ("5.7.606", "Access denied, banned sending IP", Reputation),
            ("5.7.28", "mail flood", Throttled),
        ] {
            assert_eq!(of(code, text), (Soft, class), "{code} {text}");
        }
    }

    /// Real servers answer 5.1.1 to anything; a text that says what else it was exonerates the recipient.
    #[test]
    fn a_text_overrules_a_code_that_blames_the_recipient() {
        for (code, text, class) in [
            ("5.1.1", "550 mailbox full", MailboxFull),
            ("5.1.1", "over quota", MailboxFull),
            ("5.1.1", "550 blocked using dnsbl", Reputation),
            ("5.1.1", "message rejected as spam", Policy),
            (
                "5.2.1",
                "The user is receiving mail at a rate that prevents additional messages",
                Throttled,
            ),
            ("5.1.2", "connection timed out", Network),
        ] {
            assert_eq!(of(code, text), (Soft, class), "{code} {text}");
        }
        let usual = "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in local recipient table";
        assert_eq!(of("5.1.1", usual), (Hard, InvalidRecipient));
        let gmail = "The email account that you tried to reach does not exist. Please try double-checking the \
                     recipient's email address for typos. https://support.google.com/mail/?p=NoSuchUser";
        assert_eq!(of("5.1.1", gmail), (Hard, InvalidRecipient));
        let spoken_of = "550 5.1.1 User unknown. See our spam policy";
        assert_eq!(of("5.1.1", spoken_of), (Hard, InvalidRecipient));
    }

    /// Where the code says little, or there is none, the text does, and in doubt it is not the recipient.
    #[test]
    fn a_text_decides_where_no_code_does() {
        for (text, expected) in [
            ("550 No such user here", (Hard, InvalidRecipient)),
            ("450 No such user here", (Soft, InvalidRecipient)),
            ("No Such User", (Hard, InvalidRecipient)),
            ("smtp; 550 Unknown local part", (Hard, InvalidRecipient)),
            (
                "554 delivery error: dd This user doesn't have a yahoo.com account",
                (Hard, InvalidRecipient),
            ),
            (
                "550 Requested action not taken: mailbox unavailable",
                (Soft, MailboxUnavailable),
            ),
            (
                "550 no such user, or blocked by spam filter",
                (Soft, Policy),
            ),
            ("550 Relaying denied", (Soft, Policy)),
            ("550 SPF check failed", (Soft, Authentication)),
            ("550 marble", (Soft, Undetermined)), // not `rbl`
            (
                "550 Your IP is not allowed: no such user",
                (Soft, Reputation),
            ),
            (
                "550 Callback verification failed: user unknown",
                (Soft, Authentication),
            ),
            ("550", (Soft, Undetermined)),
            ("", (Soft, Undetermined)),
            ("556 whatever", (Hard, InvalidRecipient)),
            ("535 whatever", (Soft, Authentication)),
            ("I am out of the office", (Soft, AutoReply)),
            ("552 message size exceeds fixed limit", (Soft, Message)),
        ] {
            assert_eq!(of("", text), expected, "{text}");
        }
        let exchange = "Recipient address rejected: Access denied. AS(201806281)";
        assert_eq!(of("5.4.1", exchange), (Hard, InvalidRecipient));
        assert_eq!(of("5.4.1", "no answer from host").1, Network);
        assert_eq!(of("5.5.0", "mailbox unavailable").1, MailboxUnavailable);
        let postfix = "Host or domain name not found. Name service error for name=nosuch.example type=A: Host not found";
        assert_eq!(of("5.4.4", postfix), (Hard, InvalidRecipient));
    }

    /// Texts hold addresses of hosts and versions, which look like codes.
    #[test]
    fn codes_are_found_in_texts_and_addresses_are_not_codes() {
        assert_eq!(status_in("550-5.1.1 no such user"), Some("5.1.1"));
        assert_eq!(status_in("554 (#5.7.1) refused."), Some("5.7.1"));
        assert_eq!(status_in("ends with 5.2.2."), Some("5.2.2"));
        assert_eq!(status_in("host 5.1.1.3 said 4.2.2"), Some("4.2.2"));
        for none in [
            "", "2.0.0 ok", "5.1", "5.1.1.1", "15.1.1", "5.1.1234", "5..1", "v5.1",
        ] {
            assert_eq!(status_in(none), None, "{none}");
        }
        assert_eq!(smtp_code_in("smtp; 550 5.1.1 no"), Some(550));
        assert_eq!(smtp_code_in("421-busy"), Some(421));
        for none in ["250 ok", "5501", "x 550", "x-unix; 550", "650"] {
            assert_eq!(smtp_code_in(none), None, "{none}");
        }
    }

    /// A text of any length and script is read in its beginning only.
    #[test]
    fn a_text_of_any_length_is_read() {
        let text = format!("{}user unknown", "é".repeat(1_000_000));
        assert_eq!(of("", &text).1, Undetermined);
    }
}
