//! What of the options of a message is told at the call: it would be found when sending only, by nobody who could mend it.

use serde_json::{Value, json};

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

const ENQUEUE: &str = "select status || coalesce(' ' || reason, '') from postroad.enqueue($1, $2, body => 'x', options => $3::jsonb)";

async fn enqueue(
    client: &tokio_postgres::Client,
    channel: &str,
    options: &Value,
) -> Result<String, tokio_postgres::Error> {
    let recipient = match channel {
        "email" => "ada@example.org",
        "webhook" => "https://example.org/hook",
        _ => "+14155550123",
    };
    let row = client
        .query_one(ENQUEUE, &[&channel, &recipient, options])
        .await?;
    Ok(row.get(0))
}

/// What is in an option is data, often of a visitor: the transaction lives, and the caller learns which one it is.
#[tokio::test]
async fn an_option_that_can_never_go_out_is_answered_with_its_name() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    let file = |more: Value| {
        let mut file = json!({"filename": "a.txt", "content": "eA=="});
        file.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        json!({"attachments": [file]})
    };
    for (options, reason) in [
        (json!({"from": "Shop"}), "invalid_from"),
        (json!({"reply_to": "ada"}), "invalid_reply_to"),
        (json!({"reply_to": ""}), "invalid_reply_to"),
        (json!({"reply_to": "a@x.org, b@x.org"}), "invalid_reply_to"),
        (json!({"reply_to": "a@x.org>"}), "invalid_reply_to"),
        (
            json!({"reply_to": "a@x.org\r\nBcc: e@x.org"}),
            "invalid_reply_to",
        ),
        (json!({"cc": ["a@x.org", "b@x..org"]}), "invalid_cc"),
        (json!({"bcc": ["Ada <a b@x.org>"]}), "invalid_bcc"),
        (
            json!({"headers": {"X-A": "1\r\nBcc: e@x.org"}}),
            "invalid_header",
        ),
        (json!({"headers": {"X-A": "\u{85}"}}), "invalid_header"),
        (json!({"tags": ["a", "b\n"]}), "invalid_tag"),
        (
            file(json!({"content": "not base64!"})),
            "invalid_attachment",
        ),
        (
            file(json!({"content": "eA=", "filename": "a\n"})),
            "invalid_attachment",
        ),
        (file(json!({"content": "e"})), "invalid_attachment"),
        (file(json!({"content_type": "text"})), "invalid_attachment"),
        (file(json!({"content_type": "text/"})), "invalid_attachment"),
        (file(json!({"content_id": "a b"})), "invalid_attachment"),
        (file(json!({"content_id": "<a>"})), "invalid_attachment"),
    ] {
        let answer = enqueue(&sender, "email", &options).await?;
        assert_eq!(answer, format!("invalid {reason}"), "{options}");
    }
    let header = json!({"headers": {"X-A": "1\r\nHost: x"}});
    let answer = enqueue(&sender, "webhook", &header).await?;
    assert_eq!(answer, "invalid invalid_header");
    assert_eq!(
        sender
            .row(r"select status, reason from postroad.enqueue('email', 'a@x.org', subject => E'bell \x07', body => 'x')")
            .await?,
        "invalid|subject_has_control_character"
    );
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages")
            .await?,
        "0"
    );
    Ok(())
}

/// The other side: whatever a gateway can send is queued, and what a channel does not use is nobody's business.
#[tokio::test]
async fn an_option_that_can_go_out_is_accepted_in_each_spelling() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    let files = json!([
        {"filename": "a.txt", "content": "eA"},
        {"filename": "ä.txt", "content": "eHh4\r\n eHh4", "content_type": "text/plain; charset=utf-8"},
        {"filename": "empty", "content": "", "content_id": "logo@x.org", "content_type": null},
    ]);
    for options in [
        json!({"from": "Shop, the <shop@example.org>", "reply_to": "\"O'Hara, \\\"A\\\"\" <a@x.org>"}),
        json!({"from": "noreply@localhost", "reply_to": "jörg@bücher.example"}),
        json!({"cc": [" a@x.org ", "<b@x.org>", "\"quoted\"@x.org", "c@[192.0.2.1]"], "bcc": []}),
        json!({"headers": {"List-Unsubscribe": "<https://x.org/u?a=1>", "X-Note": "Grüße\tan alle", "Reply-To": "a@x.org"}}),
        json!({"tags": ["a b", "ü"], "attachments": files}),
        json!({"from": "Ada <ada@x.org>\u{a0}", "reply_to": "\u{3000}ada@x.org", "cc": [r#""a\"b"@x.org"#, "A < B <a@x.org>"]}),
        json!({"attachments": [{"filename": "a", "content": "", "content_type": "multipart/mixed; name=\"é\""}]}),
        json!({"attachments": [{"filename": "a", "content": "", "content_type": "application/vnd.o'x~y"}]}),
    ] {
        assert_eq!(
            enqueue(&sender, "email", &options).await?,
            "queued",
            "{options}"
        );
    }
    let long = "X-".repeat(50);
    let token = json!({"headers": {"Authorization": "Bearer é", "From": "a", long: "1"}});
    assert_eq!(enqueue(&sender, "webhook", &token).await?, "queued");
    let unused = json!({"reply_to": "ada", "headers": {"Host": "x"}});
    assert_eq!(enqueue(&sender, "sms", &unused).await?, "queued");
    assert_eq!(
        sender
            .row(r"select status from postroad.enqueue('email', 'a@x.org', subject => E'a\ttab', body => 'x')")
            .await?,
        "queued"
    );
    Ok(())
}

/// The names of headers are of the caller's program: one that it may not set is a bug, which is told at once.
#[tokio::test]
async fn a_header_that_is_not_the_callers_is_a_bug() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    for (channel, names) in [
        (
            "email",
            "From Sender To Cc Bcc Subject Date Message-ID MIME-Version Return-Path Received DKIM-Signature X-Tags X-SMTPAPI bcc content-type Resent-To X:Y Ä",
        ),
        (
            "webhook",
            "host Transfer-Encoding webhook-id Content-Length Proxy-X X:Y",
        ),
    ] {
        for name in names.split(' ').chain(["", "X Y"]) {
            let error = enqueue(&sender, channel, &json!({"headers": {name: "x"}})).await;
            let error = error.expect_err("it was accepted");
            let error = error.as_db_error().expect("of the server");
            assert_eq!(error.code().code(), "PR005", "{channel} {name:?}");
            assert!(error.message().contains(&format!("'{name}'")), "{error}");
        }
    }
    Ok(())
}

/// What the worker could not even read must not be queued: a list in a list is not what the list is of.
#[tokio::test]
async fn an_option_of_another_shape_is_a_bug() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    for (channel, options, words) in [
        (
            "email",
            json!({"tags": [["a"]]}),
            "tags must be an array of strings",
        ),
        (
            "email",
            json!({"bcc": [[]]}),
            "bcc must be an array of strings",
        ),
        (
            "email",
            json!({"headers": {"X-A": ["a"]}}),
            "headers must be an object of strings",
        ),
        (
            "email",
            json!({"headers": {"X-A": "1", "x-a": "2"}}),
            "the header 'X-A' is there twice, in other capitals",
        ),
        (
            "webhook",
            json!({"headers": {"X-A": [["a"]]}}),
            "headers must be an object of strings",
        ),
        (
            "voice",
            json!({"voice": {"language": ["en"]}}),
            "voice must be an object",
        ),
        (
            "sms",
            json!({"sms": {"media_urls": [["https://x.org/a"]]}}),
            "media_urls (an array of strings)",
        ),
    ] {
        let error = enqueue(&sender, channel, &options).await;
        let error = error.expect_err("it was accepted");
        let error = error.as_db_error().expect("of the server");
        assert_eq!(error.code().code(), "PR005", "{options}");
        assert!(error.message().contains(words), "{error}");
    }
    Ok(())
}

/// The content of a bulk send is one for all: what is wrong with it is told once, and nobody is queued.
#[tokio::test]
async fn a_bulk_send_is_refused_for_its_options_too() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    let bulk = |reply_to: &str| {
        format!(
            r#"select queued, invalid, reason from postroad.enqueue_bulk(channel => 'email', recipients => '[{{"address": "a@x.org"}}, {{"address": "b@x.org"}}]',
               body => 'x', options => '{{"reply_to": "{reply_to}"}}')"#
        )
    };
    assert_eq!(sender.row(&bulk("news")).await?, "0|2|invalid_reply_to");
    assert_eq!(sender.row(&bulk("news@x.org")).await?, "2|0|null");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages")
            .await?,
        "2"
    );
    Ok(())
}
