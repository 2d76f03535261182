//! What `enqueue` refuses, and how: an error for a bug of the caller, an answer for bad data.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// A bug of the caller must be told at once and so that it can be mended, and leave nothing behind.
#[tokio::test]
async fn a_bug_of_the_caller_raises_and_the_hint_lists_what_is_accepted() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    for (arguments, code, names, hint) in [
        (
            "'fax', 'a@x.org', body => 'x'",
            "PR002",
            "fax",
            "email, sms, push, voice, in_app, webhook",
        ),
        (
            "null, 'a@x.org', body => 'x'",
            "PR002",
            "channel",
            "email, sms, push, voice, in_app, webhook",
        ),
        (
            "'email', 'a@x.org', body => 'x', priority => 'P5'",
            "PR002",
            "P5",
            "P0, P1, P2, P3, P4",
        ),
        (
            "'email', 'a@x.org', body => 'x', priority => 'high'",
            "PR002",
            "high",
            "P0, P1, P2, P3, P4",
        ),
        (
            "'email', 'a@x.org', body => 'x', message_type => 'spam'",
            "PR002",
            "spam",
            "emergency, alert, newsletter, campaign, transactional",
        ),
        (
            "'email', 'a@x.org', body => 'x', message_type => null",
            "PR002",
            "message_type",
            "emergency, alert",
        ),
        (
            "'email', 'a@x.org', body => 'x', message_type => 'spam', priority => 'P1'",
            "PR002",
            "spam",
            "transactional",
        ),
        (
            "'email', 'a@x.org', template => 'weekly'",
            "PR004",
            "weekly",
            "subject, body and html",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"colour\": 1}'",
            "PR005",
            "colour",
            "from, reply_to, cc, bcc, headers",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '[]'",
            "PR005",
            "object",
            "max_attempts",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"on_unknown\": \"drop\"}'",
            "PR005",
            "resend or hold",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"max_attempts\": 0}'",
            "PR005",
            "1 to 100",
            "",
        ),
        (
            "'sms', '+14155550123', body => 'x', options => '{\"sms\": {\"media_urls\": \"https://x.org\"}}'",
            "PR005",
            "media_urls (an array of strings)",
            "sms, voice",
        ),
        (
            "'sms', '+14155550123', body => 'x', options => '{\"sms\": {\"validity_seconds\": 0}}'",
            "PR005",
            "1 to 172800",
            "",
        ),
        (
            "'sms', '+14155550123', body => 'x', options => '{\"sms\": {\"validity_seconds\": \"60\"}}'",
            "PR005",
            "1 to 172800",
            "",
        ),
        (
            "'sms', '+14155550123', body => 'x', options => '{\"sms\": {\"validity\": 60}}'",
            "PR005",
            "validity_seconds",
            "",
        ),
        (
            "'sms', '+14155550123', body => 'x', options => '{\"sms\": null}'",
            "PR005",
            "sms must be an object",
            "",
        ),
        (
            "'voice', '+14155550123', body => 'x', options => '{\"voice\": {\"language\": 1}}'",
            "PR005",
            "language and voice",
            "",
        ),
        (
            "'voice', '+14155550123', body => 'x', options => '{\"voice\": {\"accent\": \"x\"}}'",
            "PR005",
            "language and voice",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"max_attempts\": 1.5}'",
            "PR005",
            "1 to 100",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"cc\": \"b@x.org\"}'",
            "PR005",
            "array of strings",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"cc\": [1]}'",
            "PR005",
            "array of strings",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"headers\": {\"X-A\": 1}}'",
            "PR005",
            "object of strings",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"attachments\": [{\"filename\": \"a\"}]}'",
            "PR005",
            "filename and content",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"attachments\": [{\"filename\": \"a\", \"content\": \"eA==\"}, {}]}'",
            "PR005",
            "filename and content",
            "",
        ),
        (
            "'email', 'a@x.org', body => 'x', options => '{\"attachments\": [1]}'",
            "PR005",
            "filename and content",
            "",
        ),
        ("'email', 'a@x.org'", "PR003", "needs a body", "body"),
        (
            "'email', 'a@x.org', subject => 'only'",
            "PR003",
            "html or both",
            "body",
        ),
        (
            "'sms', '+14155550123', subject => 'only'",
            "PR003",
            "needs a body",
            "body",
        ),
        (
            "'push', 'token'",
            "PR003",
            "subject, a body or data",
            "body",
        ),
        (
            "'sms', '+14155550123', html => '<p>x'",
            "PR003",
            "html",
            "plain text",
        ),
        (
            "'sms', '+14155550123', body => 'x', html => '<p>x'",
            "PR003",
            "html",
            "plain text",
        ),
        (
            "'voice', '+14155550123', body => 'x', html => '<p>x'",
            "PR003",
            "html",
            "plain text",
        ),
    ] {
        let raised = sender
            .raised(&format!("select * from postroad.enqueue({arguments})"))
            .await?;
        assert_eq!(raised.code, code, "{arguments}: {}", raised.message);
        assert!(
            raised.message.contains(names),
            "{arguments}: {}",
            raised.message
        );
        assert!(
            !raised.hint.is_empty() && raised.hint.contains(hint),
            "{arguments}: {}",
            raised.hint
        );
    }
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages")
            .await?,
        "0"
    );
    Ok(())
}

/// What each channel can carry is accepted, each option too: the other side of the refusals.
#[tokio::test]
async fn what_each_channel_carries_is_queued() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    let options = r#"{"from": "a@x.org", "reply_to": "b@x.org", "cc": ["c@x.org"], "bcc": [], "headers": {"X-A": "1"}, "tags": ["t"],
        "attachments": [{"filename": "a.txt", "content": "eA=="}], "on_unknown": "hold", "max_attempts": 100, "push": {},
        "sms": {"media_urls": ["https://x.org/a.png"], "validity_seconds": 172800}, "voice": {"language": "fr-CA", "voice": "alice"}}"#;
    for arguments in [
        "'email', 'a@x.org', html => '<p>x'",
        "'email', 'a@x.org', subject => repeat('s', 998), body => 'x'",
        "'sms', '+14155550123', body => 'x'",
        "'voice', '+14155550123', body => 'x'",
        "'push', 'token', subject => 'x'",
        "'push', 'token', data => '{}'",
        "'in_app', 'user', data => '{}'",
        "'webhook', 'https://x.org', data => '[1]'",
        "'email', 'a@x.org', body => 'x', scheduled_for => now() - interval '9 years'",
        "'email', 'a@x.org', body => 'x', expires_at => now() + interval '19 years'",
        "'email', 'a@x.org', body => repeat('x', 50 * 1024 * 1024)",
        &format!("'email', 'a@x.org', body => 'x', options => '{options}'"),
    ] {
        let query = format!("select status from postroad.enqueue({arguments})");
        assert_eq!(sender.row(&query).await?, "queued", "{arguments}");
    }
    Ok(())
}

/// Data that cannot go out is an answer, not an error: the caller's transaction lives, and no row is half there.
#[tokio::test]
async fn bad_data_is_answered_invalid_with_a_reason_and_no_row() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    for (arguments, reason) in [
        (
            "body => 'x', subject => repeat('s', 999)",
            "subject_too_long",
        ),
        (
            r"body => 'x', subject => E'Hi\nBcc: eve@x.org'",
            "subject_has_line_break",
        ),
        (
            r"body => 'x', subject => E'Hi\rBcc: eve@x.org'",
            "subject_has_line_break",
        ),
        (
            "body => repeat('x', 50 * 1024 * 1024 + 1)",
            "content_too_large",
        ),
        ("body => repeat('x', 60 * 1024 * 1024)", "content_too_large"),
        (
            "html => repeat('x', 300 * 1024 * 1024)",
            "content_too_large",
        ),
        (
            "body => repeat('x', 30 * 1024 * 1024), html => repeat('x', 30 * 1024 * 1024)",
            "content_too_large",
        ),
        (
            "body => 'x', data => to_jsonb(repeat('x', 60 * 1024 * 1024))",
            "content_too_large",
        ),
        (
            "body => 'x', scheduled_for => 'infinity'",
            "scheduled_for_out_of_range",
        ),
        (
            "body => 'x', scheduled_for => '-infinity'",
            "scheduled_for_out_of_range",
        ),
        (
            "body => 'x', scheduled_for => '4713-01-01 BC'",
            "scheduled_for_out_of_range",
        ),
        (
            "body => 'x', scheduled_for => '294276-01-01'",
            "scheduled_for_out_of_range",
        ),
        (
            "body => 'x', scheduled_for => now() + interval '11 years'",
            "scheduled_for_out_of_range",
        ),
        (
            "body => 'x', expires_at => 'infinity'",
            "expires_at_out_of_range",
        ),
        (
            "body => 'x', expires_at => '-infinity'",
            "expires_at_out_of_range",
        ),
        (
            "body => 'x', expires_at => now() + interval '21 years'",
            "expires_at_out_of_range",
        ),
        (
            "body => 'x', expires_at => '4713-01-01 BC'",
            "already_expired",
        ),
        ("body => 'x', expires_at => now()", "already_expired"),
        (
            "body => 'x', scheduled_for => now() + interval '2 h', expires_at => now() + interval '1 h'",
            "expires_before_scheduled",
        ),
        (
            "body => 'x', idempotency_key => ''",
            "idempotency_key_too_long",
        ),
        (
            "body => 'x', idempotency_key => repeat('k', 256)",
            "idempotency_key_too_long",
        ),
    ] {
        let query = format!(
            "select status, reason, message_id from postroad.enqueue('email', 'a@x.org', {arguments})"
        );
        assert_eq!(
            sender.row(&query).await?,
            format!("invalid|{reason}|null"),
            "{arguments}"
        );
    }
    let left = "select (select count(*) from postroad.messages) + (select count(*) from postroad.message_queue) + (select count(*) from postroad.idempotency_keys)";
    assert_eq!(db.client.row(left).await?, "0");
    Ok(())
}
