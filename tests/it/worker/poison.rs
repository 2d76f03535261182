//! A message of which workers die.

use super::*;
use crate::support::wait::until;

/// The one bad message of a fleet must end; the good ones beside it must not end with it.
#[tokio::test]
async fn a_message_that_kills_its_worker_ends_failed_and_the_others_are_sent() -> anyhow::Result<()>
{
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let ids = site.db.enqueue(12, "").await?;
    let poison = ids[5];
    let config = site.record.stub("stub", "latency = \"150ms\"");
    let mut kills = 0;
    // Whoever sends it dies of it, with all else that it does then.
    let last = loop {
        let worker = site.worker("worker", &config)?;
        let mut met = false;
        until("the poison is met or gone", async || {
            met = site.record.counts().get(&poison) > Some(&kills);
            Ok(met || site.db.status(poison).await? == "failed")
        })
        .await?;
        if !met {
            break worker;
        }
        worker.kill();
        kills += 1;
        assert!(kills < 20, "it kills for ever");
        site.registered(0).await?;
    };
    assert!(kills >= 3, "given up after {kills}");
    site.db.wait_until_idle().await?;
    for id in ids {
        let reason =
            format!("select status || coalesce(' ' || reason, '') from postroad.status('{id}')");
        let expected = if id == poison {
            "failed worker_crashed"
        } else {
            "sent"
        };
        assert_eq!(site.db.value::<String>(&reason).await?, expected);
    }
    eprintln!("the poison killed {kills} workers");
    drop(last);
    Ok(())
}

/// Alone with the bad message, three workers are enough to know.
#[tokio::test]
async fn a_message_that_was_alone_is_given_up_after_three_workers() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let _maintain = site.maintain()?;
    let id = site.db.enqueue(1, "").await?[0];
    for kills in 1..=3 {
        let worker = site.worker("worker", &site.record.stub("stub", "hang = true"))?;
        site.record.wait_for(kills).await?;
        assert_eq!(site.db.status(id).await?, "processing");
        worker.kill();
        site.registered(0).await?;
    }
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.status(id).await?, "failed");
    // It was for somebody to look at, and may be tried again.
    assert!(
        site.db
            .value::<bool>(&format!("select postroad.retry('{id}')"))
            .await?
    );
    let _healthy = site.accepting("healthy")?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.db.status(id).await?, "sent");
    Ok(())
}
