//! Mails as they arrive: envelope, header, parts.

use mail_parser::{MessageParser, MimeHeaders as _, PartType};
use postroad::gateway::Gateway as _;
use postroad::model::outcome::{Accepted, Blame, Fault, SendError};

use super::*;
use crate::support::smtp_sink::{ReceivedMail, SmtpSink};

/// What arrives when `message` is sent to a server that takes everything.
pub(super) async fn arrived(message: &Rendered) -> anyhow::Result<ReceivedMail> {
    let sink = SmtpSink::start().await?;
    gateway(&sink).send(message, later()).await?;
    let mail = sink.wait_for_mails(1).await.remove(0);
    let crlf_only = mail.data.split(|b| *b == b'\n').all(|line| {
        line.is_empty() || line.ends_with(b"\r") && !line[..line.len() - 1].contains(&b'\r')
    });
    assert!(crlf_only, "a line does not end in CRLF");
    assert!(
        mail.data
            .split(|b| *b == b'\n')
            .all(|line| line.len() <= 999)
    );
    Ok(mail)
}

async fn refusal(message: &Rendered) -> anyhow::Result<SendError> {
    let sink = SmtpSink::start().await?;
    let result = gateway(&sink).send(message, later()).await;
    assert_eq!(sink.commands(), Vec::<String>::new(), "it was begun");
    Ok(result.expect_err("refused"))
}

pub(super) fn header(mail: &ReceivedMail, name: &str) -> Option<String> {
    let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
    let value = parsed.header_raw(name)?;
    Some(value.replace("\r\n", "").trim().to_owned())
}

/// The media types of the mail, each followed by those in it.
fn structure(data: &[u8]) -> String {
    let parsed = MessageParser::default().parse(data).expect("a mail");
    fn of(parsed: &mail_parser::Message<'_>, index: u32) -> String {
        let part = parsed.part(index).expect("a part");
        let kind = part.content_type().expect("a type");
        let name = format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default());
        match &part.body {
            PartType::Multipart(parts) => {
                let inner: Vec<_> = parts.iter().map(|part| of(parsed, *part)).collect();
                format!("{name}({})", inner.join(" "))
            }
            _ => name,
        }
    }
    of(&parsed, 0)
}

/// The plainest mail, whole.
#[tokio::test]
async fn a_plain_mail_arrives_as_written() -> anyhow::Result<()> {
    let mail = arrived(&mail()).await?;
    assert_eq!(mail.from, "post@road.example");
    assert_eq!(mail.to, [RECIPIENT]);
    assert_eq!(
        header(&mail, "From").as_deref(),
        Some("Postroad <post@road.example>")
    );
    assert_eq!(header(&mail, "To").as_deref(), Some(RECIPIENT));
    assert_eq!(header(&mail, "Subject").as_deref(), Some("Notes"));
    assert!(header(&mail, "Date").is_some());
    assert_eq!(structure(&mail.data), "text/plain");
    let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
    assert_eq!(
        parsed.body_text(0).as_deref().map(str::trim_end),
        Some(BODY)
    );
    Ok(())
}

/// The server's queue id is what its operator asks for; the Message-ID is what bounces name.
#[tokio::test]
async fn what_was_accepted_has_the_message_id_and_the_servers_words() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let message = mail();
    let accepted = gateway(&sink).send(&message, later()).await?;
    let expected = Accepted {
        external_id: Some(format!("{}@road.example", message.message_id)),
        provider_text: Some("250 2.0.0 ok: queued as 4XYZ".into()),
    };
    assert_eq!(accepted, expected);
    Ok(())
}

/// Receivers drop a mail whose Message-ID they have seen, so a resend must have the same and another mail not.
#[tokio::test]
async fn the_message_id_is_the_same_for_each_resend() -> anyhow::Result<()> {
    let first = mail();
    let again = Rendered {
        attempt: 2,
        ..first.clone()
    };
    let id = |mail: &ReceivedMail| header(mail, "Message-ID");
    let expected = format!("<{}@road.example>", first.message_id);
    assert_eq!(id(&arrived(&first).await?), Some(expected.clone()));
    assert_eq!(id(&arrived(&again).await?), Some(expected.clone()));
    assert_ne!(id(&arrived(&mail()).await?), Some(expected));
    Ok(())
}

/// A message may have its own sender, and the bounce goes there.
#[tokio::test]
async fn the_messages_own_sender_takes_the_place_of_the_configured_one() -> anyhow::Result<()> {
    let message = mail_with(|o| o.from = Some("\"Lovelace, Ada\" <al@notes.example>".into()));
    let mail = arrived(&message).await?;
    assert_eq!(mail.from, "al@notes.example");
    let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
    let from = parsed
        .from()
        .and_then(|from| from.first())
        .expect("a sender");
    assert_eq!(from.name(), Some("Lovelace, Ada"));
    assert_eq!(from.address(), Some("al@notes.example"));
    let id = header(&mail, "Message-ID").expect("an id");
    assert!(id.ends_with("@notes.example>"), "{id}");
    Ok(())
}

/// Without any sender the configuration is wrong, not the message: it waits.
#[tokio::test]
async fn a_mail_without_any_sender_is_the_gateways_fault() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let gateway = smtp(&Settings {
        from: None,
        ..settings(&sink)
    });
    let error = gateway.send(&mail(), later()).await.expect_err("no sender");
    assert_eq!(error.fault, Fault::Gateway { retry_after: None });
    assert_eq!(error.reason, "sender_missing");
    Ok(())
}

/// Mail programs choose between text and HTML, find images by their id, and list files.
#[tokio::test]
async fn the_parts_are_nested_as_mail_programs_expect() -> anyhow::Result<()> {
    let image = || Attachment {
        content_type: Some("image/png".into()),
        content_id: Some("logo@road".into()),
        ..attachment("logo.png", "iVBORw0K")
    };
    let html = || Some("<p>Notes <img src='cid:logo@road'></p>".into());
    let with = |text: bool, html_too: bool, attachments: Vec<Attachment>| {
        let message = mail_with(|o| o.attachments = attachments);
        Rendered {
            body: if text { message.body } else { None },
            html: if html_too { html() } else { None },
            ..message
        }
    };
    let file = || attachment("notes.txt", "bm90ZXM=");
    for (message, expected) in [
        (with(false, true, vec![]), "text/html"),
        (with(false, false, vec![]), "text/plain"),
        (
            with(true, true, vec![]),
            "multipart/alternative(text/plain text/html)",
        ),
        (
            with(true, false, vec![file()]),
            "multipart/mixed(text/plain text/plain)",
        ),
        (
            with(false, true, vec![image()]),
            "multipart/related(text/html image/png)",
        ),
        (
            with(true, true, vec![image(), file()]),
            "multipart/mixed(multipart/alternative(text/plain multipart/related(text/html image/png)) text/plain)",
        ),
        // Nothing there that could show it.
        (
            with(true, false, vec![image()]),
            "multipart/mixed(text/plain image/png)",
        ),
    ] {
        assert_eq!(structure(&arrived(&message).await?.data), expected);
    }
    Ok(())
}

/// Bytes and names come out as they went in, whatever alphabet.
#[tokio::test]
async fn files_keep_their_bytes_and_names() -> anyhow::Result<()> {
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
    let message = mail_with(|o| {
        o.attachments = vec![
            Attachment {
                content_type: None,
                ..attachment("Überblick 2026 \"final\".bin", &base64)
            },
            // As files from other programs have it: lines, and no padding.
            attachment("b.txt", "bm90\r\nZXM"),
        ];
    });
    let mail = arrived(&message).await?;
    let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
    let files: Vec<_> = parsed.attachments().collect();
    assert_eq!(
        files[0].attachment_name(),
        Some("Überblick 2026 \"final\".bin")
    );
    assert_eq!(files[0].contents(), bytes);
    assert_eq!(files[1].contents(), b"notes");
    Ok(())
}

/// A file that cannot be read will not be readable at the next attempt.
#[tokio::test]
async fn an_attachment_that_cannot_be_read_is_the_messages_fault() -> anyhow::Result<()> {
    let typed = |kind: &str| Attachment {
        content_type: Some(kind.into()),
        ..attachment("a.txt", "bm90ZXM=")
    };
    let with_id = |id: &str| Attachment {
        content_id: Some(id.into()),
        ..attachment("a.txt", "bm90ZXM=")
    };
    for bad in [
        attachment("a.txt", "not base64!"),
        attachment("a.txt", "bm90ZXM=bm90"),
        typed("text"),
        typed("text/plain\r\nBcc: eve@example.org"),
        with_id("a>\r\nBcc: eve@example.org"),
        with_id(""),
    ] {
        let error = refusal(&mail_with(|o| o.attachments = vec![bad.clone()])).await?;
        assert_eq!(error.fault, Fault::Permanent(Blame::Message));
        assert_eq!(error.reason, "invalid_attachment", "{bad:?}");
    }
    Ok(())
}

/// Headers of the caller's arrive, as do tags, also when long or not ASCII; List-Unsubscribe must stay readable.
#[tokio::test]
async fn headers_and_tags_of_the_callers_arrive() -> anyhow::Result<()> {
    let link = format!("<https://road.example/u/{}>", "x".repeat(300));
    let message = mail_with(|o| {
        o.headers.insert("List-Unsubscribe".into(), link.clone());
        o.headers.insert("X-Note".into(), "Grüße, ".repeat(30));
        o.tags = vec!["weekly".into(), "de".into()];
    });
    let mail = arrived(&message).await?;
    assert_eq!(header(&mail, "List-Unsubscribe"), Some(link));
    assert_eq!(header(&mail, "X-Tags").as_deref(), Some("weekly, de"));
    let parser = MessageParser::new().header_text("X-Note");
    let parsed = parser.parse(&mail.data).expect("a mail");
    let note = parsed.header("X-Note").and_then(|h| h.as_text());
    assert_eq!(note, Some("Grüße, ".repeat(30).trim()));
    Ok(())
}

/// What Postroad or the relay writes is not the caller's to write.
#[tokio::test]
async fn a_header_that_is_not_the_callers_is_refused() -> anyhow::Result<()> {
    for name in [
        "Bcc",
        "from",
        "Content-Transfer-Encoding",
        "DKIM-Signature",
        "Resent-Bcc",
        "X-SMTPAPI",
    ] {
        let error = refusal(&mail_with(|o| {
            o.headers.insert(name.into(), "x".into());
        }))
        .await?;
        assert_eq!(error.fault, Fault::Permanent(Blame::Message));
        assert_eq!(error.reason, "header_not_allowed");
    }
    Ok(())
}

/// Text that looks like the end of a mail, lines of any length, any line end, any alphabet.
#[tokio::test]
async fn any_text_arrives_as_written() -> anyhow::Result<()> {
    for text in [
        "a\r\n.\r\nMAIL FROM:<eve@example.org>\r\n".to_owned(),
        ".\n..\n...\n".into(),
        "a\n.\nb\r.\rc".into(),
        "x".repeat(5000),
        "Grüße aus Köln, こんにちは ".repeat(40),
        "trailing space \nand tab\t\n".into(),
        String::new(),
    ] {
        let message = Rendered {
            body: Some(text.as_str().into()),
            ..mail()
        };
        let mail = arrived(&message).await?;
        let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
        let lines = |text: &str| {
            let text = text.replace("\r\n", "\n").replace('\r', "\n");
            text.trim_end_matches('\n').to_owned()
        };
        assert_eq!(
            lines(&parsed.body_text(0).unwrap_or_default()),
            lines(&text)
        );
    }
    Ok(())
}

/// Subjects in any alphabet and of any length.
#[tokio::test]
async fn any_subject_arrives_as_written() -> anyhow::Result<()> {
    for subject in [
        "Grüße aus Köln".to_owned(),
        "こんにちは ".repeat(50),
        "word ".repeat(100),
    ] {
        let message = Rendered {
            subject: Some(subject.as_str().into()),
            ..mail()
        };
        let mail = arrived(&message).await?;
        assert!(mail.data.is_ascii());
        let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
        assert_eq!(parsed.subject(), Some(subject.trim()));
    }
    Ok(())
}

/// A domain of any script goes by its ASCII form, which every server knows.
#[tokio::test]
async fn a_domain_that_is_not_ascii_becomes_a_labels() -> anyhow::Result<()> {
    let message = Rendered {
        recipient: "ada@bücher.example".into(),
        ..mail()
    };
    let mail = arrived(&message).await?;
    assert_eq!(mail.to, ["ada@xn--bcher-kva.example"]);
    assert!(!mail.parameters.contains("SMTPUTF8"));
    Ok(())
}

/// A server that reports on mails may return nothing of them: it names them as we do (RFC 3461), if it knows how.
#[tokio::test]
async fn a_server_that_knows_dsn_is_given_the_message_id() -> anyhow::Result<()> {
    let sink = SmtpSink::start().offering(&["DSN"]).await?;
    let message = mail();
    gateway(&sink).send(&message, later()).await?;
    let envelope_id = format!("ENVID={}", message.message_id);
    assert_eq!(sink.mails()[0].parameters.trim(), envelope_id);
    assert!(!arrived(&message).await?.parameters.contains("ENVID"));
    Ok(())
}

/// Where a word is longer than a line may be there is no place to fold it (RFC 5322, section 2.1.1); encoded there is.
#[tokio::test]
async fn a_subject_of_one_long_word_arrives_as_it_is() -> anyhow::Result<()> {
    let long = "x".repeat(998);
    for subject in [
        long.clone(),
        format!("Re: {}", &long[..994]),
        "x ".repeat(499),
    ] {
        let message = Rendered {
            subject: Some(subject.as_str().into()),
            ..mail()
        };
        let mail = arrived(&message).await?;
        let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
        assert_eq!(parsed.subject(), Some(subject.trim()));
        let is_encoded = String::from_utf8_lossy(&mail.data).contains("=?utf-8?");
        assert_eq!(is_encoded, !subject.starts_with("x x"));
    }
    Ok(())
}

/// A local part has no ASCII form, so the server must know UTF-8 (RFC 6531).
#[tokio::test]
async fn a_local_part_that_is_not_ascii_needs_smtputf8() -> anyhow::Result<()> {
    let message = Rendered {
        recipient: "jörg@example.org".into(),
        ..mail()
    };
    let mail = arrived(&message).await?;
    assert_eq!(mail.to, ["jörg@example.org"]);
    assert!(mail.parameters.contains("SMTPUTF8"));

    let old = SmtpSink::start().offering(&["8BITMIME"]).await?;
    let error = gateway(&old)
        .send(&message, later())
        .await
        .expect_err("ASCII only");
    // The next server may know it: nothing is wrong with the address.
    assert_eq!(error.fault, Fault::Permanent(Blame::Message));
    assert_eq!(error.reason, "smtputf8_required");
    let copied = mail_with(|o| o.cc = vec!["jörg@example.org".into()]);
    let error = gateway(&old)
        .send(&copied, later())
        .await
        .expect_err("ASCII only");
    assert_eq!(error.fault, Fault::Permanent(Blame::Message));
    assert_eq!(old.count("MAIL"), 0);
    Ok(())
}

/// A subject is literal: blanks between words of another script stay, and what looks encoded is read as it was written.
#[tokio::test]
async fn a_subject_is_read_as_it_was_written() -> anyhow::Result<()> {
    for subject in [
        "Grüße  über   alles",
        "Grüße über alles",
        "=?utf-8?q?hello?= world",
        "=?utf-8?b?QmFuaw0KWDogeQ==?=",
        "two  blanks",
    ] {
        let message = Rendered {
            subject: Some(subject.into()),
            ..mail()
        };
        let mail = arrived(&message).await?;
        let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
        assert_eq!(parsed.subject(), Some(subject));
    }
    Ok(())
}

/// A name in quotes, in a field that is the caller's: a reader that knows RFC 2047 shows it as it was.
#[tokio::test]
async fn a_mailbox_in_a_header_of_the_callers_is_read_as_written() -> anyhow::Result<()> {
    for value in [
        "\"Grün, Zoë\" <zoe@example.org>, Jörg <joerg@example.org>",
        "\"Plain, Ann\" <zoe@example.org>, joerg@example.org",
    ] {
        let mail = arrived(&mail_with(|o| {
            o.headers.insert("reply-to".into(), value.into());
        }))
        .await?;
        assert!(mail.data.is_ascii());
        let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
        let reply_to: Vec<_> = parsed.reply_to().expect("a header").iter().collect();
        let name = value.split('"').nth(1);
        assert_eq!((reply_to.len(), reply_to[0].name()), (2, name), "{value}");
        assert_eq!(reply_to[1].address(), Some("joerg@example.org"));
    }
    Ok(())
}
