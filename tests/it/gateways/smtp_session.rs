//! Sessions: opened, encrypted, logged in, kept and replaced.

use futures_util::future::join_all;
use postroad::gateway::Gateway as _;
use postroad::model::outcome::Fault;

use super::*;
use crate::support::scratch::Scratch;
use crate::support::smtp_sink::Answer::{Close, Hang, Reply};
use crate::support::smtp_sink::{Script, Stage};

const GATEWAY: Fault = Fault::Gateway { retry_after: None };

/// Settings that trust the sink's certificate, in a file that lives as long as the scratch.
fn trusting(sink: &SmtpSink, tls: Tls) -> anyhow::Result<(Settings, Scratch)> {
    let scratch = Scratch::new()?;
    let ca_file = scratch.path().join("ca.pem");
    std::fs::write(&ca_file, sink.certificate_pem())?;
    let settings = Settings {
        tls: Some(tls),
        ca_file: Some(ca_file),
        ..settings(sink)
    };
    Ok((settings, scratch))
}

fn with_login(settings: Settings) -> Settings {
    Settings {
        username: Some("post".into()),
        password: Some(PASSWORD.into()),
        ..settings
    }
}

/// Opening a session costs more than the mail does.
#[tokio::test]
async fn two_mails_share_a_session_and_have_a_transaction_each() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let gateway = gateway(&sink);
    gateway.send(&mail(), later()).await?;
    gateway.send(&mail(), later()).await?;
    let mails = sink.wait_for_mails(2).await;
    assert_eq!(mails.iter().map(|m| m.session).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(sink.count("MAIL FROM:"), 2);
    assert_eq!(sink.count("RCPT TO:"), 2);
    assert_eq!(sink.count("EHLO"), 1);
    Ok(())
}

/// A relay limits connections, and counts those of all its clients.
#[tokio::test]
async fn no_more_sessions_are_open_than_allowed() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let gateway = smtp(&Settings {
        connections: 3,
        ..settings(&sink)
    });
    let mails: Vec<_> = (0..20).map(|_| mail()).collect();
    for result in join_all(mails.iter().map(|mail| gateway.send(mail, later()))).await {
        result?;
    }
    assert_eq!(sink.mails().len(), 20);
    assert!(sink.sessions() <= 3, "{} sessions", sink.sessions());
    Ok(())
}

/// Waiting for a session ends with the deadline too.
#[tokio::test]
async fn a_mail_that_gets_no_session_in_time_is_transient() -> anyhow::Result<()> {
    let sink = SmtpSink::start().at(Stage::Dot, 1, Hang).await?;
    let gateway = smtp(&Settings {
        connections: 1,
        ..settings(&sink)
    });
    let (first, second) = (mail(), mail());
    let deadline = soon();
    let (first, second) = tokio::join!(
        gateway.send(&first, deadline),
        gateway.send(&second, deadline)
    );
    assert_eq!(first.expect_err("no reply").reason, "no_reply");
    let second = second.expect_err("no session");
    assert_eq!(second.fault, Fault::Transient { retry_after: None });
    assert_eq!(second.reason, "deadline_passed");
    Ok(())
}

/// Servers close idle sessions; no message must pay for that.
#[tokio::test]
async fn a_kept_session_that_was_closed_is_replaced() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let gateway = gateway(&sink);
    gateway.send(&mail(), later()).await?;
    sink.close_sessions().await;
    gateway.send(&mail(), later()).await?;
    let mails = sink.wait_for_mails(2).await;
    assert_eq!(mails.iter().map(|m| m.session).collect::<Vec<_>>(), [1, 2]);
    Ok(())
}

/// A close that is seen only with the next command, at any point before the mail, is the same.
#[tokio::test]
async fn a_kept_session_that_ends_before_the_mail_is_replaced() -> anyhow::Result<()> {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data] {
        for answer in [Close, Reply("421 4.3.2 enough for today")] {
            let sink = SmtpSink::start().at(stage, 2, answer).await?;
            let gateway = gateway(&sink);
            gateway.send(&mail(), later()).await?;
            gateway.send(&mail(), later()).await?;
            let mails = sink.wait_for_mails(2).await;
            assert_eq!(mails[1].session, 2, "{stage:?} {answer:?}");
        }
    }
    Ok(())
}

/// A router in between forgets idle connections without a word.
#[tokio::test]
async fn a_kept_session_that_has_become_a_dead_end_is_replaced() -> anyhow::Result<()> {
    let sink = SmtpSink::start().at(Stage::Mail, 2, Hang).await?;
    let gateway = smtp(&Settings {
        connect_timeout: Text(Duration::from_millis(800)),
        ..settings(&sink)
    });
    gateway.send(&mail(), later()).await?;
    gateway.send(&mail(), later()).await?;
    assert_eq!(sink.wait_for_mails(2).await[1].session, 2);
    Ok(())
}

/// After the final dot the server may have the mail, however old the session: no second try.
#[tokio::test]
async fn a_kept_session_that_ends_after_the_final_dot_is_not_tried_again() -> anyhow::Result<()> {
    let sink = SmtpSink::start().at(Stage::Dot, 2, Close).await?;
    let gateway = gateway(&sink);
    gateway.send(&mail(), later()).await?;
    let error = gateway.send(&mail(), later()).await.expect_err("no reply");
    assert_eq!(error.fault, Fault::Unknown);
    assert_eq!(sink.count("DATA"), 2);
    Ok(())
}

/// A refused mail says nothing against the session, once the transaction is forgotten.
#[tokio::test]
async fn a_session_is_reset_and_kept_after_a_refused_recipient() -> anyhow::Result<()> {
    let sink = SmtpSink::start()
        .at(Stage::Rcpt, 1, Reply("550 5.1.1 no such user"))
        .await?;
    let gateway = gateway(&sink);
    gateway.send(&mail(), later()).await.expect_err("refused");
    gateway.send(&mail(), later()).await?;
    assert_eq!((sink.sessions(), sink.count("RSET")), (1, 1));
    Ok(())
}

/// Some servers quote the login that they refuse, and events are read by many.
#[tokio::test]
async fn a_login_that_a_server_quotes_is_masked() -> anyhow::Result<()> {
    for (mechanism, quote, shown) in [
        (
            "PLAIN",
            "535 5.7.8 not AHBvc3QAY29ycmVjdC1ob3JzZQ==",
            "535 5.7.8 not ***",
        ),
        (
            "LOGIN",
            "535 5.7.8 not Y29ycmVjdC1ob3JzZQ== (correct-horse)",
            "535 5.7.8 not *** (***)",
        ),
        (
            "PLAIN",
            "535 5.7.8 wrong password",
            "535 5.7.8 wrong password",
        ),
    ] {
        let sink = SmtpSink::start()
            .with_login("post", PASSWORD)
            .with_mechanisms(mechanism)
            .on(Stage::Auth, Reply(quote))
            .await?;
        let gateway = smtp(&with_login(settings(&sink)));
        let error = gateway.send(&mail(), later()).await.expect_err("refused");
        assert_eq!((error.fault, error.reason), (GATEWAY, "auth_refused"));
        assert_eq!(error.provider_text.as_deref(), Some(shown));
    }
    Ok(())
}

/// Encrypted by STARTTLS, from the first byte, or not at all, as configured.
#[tokio::test]
async fn mail_is_encrypted_as_configured() -> anyhow::Result<()> {
    let plain = SmtpSink::start().await?;
    gateway(&plain).send(&mail(), later()).await?;
    assert!(!plain.mails()[0].encrypted);
    for (script, tls) in [
        (SmtpSink::start().with_starttls(), Tls::Starttls),
        (SmtpSink::start().with_starttls(), Tls::Opportunistic),
        (SmtpSink::start().with_tls(), Tls::Tls),
    ] {
        let sink = script.await?;
        let (settings, _scratch) = trusting(&sink, tls)?;
        smtp(&settings).send(&mail(), later()).await?;
        assert!(sink.mails()[0].encrypted, "{tls:?}");
    }
    Ok(())
}

/// A session that is encrypted is kept like any other.
#[tokio::test]
async fn two_mails_share_an_encrypted_session() -> anyhow::Result<()> {
    let sink = SmtpSink::start().with_starttls().await?;
    let (settings, _scratch) = trusting(&sink, Tls::Starttls)?;
    let gateway = smtp(&settings);
    gateway.send(&mail(), later()).await?;
    gateway.send(&mail(), later()).await?;
    assert_eq!(sink.sessions(), 1);
    sink.close_sessions().await;
    gateway.send(&mail(), later()).await?;
    assert_eq!(sink.sessions(), 2);
    Ok(())
}

/// Whoever sits in between can add text to the reply to STARTTLS; read later, it would pass for the server's
/// own words under encryption (RFC 3207, section 6).
#[tokio::test]
async fn text_after_the_reply_to_starttls_ends_the_session() -> anyhow::Result<()> {
    let injected = Reply("220 go\r\n250-sink\r\n250 AUTH PLAIN");
    let sink = SmtpSink::start()
        .with_starttls()
        .on(Stage::StartTls, injected)
        .await?;
    let (settings, _scratch) = trusting(&sink, Tls::Starttls)?;
    let error = smtp(&settings)
        .send(&mail(), later())
        .await
        .expect_err("injected");
    assert_eq!((error.fault, error.reason), (GATEWAY, "tls_failed"));
    assert_eq!(sink.mails().len(), 0);
    Ok(())
}

/// A server may offer encryption and then have none: only for opportunistic that is good enough.
#[tokio::test]
async fn a_refused_starttls_matters_only_where_encryption_is_required() -> anyhow::Result<()> {
    let refused = Reply("454 4.7.0 not now");
    let sink = SmtpSink::start()
        .with_starttls()
        .on(Stage::StartTls, refused)
        .await?;
    let with = |tls| Settings {
        tls: Some(tls),
        ..settings(&sink)
    };
    smtp(&with(Tls::Opportunistic))
        .send(&mail(), later())
        .await?;
    assert!(!sink.mails()[0].encrypted);
    let (trusting, _scratch) = trusting(&sink, Tls::Starttls)?;
    let error = smtp(&trusting)
        .send(&mail(), later())
        .await
        .expect_err("plain");
    assert_eq!(
        (error.fault, error.reason),
        (GATEWAY, "service_unavailable")
    );
    assert_eq!(sink.mails().len(), 1);
    Ok(())
}

/// What was announced before the encryption does not count after it.
#[tokio::test]
async fn a_session_greets_again_after_starttls() -> anyhow::Result<()> {
    let sink = SmtpSink::start().with_starttls().await?;
    let (settings, _scratch) = trusting(&sink, Tls::Starttls)?;
    smtp(&settings).send(&mail(), later()).await?;
    let verbs: Vec<_> = sink
        .commands()
        .iter()
        .map(|c| c[..4].to_owned())
        .take(4)
        .collect();
    assert_eq!(verbs, ["EHLO", "STAR", "EHLO", "MAIL"]);
    Ok(())
}

/// Opportunistic takes what it gets; required takes nothing less.
#[tokio::test]
async fn encryption_that_is_not_offered_matters_only_where_it_is_required() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let with = |tls| Settings {
        tls: Some(tls),
        ..settings(&sink)
    };
    smtp(&with(Tls::Opportunistic))
        .send(&mail(), later())
        .await?;
    let error = smtp(&with(Tls::Starttls))
        .send(&mail(), later())
        .await
        .expect_err("plain");
    assert_eq!((error.fault, error.reason), (GATEWAY, "tls_not_offered"));
    assert_eq!(sink.mails().len(), 1);
    Ok(())
}

/// A certificate from anybody is as good as none, and no worse: required refuses it, opportunistic does not.
#[tokio::test]
async fn an_unknown_certificate_matters_only_where_encryption_is_required() -> anyhow::Result<()> {
    let sink = SmtpSink::start().with_starttls().await?;
    let with = |tls| Settings {
        tls: Some(tls),
        ..settings(&sink)
    };
    smtp(&with(Tls::Opportunistic))
        .send(&mail(), later())
        .await?;
    assert!(sink.mails()[0].encrypted);
    // Trusts another sink's certificate.
    let other = SmtpSink::start().with_starttls().await?;
    let (trusting, _scratch) = trusting(&other, Tls::Starttls)?;
    let settings = Settings {
        port: Some(sink.port()),
        ..trusting
    };
    let error = smtp(&settings)
        .send(&mail(), later())
        .await
        .expect_err("a stranger");
    assert_eq!((error.fault, error.reason), (GATEWAY, "tls_failed"));
    Ok(())
}

/// Both mechanisms that submission servers have in common.
#[tokio::test]
async fn a_login_works_by_plain_and_by_login() -> anyhow::Result<()> {
    for mechanism in ["PLAIN", "LOGIN"] {
        let sink = SmtpSink::start()
            .with_login("post", PASSWORD)
            .with_mechanisms(mechanism)
            .await?;
        let gateway = smtp(&with_login(settings(&sink)));
        gateway.send(&mail(), later()).await?;
        assert_eq!(
            sink.mails()[0].login.as_deref(),
            Some("post"),
            "{mechanism}"
        );
    }
    Ok(())
}

/// A wrong password is the gateway's fault: messages wait or take another way, and none is marked failed.
#[tokio::test]
async fn a_login_that_fails_is_the_gateways_fault() -> anyhow::Result<()> {
    let cases: [(Script, &str); 4] = [
        (
            SmtpSink::start().with_login("post", "another"),
            "auth_refused",
        ),
        (
            SmtpSink::start()
                .with_login("post", PASSWORD)
                .with_mechanisms("GSSAPI"),
            "auth_not_offered",
        ),
        (SmtpSink::start(), "auth_not_offered"),
        (
            SmtpSink::start()
                .with_login("post", PASSWORD)
                .on(Stage::Auth, Reply("454 4.7.0 try again")),
            "auth_refused",
        ),
    ];
    for (script, reason) in cases {
        let sink = script.await?;
        let gateway = smtp(&with_login(settings(&sink)));
        let error = gateway.send(&mail(), later()).await.expect_err("no login");
        assert_eq!((error.fault, error.reason), (GATEWAY, reason));
        assert_eq!(sink.count("MAIL"), 0);
    }
    Ok(())
}

/// A server that wants a login which is not configured.
#[tokio::test]
async fn a_login_that_is_missing_is_the_gateways_fault() -> anyhow::Result<()> {
    let sink = SmtpSink::start().with_login("post", PASSWORD).await?;
    let error = gateway(&sink)
        .send(&mail(), later())
        .await
        .expect_err("no login");
    assert_eq!((error.fault, error.reason), (GATEWAY, "auth_refused"));
    assert_eq!(error.code.as_deref(), Some("5.7.0"));
    Ok(())
}

/// Old relays inside buildings still run.
#[tokio::test]
async fn a_server_without_ehlo_is_greeted_by_helo() -> anyhow::Result<()> {
    let sink = SmtpSink::start().without_ehlo().await?;
    gateway(&sink).send(&mail(), later()).await?;
    let mails = sink.wait_for_mails(1).await;
    assert_eq!(
        mails[0].parameters, "",
        "an extension was used that was not offered"
    );
    Ok(())
}
