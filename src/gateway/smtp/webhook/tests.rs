use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::gateway::testing;
use crate::model::event::EventType;
use crate::model::outcome::PROVIDER_TEXT_MAX;
use crate::model::report::{Bounce, BounceClass, BounceKind};

macro_rules! mail {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/webhooks/smtp/", $name))
    };
}

fn source() -> Source {
    let settings = toml::from_str("token = 'secret-token-0123'").expect("settings");
    Source::new("smtp", &settings).expect("a source")
}

pub(super) fn parse(mail: &str) -> Result<Vec<Report>, Unreadable> {
    testing::parse(&source(), None, Some("message/rfc822"), mail.as_bytes())
}

fn at(seconds: u64) -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

pub(super) fn id(last: u8) -> Option<Uuid> {
    Uuid::try_parse(&format!("01920000-0000-7000-8000-00000000000{last}")).ok()
}

/// Anybody can write a bounce; only the mail server may hand one in.
#[test]
fn only_the_mail_servers_credentials_are_accepted() {
    let verify = |value: &str| {
        let headers = [("authorization", value)];
        testing::verify(
            &source(),
            "https://x.org/",
            &headers,
            mail!("dsn_postfix.eml").as_bytes(),
        )
    };
    assert_eq!(verify("Bearer secret-token-0123"), Ok(Verified::default()));
    for wrong in [
        "Bearer secret",
        "Bearer secret-token-0123s",
        "secret-token-0123",
        "Basic c2VjcmV0LXRva2Vu",
    ] {
        assert!(
            matches!(verify(wrong), Err(Refused::Unauthenticated(_))),
            "{wrong}"
        );
    }
}

/// What Postfix writes when nobody has the address.
#[test]
fn a_notification_of_postfix_is_a_bounce_of_our_message() {
    let expected = Report {
        message_id: id(1),
        external_id: Some("01920000-0000-7000-8000-000000000001@road.example".into()),
        occurred_at: at(1_795_262_340),
        reason: Some("invalid_recipient"),
        bounce: Some(Bounce {
            kind: BounceKind::Hard,
            class: BounceClass::InvalidRecipient,
        }),
        recipient: Some("ada@example.org".into()),
        code: Some("5.1.1".into()),
        text: Some("smtp; 550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in virtual mailbox table".into()),
        detail: vec![("remote_mta", "dns; mx.example.org".into())],
        ..Report::new(EventType::Bounced, "failed", "4RzKxx0Q8Tz1@mx.road.example:0:failed")
    };
    assert_eq!(parse(mail!("dsn_postfix.eml")), Ok(vec![expected.clone()]));
    let crlf = mail!("dsn_postfix.eml").replace('\n', "\r\n");
    assert_eq!(parse(&crlf), Ok(vec![expected]));
}

/// Each recipient has its own fate, and the damage of one group must not spill into the next.
#[test]
fn a_notification_of_several_recipients_is_an_event_each() {
    let reports = parse(mail!("dsn_several.eml")).expect("reports");
    let shown: Vec<_> = reports
        .iter()
        .map(|report| {
            assert_eq!(report.message_id, id(2));
            (
                report.recipient.as_deref().expect("a recipient"),
                report.event_type,
                report.bounce.map(|bounce| (bounce.kind, bounce.class)),
                report.occurred_at,
            )
        })
        .collect();
    use BounceClass::{MailboxFull, Network};
    use BounceKind::Soft;
    let now = at(1_795_258_800);
    let [full, late] = [MailboxFull, Network].map(|class| Some((Soft, class)));
    let written_late = shown[3].2;
    assert!(
        written_late.is_some_and(|(kind, _)| kind == Soft),
        "4.4.7 was given up"
    );
    assert_eq!(
        shown,
        [
            ("full@example.org", EventType::Bounced, full, now),
            (
                "slow@example.org",
                EventType::Deferred,
                None,
                at(1_795_257_000)
            ),
            ("there@example.org", EventType::Delivered, None, now),
            (
                "late@example.org",
                EventType::Bounced,
                late.or(written_late),
                now
            ),
        ]
    );
    let keys: std::collections::BTreeSet<_> = reports.iter().map(|r| &r.source_key).collect();
    assert_eq!(keys.len(), reports.len(), "keys tell them apart");
}

/// Providers take out the address; the returned mail still says which message it was.
#[test]
fn a_complaint_is_of_the_message_that_it_returns() {
    let expected = Report {
        message_id: id(3),
        external_id: Some("01920000-0000-7000-8000-000000000003@road.example".into()),
        occurred_at: at(1_795_261_236),
        reason: Some("abuse"),
        recipient: Some("ada@example.org".into()),
        detail: vec![("user_agent", "SomeGenerator/1.0".into())],
        ..Report::new(
            EventType::Complained,
            "abuse",
            "20261121.abuse@isp.example:abuse",
        )
    };
    assert_eq!(parse(mail!("arf_abuse.eml")), Ok(vec![expected]));
    let of = |kind: &str| {
        let mail = mail!("arf_abuse.eml")
            .replace("Feedback-Type: abuse", &format!("Feedback-Type: {kind}"));
        parse(&mail)
            .expect("reports")
            .first()
            .map(|report| report.event_type)
    };
    assert_eq!(of("Fraud"), Some(EventType::Complained));
    assert_eq!(of("opt-out"), Some(EventType::Unsubscribed));
    for none in ["auth-failure", "not-spam", "virus", "other"] {
        assert_eq!(of(none), None, "{none}: nobody complained");
    }
    let redacted = mail!("arf_abuse.eml").replace("<ada@example.org>", "redacted");
    assert_eq!(parse(&redacted).expect("reports")[0].recipient, None);
}

/// Somebody on holiday has a mailbox.
#[test]
fn automatic_replies_and_letters_are_no_bounces() {
    assert_eq!(parse(mail!("auto_reply.eml")), Ok(vec![]));
    assert_eq!(parse("Subject: Hello\n\nThank you!\n"), Ok(vec![]));
}

/// What cannot be told must be seen by somebody, not be lost.
#[test]
fn a_report_that_names_no_mail_or_recipient_is_unreadable() {
    let dsn = mail!("dsn_postfix.eml");
    for (what, mail) in [
        (
            "no id",
            dsn.replace("Message-ID: <01920000", "X-ID: <01920000"),
        ),
        ("no recipient", dsn.replace("-Recipient:", "-X:")),
        ("no mail", String::new()),
        (
            "no feedback type",
            mail!("arf_abuse.eml").replace("Feedback-Type", "X"),
        ),
        (
            "another report",
            dsn.replace(
                "message/delivery-status",
                "message/disposition-notification",
            ),
        ),
    ] {
        assert!(parse(&mail).is_err(), "{what}");
    }
}

/// Exchange returns no headers, but says what it answers.
#[test]
fn a_notification_that_returns_nothing_may_refer_to_the_mail() {
    let dsn = mail!("dsn_postfix.eml")
        .replace(
            "Message-ID: <01920000-0000-7000-8000-000000000001@road.example>\n",
            "",
        )
        .replace(
            "Auto-Submitted:",
            "In-Reply-To: <01920000-0000-7000-8000-000000000001@road.example>\nAuto-Submitted:",
        );
    assert_eq!(parse(&dsn).expect("reports")[0].message_id, id(1));
    let wrapped = format!(
        "Content-Type: multipart/mixed; boundary=outer\n\n--outer\n\nA list's words\n--outer\n{}\n--outer--\n",
        mail!("dsn_postfix.eml")
    );
    assert_eq!(parse(&wrapped).expect("reports")[0].message_id, id(1));
}

/// A mail that is not ours is no message of ours, whatever its bounce says.
#[test]
fn a_message_id_of_another_form_is_an_external_id_only() {
    let dsn = mail!("dsn_postfix.eml").replace(
        "01920000-0000-7000-8000-000000000001@",
        "01920000000070008000000000000001@",
    );
    let reports = parse(&dsn).expect("reports");
    assert_eq!(reports[0].message_id, None);
    assert_eq!(
        reports[0].external_id.as_deref(),
        Some("01920000000070008000000000000001@road.example")
    );
}

/// The clock of another host must not put an event into the future.
#[test]
fn an_event_is_not_later_than_its_report() {
    let dsn = mail!("dsn_postfix.eml").replace("21 Nov 2026", "21 Nov 2999");
    let now = SystemTime::now();
    let at = parse(&dsn).expect("reports")[0]
        .occurred_at
        .expect("a time");
    assert!(at <= now + Duration::from_secs(60));
}

proptest! {
    /// Bounces come from the whole Internet.
    #[test]
    fn no_mail_makes_it_panic_or_grow(mail in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let _ = testing::parse(&source(), None, None, &mail);
    }

    /// Nor does one that is almost right.
    #[test]
    fn no_damage_makes_it_panic_or_grow(at in 0..2000_usize, length in 0..200_usize, with in proptest::collection::vec(any::<u8>(), 0..300), which in 0..6) {
        let mail = [
            mail!("dsn_postfix.eml"), mail!("dsn_several.eml"), mail!("arf_abuse.eml"), mail!("bounce_qmail.eml"),
            mail!("dsn_utf8.eml"), mail!("dsn_envelope_id.eml"),
        ][which as usize];
        let mut mail = mail.as_bytes().to_vec();
        let at = at.min(mail.len());
        let end = (at + length).min(mail.len());
        mail.splice(at..end, with);
        for report in testing::parse(&source(), None, None, &mail).unwrap_or_default() {
            prop_assert!(report.text.is_none_or(|text| text.len() <= PROVIDER_TEXT_MAX));
            prop_assert!(report.source_key.len() <= 300);
            prop_assert!(report.recipient.is_none_or(|recipient| recipient.len() <= 320));
        }
    }
}
