//! Text that tries to leave its place: to become a header, a recipient, a command, a mail of its own.

use mail_parser::MessageParser;
use postroad::gateway::Gateway as _;
use postroad::model::outcome::{Blame, Fault};
use proptest::prelude::*;

use super::*;

/// A field of a message that can be set to any text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Recipient,
    Subject,
    From,
    ReplyTo,
    Cc,
    Bcc,
    HeaderName,
    HeaderValue,
    Tag,
    FileName,
    ContentType,
    ContentId,
    Body,
    Html,
}

pub(super) const FIELDS: [Field; 14] = [
    Field::Recipient,
    Field::Subject,
    Field::From,
    Field::ReplyTo,
    Field::Cc,
    Field::Bcc,
    Field::HeaderName,
    Field::HeaderValue,
    Field::Tag,
    Field::FileName,
    Field::ContentType,
    Field::ContentId,
    Field::Body,
    Field::Html,
];

/// A mail whose `field` is `text`.
pub(super) fn mail_where(field: Field, text: &str) -> Rendered {
    let text = text.to_owned();
    let mut message = mail();
    let mut options = Options::default();
    let mut file = attachment("a.txt", "bm90ZXM=");
    match field {
        Field::Recipient => message.recipient = text,
        Field::Subject => message.subject = Some(text.into()),
        Field::Body => message.body = Some(text.into()),
        Field::Html => message.html = Some(text.into()),
        Field::From => options.from = Some(text),
        Field::ReplyTo => options.reply_to = Some(text),
        Field::Cc => options.cc = vec![text],
        Field::Bcc => options.bcc = vec![text],
        Field::HeaderName => drop(options.headers.insert(text, "x".into())),
        Field::HeaderValue => drop(options.headers.insert("X-Note".into(), text)),
        Field::Tag => options.tags = vec![text],
        Field::FileName => file.filename = text,
        Field::ContentType => file.content_type = Some(text),
        Field::ContentId => file.content_id = Some(text),
    }
    options.attachments = vec![file];
    message.options = Arc::new(options);
    message
}

/// CR, LF and NUL belong in no field but the content.
#[tokio::test]
async fn a_line_end_in_a_field_is_refused_before_anything_is_sent() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let gateway = gateway(&sink);
    for field in FIELDS {
        if matches!(field, Field::Body | Field::Html) {
            continue;
        }
        for end in ["\r\n", "\n", "\r", "\0"] {
            for text in [
                format!("a@example.org{end}Bcc: eve@example.org"),
                format!("a@example.org>{end}RCPT TO:<eve@example.org"),
                format!("A{end}Bcc: eve@example.org{end} <a@example.org>"),
                format!("a@example.org{end}"),
            ] {
                let result = gateway.send(&mail_where(field, &text), later()).await;
                let error = result.expect_err("refused");
                let blame = match field {
                    Field::Recipient => Blame::Recipient,
                    _ => Blame::Message,
                };
                assert_eq!(error.fault, Fault::Permanent(blame), "{field:?} {text:?}");
                let reasons = ["invalid_address", "invalid_header", "invalid_attachment"];
                assert!(reasons.contains(&error.reason), "{}", error.reason);
            }
        }
    }
    assert_eq!(sink.sessions(), 0);
    Ok(())
}

/// Pieces that mean something to a parser of mail or SMTP, with some that do not.
pub(super) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\n".into()),
        Just("\r".into()),
        Just("\r\n.\r\n".into()),
        Just("\r\n\r\n".into()),
        Just("\u{85}".into()),
        Just("\u{2028}".into()),
        Just("Bcc: eve@example.org".into()),
        Just("RCPT TO:<eve@example.org>".into()),
        Just("<".into()),
        Just(">".into()),
        Just("\"".into()),
        Just("\\".into()),
        Just("@".into()),
        Just("@example.org".into()),
        Just("=?utf-8?q?=0D=0A?=".into()),
        Just("text/plain".into()),
        ".{0,12}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the text and wherever it stands: it is refused, or one mail arrives, with the header fields that
    /// Postroad wrote and to the recipients that it named.
    #[test]
    fn no_text_makes_a_header_a_recipient_or_a_command(
        index in 0..FIELDS.len(),
        text in hostile(),
    ) {
        let field = FIELDS[index];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (sent, mails, commands) = runtime.block_on(async {
            let sink = SmtpSink::start().await.expect("a sink");
            let sent = gateway(&sink).send(&mail_where(field, &text), later()).await;
            (sent, sink.mails(), sink.commands())
        });
        prop_assert_eq!(mails.len(), usize::from(sent.is_ok()));
        for (command, count) in [("MAIL", mails.len()), ("DATA", mails.len())] {
            let times = commands.iter().filter(|c| c.starts_with(command)).count();
            prop_assert_eq!(times, count);
        }
        for mail in mails {
            let copies = usize::from(matches!(field, Field::Cc | Field::Bcc));
            prop_assert!(mail.to.len() <= 1 + copies);
            prop_assert!(!mail.to.iter().any(|to| to == "eve@example.org") || copies == 1
                || matches!(field, Field::Recipient));
            let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
            let names: Vec<_> = parsed.headers().iter().map(|h| h.name().to_owned()).collect();
            prop_assert!(!names.iter().any(|n| n.eq_ignore_ascii_case("bcc")), "{:?}", names);
            // From, To, Message-ID, Date, Subject, MIME-Version, Content-Type and at most one more.
            prop_assert!((7..=8).contains(&names.len()), "{:?}", names);
        }
    }
}
