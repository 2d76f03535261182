//! Each way for a mail to fail, whose fault it is, and the neighbour that is another's.

use postroad::gateway::Gateway as _;
use postroad::model::outcome::{Blame, Fault, SendError};
use tokio::net::TcpListener;

use super::*;
use crate::support::smtp_sink::Answer::{self, Close, Hang, Last, Reply, Slow};
use crate::support::smtp_sink::{Script, Stage};

const TRANSIENT: Fault = Fault::Transient { retry_after: None };
const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const RECIPIENT: Fault = Fault::Permanent(Blame::Recipient);
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

/// How a mail to such a server fails. Nothing of it may have been accepted, nor tried twice.
async fn failure(script: Script, deadline: Instant) -> anyhow::Result<SendError> {
    let sink = script.await?;
    let result = gateway(&sink).send(&mail(), deadline).await;
    assert_eq!(sink.mails().len(), 0);
    assert_eq!(
        sink.sessions(),
        1,
        "a new session is no place for a second try"
    );
    Ok(result.expect_err("the server refuses"))
}

/// Fault and reason when `stage` gets this reply.
async fn on_reply(stage: Stage, reply: &'static str) -> anyhow::Result<(Fault, &'static str)> {
    let error = failure(SmtpSink::start().on(stage, Reply(reply)), later()).await?;
    let code = error.code.as_deref().expect("a code");
    assert!(reply.contains(code), "{code} is not from {reply:?}");
    assert_eq!(error.provider_text.as_deref(), Some(reply));
    Ok((error.fault, error.reason))
}

async fn on(stage: Stage, answer: Answer) -> anyhow::Result<(Fault, &'static str)> {
    let error = failure(SmtpSink::start().on(stage, answer), later()).await?;
    Ok((error.fault, error.reason))
}

/// No server at all: the next gateway, at once.
#[tokio::test]
async fn a_server_that_is_down_is_the_gateways_fault() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    drop(listener);
    let settings = Settings {
        host: Some("127.0.0.1".into()),
        port: Some(port),
        from: Some("post@road.example".into()),
        ..Settings::default()
    };
    let error = smtp(&settings)
        .send(&mail(), later())
        .await
        .expect_err("refused");
    assert_eq!((error.fault, error.reason), (GATEWAY, "connect_failed"));
    Ok(())
}

/// A server that takes the connection and stops is down too; only the whole deadline is nobody's fault.
#[tokio::test]
async fn a_server_that_does_not_greet_in_time_is_the_gateways_fault() -> anyhow::Result<()> {
    let sink = SmtpSink::start().on(Stage::Connect, Hang).await?;
    let gateway = smtp(&Settings {
        connect_timeout: Text(Duration::from_millis(200)),
        ..settings(&sink)
    });
    let error = gateway
        .send(&mail(), later())
        .await
        .expect_err("no greeting");
    assert_eq!((error.fault, error.reason), (GATEWAY, "connect_timeout"));
    let error = failure(SmtpSink::start().on(Stage::Connect, Hang), soon()).await?;
    assert_eq!((error.fault, error.reason), (TRANSIENT, "deadline_passed"));
    Ok(())
}

/// A port can be anything's.
#[tokio::test]
async fn a_server_that_speaks_something_else_is_the_gateways_fault() -> anyhow::Result<()> {
    let script = SmtpSink::start().on(Stage::Connect, Reply("SSH-2.0-OpenSSH_9.2"));
    let error = failure(script, later()).await?;
    assert_eq!((error.fault, error.reason), (GATEWAY, "protocol_error"));
    Ok(())
}

/// Before the first mail, refusals of either class are about this client.
#[tokio::test]
async fn a_refused_greeting_is_the_gateways_fault() -> anyhow::Result<()> {
    let expected = (GATEWAY, "service_unavailable");
    assert_eq!(
        on_reply(Stage::Connect, "554 5.7.1 not you").await?,
        expected
    );
    assert_eq!(
        on_reply(Stage::Connect, "450 4.3.2 not now").await?,
        expected
    );
    assert_eq!(on_reply(Stage::Ehlo, "550 5.7.1 bad name").await?, expected);
    Ok(())
}

/// Slow is not wrong.
#[tokio::test]
async fn a_slow_server_gets_the_mail_all_the_same() -> anyhow::Result<()> {
    let mut script = SmtpSink::start();
    for stage in [Stage::Connect, Stage::Mail, Stage::Dot] {
        script = script.on(stage, Slow(Duration::from_millis(50)));
    }
    let sink = script.await?;
    gateway(&sink).send(&mail(), later()).await?;
    assert_eq!(sink.mails().len(), 1);
    Ok(())
}

/// From the recipient on it may be this message that the server cannot stand: that counts as an attempt, or it could be
/// tried for ever, and take the server from all others.
#[tokio::test]
async fn a_close_is_the_gateways_fault_up_to_the_recipient_and_transient_from_there()
-> anyhow::Result<()> {
    for (stage, fault) in [
        (Stage::Connect, GATEWAY),
        (Stage::Ehlo, GATEWAY),
        (Stage::Mail, GATEWAY),
        (Stage::Rcpt, TRANSIENT),
        (Stage::Data, TRANSIENT),
    ] {
        let expected = (fault, "connection_lost");
        assert_eq!(on(stage, Close).await?, expected, "{stage:?}");
    }
    Ok(())
}

/// More than the buffers on the way take, so that the end cannot have been written.
fn large_mail() -> Rendered {
    Rendered {
        body: Some(
            "A line of text that is as good as any other.\n"
                .repeat(300_000)
                .into(),
        ),
        ..mail()
    }
}

/// The mail's bytes went in part: nothing is accepted without the final dot, but it counts as an attempt.
#[tokio::test]
async fn a_close_amid_the_mail_is_transient() -> anyhow::Result<()> {
    let sink = SmtpSink::start()
        .offering(&[])
        .on(Stage::Body, Close)
        .await?;
    let error = gateway(&sink)
        .send(&large_mail(), later())
        .await
        .expect_err("closed");
    assert_eq!((error.fault, error.reason), (TRANSIENT, "connection_lost"));
    Ok(())
}

/// A server that has enough says why amid the mail, and closes or reads no more: it is not asked to read the same mail again and again.
#[tokio::test]
async fn what_a_server_says_amid_the_mail_is_its_answer() -> anyhow::Result<()> {
    let too_large = "552 5.3.4 Message size exceeds fixed limit";
    for (answer, expected) in [
        (Reply(too_large), (MESSAGE, "message_too_large")),
        (Last(too_large), (MESSAGE, "message_too_large")),
        (
            Reply("452 4.3.1 Insufficient system storage"),
            (TRANSIENT, "try_later"),
        ),
        (
            Last("421 4.3.2 Shutting down"),
            (TRANSIENT, "service_closing"),
        ),
    ] {
        let script = SmtpSink::start().offering(&[]).on(Stage::Body, answer);
        let sink = script.await?;
        let gateway = gateway(&sink);
        let error = gateway
            .send(&large_mail(), later())
            .await
            .expect_err("refused");
        assert_eq!((error.fault, error.reason), expected, "{answer:?}");
        assert_eq!((sink.mails().len(), sink.sessions()), (0, 1));
    }
    Ok(())
}

/// Half a mail is no place to begin the next one.
#[tokio::test]
async fn a_session_with_half_a_mail_in_it_is_not_used_again() -> anyhow::Result<()> {
    let busy = Reply("452 4.3.1 Insufficient system storage");
    let sink = SmtpSink::start()
        .offering(&[])
        .at(Stage::Body, 1, busy)
        .await?;
    let gateway = gateway(&sink);
    gateway
        .send(&large_mail(), later())
        .await
        .expect_err("refused");
    gateway.send(&mail(), later()).await?;
    assert_eq!((sink.mails().len(), sink.sessions()), (1, 2));
    Ok(())
}

/// After the final dot nobody knows, and only the message's own policy may decide.
#[tokio::test]
async fn a_close_after_the_final_dot_is_unknown() -> anyhow::Result<()> {
    assert_eq!(on(Stage::Dot, Close).await?, (Fault::Unknown, "no_reply"));
    Ok(())
}

/// A deadline that passes before the mail was handed over and one that passes after it.
#[tokio::test]
async fn silence_is_unknown_only_after_the_final_dot() -> anyhow::Result<()> {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data] {
        let error = failure(SmtpSink::start().on(stage, Hang), soon()).await?;
        assert_eq!(
            (error.fault, error.reason),
            (TRANSIENT, "deadline_passed"),
            "{stage:?}"
        );
    }
    let error = failure(SmtpSink::start().on(Stage::Dot, Hang), soon()).await?;
    assert_eq!((error.fault, error.reason), (Fault::Unknown, "no_reply"));
    Ok(())
}

/// A server may take minutes over a mail that it has (RFC 5321, section 4.5.3.2.6), and whoever gives up before sends it
/// twice. An alarm that comes twice is better than one that comes late.
#[tokio::test]
async fn the_reply_to_the_final_dot_is_waited_for_beyond_the_deadline_unless_it_is_an_alarm()
-> anyhow::Result<()> {
    for priority in Priority::ALL {
        let slow = Slow(Duration::from_millis(1200));
        let sink = SmtpSink::start().on(Stage::Dot, slow).await?;
        let message = Rendered {
            priority: *priority,
            ..mail()
        };
        let gateway = smtp(&Settings {
            data_dot_timeout: Text(Duration::from_secs(20)),
            ..settings(&sink)
        });
        let result = gateway.send(&message, soon()).await;
        match priority {
            Priority::P0 | Priority::P1 => {
                let error = result.expect_err("a deadline");
                assert_eq!((error.fault, error.reason), (Fault::Unknown, "no_reply"));
            }
            Priority::P2 | Priority::P3 | Priority::P4 => {
                result?;
                assert_eq!(sink.mails().len(), 1, "{priority}");
            }
        }
    }
    Ok(())
}

/// As a close without a word; but a server that is sent too much says so of all messages, at whatever point.
#[tokio::test]
async fn a_421_is_the_gateways_fault_up_to_the_recipient_and_where_it_throttles()
-> anyhow::Result<()> {
    for (stage, fault) in [
        (Stage::Connect, GATEWAY),
        (Stage::Ehlo, GATEWAY),
        (Stage::Mail, GATEWAY),
        (Stage::Rcpt, TRANSIENT),
        (Stage::Data, TRANSIENT),
        (Stage::Dot, TRANSIENT),
    ] {
        let closing = on_reply(stage, "421 4.3.2 closing").await?;
        assert_eq!(closing, (fault, "service_closing"), "{stage:?}");
        let throttled = on_reply(stage, "421 4.7.0 too much mail").await?;
        assert_eq!(throttled, (GATEWAY, "throttled"), "{stage:?}");
    }
    assert_eq!(
        on_reply(Stage::Rcpt, "422 4.2.2 full").await?,
        (TRANSIENT, "mailbox_full")
    );
    Ok(())
}

/// The sender is the configuration's to put right; 4yz passes.
#[tokio::test]
async fn a_refused_sender_is_the_gateways_fault() -> anyhow::Result<()> {
    let refused = on_reply(Stage::Mail, "550 5.1.8 unknown domain").await?;
    assert_eq!(refused, (GATEWAY, "sender_refused"));
    let refused = on_reply(Stage::Mail, "553 not allowed").await?;
    assert_eq!(refused, (GATEWAY, "sender_refused"));
    let later = on_reply(Stage::Mail, "451 4.3.0 disk full").await?;
    assert_eq!(later, (TRANSIENT, "try_later"));
    Ok(())
}

/// A caller may name any sender; the gateway is not shut to all for one of them.
#[tokio::test]
async fn a_refused_sender_that_the_message_named_is_the_messages_fault() -> anyhow::Result<()> {
    for stage in [Stage::Mail, Stage::Rcpt] {
        let reply = Reply("550 5.1.8 unknown domain");
        let sink = SmtpSink::start().on(stage, reply).await?;
        let message = mail_with(|o| o.from = Some("al@notes.example".into()));
        let error = gateway(&sink).send(&message, later()).await;
        let error = error.expect_err("refused");
        assert_eq!((error.fault, error.reason), (MESSAGE, "sender_refused"));
    }
    Ok(())
}

/// Many servers hold what they have against the sender until RCPT.
#[tokio::test]
async fn a_sender_refused_at_rcpt_does_not_blame_the_recipient() -> anyhow::Result<()> {
    let sender = on_reply(Stage::Rcpt, "550 5.1.8 sender's domain not found").await?;
    assert_eq!(sender, (GATEWAY, "sender_refused"));
    let recipient = on_reply(Stage::Rcpt, "550 5.1.2 recipient's domain not found").await?;
    assert_eq!(recipient, (RECIPIENT, "domain_takes_no_mail"));
    Ok(())
}

/// What suppresses an address must be sure.
#[tokio::test]
async fn a_recipient_that_does_not_exist_is_permanent_and_the_recipients() -> anyhow::Result<()> {
    for (reply, reason) in [
        ("550 5.1.1 no such user", "mailbox_unavailable"),
        ("550 5.1.6 moved", "mailbox_unavailable"),
        ("550 no such user", "mailbox_unavailable"),
        ("551 not here", "mailbox_unavailable"),
        ("553 no such name", "mailbox_unavailable"),
        ("550 5.2.1 disabled", "mailbox_disabled"),
        ("501 5.1.3 bad syntax", "invalid_address"),
        ("556 5.1.10 null MX", "domain_takes_no_mail"),
    ] {
        assert_eq!(
            on_reply(Stage::Rcpt, reply).await?,
            (RECIPIENT, reason),
            "{reply}"
        );
    }
    Ok(())
}

/// The same code with another detail is not about the mailbox.
#[tokio::test]
async fn a_recipient_refused_by_policy_is_not_the_recipients_fault() -> anyhow::Result<()> {
    let policy = (MESSAGE, "policy_refused");
    assert_eq!(
        on_reply(Stage::Rcpt, "550 5.7.1 not on a Sunday").await?,
        policy
    );
    assert_eq!(on_reply(Stage::Rcpt, "554 5.7.26 DMARC").await?, policy);
    let other = (MESSAGE, "refused");
    assert_eq!(on_reply(Stage::Rcpt, "554 no").await?, other);
    assert_eq!(on_reply(Stage::Rcpt, "550 5.4.1 no route").await?, other);
    Ok(())
}

/// 550 means many things, and the words behind it say which: what they do not blame on the recipient suppresses nobody.
#[tokio::test]
async fn words_that_name_another_fault_clear_the_recipient() -> anyhow::Result<()> {
    let reputation = (TRANSIENT, "reputation_refused");
    let policy = (MESSAGE, "policy_refused");
    let full = (TRANSIENT, "mailbox_full");
    for (reply, expected) in [
        (
            "550 rejected because 192.0.2.1 is in a black list at zen.spamhaus.org",
            reputation,
        ),
        ("550 5.1.1 blocked using dnsbl", reputation),
        ("553 your IP has a poor reputation", reputation),
        ("550 SPF check failed", policy),
        ("550 Sender verify failed", policy),
        ("550 authentication required", policy),
        ("550 DMARC policy violation", policy),
        ("553 5.1.3 message rejected as spam", policy),
        ("550 Mailbox full", full),
        ("550 5.1.1 quota exceeded", full),
        (
            "550 5.2.1 receiving mail at a rate that prevents additional messages",
            (TRANSIENT, "try_later"),
        ),
        ("550 5.1.2 connection timed out", (TRANSIENT, "try_later")),
        ("550 no", (MESSAGE, "refused")),
    ] {
        assert_eq!(on_reply(Stage::Rcpt, reply).await?, expected, "{reply}");
    }
    for reply in [
        "550 5.1.1",
        "550 5.1.1 <ada@example.org>: User unknown. See our spam policy",
        "550 Requested action not taken: mailbox unavailable",
        "551 not here",
        "553 not here",
    ] {
        let recipients = (RECIPIENT, "mailbox_unavailable");
        assert_eq!(on_reply(Stage::Rcpt, reply).await?, recipients, "{reply}");
    }
    let dot = on_reply(Stage::Dot, "550 5.1.1 mailbox full").await?;
    assert_eq!(dot, full);
    Ok(())
}

/// A list that names our address is for us to leave, and other gateways are not on it.
#[tokio::test]
async fn a_bad_reputation_is_tried_again_and_another_policy_is_not() -> anyhow::Result<()> {
    let listed =
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org";
    let banned = "550 5.7.606 Access denied, banned sending IP";
    for stage in [Stage::Rcpt, Stage::Dot] {
        for reply in [listed, banned] {
            let found = on_reply(stage, reply).await?;
            assert_eq!(found, (TRANSIENT, "reputation_refused"), "{reply}");
        }
        for reply in ["554 5.7.1 spam", "550 5.7.26 unauthenticated mail"] {
            let found = on_reply(stage, reply).await?;
            assert_eq!(found, (MESSAGE, "policy_refused"), "{reply}");
        }
    }
    Ok(())
}

/// A server that will not carry our mail at all is the wrong one, or we come to it the wrong way: no message is to blame.
#[tokio::test]
async fn a_denied_relay_is_the_gateways_fault() -> anyhow::Result<()> {
    for reply in [
        "550 5.7.1 relaying denied",
        "550 relay not permitted",
        "554 5.7.1 <ada@example.org>: Relay access denied",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
        "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied",
        "504 5.5.2 <me>: Helo command rejected: need fully-qualified hostname",
    ] {
        let found = on_reply(Stage::Rcpt, reply).await?;
        assert_eq!(found, (GATEWAY, "relaying_denied"), "{reply}");
    }
    let unknown = "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown in relay recipient table";
    let found = on_reply(Stage::Rcpt, unknown).await?;
    assert_eq!(found, (RECIPIENT, "mailbox_unavailable"));
    let listed = "554 5.7.1 listed as an open relay by an RBL";
    let found = on_reply(Stage::Rcpt, listed).await?;
    assert_eq!(found, (TRANSIENT, "reputation_refused"));
    Ok(())
}

/// Full mailboxes are emptied, greylists end.
#[tokio::test]
async fn a_recipient_that_cannot_take_mail_now_is_transient() -> anyhow::Result<()> {
    for (reply, reason) in [
        ("450 4.7.1 greylisted", "try_later"),
        ("451 4.3.0 later", "try_later"),
        ("452 4.2.2 full", "mailbox_full"),
        ("550 5.2.2 full", "mailbox_full"),
        ("552 5.2.2 full", "mailbox_full"),
    ] {
        assert_eq!(
            on_reply(Stage::Rcpt, reply).await?,
            (TRANSIENT, reason),
            "{reply}"
        );
    }
    Ok(())
}

/// 552 begins with a 5 and to RCPT means "too many" (RFC 5321, section 4.5.3.1.10); elsewhere "too large".
#[tokio::test]
async fn a_552_is_transient_to_rcpt_and_permanent_to_the_mail() -> anyhow::Result<()> {
    let many = (TRANSIENT, "too_many_recipients");
    let large = (MESSAGE, "message_too_large");
    assert_eq!(on_reply(Stage::Rcpt, "552 too many").await?, many);
    assert_eq!(on_reply(Stage::Rcpt, "452 4.5.3 too many").await?, many);
    assert_eq!(on_reply(Stage::Mail, "552 5.3.4 too big").await?, large);
    assert_eq!(on_reply(Stage::Dot, "552 too big").await?, large);
    assert_eq!(on_reply(Stage::Dot, "552 5.2.3 too big").await?, large);
    Ok(())
}

/// Once the server has read the mail, a refusal is about the mail unless it names the mailbox.
#[tokio::test]
async fn a_refused_mail_is_the_messages_fault_unless_the_code_names_the_recipient()
-> anyhow::Result<()> {
    assert_eq!(
        on_reply(Stage::Dot, "554 5.7.1 spam").await?,
        (MESSAGE, "policy_refused")
    );
    assert_eq!(
        on_reply(Stage::Dot, "550 5.6.0 bad MIME").await?,
        (MESSAGE, "content_refused")
    );
    assert_eq!(on_reply(Stage::Dot, "550 no").await?, (MESSAGE, "refused"));
    assert_eq!(
        on_reply(Stage::Data, "554 5.5.1 no").await?,
        (MESSAGE, "refused")
    );
    let gone = on_reply(Stage::Dot, "550 5.1.1 no such user").await?;
    assert_eq!(gone, (RECIPIENT, "mailbox_unavailable"));
    let full = on_reply(Stage::Dot, "552 5.2.2 full").await?;
    assert_eq!(full, (TRANSIENT, "mailbox_full"));
    assert_eq!(
        on_reply(Stage::Dot, "451 4.3.0 later").await?,
        (TRANSIENT, "try_later")
    );
    Ok(())
}

/// A code outside of the protocol says nothing: harmless before the final dot, unknown after it.
#[tokio::test]
async fn a_code_of_no_class_is_unknown_only_after_the_final_dot() -> anyhow::Result<()> {
    let before = on_reply(Stage::Data, "250 what dot?").await?;
    assert_eq!(before, (GATEWAY, "protocol_error"));
    let after = on_reply(Stage::Dot, "354 go on").await?;
    assert_eq!(after, (Fault::Unknown, "protocol_error"));
    Ok(())
}

/// A mail that the server would not take is not carried to it.
#[tokio::test]
async fn a_mail_above_the_announced_size_is_not_begun() -> anyhow::Result<()> {
    let sink = SmtpSink::start().offering(&["SIZE 100"]).await?;
    let error = gateway(&sink)
        .send(&mail(), later())
        .await
        .expect_err("too large");
    assert_eq!((error.fault, error.reason), (MESSAGE, "message_too_large"));
    assert_eq!(sink.count("MAIL"), 0);
    let sink = SmtpSink::start().offering(&["SIZE 0"]).await?;
    gateway(&sink).send(&mail(), later()).await?;
    Ok(())
}

/// Whom a refusal blames is suppressed, so that one about us, or one that passes, blames nobody for good.
#[tokio::test]
async fn a_refusal_that_is_about_us_does_not_blame_the_recipient() -> anyhow::Result<()> {
    for (reply, expected) in [
        ("550 No such user here", (RECIPIENT, "mailbox_unavailable")),
        (
            "550 4.2.1 The user is not available right now",
            (TRANSIENT, "try_later"),
        ),
        (
            "550 Your IP 192.0.2.1 is not allowed, no such user",
            (TRANSIENT, "reputation_refused"),
        ),
        (
            "550 Callback verification failed: no such user",
            (MESSAGE, "policy_refused"),
        ),
        (
            "550 5.1.1 The HELO name does not resolve",
            (MESSAGE, "policy_refused"),
        ),
    ] {
        assert_eq!(on_reply(Stage::Rcpt, reply).await?, expected, "{reply}");
    }
    Ok(())
}
