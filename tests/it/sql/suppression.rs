//! Who is suppressed by what happened, and who is not.

mod entries;
mod wishes;

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// `address|channel|tenant|reason` of the list.
const LISTED: &str = "select address, channel, tenant_id, reason from postroad.suppression_list order by address, channel, tenant_id";

impl TestDb {
    /// Enqueues over a channel, with a body; returns the id.
    async fn enqueue_over(
        &self,
        channel: &str,
        recipient: &str,
        arguments: &str,
    ) -> anyhow::Result<String> {
        let query = format!(
            "select message_id from postroad.enqueue('{channel}', '{recipient}', body => 'x', {arguments})"
        );
        self.client.row(&query).await
    }

    async fn listed(&self) -> anyhow::Result<Vec<String>> {
        self.client.rows(LISTED).await
    }

    /// An event of a message, reported by the stub.
    async fn report(&self, id: &str, event: &str, rest: &str) -> anyhow::Result<String> {
        let key = uuid::Uuid::now_v7();
        self.record(
            "stub",
            &format!(
                r#"{{"message_id": "{id}", "event_type": "{event}", "source_key": "{key}"{rest}}}"#
            ),
        )
        .await
    }

    /// What a number wrote to us.
    async fn wish(&self, number: &str, wish: &str, time: &str) -> anyhow::Result<String> {
        let key = uuid::Uuid::now_v7();
        let time = self.client.row(&format!("select {time}")).await?;
        let event = format!(
            r#"{{"event_type": "received", "source_key": "{key}", "recipient": "{number}", "wish": "{wish}", "occurred_at": "{time}", "detail": {{"text": "{wish}"}}}}"#
        );
        self.record("twilio", &event).await
    }
}

/// A person is suppressed for what is the person's; what the sender did wrong must not cost a single reader.
#[tokio::test]
async fn only_recipients_faults_and_complaints_suppress() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bounce = |kind: &str, class: &str| {
        format!(r#", "bounce_type": "{kind}", "bounce_class": "{class}""#)
    };
    for (event, rest, wanted) in [
        (
            "bounced",
            bounce("hard", "invalid_recipient"),
            "ada@x.org|email|null|hard_bounce",
        ),
        (
            "bounced",
            bounce("hard", "mailbox_full"),
            "ada@x.org|email|null|hard_bounce",
        ),
        (
            "bounced",
            bounce("hard", "mailbox_unavailable"),
            "ada@x.org|email|null|hard_bounce",
        ),
        (
            "failed",
            bounce("hard", "invalid_recipient"),
            "ada@x.org|email|null|hard_bounce",
        ),
        (
            "complained",
            String::new(),
            "ada@x.org|email|null|complaint",
        ),
        (
            "unsubscribed",
            String::new(),
            "ada@x.org|email|5|unsubscribe",
        ),
        ("bounced", bounce("hard", "policy"), ""),
        ("bounced", bounce("hard", "reputation"), ""),
        ("bounced", bounce("hard", "authentication"), ""),
        ("bounced", bounce("hard", "message_refused"), ""),
        ("bounced", bounce("hard", "throttled"), ""),
        ("bounced", bounce("hard", "network"), ""),
        ("bounced", bounce("hard", "auto_reply"), ""),
        ("bounced", bounce("hard", "undetermined"), ""),
        ("bounced", bounce("soft", "invalid_recipient"), ""),
        ("bounced", bounce("odd", "invalid_recipient"), ""),
        ("bounced", r#", "bounce_type": "hard""#.into(), ""),
        (
            "bounced",
            r#", "bounce_class": "invalid_recipient""#.into(),
            "",
        ),
        ("failed", String::new(), ""),
        ("failed", r#", "reason": "rejected""#.into(), ""),
        ("failed", r#", "reason": "opted_out""#.into(), ""),
        ("deferred", bounce("hard", "invalid_recipient"), ""),
        ("opened", String::new(), ""),
        ("expired", String::new(), ""),
    ] {
        let id = db
            .enqueue_over("email", "Ada@x.org", "tenant_id => 5")
            .await?;
        assert_eq!(db.report(&id, event, &rest).await?, "1");
        let wanted: Vec<_> = Some(wanted)
            .filter(|entry| !entry.is_empty())
            .into_iter()
            .collect();
        assert_eq!(db.listed().await?, wanted, "{event}{rest}");
        db.client
            .batch_execute(
                "delete from postroad.suppression_list; delete from postroad.suppression_strikes",
            )
            .await?;
    }
    for (channel, recipient, event, rest, wanted) in [
        (
            "sms",
            "+14155550123",
            "bounced",
            bounce("hard", "invalid_recipient"),
            "+14155550123|sms|null|hard_bounce",
        ),
        (
            "sms",
            "+14155550123",
            "unsubscribed",
            String::new(),
            "+14155550123|sms|null|stop",
        ),
        (
            "sms",
            "+14155550123",
            "bounced",
            r#", "reason": "opted_out", "bounce_type": "hard", "bounce_class": "policy""#.into(),
            "+14155550123|sms|null|opted_out",
        ),
        (
            "sms",
            "+14155550123",
            "failed",
            r#", "reason": "unsubscribed""#.into(),
            "+14155550123|sms|null|opted_out",
        ),
        (
            "push",
            "token-1",
            "bounced",
            bounce("hard", "invalid_recipient"),
            "token-1|push|null|invalid_token",
        ),
    ] {
        let id = db
            .enqueue_over(channel, recipient, "tenant_id => 5")
            .await?;
        assert_eq!(db.report(&id, event, &rest).await?, "1");
        assert_eq!(db.listed().await?, [wanted], "{channel}: {event}{rest}");
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    Ok(())
}

/// Three full mailboxes are a dead one; two are a holiday. Nor does one message count thrice.
#[tokio::test]
async fn soft_bounces_suppress_after_three_messages_within_the_window() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let soft = r#", "bounce_type": "soft", "bounce_class": "mailbox_full""#;
    let send = async || {
        db.enqueue_over("email", "ada@x.org", "tenant_id => 5")
            .await
    };

    let first = send().await?;
    for _ in 0..4 {
        db.report(&first, "bounced", soft).await?;
    }
    db.report(&send().await?, "bounced", soft).await?;
    for policy in 0..3 {
        db.report(
            &send().await?,
            "bounced",
            r#", "bounce_type": "soft", "bounce_class": "policy""#,
        )
        .await?;
        assert_eq!(
            db.listed().await?,
            Vec::<String>::new(),
            "two messages, and {policy} refused for their content"
        );
    }
    db.report(&send().await?, "bounced", soft).await?;
    assert_eq!(db.listed().await?, ["ada@x.org|email|null|soft_bounce"]);
    let expiry = "select expires_at between now() + interval '29 days' and now() + interval '31 days' from postroad.suppression_list";
    assert_eq!(db.client.row(expiry).await?, "t");

    // A delivery starts the count anew, one that was before them does not.
    for (delivered_at, wanted) in [
        ("clock_timestamp()", 0),
        ("clock_timestamp() - interval '1 minute'", 1),
    ] {
        db.client
            .batch_execute(
                "delete from postroad.suppression_list; delete from postroad.suppression_strikes",
            )
            .await?;
        let delivered = send().await?;
        for _ in 0..2 {
            db.report(&send().await?, "bounced", soft).await?;
        }
        let time = db.client.row(&format!("select {delivered_at}")).await?;
        db.report(
            &delivered,
            "delivered",
            &format!(r#", "occurred_at": "{time}""#),
        )
        .await?;
        db.report(&send().await?, "bounced", soft).await?;
        assert_eq!(
            db.listed().await?.len(),
            wanted,
            "delivered at {delivered_at}"
        );
    }

    // What is older than the window does not count.
    for (age, wanted) in [("29 days", 1), ("31 days", 0)] {
        db.client
            .batch_execute(
                "delete from postroad.suppression_list; delete from postroad.suppression_strikes",
            )
            .await?;
        for _ in 0..2 {
            db.report(&send().await?, "bounced", soft).await?;
        }
        db.client
            .batch_execute(&format!(
                "update postroad.suppression_strikes set occurred_at = now() - interval '{age}'"
            ))
            .await?;
        db.report(&send().await?, "bounced", soft).await?;
        assert_eq!(db.listed().await?.len(), wanted, "{age}");
    }
    Ok(())
}

/// An operator's rules, not ours.
#[tokio::test]
async fn rules_can_be_changed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (rule, event, rest, wanted) in [
        (
            "'hard_bounce', is_on => false",
            "bounced",
            r#", "bounce_type": "hard", "bounce_class": "invalid_recipient""#,
            "",
        ),
        (
            "'hard_bounce', after => 2",
            "bounced",
            r#", "bounce_type": "hard", "bounce_class": "invalid_recipient""#,
            "",
        ),
        (
            "'soft_bounce'",
            "bounced",
            r#", "bounce_type": "soft", "bounce_class": "mailbox_full""#,
            "ada@x.org|email|null|soft_bounce",
        ),
        (
            "'complaint', every_channel => true",
            "complained",
            "",
            "ada@x.org|null|null|complaint",
        ),
        (
            "'complaint', every_tenant => false",
            "complained",
            "",
            "ada@x.org|email|5|complaint",
        ),
        (
            "'unsubscribe', every_tenant => true",
            "unsubscribed",
            "",
            "ada@x.org|email|null|unsubscribe",
        ),
    ] {
        db.client
            .batch_execute(&format!("select postroad.set_suppression_rule({rule})"))
            .await?;
        let id = db
            .enqueue_over("email", "ada@x.org", "tenant_id => 5")
            .await?;
        assert_eq!(db.report(&id, event, rest).await?, "1");
        let wanted: Vec<_> = Some(wanted)
            .filter(|entry| !entry.is_empty())
            .into_iter()
            .collect();
        assert_eq!(db.listed().await?, wanted, "{rule}");
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    let id = db
        .enqueue_over("email", "ada@x.org", "tenant_id => 5")
        .await?;
    db.client.batch_execute("select postroad.set_suppression_rule('hard_bounce', after => 2, expires_after => '1 day')").await?;
    db.report(
        &id,
        "bounced",
        r#", "bounce_type": "hard", "bounce_class": "invalid_recipient""#,
    )
    .await?;
    let query =
        "select reason, expires_at < now() + interval '25 hours' from postroad.suppression_list";
    assert_eq!(
        db.client.row(query).await?,
        "hard_bounce|t",
        "the second one of two"
    );
    for (rule, code) in [
        ("'nonsense'", "PR002"),
        ("null", "PR002"),
        ("'complaint', after => 0", "PR001"),
        ("'complaint', after => null", "PR001"),
        ("'complaint', within => '0'", "PR001"),
        ("'complaint', expires_after => '-1 day'", "PR001"),
        ("'complaint', is_on => null", "PR001"),
    ] {
        assert_eq!(
            db.client
                .raised(&format!("select postroad.set_suppression_rule({rule})"))
                .await?
                .code,
            code,
            "{rule}"
        );
    }
    let policy = "select reason, is_on, after, within, expires_after, every_channel, every_tenant from postroad.suppression_policy where reason in ('hard_bounce', 'opted_out')";
    assert_eq!(
        db.client.rows(policy).await?,
        [
            "hard_bounce|t|2|null|1 day|f|t",
            "opted_out|t|1|null|null|f|t"
        ]
    );
    Ok(())
}

/// A mail server can write any address into its bounce: with that it must not silence a stranger.
#[tokio::test]
async fn only_somebody_the_message_went_to_is_suppressed() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let copies = r#"options => '{"cc": ["Bob <Bob@x.org>"], "bcc": ["eve@x.org"]}'"#;
    for (arguments, named, wanted) in [
        (copies, "bob@x.org", "bob@x.org"),
        (copies, "<EVE@x.org>", "eve@x.org"),
        (copies, "Ada Lovelace <ada@x.org>", "ada@x.org"),
        (copies, "victim@x.org", ""),
        ("options => '{}'", "ada@elsewhere.org", "ada@x.org"),
        ("options => '{}'", "no address", "ada@x.org"),
        ("options => '{}'", "", "ada@x.org"),
    ] {
        for (event, rest) in [
            ("complained", ""),
            (
                "bounced",
                r#", "bounce_type": "hard", "bounce_class": "invalid_recipient""#,
            ),
        ] {
            let id = db.enqueue_over("email", "ada@x.org", arguments).await?;
            db.report(&id, event, &format!(r#"{rest}, "recipient": "{named}""#))
                .await?;
            let listed = db
                .client
                .rows("select address from postroad.suppression_list")
                .await?;
            let wanted: Vec<_> = Some(wanted)
                .filter(|address| !address.is_empty())
                .into_iter()
                .collect();
            assert_eq!(listed, wanted, "{event} of {named:?}, {arguments}");
            db.client
                .batch_execute("delete from postroad.suppression_list")
                .await?;
        }
    }
    // The copies of a bulk send are in its shared content.
    db.client.row(r#"select queued from postroad.enqueue_bulk('email', '["ada@x.org"]', body => 'x', options => '{"cc": ["bob@x.org"]}')"#).await?;
    let id = db
        .client
        .row("select message_id from postroad.messages where content_id is not null")
        .await?;
    for (named, wanted) in [
        ("victim@x.org", Vec::new()),
        ("bob@x.org", vec!["bob@x.org"]),
    ] {
        db.report(&id, "complained", &format!(r#", "recipient": "{named}""#))
            .await?;
        assert_eq!(
            db.client
                .rows("select address from postroad.suppression_list")
                .await?,
            wanted,
            "{named}"
        );
    }
    // A number is the message's, whoever the carrier says it was.
    let id = db
        .enqueue_over("sms", "+14155550123", "tenant_id => 5")
        .await?;
    db.report(
        &id,
        "bounced",
        r#", "reason": "opted_out", "bounce_type": "hard", "recipient": "+14155550999""#,
    )
    .await?;
    assert_eq!(
        db.client
            .row("select address from postroad.suppression_list where channel = 'sms'")
            .await?,
        "+14155550123"
    );
    Ok(())
}

/// A relay that says at once that nobody lives there says the same as a bounce mail.
#[tokio::test]
async fn a_bounce_at_the_send_suppresses_as_one_that_is_reported() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (channel, recipient, event, reason, wanted) in [
        (
            "email",
            "Ada@x.org",
            "bounced",
            "mailbox_unavailable",
            "ada@x.org|email|null|hard_bounce",
        ),
        (
            "push",
            "token-1",
            "bounced",
            "unregistered",
            "token-1|push|null|invalid_token",
        ),
        (
            "sms",
            "+14155550123",
            "bounced",
            "opted_out",
            "+14155550123|sms|null|opted_out",
        ),
        (
            "sms",
            "+14155550123",
            "bounced",
            "unsubscribed",
            "+14155550123|sms|null|opted_out",
        ),
        ("email", "ada@x.org", "bounced", "smtputf8_required", ""),
        (
            "webhook",
            "https://x.org/hook",
            "bounced",
            "address_not_public",
            "",
        ),
        ("email", "ada@x.org", "failed", "mailbox_unavailable", ""),
        ("email", "ada@x.org", "deferred", "mailbox_full", ""),
        ("email", "ada@x.org", "sent", "because", ""),
    ] {
        let id = db
            .enqueue_over(channel, recipient, "tenant_id => 5")
            .await?;
        let (lease, claimed) = db.claim(4, 1).await?;
        assert_eq!(claimed, [format!("{id}|0|null|null")]);
        let mut outcome = Outcome::new(&lease, &id, event);
        outcome.reason = reason;
        if event == "deferred" {
            outcome.retry = "60";
        }
        db.complete(&outcome).await?;
        db.complete(&outcome).await?;
        let wanted: Vec<_> = Some(wanted)
            .filter(|entry| !entry.is_empty())
            .into_iter()
            .collect();
        assert_eq!(db.listed().await?, wanted, "{channel}: {event}, {reason}");
        db.client
            .batch_execute("delete from postroad.suppression_list; delete from postroad.scheduled")
            .await?;
    }
    Ok(())
}
