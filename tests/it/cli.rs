//! The command line: what is wrong is said in one line, and told apart by the exit code.

use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::process::{Directory, stderr};

/// Asserts exit code 2 and one line on standard error that has all of `words`.
fn refused(directory: &Directory, arguments: &[&str], words: &[&str]) -> anyhow::Result<()> {
    let output = directory.postroad(arguments).output()?;
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "{word} is missing in: {error}");
    }
    Ok(())
}

/// An operator who mistyped a setting is told which, not that nothing works.
#[test]
fn a_wrong_configuration_is_one_line_and_exit_code_2() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let cases: [(&str, &[&str]); 6] = [
        (
            "[worker]\nsend_timout = '1s'",
            &["worker.send_timout: ", "no such setting", "`send_timeout`"],
        ),
        (
            "[database]\nurl = '${POSTROAD_DB}'",
            &["database.url: ", "POSTROAD_DB is not set"],
        ),
        (
            "[gateways.relay]\ntype = 'smpt'",
            &["gateways.relay.type: ", "smpt", "`smtp`"],
        ),
        (
            "[gateways.relay]\ntype = 'smtp'\nfrom = 'a@x.org'",
            &["gateways.relay: "],
        ),
        (
            "[gateways.ses]\ntype = 'ses'\nregion = 'eu-west-1'",
            &["gateways.ses.access_key_id: is missing"],
        ),
        (
            "[server]\nlisten = 'localhost'",
            &["server.listen: ", "such as 127.0.0.1:8025"],
        ),
    ];
    for (file, words) in cases {
        directory.write("postroad.toml", file)?;
        for command in ["up", "run", "check-config"] {
            refused(&directory, &["--config", "postroad.toml", command], words)?;
        }
    }
    assert!(
        !directory.path.join(".postroad").exists(),
        "a start got past its configuration"
    );
    refused(
        &directory,
        &["--config", "none.toml", "run"],
        &["none.toml: cannot be read"],
    )
}

/// Only `up` brings a database; everything else says what it needs.
#[test]
fn without_a_database_url_a_role_says_what_to_set() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    for command in [
        "run", "worker", "serve", "maintain", "migrate", "stats", "psql",
    ] {
        refused(&directory, &[command], &["database.url: ", "DATABASE_URL"])?;
    }
    Ok(())
}

/// A database that is down is not a wrong configuration: whoever restarts on 1 must not on 2.
#[test]
fn a_database_that_does_not_answer_is_exit_code_1_and_no_password() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    for command in ["run", "migrate", "stats", "check-config"] {
        let mut command = directory.postroad(&[command]);
        let output = command
            .env("DATABASE_URL", "postgres://ada:hunter2@127.0.0.1:1/post")
            .output()?;
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(
            stderr(&output).starts_with("postroad: "),
            "{}",
            stderr(&output)
        );
        assert!(!stderr(&output).contains("hunter2"));
    }
    Ok(())
}

/// A user without the role would fail at each session, again and again, beside a server that says it is ready.
#[tokio::test]
async fn a_user_that_may_not_work_is_told_which_role_it_needs() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let user = format!("app_{}", Uuid::now_v7().simple());
    let create = format!("create role {user} login; grant postroad_webhook to {user}");
    db.client.batch_execute(&create).await?;
    let directory = Directory::new()?;
    for role in ["run", "worker", "maintain", "outbound"] {
        let output = directory
            .postroad(&[role])
            .env("DATABASE_URL", format!("{}&user={user}", db.url))
            .output()?;
        assert_eq!(output.status.code(), Some(1), "{role}");
        let error = stderr(&output);
        assert_eq!(error.lines().count(), 1, "{error}");
        let wanted = format!("grant postroad_worker to {user}");
        assert!(error.trim().ends_with(&wanted), "{error}");
    }
    let output = directory
        .postroad(&["migrate"])
        .env("DATABASE_URL", format!("{}&user={user}", db.url))
        .output()?;
    let error = stderr(&output);
    assert!(error.contains("the schema postroad belongs to "), "{error}");
    // With it the start goes on, to what is wrong next.
    let grant = format!("grant postroad_worker to {user}");
    db.client.batch_execute(&grant).await?;
    directory.write("taken.toml", "[server]\nlisten = '192.0.2.1:1'")?;
    let output = directory
        .postroad(&["--config", "taken.toml", "run"])
        .env("DATABASE_URL", format!("{}&user={user}", db.url))
        .output()?;
    let error = stderr(&output);
    assert!(error.contains("192.0.2.1:1"), "{error}");
    let done = format!("drop owned by {user}; drop role {user}");
    Ok(db.client.batch_execute(&done).await?)
}

/// `check-config` is what people paste when they ask for help.
#[test]
fn check_config_shows_gateways_and_masks_secrets() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let mut command = directory.postroad(&["check-config", "--offline"]);
    let output = command
        .env("SMTP_HOST", "mail.example.org")
        .env("SMTP_USERNAME", "ada")
        .env("SMTP_PASSWORD", "hunter2")
        .env("MAIL_FROM", "post@example.org")
        .output()?;
    assert!(output.status.success(), "{}", stderr(&output));
    let shown = String::from_utf8(output.stdout)?;
    assert!(
        shown.contains("smtp: type = smtp, from = post@example.org, host = mail.example.org"),
        "{shown}"
    );
    assert!(shown.contains("email: smtp"), "{shown}");
    assert!(
        shown.contains("password = ***") && !shown.contains("hunter2"),
        "{shown}"
    );
    Ok(())
}

/// Whoever has not migrated yet is told to, whatever they begin with.
#[tokio::test]
async fn a_database_without_the_schema_is_told_with_what_makes_it() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("drop schema postroad cascade")
        .await?;
    let directory = Directory::new()?;
    for arguments in [
        &["keys", "list"][..],
        &["suppressions", "export"],
        &["stats"],
        &["worker"],
    ] {
        let output = directory
            .postroad(arguments)
            .env("DATABASE_URL", &db.url)
            .output()?;
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("postroad migrate"), "{arguments:?}: {error}");
    }
    Ok(())
}
