//! A gateway with a bug.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use postroad::db::calls::Announced;
use postroad::db::listen;
use postroad::gateway::Gateway;
use postroad::gateway::registry::Registry;
use postroad::model::backoff::Backoff;
use postroad::model::message::{Channel, Priority, Rendered};
use postroad::model::outcome::{Accepted, SendError};
use postroad::worker::pool::Pool;
use postroad::worker::settings::PoolPolicy;
use tokio_util::sync::CancellationToken;

use crate::support::db::TestDb;

struct Buggy;

#[async_trait]
impl Gateway for Buggy {
    fn name(&self) -> &str {
        "buggy"
    }

    fn channels(&self) -> &[Channel] {
        Channel::ALL
    }

    async fn send(&self, message: &Rendered, _: Instant) -> Result<Accepted, SendError> {
        assert!(message.recipient != "user1@example.org", "a bug");
        Ok(Accepted::default())
    }
}

/// One message on which a gateway panics must not take its pool down, nor be lost: its policy decides.
#[tokio::test]
async fn a_panic_of_a_gateway_is_the_unknown_end_of_one_send() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let held = db
        .enqueue(3, "priority => 'P4', message_type => 'campaign'")
        .await?;
    let resent = db
        .enqueue(3, "priority => 'P4', options => '{\"max_attempts\": 2}'")
        .await?;
    let shutdown = CancellationToken::new();
    let (keeper, session) = listen::session(
        db.database.clone(),
        vec![Priority::P4],
        Announced::default(),
    );
    let keeping = tokio::spawn(keeper.run(shutdown.clone()));
    let by_name: BTreeMap<String, Arc<dyn Gateway>> =
        BTreeMap::from([("buggy".into(), Arc::new(Buggy) as _)]);
    let pool = Pool {
        priority: Priority::P4,
        concurrency: (2, 2),
        poll: Duration::from_millis(50),
        p1_gate: 1,
        policy: PoolPolicy {
            send_timeout: Duration::from_secs(5),
            max_attempts: 5,
            backoff: Backoff::List(vec![Duration::ZERO]),
            rules: Arc::default(),
        },
        shutdown_timeout: Duration::from_secs(5),
        db: db.database.pool(3),
        session,
        gateways: Registry::from_gateways(by_name, &BTreeMap::new())?,
        routing: Default::default(),
    };
    let running = tokio::spawn(pool.run(shutdown.clone()));
    let promoting = tokio::spawn(postroad::maintain::shared(
        db.database.clone(),
        shutdown.clone(),
    ));
    db.wait_until_idle().await?;
    for ids in [&held, &resent] {
        let mut statuses = Vec::new();
        for id in ids {
            statuses.push(db.status(*id).await?);
        }
        assert_eq!(statuses, ["sent", "unknown", "sent"]);
    }
    let attempts = "select array_agg(attempt order by attempt) from postroad.delivery_events
        where reason = 'gateway_panicked'";
    assert_eq!(db.value::<Vec<i16>>(attempts).await?, [1, 1, 2]);
    shutdown.cancel();
    running.await?;
    keeping.await?;
    promoting.await?;
    Ok(())
}
