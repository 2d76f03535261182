//! `postroad check-config` and `postroad send`: what an operator tries before the first message is queued.

use std::process::Output;

use crate::support::db::TestDb;
use crate::support::http_double::HttpDouble;
use crate::support::process::{Directory, stderr};
use crate::support::smtp_sink::{Answer, SmtpSink, Stage};

const SENDGRID: &str = "type = 'sendgrid'\napi_key = 'SG.hunter2'\nfrom = 'post@example.org'";

/// Runs it with `config`; standard output, and the whole of what came.
fn run(config: &str, arguments: &[&str]) -> anyhow::Result<(String, Output)> {
    let directory = Directory::new()?;
    directory.write("postroad.toml", config)?;
    let arguments = [&["--config", "postroad.toml"], arguments].concat();
    let output = directory.postroad(&arguments).output()?;
    let shown = String::from_utf8(output.stdout.clone())?;
    for text in [&shown, &stderr(&output)] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    Ok((shown, output))
}

fn send<'a>(to: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let message = [
        "send",
        "--channel",
        "email",
        "--to",
        to,
        "--subject",
        "Hello",
        "--body",
        "It works.",
    ];
    [&message, more].concat()
}

/// One line a gateway, and an exit code that tells a wrong key from a provider that is down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_config_asks_each_gateway() -> anyhow::Result<()> {
    let good = HttpDouble::answering(200, r#"{"scopes": ["mail.send"]}"#).await;
    let bad = HttpDouble::answering(401, "").await;
    let table =
        |name: &str, url: &str| format!("[gateways.{name}]\n{SENDGRID}\napi_url = '{url}'\n");
    let stub = "[gateways.stub]\ntype = 'stub'\n";

    let config = format!("{}{stub}", table("a", good.url()));
    let (shown, output) = run(&config, &["check-config"])?;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(shown.contains("check     a: ok\n"), "{shown}");
    assert!(shown.contains("check     stub: ok, not asked"), "{shown}");

    let config = format!("{}{}", table("a", good.url()), table("b", bad.url()));
    let (shown, output) = run(&config, &["check-config"])?;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        shown.contains("check     b: wrong: api_key: unauthorized (code 401)"),
        "{shown}"
    );
    assert!(
        stderr(&output).contains("gateways.b.api_key"),
        "{}",
        stderr(&output)
    );

    let (_, output) = run(&config, &["check-config", "--offline"])?;
    assert_eq!(output.status.code(), Some(0), "nobody was asked");

    let (shown, output) = run(&table("c", "http://127.0.0.1:1"), &["check-config"])?;
    assert_eq!(output.status.code(), Some(1), "it may be there later");
    assert!(
        shown.contains("check     c: wrong: api_url: connect_failed"),
        "{shown}"
    );
    Ok(())
}

/// What went over the wire is what one sends to a provider's support: all of it but the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_prints_a_request_and_its_answer() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(202, &[("x-message-id", "m1")], "hunter2 \u{1b}[2J");
    let config = format!(
        "[gateways.mail]\n{SENDGRID}\napi_url = '{}'\n",
        double.url()
    );
    let config = config.replace("SG.hunter2", "hunter2");
    let (shown, output) = run(&config, &send("ada@example.org", &["--gateway", "mail"]))?;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for line in [
        format!("> POST {}/v3/mail/send", double.url()),
        "> authorization: ***".into(),
        "> content-type: application/json".into(),
        "< 202 Accepted".into(),
        "< x-message-id: m1".into(),
        "< *** \\u{1b}[2J".into(),
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is not in {shown}"
        );
    }
    assert!(shown.contains(r#""email":"ada@example.org""#), "{shown}");
    assert!(shown.contains("mail accepted "), "{shown}");
    assert_eq!(double.requests().len(), 1);

    let double = HttpDouble::answering(401, "").await;
    let config = format!(
        "[gateways.mail]\n{SENDGRID}\napi_url = '{}'\n",
        double.url()
    );
    let (shown, output) = run(&config, &send("ada@example.org", &[]))?;
    assert_eq!(output.status.code(), Some(1));
    assert!(shown.contains("< 401 Unauthorized"), "{shown}");
    assert!(
        stderr(&output).contains("unauthorized (code 401)"),
        "{}",
        stderr(&output)
    );
    Ok(())
}

/// A dialogue is shown from the greeting to the final dot, and the login only as one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_prints_a_dialogue_without_its_password() -> anyhow::Result<()> {
    use base64::Engine as _;
    for mechanism in ["PLAIN", "LOGIN"] {
        let sink = SmtpSink::start().with_login("ada", "hunter2");
        let sink = sink.with_mechanisms(mechanism).await?;
        let config = format!(
            "[gateways.relay]\ntype = 'smtp'\nhost = '127.0.0.1'\nport = {}\ntls = 'none'\nusername = 'ada'\npassword = 'hunter2'\nfrom = 'a@example.org'\n",
            sink.port()
        );
        let (shown, output) = run(&config, &send("ada@example.org", &[]))?;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        for line in [
            "> RCPT TO:<ada@example.org>",
            "> DATA",
            "> It works.",
            "> .",
        ] {
            assert!(
                shown.lines().any(|shown| shown == line),
                "{line} is not in {shown}"
            );
        }
        assert!(shown.contains("< 250"), "{shown}");
        assert!(shown.contains("***"), "{shown}");
        for secret in ["hunter2", "\0ada\0hunter2"] {
            let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
            assert!(!shown.contains(&encoded), "{shown}");
        }
        assert_eq!(sink.mails().len(), 1);
    }
    Ok(())
}

/// Whose fault it was is told in words, and why no connection could be had, for nobody else says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_in_words_with_what_we_found_ourselves() -> anyhow::Result<()> {
    let relay = |port: u16, tls: &str| {
        format!(
            "[gateways.relay]\ntype = 'smtp'\nhost = '127.0.0.1'\nport = {port}\ntls = '{tls}'\nusername = 'ada'\npassword = 'hunter2'\nfrom = 'a@example.org'\n"
        )
    };
    let down = relay(1, "none");
    let api = format!("[gateways.mail]\n{SENDGRID}\napi_url = 'http://127.0.0.1:1'\n");
    let untrusted = SmtpSink::start().with_tls().await?;
    let untrusted = (relay(untrusted.port(), "tls"), untrusted);
    for (config, words) in [
        (&down, "connect_failed: Connection refused"),
        (&api, "connect_failed: Connection refused"),
        (&untrusted.0, "tls_failed: invalid peer certificate"),
    ] {
        let (_, output) = run(config, &send("ada@example.org", &[]))?;
        let shown = stderr(&output);
        assert!(shown.contains(words), "{words} is not in {shown}");
        assert!(shown.contains("the fault is the gateway's"), "{shown}");
        let (checked, _) = run(config, &["check-config"])?;
        assert!(checked.contains(words), "{words} is not in {checked}");
    }

    let sink = SmtpSink::start()
        .with_login("ada", "hunter2")
        .on(Stage::Auth, Answer::Reply("535 5.7.8 not AGFkYQBodW50ZXIy"))
        .await?;
    let (shown, output) = run(&relay(sink.port(), "none"), &send("ada@example.org", &[]))?;
    for shown in [shown, stderr(&output)] {
        assert!(!shown.contains("AGFkYQBodW50ZXIy"), "{shown}");
    }
    let sink = SmtpSink::start()
        .on(Stage::Rcpt, Answer::Reply("550 5.1.1 no such user"))
        .await?;
    let config = relay(sink.port(), "none").replace("username = 'ada'\npassword = 'hunter2'\n", "");
    let (_, output) = run(&config, &send("ada@example.org", &[]))?;
    let shown = stderr(&output);
    assert!(shown.contains("the fault is the recipient's"), "{shown}");
    assert!(!shown.contains("no such user"), "{shown}");
    Ok(())
}

/// A refusal of two settings together names them both as the file has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_of_two_settings_are_named_both() -> anyhow::Result<()> {
    let amazon = HttpDouble::answering(401, "").await;
    let config = format!(
        "[gateways.ses]\ntype = 'ses'\naccess_key_id = 'AKID'\nsecret_access_key = 'hunter2'\nregion = 'eu-central-1'\nfrom = 'a@example.org'\napi_url = '{}'\n",
        amazon.url()
    );
    let (_, output) = run(&config, &["check-config"])?;
    assert_eq!(output.status.code(), Some(2));
    let shown = stderr(&output);
    let both = "gateways.ses.access_key_id and gateways.ses.secret_access_key";
    assert!(shown.contains(both), "{shown}");
    Ok(())
}

/// Nothing goes to a suppressed address, and a name that is none is said to be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_refuses_whom_it_must_not_reach() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'ada@example.org', 'unsubscribed')")
        .await?;
    let double = HttpDouble::answering(202, "").await;
    let mail = format!(
        "[gateways.mail]\n{SENDGRID}\napi_url = '{}'\n",
        double.url()
    );
    let config = format!("{mail}[database]\nurl = '{}'\n", db.url);
    let (_, output) = run(&config, &send("Ada@Example.org", &[]))?;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("is suppressed"),
        "{}",
        stderr(&output)
    );
    assert!(double.requests().is_empty());
    let (_, output) = run(&config, &send("eve@example.org", &[]))?;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(double.requests().len(), 1);

    for (more, words) in [
        (
            &["--gateway", "none"][..],
            "gateways.none: there is no such gateway",
        ),
        (
            &["--gateway", "mail", "--channel", "sms"],
            "cannot be used multiple times",
        ),
    ] {
        let (_, output) = run(&mail, &send("eve@example.org", more))?;
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    let texts = [
        "send",
        "--channel",
        "sms",
        "--to",
        "+15005550006",
        "--gateway",
        "mail",
    ];
    let (_, output) = run(&mail, &texts)?;
    assert!(
        stderr(&output).contains("does not serve channel sms"),
        "{}",
        stderr(&output)
    );
    Ok(())
}
