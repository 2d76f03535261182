//! Copies of a mail: who gets them, and whose fault a refusal is.

use mail_parser::MessageParser;
use postroad::gateway::Gateway as _;
use postroad::model::outcome::{Blame, Fault};

use super::smtp_mail::{arrived, header};
use super::*;
use crate::support::smtp_sink::Answer::{Close, Reply};
use crate::support::smtp_sink::{SmtpSink, Stage};

/// Hidden recipients stay hidden, and nobody gets a mail twice.
#[tokio::test]
async fn copies_are_in_the_envelope_and_hidden_ones_not_in_the_header() -> anyhow::Result<()> {
    let message = mail_with(|o| {
        o.cc = vec!["Bob <bob@example.org>".into(), RECIPIENT.into()];
        o.bcc = vec!["eve@example.org".into(), "bob@example.org".into()];
        o.reply_to = Some("Desk <desk@road.example>".into());
    });
    let mail = arrived(&message).await?;
    assert_eq!(mail.to, [RECIPIENT, "bob@example.org", "eve@example.org"]);
    assert_eq!(header(&mail, "To").as_deref(), Some(RECIPIENT));
    let cc = header(&mail, "Cc").expect("a header");
    assert_eq!(cc, "Bob <bob@example.org>, ada@example.org");
    assert_eq!(
        header(&mail, "Reply-To").as_deref(),
        Some("Desk <desk@road.example>")
    );
    assert!(!String::from_utf8_lossy(&mail.data).contains("eve"));
    Ok(())
}

/// A copy is a courtesy: its refusal is noted and the mail goes to the others. The recipient's is not.
#[tokio::test]
async fn a_refused_copy_does_not_stop_the_mail_and_a_refused_recipient_does() -> anyhow::Result<()>
{
    let message = mail_with(|o| o.cc = vec!["bob@example.org".into(), "cy@example.org".into()]);
    let gone = Reply("550 5.1.1 no such user");

    let sink = SmtpSink::start().on_rcpt("bob@example.org", gone).await?;
    let accepted = gateway(&sink).send(&message, later()).await?;
    assert_eq!(sink.mails()[0].to, [RECIPIENT, "cy@example.org"]);
    let text = accepted.provider_text.expect("a text");
    assert!(
        text.contains("queued as 4XYZ; copy refused: 550 5.1.1"),
        "{text}"
    );

    let sink = SmtpSink::start().on_rcpt(RECIPIENT, gone).await?;
    let error = gateway(&sink)
        .send(&message, later())
        .await
        .expect_err("refused");
    assert_eq!(error.fault, Fault::Permanent(Blame::Recipient));
    assert_eq!(sink.count("DATA"), 0);
    Ok(())
}

/// A domain in capitals is the same one, and a line has an end.
#[tokio::test]
async fn copies_are_many_and_each_gets_the_mail_once() -> anyhow::Result<()> {
    let message = mail_with(|o| {
        o.cc = (0..100)
            .map(|n| format!("first.last{n:02}@example.org"))
            .collect();
        o.cc.push(RECIPIENT.replace("example.org", "EXAMPLE.org"));
        o.cc.push("\"Łukasz, Jörg\" <first.last00@Example.ORG>".into());
    });
    let mail = arrived(&message).await?;
    assert_eq!(mail.to.len(), 101);
    let longest = mail
        .data
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::len)
        .max();
    assert!(longest <= Some(79), "{longest:?}");
    let parsed = MessageParser::default().parse(&mail.data).expect("a mail");
    let cc: Vec<_> = parsed.cc().expect("a header").iter().collect();
    assert_eq!(cc.len(), 102);
    assert_eq!(cc[101].name(), Some("Łukasz, Jörg"));
    Ok(())
}

/// After several were taken, nobody can tell whose fault a refusal is: the one that the message is for must not be suppressed for another's.
#[tokio::test]
async fn what_is_refused_with_copies_is_not_the_recipients_fault() -> anyhow::Result<()> {
    let gone = Reply("550 5.1.1 <cy@example.org>: no such user");
    for (copies, stage, blame) in [
        (vec![], Stage::Dot, Blame::Recipient),
        (
            vec!["cy@example.org".to_owned()],
            Stage::Dot,
            Blame::Message,
        ),
        (
            vec!["cy@example.org".to_owned()],
            Stage::Data,
            Blame::Message,
        ),
    ] {
        let message = mail_with(|o| o.cc = copies.clone());
        let sink = SmtpSink::start().on(stage, gone).await?;
        let error = gateway(&sink)
            .send(&message, later())
            .await
            .expect_err("refused");
        assert_eq!(error.fault, Fault::Permanent(blame), "{copies:?}");
    }
    let header = Reply("550 5.1.3 Bad address syntax in header");
    let sink = SmtpSink::start().on(Stage::Dot, header).await?;
    let error = gateway(&sink)
        .send(&mail_with(|_| {}), later())
        .await
        .expect_err("refused");
    assert_eq!(error.fault, Fault::Permanent(Blame::Message));
    Ok(())
}

/// A server that takes so many recipients and no more gets the mail again for the rest, on the same session; what it has against one of them is another matter.
#[tokio::test]
async fn copies_that_are_too_many_for_one_transaction_come_in_further_ones() -> anyhow::Result<()> {
    let copies = ["b", "c", "d", "e", "full"].map(|name| format!("{name}@example.org"));
    let message = mail_with(|o| o.cc = copies.to_vec());
    let mut script = SmtpSink::start().on_rcpt("full@example.org", Reply("452 4.2.2 mailbox full"));
    // Two in each transaction: ada and b; c and d; e.
    for (time, reply) in [
        (3, "452 4.5.3 too many recipients"),
        (4, "452 too many recipients"),
        (5, "552 too many recipients"),
        (9, "452 4.5.3 too many recipients"),
    ] {
        script = script.at(Stage::Rcpt, time, Reply(reply));
    }
    let sink = script.await?;
    let gateway = gateway(&sink);
    let accepted = gateway.send(&message, later()).await?;
    let to: Vec<Vec<String>> = sink.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(
        to,
        [
            vec![RECIPIENT.to_owned(), copies[0].clone()],
            vec![copies[1].clone(), copies[2].clone()],
            vec![copies[3].clone()],
        ]
    );
    let text = accepted.provider_text.expect("a text");
    assert!(
        text.ends_with("queued as 4XYZ; copy refused: 452 4.2.2 mailbox full"),
        "{text}"
    );
    gateway.send(&mail_with(|_| {}), later()).await?;
    assert_eq!(sink.sessions(), 1);
    Ok(())
}

/// One that never takes another recipient is asked twice, and what was accepted stays so.
#[tokio::test]
async fn a_copy_that_is_always_too_many_is_refused() -> anyhow::Result<()> {
    let message = mail_with(|o| o.cc = vec!["bob@example.org".into()]);
    let too_many = Reply("452 4.5.3 too many recipients");
    let sink = SmtpSink::start()
        .on_rcpt("bob@example.org", too_many)
        .await?;
    let accepted = gateway(&sink).send(&message, later()).await?;
    assert_eq!((sink.mails().len(), sink.count("RCPT")), (1, 3));
    let text = accepted.provider_text.expect("a text");
    assert!(text.ends_with("copy refused: 452 4.5.3 too many recipients"));

    let script = SmtpSink::start()
        .at(Stage::Rcpt, 2, too_many)
        .at(Stage::Mail, 2, Close);
    let sink = script.await?;
    let accepted = gateway(&sink).send(&message, later()).await?;
    assert_eq!(sink.mails().len(), 1);
    let text = accepted.provider_text.expect("a text");
    assert!(text.ends_with("copy refused: 452 4.5.3 too many recipients"));
    Ok(())
}
