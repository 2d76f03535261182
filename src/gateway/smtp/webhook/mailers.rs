//! Bounces and complaints as the mail servers of the Internet write them.

use uuid::Uuid;

use super::tests::{id, parse};
use crate::model::event::EventType;
use crate::model::report::{BounceClass, BounceKind, Report};
use BounceClass::{InvalidRecipient, MailboxFull};
use BounceKind::{Hard, Soft};

macro_rules! mail {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/webhooks/smtp/", $name))
    };
}

/// The bounces in a mail, each of message `last`: recipient, kind and class.
fn bounces(mail: &str, last: u8) -> Vec<(String, BounceKind, BounceClass)> {
    let reports = parse(mail).expect("reports");
    let bounces = reports.into_iter().map(|report| {
        assert_eq!(report.event_type, EventType::Bounced);
        assert_eq!(report.message_id, id(last), "{report:?}");
        let bounce = report.bounce.expect("a bounce");
        let recipient = report.recipient.expect("a recipient");
        (recipient, bounce.kind, bounce.class)
    });
    bounces.collect()
}

fn hard(address: &str) -> (String, BounceKind, BounceClass) {
    (address.into(), Hard, InvalidRecipient)
}

fn full(address: &str) -> (String, BounceKind, BounceClass) {
    (address.into(), Soft, MailboxFull)
}

/// Exim writes 5.0.0 for whatever it was told, and the action before the recipient.
#[test]
fn exims_is_read_by_what_the_other_server_said() {
    assert_eq!(
        bounces(mail!("dsn_exim.eml"), 4),
        [hard("ada@example.org"), full("bob@example.org")]
    );
}

/// Exchange has a code of its own for an address that nobody has.
#[test]
fn exchanges_is_read() {
    let mail = mail!("dsn_exchange.eml");
    assert_eq!(bounces(mail, 5), [hard("ada@example.org")]);
    let returned = mail.find("Content-Type: message/rfc822").expect("a mail");
    assert_eq!(
        bounces(&mail[..returned], 5),
        [hard("ada@example.org")],
        "which it leaves out where an administrator says so"
    );
}

/// Gmail may return a header without its Message-ID, and names it elsewhere.
#[test]
fn gmails_is_found_by_the_id_that_it_names() {
    let mail = mail!("dsn_gmail.eml");
    assert_eq!(bounces(mail, 6), [hard("ada@example.org")]);
    let unnamed = mail.replace("X-Original-Message-ID", "X-Other");
    assert!(parse(&unnamed).is_err());
}

/// Where nothing of the mail is returned there is what we gave along with it.
#[test]
fn a_notification_is_found_by_its_envelope_id_alone() {
    let mail = mail!("dsn_envelope_id.eml");
    assert_eq!(bounces(mail, 8), [hard("ada@example.org")]);
    let anothers = mail.replace("01920000-0000-7000-8000-000000000008", "QQ314159");
    let reports = parse(&anothers).expect("reports");
    assert_eq!(reports[0].message_id, None);
    assert!(parse(&mail.replace("Original-Envelope-Id", "X-Other")).is_err());
}

/// An envelope id is written by whoever sends the report, as the rest is: a returned mail goes before it.
#[test]
fn the_returned_mail_goes_before_what_the_report_says_of_it() {
    let mail = mail!("dsn_postfix.eml").replace(
        "Reporting-MTA:",
        "Original-Envelope-Id: 01920000-0000-7000-8000-000000000008\nReporting-MTA:",
    );
    assert_eq!(bounces(&mail, 1), [hard("ada@example.org")]);
}

/// A local part may be of any script (RFC 6533), and be escaped where a server may not write it.
#[test]
fn addresses_that_are_not_ascii_are_read() {
    assert_eq!(
        bounces(mail!("dsn_utf8.eml"), 7),
        [hard("josé@example.org"), hard("дядя@example.org")]
    );
}

/// qmail is older than RFC 3464, and still there.
#[test]
fn qmails_is_read_paragraph_by_paragraph() {
    let mail = mail!("bounce_qmail.eml");
    let read = bounces(mail, 9);
    let (slow, others) = read.split_last().expect("bounces");
    let expected = [
        hard("ada@example.org"),
        hard("bob@example.org"),
        full("full@example.org"),
    ];
    assert_eq!(others, expected);
    assert_eq!((slow.0.as_str(), slow.1), ("slow@example.org", Soft));
    let crlf = mail.replace('\n', "\r\n");
    assert_eq!(bounces(&crlf, 9), read);
    let first = &parse(mail).expect("reports")[0];
    assert_eq!(
        first.text.as_deref().map(|text| &text[..13]),
        Some("550 5.1.1 <ad")
    );

    let unnamed = mail.replace("Message-ID: <0192", "X-ID: <0192");
    let nobody = mail.replace(">:", "> -");
    let letter = mail.replace("Hi. This is the", "Hi, this is the");
    assert!(parse(&unnamed).is_err() && parse(&nobody).is_err());
    assert_eq!(
        parse(&letter),
        Ok(vec![]),
        "whoever quotes it does not bounce"
    );
}

/// What only says in words that it bounced must be seen by somebody.
#[test]
fn a_bounce_in_a_servers_own_words_is_unreadable() {
    let mail = mail!("bounce_exim_plain.eml");
    assert!(parse(mail).is_err());
    assert_eq!(parse(&mail.replace("X-Failed-Recipients", "X")), Ok(vec![]));
}

/// Whose complaint it is, Yahoo and AOL do not say; which mail it was they do.
#[test]
fn complaints_without_an_address_are_of_the_mail_that_they_return() {
    for (mail, last) in [(mail!("arf_yahoo.eml"), 0xa), (mail!("arf_aol.eml"), 0xb)] {
        let reports = parse(mail).expect("reports");
        let [report] = &reports[..] else {
            panic!("{reports:?}");
        };
        assert_eq!(report.event_type, EventType::Complained);
        let id = format!("01920000-0000-7000-8000-00000000000{last:x}");
        assert_eq!(report.message_id, Uuid::try_parse(&id).ok());
        assert_eq!(report.recipient, None);
    }
}

/// Who says that it was no spam, or only wants no more, did not complain.
#[test]
fn only_abuse_and_fraud_are_complaints() {
    let of = |kind: &str| {
        let mail = mail!("arf_yahoo.eml").replace("abuse\n", &format!("{kind}\n"));
        let reports: Vec<Report> = parse(&mail).expect("reports");
        reports.first().map(|report| report.event_type)
    };
    for kind in ["abuse", "ABUSE", "fraud"] {
        assert_eq!(of(kind), Some(EventType::Complained), "{kind}");
    }
    for kind in ["opt-out", "opt-out-list"] {
        assert_eq!(of(kind), Some(EventType::Unsubscribed), "{kind}");
    }
    for kind in [
        "not-spam",
        "auth-failure",
        "dkim",
        "virus",
        "other",
        "miscategorized",
        "abuse-not",
    ] {
        assert_eq!(of(kind), None, "{kind}");
    }
}
