//! By which gateway and IP pool a message goes, and that `explain` says the same.

use super::*;
use crate::support::http_double::HttpDouble;
use crate::support::smtp_sink::{Answer, SmtpSink};

impl Site {
    /// What `explain` says of the gateways of a message that was enqueued so for later.
    async fn route(&self, arguments: &str) -> anyhow::Result<String> {
        let later = format!("{arguments}, scheduled_for => now() + interval '1 h'");
        let id = self.enqueued(&later).await?;
        let query = format!("select reason from postroad.explain('{id}') where gate = 'gateway'");
        self.db.value(&query).await
    }

    async fn enqueued(&self, arguments: &str) -> anyhow::Result<String> {
        let query =
            format!("select message_id::text from postroad.enqueue({arguments}, body => 'x')");
        self.db.value(&query).await
    }

    /// The gateway that sends a message that was enqueued so.
    async fn sends(&self, arguments: &str) -> anyhow::Result<String> {
        let id = self.enqueued(arguments).await?;
        let sent = format!(
            "from postroad.delivery_events where message_id = '{id}' and event_type = 'sent'"
        );
        self.db
            .wait_until(&format!("exists (select {sent})"))
            .await?;
        self.db.value(&format!("select gateway {sent}")).await
    }
}

/// Gateways that accept everything.
fn stubs(names: &[&str]) -> String {
    let table = |name: &&str| format!("[gateways.{name}]\ntype = 'stub'\n");
    names.iter().map(table).collect()
}

const EMAIL: &str = "channel => 'email', recipient => 'a@x.org', subject => 'x'";

/// Newsletters go by a cheaper gateway than password resets, unless the message says otherwise.
#[tokio::test]
async fn each_message_type_has_its_own_order() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let config = format!(
        "[channels]\nemail = ['main', 'spare']\n[routes.newsletter]\nemail = ['bulk', 'main']\n{}",
        stubs(&["main", "spare", "bulk"])
    );
    let _worker = site.worker("worker", &config)?;
    site.registered(1).await?;
    let newsletter = format!("{EMAIL}, message_type => 'newsletter', priority => 'P4'");
    let chosen = format!("{EMAIL}, gateway => 'spare'");
    for (arguments, gateway, reason) in [
        (EMAIL, "main", "main (first for email); then spare"),
        (
            &newsletter,
            "bulk",
            "bulk (first for newsletter); then main",
        ),
        (&chosen, "spare", "spare (chosen by the caller); then main"),
    ] {
        assert_eq!(site.route(arguments).await?, reason);
        assert_eq!(site.sends(arguments).await?, gateway);
    }
    for (name, channel) in [("spar", "email"), ("spare", "sms")] {
        let (to, subject) = match channel {
            "sms" => ("+14155550123", "null"),
            _ => ("a@x.org", "'x'"),
        };
        let elsewhere = format!(
            "channel => '{channel}', recipient => '{to}', subject => {subject}, gateway => '{name}'"
        );
        let reason = site.route(&elsewhere).await?;
        let says = format!("{name}, chosen by the caller, is no gateway of a worker for {channel}");
        let says_so = reason.contains(&says);
        assert_eq!(says_so, name == "spar", "{reason}");
    }
    let admin = site.db.connect_as("postroad_admin").await?;
    admin
        .batch_execute("select postroad.pause('gateway', 'bulk', 'test')")
        .await?;
    let reason = "main (first for newsletter); paused: bulk";
    assert_eq!(site.route(&newsletter).await?, reason);
    Ok(())
}

/// One message that a server cannot stand is no reason to try it for ever, nor to take the server from all others.
#[tokio::test]
async fn a_message_that_a_server_hangs_up_on_goes_to_the_next_and_ends_with_its_attempts()
-> anyhow::Result<()> {
    let site = Site::new().await?;
    let sink = SmtpSink::start().on_rcpt("poison@", Answer::Close).await?;
    let config = format!(
        "[channels]\nemail = ['relay', 'spare']\n[routes.campaign]\nemail = ['relay']\n{}\
         [gateways.relay]\ntype = 'smtp'\nurl = 'smtp://127.0.0.1:{}?tls=none'\nfrom = 'a@x.org'\n",
        stubs(&["spare"]),
        sink.port()
    );
    let _worker = site.worker("worker", &config)?;
    site.registered(1).await?;
    let poison =
        "channel => 'email', recipient => 'poison@x.org', subject => 'x', priority => 'P4'";
    let newsletter = format!("{poison}, message_type => 'newsletter'");
    let campaign =
        format!("{poison}, message_type => 'campaign', options => '{{\"max_attempts\": 1}}'");
    for _ in 0..10 {
        assert_eq!(site.sends(&newsletter).await?, "spare");
        let id = site.enqueued(&campaign).await?;
        let ended = format!("from postroad.delivery_events where message_id = '{id}'");
        site.db
            .wait_until(&format!("exists (select {ended})"))
            .await?;
        let found: String = site
            .db
            .value(&format!("select event_type || ' ' || reason {ended}"))
            .await?;
        assert_eq!(found, "failed connection_lost");
    }
    let other = "channel => 'email', recipient => 'a@other.org', subject => 'x'";
    assert_eq!(site.sends(other).await?, "relay");
    Ok(())
}

/// The next server may know an extension, or a sender, that this one does not; what no server takes is asked of one.
#[tokio::test]
async fn what_this_server_alone_cannot_send_is_asked_of_the_next() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let sink = SmtpSink::start()
        .offering(&["8BITMIME"])
        .on_rcpt("listed@", Answer::Reply("550 5.7.1 blocked using dnsbl"))
        .on_rcpt("policy@", Answer::Reply("550 5.7.1 not you"))
        .await?;
    let config = format!(
        "[channels]\nemail = ['relay', 'spare']\n{}\
         [gateways.relay]\ntype = 'smtp'\nurl = 'smtp://127.0.0.1:{}?tls=none'\nfrom = 'a@x.org'\n",
        stubs(&["spare"]),
        sink.port()
    );
    let _worker = site.worker("worker", &config)?;
    site.registered(1).await?;
    let to = |recipient: &str| {
        format!(
            "channel => 'email', recipient => '{recipient}', subject => 'x', message_type => 'campaign'"
        )
    };
    for recipient in ["jörg@x.org", "listed@x.org"] {
        assert_eq!(site.sends(&to(recipient)).await?, "spare", "{recipient}");
    }
    let id = site.enqueued(&to("policy@x.org")).await?;
    let failed = format!(
        "exists (select from postroad.delivery_events where message_id = '{id}' and event_type = 'failed' and gateway = 'relay' and reason = 'policy_refused')"
    );
    site.db.wait_until(&failed).await?;
    Ok(())
}

/// Text messages cost money: each goes where it is cheapest, as long as that gateway works.
#[tokio::test]
async fn a_text_message_goes_by_the_cheapest_gateway() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let config = format!(
        "[channels]\nsms = ['a', 'b', 'c']\n[sms_prices.a]\n'+' = 0.1\n'+49' = 0.08\n[sms_prices.b]\n'+49' = 0.07\n'+4915' = 0.09\n{}",
        stubs(&["a", "b", "c"])
    );
    let _worker = site.worker("worker", &config)?;
    site.registered(1).await?;
    let to = |number: &str| format!("channel => 'sms', recipient => '{number}'");
    for (number, gateway, reason) in [
        (
            "+493012345678",
            "b",
            "b (the cheapest to this number: 0.07 a part); then a, c; prices: b 0.07, a 0.08",
        ),
        (
            "+4915112345678",
            "a",
            "a (the cheapest to this number: 0.08 a part); then b, c; prices: a 0.08, b 0.09",
        ),
        (
            "+33612345678",
            "a",
            "a (the cheapest to this number: 0.1 a part); then b, c; prices: a 0.1",
        ),
    ] {
        assert_eq!(site.route(&to(number)).await?, reason);
        assert_eq!(site.sends(&to(number)).await?, gateway, "{number}");
    }
    let cost = "select detail ->> 'cost' || ' for ' || (detail ->> 'parts') from postroad.delivery_events where gateway = 'b'";
    assert_eq!(site.db.value::<String>(cost).await?, "0.07 for 1");
    let admin = site.db.connect_as("postroad_admin").await?;
    admin
        .batch_execute("select postroad.pause('gateway', 'b', 'test')")
        .await?;
    let reason = site.route(&to("+493012345678")).await?;
    assert!(reason.starts_with("a (the cheapest"), "{reason}");
    crate::support::wait::until("the next one takes over", async || {
        Ok(site.sends(&to("+493012345678")).await? == "a")
    })
    .await?;
    Ok(())
}

/// Newsletters must not spoil the reputation of the addresses that alerts are sent from.
#[tokio::test]
async fn mails_leave_by_the_pool_of_their_type_unless_they_name_one() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = HttpDouble::answering(202, "").await;
    let config = format!(
        "[ip_pools]\nnewsletter = 'newsletters'\n[gateways.sendgrid]\ntype = 'sendgrid'\napi_key = 'k'\nfrom = 'a@x.org'\napi_url = '{}'\n",
        double.url()
    );
    let _worker = site.worker("worker", &config)?;
    site.registered(1).await?;
    let newsletter = format!("{EMAIL}, message_type => 'newsletter', priority => 'P4'");
    let own = format!("{newsletter}, ip_pool => 'own'");
    let first = "sendgrid (first for email)";
    for (arguments, pool, reason) in [
        (EMAIL, None, first.to_owned()),
        (
            &newsletter,
            Some("newsletters"),
            format!("{first}; IP pool newsletters (by message type)"),
        ),
        (
            &own,
            Some("own"),
            format!("{first}; IP pool own (by the caller)"),
        ),
    ] {
        assert_eq!(site.route(arguments).await?, reason);
        site.sends(arguments).await?;
        let asked = double.requests().pop().expect("a request").json();
        assert_eq!(asked["ip_pool_name"].as_str(), pool);
    }
    Ok(())
}

/// Those who call FCM by its family's name mean it.
#[tokio::test]
async fn firebase_means_fcm() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let config = format!(
        "[channels]\npush = ['other', 'firebase']\n{}",
        stubs(&["fcm", "other"])
    );
    let worker = site.worker("worker", &config)?;
    site.registered(1).await?;
    let push = "channel => 'push', recipient => 'token', gateway => 'firebase'";
    assert_eq!(
        site.route(push).await?,
        "fcm (chosen by the caller); then other"
    );
    assert_eq!(site.sends(push).await?, "fcm");
    let admin = site.db.connect_as("postroad_admin").await?;
    admin
        .batch_execute("select postroad.pause('gateway', 'firebase', 'test'); select postroad.set_gateway_weight('firebase', 1)")
        .await?;
    assert_eq!(
        site.route(push).await?,
        "other (first for push); paused: fcm; weights: fcm 1"
    );
    admin
        .batch_execute("select postroad.resume('gateway', 'firebase')")
        .await?;
    assert_eq!(
        site.db
            .value::<i64>("select count(*) from postroad.pauses")
            .await?,
        0
    );
    drop(worker);

    let config = stubs(&["fcm", "firebase"]);
    let _worker = site.worker("again", &config)?;
    site.db
        .wait_until("exists (select from postroad.channel_health where gateway = 'firebase')")
        .await?;
    assert_eq!(
        site.sends(push).await?,
        "firebase",
        "a gateway of that name is meant first"
    );
    Ok(())
}
