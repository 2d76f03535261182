//! A gateway that fails gets no traffic, on every node, and gets it back by itself.

use super::*;
use crate::support::smtp_sink::SmtpSink;
use crate::support::wait::until;
use crate::support::way::{Mode, Way};

/// Two mail gateways, `first` and `second`, on two nodes.
struct Net {
    site: Site,
    first: SmtpSink,
    second: SmtpSink,
    way: Way,
    _nodes: [Node; 2],
}

impl Net {
    async fn new() -> anyhow::Result<Self> {
        let site = Site::new().await?;
        let (first, second) = (SmtpSink::start().await?, SmtpSink::start().await?);
        let way = Way::to(first.port()).await?;
        let config = format!(
            "[channels]\nemail = ['first', 'second']\n\
             [gateways.first]\ntype = 'smtp'\nurl = 'smtp://127.0.0.1:{}?tls=none'\nfrom = 'a@example.org'\n\
             [gateways.second]\ntype = 'smtp'\nurl = 'smtp://127.0.0.1:{}?tls=none'\nfrom = 'a@example.org'\n",
            way.port,
            second.port()
        );
        let nodes = [site.worker("one", &config)?, site.worker("two", &config)?];
        site.registered(2).await?;
        Ok(Self {
            site,
            first,
            second,
            way,
            _nodes: nodes,
        })
    }

    async fn log(&self, state: &str) -> anyhow::Result<bool> {
        let query = format!(
            "select exists (select from postroad.health_log where gateway = 'first' and state = '{state}')"
        );
        self.site.db.value(&query).await
    }

    /// Sends until `first` has a new mail.
    async fn comes_back(&self) -> anyhow::Result<()> {
        let before = self.first.mails().len();
        self.way.set(Mode::Open);
        until("the first gateway gets mail again", async || {
            self.site.db.enqueue(2, "").await?;
            Ok(self.first.mails().len() > before)
        })
        .await?;
        self.site.db.wait_until("exists (select from postroad.health_log where gateway = 'first' and state = 'closed')").await?;
        Ok(())
    }
}

/// Nobody is there at night to switch gateways, nor to switch back.
#[tokio::test]
async fn what_a_dead_gateway_cannot_take_goes_to_the_other_and_back() -> anyhow::Result<()> {
    let net = Net::new().await?;
    net.site.db.enqueue(10, "").await?;
    net.site.db.wait_until_idle().await?;
    assert_eq!((net.first.mails().len(), net.second.mails().len()), (10, 0));

    net.way.set(Mode::Closed);
    let ids = net.site.db.enqueue(200, "").await?;
    net.site.db.wait_until_idle().await?;
    let statuses = net.site.db.statuses(&ids).await?;
    assert_eq!(statuses.get("sent"), Some(&200), "{statuses:?}");
    assert_eq!(net.second.mails().len(), 200);
    assert!(net.log("open").await?);

    net.comes_back().await
}

/// A gateway that takes a connection and says nothing has no fault to count, yet it holds what it was given.
#[tokio::test]
async fn a_silent_gateway_gets_no_traffic_and_holds_no_slots() -> anyhow::Result<()> {
    let net = Net::new().await?;
    net.way.set(Mode::Silent);
    net.site.db.enqueue(50, "priority => 'P0'").await?;
    // Those that it holds end when it is given up; the others do not wait for them.
    until("the second gateway has most of them", async || {
        Ok(net.second.mails().len() >= 20)
    })
    .await?;
    assert!(net.log("open").await?);
    net.comes_back().await
}

/// A gateway that another process has, or had: this one would take its probe, and send nothing by it.
#[tokio::test]
async fn a_worker_probes_its_own_gateways_and_no_others() -> anyhow::Result<()> {
    let site = Site::new().await?;
    for gateway in ["another", "stub"] {
        let open = format!(
            "insert into postroad.gateway_states (gateway, is_open, cause, open_until) values ('{gateway}', true, 'stalled', now())"
        );
        site.db.client.batch_execute(&open).await?;
    }
    let _worker = site.accepting("worker")?;
    // By then it has gone through all that wait for a probe.
    let closed = "select not is_open from postroad.gateway_states where gateway = 'stub'";
    until("its own was probed", async || {
        site.db.enqueue(1, "").await?;
        site.db.value::<bool>(closed).await
    })
    .await?;
    let probed =
        "select probe_until is not null from postroad.gateway_states where gateway = 'another'";
    assert!(!site.db.value::<bool>(probed).await?);
    Ok(())
}

/// An operator moves traffic with one line of SQL.
#[tokio::test]
async fn weights_and_pauses_move_traffic_on_all_nodes() -> anyhow::Result<()> {
    let net = Net::new().await?;
    let admin = net.site.db.connect_as("postroad_admin").await?;
    admin
        .batch_execute("select postroad.set_gateway_weight('first', 0)")
        .await?;
    let id = net
        .site
        .db
        .enqueue(1, "scheduled_for => now() + interval '1 h'")
        .await?[0];
    let gate = format!("select reason from postroad.explain('{id}') where gate = 'gateway'");
    assert_eq!(
        net.site.db.value::<String>(&gate).await?,
        "second (by weight); then first; weights: first 0"
    );
    net.site
        .db
        .client
        .execute("select postroad.cancel($1)", &[&id])
        .await?;
    until("the second gateway gets the mail", async || {
        let before = net.second.mails().len();
        net.site.db.enqueue(4, "").await?;
        net.site.db.wait_until_idle().await?;
        Ok(net.second.mails().len() == before + 4)
    })
    .await?;
    admin.batch_execute("select postroad.set_gateway_weight('first', null); select postroad.pause('gateway', 'second', 'test')").await?;
    until("the first gateway gets the mail", async || {
        let before = net.first.mails().len();
        net.site.db.enqueue(4, "").await?;
        net.site.db.wait_until_idle().await?;
        Ok(net.first.mails().len() == before + 4)
    })
    .await?;
    Ok(())
}
