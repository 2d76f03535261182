//! STOP, START, HELP: what people write to us.

use super::*;

/// STOP is a right; START takes back one's own word, nobody else's.
#[tokio::test]
async fn a_start_takes_back_a_stop_and_nothing_else() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let number = "+14155550123";
    let ago = |minutes: u32| format!("clock_timestamp() - interval '{minutes} minutes'");
    let stopped = [format!("{number}|sms|null|stop")];

    db.wish("+1 (415) 555-0123", "stop", &ago(3)).await?;
    assert_eq!(db.listed().await?, stopped);
    db.wish(number, "help", &ago(2)).await?;
    assert_eq!(db.listed().await?, stopped);
    db.wish("+14155550999", "start", &ago(2)).await?;
    assert_eq!(db.listed().await?, stopped, "another number");
    db.wish(number, "start", &ago(4)).await?;
    assert_eq!(db.listed().await?, stopped, "a START of before");
    db.wish(number, "start", &ago(1)).await?;
    assert_eq!(db.listed().await?, Vec::<String>::new());

    // Whoever answers a mail with it means the mails.
    db.wish("Ada@x.org", "stop", &ago(2)).await?;
    assert_eq!(db.listed().await?, ["ada@x.org|email|null|stop"]);
    db.wish("ada@x.org", "start", &ago(1)).await?;
    assert_eq!(db.listed().await?, Vec::<String>::new());

    // A carrier's refusal after a STOP is the same wish.
    let id = db.enqueue_over("sms", number, "tenant_id => 5").await?;
    db.report(&id, "failed", r#", "reason": "opted_out""#)
        .await?;
    assert_eq!(db.listed().await?.len(), 1);
    db.wish(number, "start", "clock_timestamp()").await?;
    assert_eq!(db.listed().await?, Vec::<String>::new());

    // In whatever order they are on the list.
    for reason in ["complaint", "legal", "manual", "hard_bounce", "of our own"] {
        let suppress = format!("select postroad.suppress('sms', '{number}', '{reason}')");
        for before in [true, false] {
            if before {
                db.client.row(&suppress).await?;
            }
            db.wish(number, "stop", &ago(1)).await?;
            if !before {
                db.client.row(&suppress).await?;
            }
            db.wish(number, "start", "clock_timestamp()").await?;
            assert_eq!(
                db.listed().await?,
                [format!("{number}|sms|null|{reason}")],
                "{before}"
            );
            db.client
                .batch_execute("delete from postroad.suppression_list")
                .await?;
        }
    }

    // Both in one call: the later one counts.
    for (first, second, wanted) in [("stop", "start", 0), ("start", "stop", 1)] {
        let time = |minutes: u32| format!("to_jsonb({})", ago(minutes));
        let call = format!(
            "select postroad.record_events('twilio', jsonb_build_array( \
               jsonb_build_object('event_type', 'received', 'source_key', '{first}{second}1', 'recipient', '{number}', 'wish', '{first}', 'occurred_at', {}), \
               jsonb_build_object('event_type', 'received', 'source_key', '{first}{second}2', 'recipient', '{number}', 'wish', '{second}', 'occurred_at', {})))",
            time(2),
            time(1)
        );
        assert_eq!(db.client.row(&call).await?, "2");
        assert_eq!(db.listed().await?.len(), wanted, "{first}, {second}");
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    Ok(())
}

/// The promise: a STOP, a complaint, heard a second before the send is heard.
#[tokio::test]
async fn what_waits_is_stopped_by_a_late_stop_or_complaint() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (channel, recipient, other) in [
        ("sms", "+14155550123", "+14155550999"),
        ("email", "ada@x.org", "bob@x.org"),
    ] {
        let sent = db
            .enqueue_over(channel, recipient, "priority => 'P1'")
            .await?;
        let queued = db
            .enqueue_over(channel, recipient, "priority => 'P4'")
            .await?;
        let spared = db.enqueue_over(channel, other, "priority => 'P4'").await?;
        let scheduled = db
            .enqueue_over(
                channel,
                recipient,
                "priority => 'P3', scheduled_for => clock_timestamp() + interval '1 hour'",
            )
            .await?;
        match channel {
            "sms" => db.wish(recipient, "stop", "clock_timestamp()").await?,
            _ => db.report(&sent, "complained", "").await?,
        };
        let (_, claimed) = db.claim(4, 10).await?;
        assert_eq!(
            claimed,
            [
                format!("{queued}|0|suppressed|null"),
                format!("{spared}|0|null|null")
            ]
        );
        db.client
            .batch_execute(
                "update postroad.scheduled set due_at = clock_timestamp() - interval '1 second'",
            )
            .await?;
        assert_eq!(
            db.client
                .row("select promoted from postroad.promote_due(3::smallint)")
                .await?,
            "1"
        );
        let (_, claimed) = db.claim(3, 10).await?;
        assert_eq!(claimed, [format!("{scheduled}|0|suppressed|null")]);
        let next = format!(
            "select status, reason from postroad.enqueue('{channel}', '{recipient}', body => 'x')"
        );
        let reason = if channel == "sms" {
            "stop"
        } else {
            "complaint"
        };
        assert_eq!(db.client.row(&next).await?, format!("suppressed|{reason}"));
        db.client
            .batch_execute("delete from postroad.message_queue")
            .await?;
    }
    Ok(())
}

/// Whoever asks for HELP gets it, if there is one; a machine that answers with HELP gets it once.
#[tokio::test]
async fn help_is_answered_where_a_reply_is_set() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let waiting = "select m.channel, m.recipient, m.body from postroad.message_queue as q join postroad.messages as m using (message_id) order by q.seq";
    let number = "+14155550123";
    db.wish(number, "help", "clock_timestamp()").await?;
    assert_eq!(
        db.client.rows(waiting).await?,
        Vec::<String>::new(),
        "none is set"
    );

    db.client.batch_execute("select postroad.set_sms_reply('help', 'Call us.'); select postroad.set_sms_reply('start', 'Welcome back.')").await?;
    for _ in 0..3 {
        db.wish("+1 415 555 0123", "help", "clock_timestamp()")
            .await?;
    }
    assert_eq!(
        db.client.rows(waiting).await?,
        [format!("sms|{number}|Call us.")]
    );
    db.wish(number, "stop", "clock_timestamp() - interval '1 minute'")
        .await?;
    db.wish(number, "start", "clock_timestamp()").await?;
    assert_eq!(
        db.client.rows(waiting).await?,
        [
            format!("sms|{number}|Call us."),
            format!("sms|{number}|Welcome back.")
        ]
    );

    db.client
        .batch_execute(
            "select postroad.set_sms_reply('help', null); delete from postroad.message_queue",
        )
        .await?;
    db.wish("+14155550999", "help", "clock_timestamp()").await?;
    assert_eq!(
        db.client.rows(waiting).await?,
        Vec::<String>::new(),
        "taken back"
    );
    for wish in ["'stop'", "null"] {
        let raised = db
            .client
            .raised(&format!("select postroad.set_sms_reply({wish}, 'x')"))
            .await?;
        assert_eq!(raised.code, "PR002");
    }
    Ok(())
}
