//! What a gateway answered, and what becomes of the message: retries, ends, other gateways, waiting.

use uuid::Uuid;

use super::*;
use crate::support::http_double::HttpDouble;
use crate::support::smtp_sink::{Answer, SmtpSink, Stage};
use crate::support::wait::until;

/// Delays that a test can wait for.
const QUICK: &str = "[worker.pools.P0]
backoff = [\"0s\"]
[worker.pools.P1]
backoff = [\"0s\"]
[worker.pools.P2]
backoff = [\"0s\"]
[worker.pools.P3]
backoff = [\"0s\", \"1ms\"]
[worker.pools.P4]
backoff = { base = \"1ms\", factor = 2.0, max = \"2ms\" }
";

impl Site {
    fn answering(&self, answer: &str) -> anyhow::Result<Node> {
        let stub = self.record.stub("stub", &format!("answer = \"{answer}\""));
        self.node("worker", &["run"], &format!("{QUICK}{stub}"))
    }

    /// The events of a message in order, each as `type attempt gateway reason`, `-` where there is none.
    async fn history(&self, id: Uuid) -> anyhow::Result<Vec<String>> {
        let query = format!(
            "select concat_ws(' ', event_type, coalesce(attempt::text, '-'), coalesce(gateway, '-'), coalesce(reason, '-'))
             from postroad.delivery_events where message_id = '{id}' order by occurred_at, event_id"
        );
        let rows = self.db.client.query(&query, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

fn deferred_then_failed(attempts: i32) -> Vec<String> {
    (1..=attempts)
        .map(|attempt| {
            let event = if attempt < attempts {
                "deferred"
            } else {
                "failed"
            };
            format!("{event} {attempt} stub stub_transient")
        })
        .collect()
}

/// What fails for now is tried again, as often as its priority says and no more.
#[tokio::test]
async fn transient_failures_are_retried_up_to_the_attempts_of_the_priority() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _worker = site.answering("transient")?;
    let mut expected = Vec::new();
    for (arguments, attempts) in [
        ("priority => 'P0'", 5),
        ("priority => 'P1'", 3),
        ("priority => 'P2'", 3),
        ("priority => 'P3'", 3),
        ("priority => 'P4'", 5),
        ("priority => 'P3', options => '{\"max_attempts\": 1}'", 1),
        ("priority => 'P3', options => '{\"max_attempts\": 4}'", 4),
    ] {
        expected.push((site.db.enqueue(1, arguments).await?[0], attempts));
    }
    site.db.wait_until_idle().await?;
    for (id, attempts) in expected {
        assert_eq!(site.history(id).await?, deferred_then_failed(attempts));
        assert_eq!(site.record.counts()[&id], attempts as usize);
        assert_eq!(site.db.status(id).await?, "failed");
    }
    Ok(())
}

/// What can never work is not tried twice, and only a recipient's fault is a bounce.
#[tokio::test]
async fn permanent_failures_end_at_once() -> anyhow::Result<()> {
    for (answer, event) in [("permanent", "failed"), ("recipient", "bounced")] {
        let site = Site::new().await?;
        let _worker = site.answering(answer)?;
        let id = site.db.enqueue(1, "").await?[0];
        site.db.wait_until_idle().await?;
        assert_eq!(
            site.history(id).await?,
            [format!("{event} 1 stub stub_{answer}")]
        );
        assert_eq!(site.db.status(id).await?, event);
    }
    Ok(())
}

/// No answer: a resend may double it, and whether that is worse than a loss only the message knows.
#[tokio::test]
async fn an_unknown_end_is_resent_or_held_as_the_message_says() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _worker = site.answering("unknown")?;
    let held = site.db.enqueue(1, "message_type => 'campaign'").await?[0];
    let chosen = site
        .db
        .enqueue(1, "options => '{\"on_unknown\": \"hold\"}'")
        .await?[0];
    let resent = site
        .db
        .enqueue(
            1,
            "message_type => 'campaign', options => '{\"on_unknown\": \"resend\"}'",
        )
        .await?[0];
    site.db.wait_until_idle().await?;
    for id in [held, chosen] {
        assert_eq!(site.history(id).await?, ["unknown 1 stub stub_unknown"]);
        assert_eq!(site.record.counts()[&id], 1);
    }
    assert_eq!(
        site.history(resent).await?,
        [
            "deferred 1 stub stub_unknown",
            "deferred 2 stub stub_unknown",
            "unknown 3 stub stub_unknown"
        ]
    );
    assert_eq!(site.record.counts()[&resent], 3);
    let in_doubt: Vec<i16> = site
        .db
        .value("select array_agg(attempt order by attempt) from postroad.delivery_events where detail ? 'in_doubt'")
        .await?;
    assert_eq!(in_doubt, [1, 2], "those after which it was sent again");
    Ok(())
}

/// A gateway that is down costs a message nothing while another one is up.
#[tokio::test]
async fn a_fault_of_the_gateway_goes_to_the_next_one_in_the_same_attempt() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let (down, up) = (Record::new(&site.directory, "down"), &site.record);
    let config = format!(
        "[channels]\nemail = [\"first\", \"second\"]\n{}{}",
        down.stub("first", "answer = \"gateway\""),
        up.stub("second", "")
    );
    let _worker = site.worker("worker", &config)?;
    let id = site.db.enqueue(1, "").await?[0];
    site.db.wait_until_idle().await?;
    assert_eq!((down.sends(), up.sends()), (vec![id], vec![id]));
    assert_eq!(site.history(id).await?, ["sent 1 second -"]);
    Ok(())
}

/// What may have gone out would go out twice; what a recipient or the message is to blame for, no gateway mends.
#[tokio::test]
async fn other_faults_than_the_gateways_are_not_taken_to_the_next_one() -> anyhow::Result<()> {
    for (answer, event) in [
        ("unknown", "unknown"),
        ("permanent", "failed"),
        ("recipient", "bounced"),
    ] {
        let site = Site::new().await?;
        let (first, second) = (Record::new(&site.directory, "first"), &site.record);
        let config = format!(
            "[channels]\nemail = [\"first\", \"second\"]\n{}{}",
            first.stub("first", &format!("answer = \"{answer}\"")),
            second.stub("second", "")
        );
        let _worker = site.worker("worker", &config)?;
        let id = site
            .db
            .enqueue(1, "options => '{\"on_unknown\": \"hold\"}'")
            .await?[0];
        site.db.wait_until_idle().await?;
        assert_eq!((first.sends(), second.sends()), (vec![id], vec![]));
        let history = site.history(id).await?;
        assert_eq!(history, [format!("{event} 1 first stub_{answer}")]);
    }
    Ok(())
}

/// An outage of all gateways must not use up what attempts a message has.
#[tokio::test]
async fn an_outage_of_all_gateways_is_waited_for_without_counting_attempts() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let down = site.answering("gateway")?;
    let id = site
        .db
        .enqueue(1, "options => '{\"max_attempts\": 1}'")
        .await?[0];
    site.record.wait_for(4).await?;
    down.kill();
    let history = site.history(id).await?;
    assert!(
        history
            .iter()
            .all(|event| event == "deferred - stub stub_gateway"),
        "{history:?}"
    );
    let _up = site.node("up", &["run"], &site.record.stub("stub", ""))?;
    site.db.wait_until_idle().await?;
    assert_eq!(
        site.history(id).await?.last().map(String::as_str),
        Some("sent 1 stub -")
    );
    Ok(())
}

/// Late mail of some kinds is worse than none: it expires wherever it waits, and what is in time is sent.
#[tokio::test]
async fn what_expires_while_it_waits_is_not_sent() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let late = site
        .db
        .enqueue(1, "expires_at => clock_timestamp() + interval '300 ms'")
        .await?[0];
    let in_time = site
        .db
        .enqueue(1, "expires_at => clock_timestamp() + interval '1 hour'")
        .await?[0];
    site.db
        .wait_until(&format!(
            "clock_timestamp() > expires_at from postroad.messages where message_id = '{late}'"
        ))
        .await?;
    let _worker = site.accepting("worker")?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.history(late).await?, ["expired 1 - expired"]);
    assert_eq!(site.db.status(in_time).await?, "sent");
    assert_eq!(site.record.sends(), [in_time]);
    Ok(())
}

/// Not before its time, and not after that of another.
#[tokio::test]
async fn a_scheduled_message_goes_out_when_it_is_due_and_not_before() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _worker = site.accepting("worker")?;
    site.registered(1).await?;
    let ids = site
        .db
        .enqueue(1, "scheduled_for => clock_timestamp() + interval '1500 ms'")
        .await?;
    let later = site
        .db
        .enqueue(1, "scheduled_for => clock_timestamp() + interval '1 hour'")
        .await?;
    assert_eq!(site.db.status(ids[0]).await?, "scheduled");
    site.record.wait_for(1).await?;
    site.db
        .wait_until("exists (select from postroad.delivery_events)")
        .await?;
    assert_eq!(site.record.sends(), ids);
    assert_eq!(site.db.status(later[0]).await?, "scheduled");
    let delay = "select extract(epoch from e.occurred_at - m.scheduled_for)::float8
        from postroad.messages as m join postroad.delivery_events as e using (message_id)";
    let delay: f64 = site.db.value(delay).await?;
    assert!(delay >= 0.0, "sent {delay} s after it was due");
    Ok(())
}

/// A deployment without a gateway for a channel keeps its messages until there is one.
#[tokio::test]
async fn without_a_gateway_messages_wait_until_a_worker_has_one() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let config = format!(
        "{QUICK}[channels]\nemail = []\n{}",
        site.record.stub("stub", "")
    );
    let without = site.worker("without", &config)?;
    let id = site.db.enqueue(1, "").await?[0];
    until("it was deferred", async || {
        Ok(!site.history(id).await?.is_empty())
    })
    .await?;
    assert_eq!(site.history(id).await?[0], "deferred - - no_gateway");
    without.kill();
    assert!(site.record.sends().is_empty());
    let _with = site.accepting("with")?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.status(id).await?, "sent");
    Ok(())
}

/// An operator takes a gateway out of use with one call, for all nodes; and back.
#[tokio::test]
async fn a_paused_gateway_is_passed_over_until_it_is_resumed() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let (first, second) = (Record::new(&site.directory, "first"), &site.record);
    let config = format!(
        "[channels]\nemail = [\"first\", \"second\"]\n{}{}",
        first.stub("first", ""),
        second.stub("second", "")
    );
    let _worker = site.worker("worker", &config)?;
    // Sends one after the other until one takes the other gateway.
    let until_it_takes = async |record: &Record| -> anyhow::Result<()> {
        let had = record.sends().len();
        until("the other gateway is used", async || {
            site.db.enqueue(1, "").await?;
            site.db.wait_until_idle().await?;
            Ok(record.sends().len() > had)
        })
        .await?;
        Ok(())
    };
    until_it_takes(&first).await?;
    assert!(second.sends().is_empty());
    let pause = "select postroad.pause('gateway', 'first', 'maintenance')";
    site.db.client.batch_execute(pause).await?;
    until_it_takes(second).await?;
    let resume = "select postroad.resume('gateway', 'first')";
    site.db.client.batch_execute(resume).await?;
    until_it_takes(&first).await?;
    Ok(())
}

/// A paused priority is not claimed, the others are; resumed, it goes on.
#[tokio::test]
async fn a_paused_priority_waits_and_the_others_do_not() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let pause = "select postroad.pause('priority', 'P3', 'too much')";
    site.db.client.batch_execute(pause).await?;
    let _worker = site.accepting("worker")?;
    let paused = site.db.enqueue(3, "priority => 'P3'").await?;
    let others = site.db.enqueue(3, "priority => 'P2'").await?;
    site.record.wait_for(3).await?;
    site.db
        .wait_until("not exists (select from postroad.leases)")
        .await?;
    assert_eq!(site.db.statuses(&others).await?["sent"], 3);
    assert_eq!(site.db.statuses(&paused).await?["queued"], 3);
    let resume = "select postroad.resume('priority', 'P3')";
    site.db.client.batch_execute(resume).await?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.statuses(&paused).await?["sent"], 3);
    Ok(())
}

/// Campaigns hold back while alerts pile up, and go on once they drained.
#[tokio::test]
async fn campaigns_are_claimed_only_below_the_gate_of_p1() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let config = format!("[worker]\np1_gate = 5\n{}", site.record.stub("stub", ""));
    let only = |name: &str, priority: &str| {
        site.node(name, &["worker", "--priorities", priority], &config)
    };
    let alerts = site.db.enqueue(5, "priority => 'P1'").await?;
    let campaign = site.db.enqueue(2, "priority => 'P3'").await?;
    let _p3 = only("p3", "P3")?;
    site.registered(1).await?;
    let p4 = site.db.enqueue(1, "priority => 'P4'").await?;
    let _p4 = only("p4", "P4")?;
    site.record.wait_for(1).await?; // P4 knows no gate
    assert_eq!(site.record.sends(), p4);

    // One under the gate is enough.
    let cancel = format!("select postroad.cancel('{}')", alerts[0]);
    assert!(site.db.value::<bool>(&cancel).await?);
    site.record.wait_for(3).await?;
    site.db
        .wait_until("not exists (select from postroad.leases)")
        .await?;
    assert_eq!(site.db.statuses(&campaign).await?["sent"], 2);
    assert_eq!(site.db.statuses(&alerts).await?["queued"], 4);
    Ok(())
}

/// One that asks for a hundred sends at once must not make an alarm wait behind them.
#[tokio::test]
async fn an_emergency_goes_out_at_once_behind_campaigns_that_hang() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let quick = Record::new(&site.directory, "quick");
    let config = format!(
        "[worker]\nsend_timeout = \"1h\"\n[channels]\nemail = [\"slow\"]\nsms = [\"quick\"]\n{}{}",
        site.record.stub("slow", "hang = true"),
        quick.stub("quick", "")
    );
    let _worker = site.worker("worker", &config)?;
    site.db.enqueue(500, "priority => 'P3'").await?;
    site.record.wait_for(5).await?;
    let statement =
        "select postroad.enqueue('sms', '+14155550100', body => 'x', message_type => 'emergency')";
    for n in 1..=20 {
        site.db.client.batch_execute(statement).await?;
        quick.wait_for(n).await?;
    }
    let ended = "select count(*) from postroad.delivery_events as e
        join postroad.messages as m using (message_id) where m.priority = 3";
    assert_eq!(site.db.value::<i64>(ended).await?, 0, "they hang on");
    Ok(())
}

/// The sessions that a server takes are counted for each priority: a campaign that hangs in the only one of its own must
/// not keep an alarm out.
#[tokio::test]
async fn an_emergency_has_sessions_of_its_own() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let sink = SmtpSink::start().at(Stage::Dot, 1, Answer::Hang).await?;
    let config = format!(
        "[worker]\nsend_timeout = \"1h\"\n[gateways.only]\ntype = 'smtp'\nconnections = 1\n\
         url = 'smtp://127.0.0.1:{}?tls=none'\nfrom = 'a@example.org'\n",
        sink.port()
    );
    let _worker = site.worker("worker", &config)?;
    site.db.enqueue(1, "priority => 'P3'").await?;
    until("it hangs", async || Ok(sink.count("DATA") == 1)).await?;
    let alarm = site.db.enqueue(1, "message_type => 'emergency'").await?[0];
    until("the alarm is out", async || Ok(!sink.mails().is_empty())).await?;
    site.db
        .wait_until(&format!(
            "(select status from postroad.status('{alarm}')) = 'sent'"
        ))
        .await?;
    assert_eq!(sink.sessions(), 2);
    Ok(())
}

/// An outcome that Postgres refuses would be written again for ever, and with it those beside it.
#[tokio::test]
async fn an_id_that_cannot_be_stored_is_left_out() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let provider = HttpDouble::answering(201, r#"{"sid": "SM\u0000", "status": "queued"}"#).await;
    let config = format!(
        "[gateways.twilio]\ntype = 'twilio'\naccount_sid = 'AC1'\nauth_token = 'x'\nfrom = '+15005550006'\napi_url = '{}'\n",
        provider.url()
    );
    let _worker = site.worker("worker", &config)?;
    let statement = "select postroad.enqueue('sms', '+14155550100', body => 'x')";
    site.db.client.batch_execute(statement).await?;
    site.db.wait_until_idle().await?;
    let stored =
        "select event_type || coalesce(external_id, ' without id') from postroad.delivery_events";
    assert_eq!(site.db.value::<String>(stored).await?, "sent without id");
    assert_eq!(provider.requests().len(), 1);
    Ok(())
}
