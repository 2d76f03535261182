//! What gateways report: placed with its message, once, whatever it looks like.

use tokio::try_join;

use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// An id as a message of so many days ago has it, whose record is not there.
const OLD_ID: &str = "select left(postroad.uuid_at(now() - interval '1 day' * DAYS)::text, 14) || '7000-8000-000000000001'";

/// `cause|events` of what was left out.
const LEFT_OUT: &str = "select cause, events from postroad.left_out_events order by cause";

/// One bad entry in an array of a thousand must not cost the other 999.
#[tokio::test]
async fn events_that_cannot_be_recorded_are_left_out_and_counted() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (id, _) = db.ended("sent").await?;
    let good = format!(r#"{{"message_id": "{id}", "event_type": "opened", "source_key": "1"}}"#);
    for (bad, cause) in [
        (r#"{"message_id": "17", "event_type": "opened"}"#.to_owned(), "malformed"),
        (format!(r#"{{"message_id": "{id}", "event_type": "opened", "occurred_at": "yesterday at 25:00"}}"#), "malformed"),
        ("7".to_owned(), "malformed"),
        ("null".to_owned(), "malformed"),
        (format!(r#"{{"message_id": "{id}", "event_type": "teleported"}}"#), "unknown_event"),
        (format!(r#"{{"message_id": "{id}"}}"#), "unknown_event"),
        (r#"{"message_id": "01a1fe0d-a3f5-4b99-9209-4b62659efaaf", "event_type": "opened", "recipient": "ada@x.org"}"#.to_owned(), "unknown_message"),
        (r#"{"external_id": "theirs", "event_type": "bounced", "recipient": "ada@x.org", "bounce_type": "hard", "bounce_class": "invalid_recipient"}"#.to_owned(), "unknown_message"),
    ] {
        assert_eq!(db.record("stub", &format!("{bad}, {good}, {bad}")).await?, "1", "{bad}");
        assert_eq!(db.client.rows(LEFT_OUT).await?, [format!("{cause}|2")], "{bad}");
        let shown = db.client.row("select coalesce(last_event::text, '') from postroad.left_out_events").await?;
        assert!(!shown.contains("ada@"), "{shown}");
        db.client.batch_execute("delete from postroad.unplaced_events; delete from postroad.delivery_events where lease_id is null").await?;
    }
    assert_eq!(db.record("stub", &good).await?, "1");
    assert_eq!(db.client.rows(LEFT_OUT).await?, Vec::<String>::new());
    assert_eq!(
        db.client
            .row("select count(*) from postroad.suppression_list")
            .await?,
        "0"
    );
    for events in ["{}", "7", "null"] {
        let call = format!("select postroad.record_events('stub', '{events}')");
        assert_eq!(db.client.raised(&call).await?.code, "PR001", "{events}");
    }
    Ok(())
}

/// A bounce of one of three recipients is not the bounce of the next.
#[tokio::test]
async fn an_event_is_kept_once_for_each_recipient() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db
        .enqueue_to(
            "ada@x.org",
            r#"options => '{"cc": ["Bob <bob@x.org>", "eve@x.org"]}'"#,
        )
        .await?;
    let event = |recipient: &str| {
        format!(
            r#"{{"message_id": "{id}", "event_type": "delivered", "source_key": "f1"{recipient}}}"#
        )
    };
    let all = [
        event(r#", "recipient": "bob@x.org""#),
        event(r#", "recipient": "eve@x.org""#),
        event(r#", "recipient": "ADA@x.org""#),
    ];
    assert_eq!(db.record("stub", &all.join(",")).await?, "3");
    assert_eq!(db.record("stub", &all.join(",")).await?, "0");
    assert_eq!(
        db.record("stub", &event("")).await?,
        "0",
        "the message's own recipient, not named"
    );
    let kept = db
        .client
        .rows(
            "select coalesce(detail ->> 'recipient', '-') from postroad.delivery_events order by 1",
        )
        .await?;
    assert_eq!(kept, ["-", "bob@x.org", "eve@x.org"]);

    // Nor is it another when its domain is spelled as on the wire.
    let id = db.enqueue_to("ada@bücher.example", "").await?;
    let event = format!(
        r#"{{"message_id": "{id}", "event_type": "delivered", "source_key": "f2", "recipient": "Ada@xn--bcher-kva.example"}}"#
    );
    assert_eq!(db.record("stub", &event).await?, "1");
    let query = "select detail is null from postroad.delivery_events where source_key = 'f2'";
    assert_eq!(db.client.row(query).await?, "t");
    Ok(())
}

/// What an index cannot hold must not stop an inbox.
#[tokio::test]
async fn keys_and_texts_of_any_length_are_recorded() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (id, _) = db.ended("sent").await?;
    // Random, for what is compressed fits into an index all the same.
    let random = (0..200)
        .map(|_| uuid::Uuid::new_v4().simple().to_string())
        .collect::<String>();
    let event = |end: &str| {
        format!(
            r#"{{"message_id": "{id}", "event_type": "opened", "source_key": "{random}{end}", "external_id": "{random}", "reason": "{random}", "detail": ["{random}"]}}"#
        )
    };
    assert_eq!(db.record("stub", &event("a")).await?, "1");
    assert_eq!(db.record("stub", &event("a")).await?, "0");
    assert_eq!(
        db.record("stub", &event("b")).await?,
        "1",
        "another one that begins alike"
    );
    Ok(())
}

/// A phone in the year 2100 must not become the latest event for eighty years.
#[tokio::test]
async fn a_time_that_cannot_be_is_replaced_and_kept_beside() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (time, is_kept) in [
        ("now() + interval '1 hour'", false),
        ("now() - interval '1 hour'", false),
        ("now() + interval '1 minute'", true),
        ("now() - interval '1 minute'", true),
        ("'infinity'::timestamptz", false),
        ("'2100-01-01'::timestamptz", false),
        ("null::timestamptz", false),
    ] {
        let (id, _) = db.ended("sent").await?;
        let call = format!(
            "select postroad.record_events('stub', jsonb_build_array(jsonb_build_object('message_id', '{id}', 'event_type', 'opened', 'occurred_at', {time})))"
        );
        assert_eq!(db.client.row(&call).await?, "1", "{time}");
        let query = format!(
            "select e.occurred_at between now() - interval '10 seconds' and now(), e.detail ? 'provider_at' \
             from postroad.delivery_events as e where e.message_id = '{id}' and e.lease_id is null"
        );
        let wanted = match (is_kept, time.starts_with("null")) {
            (true, _) => "f|null",
            (false, true) => "t|null",
            (false, false) => "t|t",
        };
        assert_eq!(db.client.row(&query).await?, wanted, "{time}");
    }
    Ok(())
}

/// Mail is opened after forty days, too; and a complaint then is as serious.
#[tokio::test]
async fn events_of_a_message_that_is_gone_are_kept_and_those_of_none_are_not() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    for (days, kept) in [("40", "1"), ("0.5", "0"), ("-1", "0")] {
        let id = db.client.row(&OLD_ID.replace("DAYS", days)).await?;
        for event in ["opened", "complained"] {
            let event = format!(
                r#"{{"message_id": "{id}", "event_type": "{event}", "source_key": "1", "recipient": "Ada@x.org"}}"#
            );
            assert_eq!(
                db.record("stub", &event).await?,
                kept,
                "{days} days: {event}"
            );
        }
    }
    assert_eq!(
        db.client
            .row("select count(*) from postroad.late_events")
            .await?,
        "2"
    );
    assert_eq!(db.client.rows(LEFT_OUT).await?, ["unknown_message|4"]);
    assert_eq!(
        db.client
            .row("select address, reason from postroad.suppression_list")
            .await?,
        "ada@x.org|complaint"
    );
    Ok(())
}

/// OVH's callbacks know nothing but OVH's id.
#[tokio::test]
async fn a_message_is_found_by_the_providers_id_where_ours_does_not_come_back() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    for (gateway, found) in [("ovh", "1"), ("ovh-2", "1"), ("twilio", "0")] {
        let (id, lease) = db.ended("sent").await?;
        db.client
            .batch_execute(&format!("update postroad.delivery_events set gateway = '{gateway}', external_id = 'e1' where lease_id = '{lease}'"))
            .await?;
        for (event, wanted) in [
            (
                r#"{"external_id": "e1", "event_type": "delivered", "source_key": "a"}"#,
                found,
            ),
            (
                r#"{"external_id": "e1", "message_id": null, "event_type": "delivered", "source_key": "a"}"#,
                "0",
            ),
            (
                r#"{"external_id": "e2", "event_type": "delivered", "source_key": "b"}"#,
                "0",
            ),
        ] {
            assert_eq!(
                db.record(gateway, event).await?,
                wanted,
                "{gateway}: {event}"
            );
        }
        let status = if found == "1" { "delivered" } else { "sent" };
        assert_eq!(db.status(&id).await?, status, "{gateway}");
    }
    let plan = db
        .client
        .rows(
            "set enable_seqscan = off; explain select from postroad.delivery_events as e where e.external_id = 'e1' and e.event_type = 'sent' \
             and e.gateway >= 'ovh' and e.gateway < 'ovi' and e.gateway = 'ovh'",
        )
        .await?
        .join("\n");
    assert!(
        plan.contains("external_id_idx") || plan.contains("delivery_events_external"),
        "{plan}"
    );
    Ok(())
}

/// What a person says to us has no message of ours; it must be readable, and once, all the same.
#[tokio::test]
async fn an_inbound_message_is_recorded_once_under_an_id_of_its_own() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let event = |kind: &str, rest: &str| {
        format!(
            r#"{{"event_type": "{kind}", "external_id": "SM1", "source_key": "SM1", "detail": {{"text": "hi"}}{rest}}}"#
        )
    };
    let from = r#", "recipient": "+1 415 555 0123""#;
    let received = event("received", from);
    assert_eq!(
        db.record("twilio", &format!("{received}, {received}"))
            .await?,
        "1"
    );
    assert_eq!(db.record("twilio", &received).await?, "0");
    assert_eq!(
        db.record("bandwidth", &received).await?,
        "1",
        "the key is the gateway's own"
    );
    assert_eq!(
        db.record("twilio", &event("received", "")).await?,
        "0",
        "from nobody"
    );
    assert_eq!(
        db.record("twilio", &event("opened", from)).await?,
        "0",
        "no word of a person"
    );
    let query = "select t.event_type, t.gateway, t.detail ->> 'recipient', t.detail ->> 'text' \
        from postroad.inbound_messages as i, postroad.timeline(i.message_id) as t order by t.gateway";
    assert_eq!(
        db.client.rows(query).await?,
        [
            "received|bandwidth|+1 415 555 0123|hi",
            "received|twilio|+1 415 555 0123|hi"
        ]
    );
    assert_eq!(
        db.client
            .row("select count(*) from postroad.suppression_list")
            .await?,
        "0"
    );
    Ok(())
}

/// Providers deliver again while the first delivery is under way, and in another order.
#[tokio::test]
async fn two_calls_with_the_same_events_do_not_block_each_other() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let other = db.connect().await?;
    for round in 0..5 {
        db.client
            .batch_execute(
                "delete from postroad.suppression_list; delete from postroad.message_queue",
            )
            .await?;
        db.enqueue_many(100, 4).await?;
        let call = |order: &str| {
            format!(
                "select postroad.record_events('stub', jsonb_agg(jsonb_build_object('message_id', m.message_id, 'event_type', 'complained', 'source_key', 'r{round}') \
                 order by m.message_id {order})) from postroad.messages as m join postroad.message_queue as q using (message_id)"
            )
        };
        let (forth, back) = (call("asc"), call("desc"));
        let (one, two) = try_join!(db.client.row(&forth), other.row(&back))?;
        let total = one.parse::<u32>()? + two.parse::<u32>()?;
        assert_eq!(total, 100, "round {round}");
        assert_eq!(
            db.client
                .row("select count(*) from postroad.suppression_list")
                .await?,
            "100"
        );
    }
    Ok(())
}

/// Nobody should have to settle by hand what the gateway said itself; its clock may be behind.
#[tokio::test]
async fn what_is_unknown_is_settled_by_a_later_event() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (event, rest, wanted) in [
        ("sent", "", "sent"),
        ("deferred", "", "sent"),
        ("delivered", "", "delivered"),
        ("clicked", "", "delivered"),
        ("bounced", r#", "bounce_type": "hard""#, "bounced"),
        ("bounced", r#", "bounce_type": "soft""#, "sent"),
        ("failed", "", "failed"),
        ("complained", "", "sent"),
        ("received", "", "unknown"),
        ("converted", "", "unknown"),
    ] {
        let (id, _) = db.ended("unknown").await?;
        assert_eq!(db.status(&id).await?, "unknown");
        let call = format!(
            r#"{{"message_id": "{id}", "event_type": "{event}", "source_key": "1", "external_id": "e", "occurred_at": "TIME"{rest}}}"#
        );
        let time = db
            .client
            .row("select now() - interval '10 seconds'")
            .await?;
        assert_eq!(
            db.record("stub", &call.replace("TIME", &time)).await?,
            "1",
            "{event}"
        );
        assert_eq!(db.status(&id).await?, wanted, "{event}{rest}");
        let settled = db
            .client
            .row(&format!("select postroad.settle('{id}', 'failed')"))
            .await?;
        assert_eq!(settled == "t", wanted == "unknown", "{event}{rest}");
        let query = format!(
            "select reason like '%it may have gone out%' from postroad.explain('{id}') where gate = 'outcome'"
        );
        if wanted != "unknown" {
            assert_eq!(db.client.row(&query).await?, "f", "{event}{rest}");
        }
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    // What was said of an earlier send says nothing of this one.
    let (id, first) = db.ended("bounced").await?;
    let early = format!(
        r#"{{"message_id": "{id}", "event_type": "complained", "source_key": "1", "occurred_at": "TIME"}}"#
    );
    let time = db.client.row("select now() - interval '4 minutes'").await?;
    assert_eq!(db.record("stub", &early.replace("TIME", &time)).await?, "1");
    db.client
        .batch_execute(&format!(
            "delete from postroad.suppression_list; select postroad.retry('{id}')"
        ))
        .await?;
    let (second, _) = db.claim(4, 1).await?;
    assert_ne!(first, second);
    db.complete(&Outcome::new(&second, &id, "unknown")).await?;
    db.client
        .batch_execute(&format!("update postroad.delivery_events set occurred_at = now() - interval '1 hour' where message_id = '{id}' and event_type = 'complained'"))
        .await?;
    assert_eq!(db.status(&id).await?, "unknown");
    Ok(())
}

/// A gateway that reports a failure by a clock that is seconds behind means the same send.
#[tokio::test]
async fn a_failure_of_the_same_send_counts_though_its_clock_is_behind() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (external_id, wanted) in [("its own", "failed"), ("another", "sent")] {
        let (id, lease) = db.ended("sent").await?;
        let external_id = if external_id == "its own" {
            format!("x-{lease}")
        } else {
            external_id.into()
        };
        let time = db.client.row("select now() - interval '3 seconds'").await?;
        let event = format!(
            r#"{{"message_id": "{id}", "event_type": "failed", "source_key": "1", "external_id": "{external_id}", "occurred_at": "{time}"}}"#
        );
        assert_eq!(db.record("stub", &event).await?, "1");
        assert_eq!(db.status(&id).await?, wanted, "{external_id}");
    }
    Ok(())
}

/// Two servers that count the same must not wait for each other, whatever else their transactions hold.
#[tokio::test]
async fn counting_what_is_left_out_waits_for_nobody() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let other = db.connect().await?;
    let event = r#"[{"message_id": "no id", "event_type": "opened"}]"#;
    let call = format!("select postroad.record_events('stub', '{event}')");
    assert_eq!(db.client.row(&call).await?, "0");
    other.batch_execute("begin").await?;
    assert_eq!(other.row(&call).await?, "0");
    db.client.batch_execute("set lock_timeout = '1s'").await?;
    for _ in 0..2 {
        assert_eq!(db.client.row(&call).await?, "0");
    }
    other.batch_execute("commit").await?;
    assert_eq!(db.client.rows(LEFT_OUT).await?, ["malformed|4"]);
    Ok(())
}

/// Tables that only grow end a database one day.
#[tokio::test]
async fn what_reports_leave_behind_is_purged() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let old = "insert into postroad.inbound_messages values (gen_random_uuid(), 'g', 'old', now() - interval '31 days'), (gen_random_uuid(), 'g', 'new', now());
        insert into postroad.suppression_strikes values ('a', 'email', 'soft_bounce', gen_random_uuid(), now() - interval '32 days'), ('b', 'email', 'soft_bounce', gen_random_uuid(), now() - interval '30 days');
        insert into postroad.unplaced_events (day, gateway, cause, events, last_at, last_event) values (current_date - 91, 'g', 'malformed', 1, now(), null), (current_date - 89, 'g', 'malformed', 1, now(), null)";
    db.client.batch_execute(old).await?;
    assert_eq!(db.client.row("select postroad.purge_reports()").await?, "2");
    let left = "select (select string_agg(source_key, ',') from postroad.inbound_messages), (select string_agg(address, ',') from postroad.suppression_strikes), (select count(*) from postroad.unplaced_events)";
    assert_eq!(db.client.row(left).await?, "new|b|1");
    assert_eq!(db.client.row("select postroad.purge_reports()").await?, "0");
    Ok(())
}
