//! Gateways that throttle us, as a system event tells of them.

use super::*;
use crate::support::smtp_sink::Answer::Reply;
use crate::support::smtp_sink::{SmtpSink, Stage};
use crate::support::sql::Sql as _;

const TOLD: &str = "select subject, detail ->> 'kind', detail ->> 'gateway', detail ->> 'reason', detail ->> 'code'
    from postroad.system_log where kind = 'rate_limit_exceeded' order by subject";

/// Sends until so many attempts were deferred, ends the worker, and returns what was told.
async fn told(sink: &SmtpSink, recipients: &[&str], reason: &str) -> anyhow::Result<Vec<String>> {
    let site = Site::new().await?;
    let config = format!(
        "[channels]\nemail = ['relay']\n[worker.pools.P4]\nbackoff = {{ base = '50ms', factor = 1.0, max = '100ms' }}\nmax_attempts = 30\n[gateways.relay]\ntype = 'smtp'\nurl = 'smtp://127.0.0.1:{}?tls=none'\nfrom = 'a@example.org'\n",
        sink.port()
    );
    for recipient in recipients {
        let enqueue = format!(
            "select postroad.enqueue('email', recipient => '{recipient}', subject => 'x', body => 'x') from generate_series(1, 20)"
        );
        site.db.client.rows(&enqueue).await?;
    }
    let mut worker = site.worker("one", &config)?;
    let deferred = format!(
        "count(*) >= {} from postroad.delivery_events where event_type = 'deferred' and reason = '{reason}'",
        30 * recipients.len()
    );
    site.db.wait_until(&deferred).await?;
    worker.signal("-TERM");
    assert_eq!(worker.ended().await?, Some(0));
    site.db.client.rows(TOLD).await
}

/// Each message that a gateway sends away for being too many would be an event otherwise.
#[tokio::test]
async fn a_gateway_that_throttles_is_a_system_event_once() -> anyhow::Result<()> {
    let reply = Reply("421 4.7.0 too many connections from your host");
    let sink = SmtpSink::start().on(Stage::Mail, reply).await?;
    let told = told(&sink, &["ada@example.org", "bob@example.com"], "throttled").await?;
    assert_eq!(told, ["gateway:relay|gateway|relay|throttled|4.7.0"]);
    Ok(())
}

/// One destination's limit is nothing to the others, and there is an event for each that has one.
#[tokio::test]
async fn a_destination_that_throttles_is_a_system_event_of_its_domain() -> anyhow::Result<()> {
    let reply = Reply("450 4.7.1 rate limited, slow down");
    let sink = SmtpSink::start().on(Stage::Rcpt, reply).await?;
    let told = told(&sink, &["ada@example.org", "bob@example.com"], "throttled").await?;
    let of = |domain: &str| format!("domain:{domain}|domain|relay|throttled|4.7.1");
    assert_eq!(told, [of("example.com"), of("example.org")]);
    Ok(())
}

/// A greylist or a full disk is no limit of ours.
#[tokio::test]
async fn what_is_deferred_for_another_reason_tells_of_no_limit() -> anyhow::Result<()> {
    for reply in [
        "450 4.7.1 greylisted, try again later",
        "451 4.3.1 disk full",
    ] {
        let sink = SmtpSink::start().on(Stage::Rcpt, Reply(reply)).await?;
        let told = told(&sink, &["ada@example.org"], "try_later").await?;
        assert_eq!(told, [""; 0], "{reply}");
    }
    Ok(())
}
