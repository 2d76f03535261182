//! `cancel_bulk`: a campaign is stopped as a whole.

use uuid::Uuid;

use super::runs::{ids_of, queue, send};
use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _, WORKER, claim_query};

/// A campaign that turns out to be wrong is stopped as a whole, wherever its messages are, and nothing else with it.
#[tokio::test]
async fn a_bulk_send_is_cancelled_as_a_whole_wherever_it_waits() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'u7@x.org')")
        .await?;
    let others = [
        db.enqueue_to("before@x.org", "").await?,
        db.enqueue_to("later@x.org", "scheduled_for => now() + interval '1 hour'")
            .await?,
    ];
    let send = |extra: &str| {
        format!(
            "select batch_id from postroad.enqueue_bulk('email', (select jsonb_agg('u' || n || '@x.org') from generate_series(1, 40) as n), body => 'x', priority => 'P4'{extra})"
        )
    };
    let (wrong, right) = (
        db.client.row(&send("")).await?,
        db.client.row(&send("")).await?,
    );
    let planned = db
        .client
        .row(&send(", scheduled_for => now() + interval '1 hour'"))
        .await?;
    let (lease, claimed) = db.claim(4, 6).await?; // the first of all, and five of the batch
    let mut sent = ids_of(&claimed);
    sent.retain(|id| *id != others[0]);
    assert_eq!(sent.len(), 5);
    let mut put_off = Outcome::deferred(&lease, &sent[0], "60");
    put_off.finished = false;
    db.complete(&put_off).await?;
    for (batch, cancelled) in [
        (&wrong, "35"),
        (&wrong, "0"),
        (&planned, "39"),
        (&planned, "0"),
    ] {
        let cancel = format!("select postroad.cancel_bulk('{batch}')");
        assert_eq!(db.client.row(&cancel).await?, cancelled);
    }
    // 39 were queued, of which five were claimed; one of those waits for its next attempt no more.
    let of = |batch: &str| {
        format!(
            "select string_agg(s.status || ' ' || s.count, ', ' order by s.status) from (
               select s.status, count(*) from postroad.messages as m, postroad.status(m.message_id) as s where m.batch_id = '{batch}' group by 1
             ) as s"
        )
    };
    let statuses = async |batch: &str| db.client.row(&of(batch)).await;
    assert_eq!(
        statuses(&wrong).await?,
        "cancelled 35, processing 4, suppressed 1"
    );
    assert_eq!(statuses(&planned).await?, "cancelled 39, suppressed 1");
    assert_eq!(statuses(&right).await?, "queued 39, suppressed 1");
    assert_eq!(db.status(&others[1]).await?, "scheduled");
    let none = "select postroad.cancel_bulk(gen_random_uuid())";
    assert_eq!(db.client.row(none).await?, "0");
    Ok(())
}

/// A claim under way takes a part of a row and leaves the rest in another: that is found too.
#[tokio::test]
async fn a_bulk_send_is_cancelled_beside_a_claim_of_it() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(WORKER).await?;
    let ids = send(&db, 32, "").await?;
    let batch = db
        .client
        .row("select distinct batch_id from postroad.messages")
        .await?;
    let mut claimer = db.connect().await?;
    let claim = claimer.transaction().await?;
    let lease = Uuid::now_v7().to_string();
    let rows = claim
        .query(&claim_query(&lease, WORKER, 4, 20), &[])
        .await?;
    assert_eq!(rows.len(), 20);
    let waiting = "select count(*) = 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    let cancel = format!("select postroad.cancel_bulk('{batch}')");
    let canceller = db.connect().await?;
    let (cancelled, committed) = tokio::join!(canceller.row(&cancel), async {
        db.until(waiting).await?;
        anyhow::Ok(claim.commit().await?)
    });
    committed?;
    assert_eq!(cancelled?, "12");
    assert_eq!(queue(&db).await?, Vec::<Vec<String>>::new());
    for id in &ids[20..] {
        assert_eq!(db.status(id).await?, "cancelled");
    }
    assert_eq!(db.status(&ids[19]).await?, "processing");
    Ok(())
}

/// A caller that is bound to a tenant changes nothing of another.
#[tokio::test]
async fn messages_of_another_tenant_are_neither_withdrawn_nor_converted() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let batch = "select batch_id from postroad.enqueue_bulk('email', '[\"a@x.org\", \"b@x.org\"]', body => 'x', tenant_id => 8)";
    let batch = db.client.row(batch).await?;
    let id = "select message_id from postroad.messages limit 1";
    let id = db.client.row(id).await?;
    let old = "postroad.uuid_at(now() - interval '60 days')";
    let caller = db.connect_as("postroad_sender").await?;
    for (tenant, withdrawn, converted, gone) in [
        ("7", "0", "f", "f"),
        ("8", "2", "t", "f"),
        ("", "0", "f", "t"),
    ] {
        caller
            .batch_execute(&format!("set postroad.tenant = '{tenant}'"))
            .await?;
        let calls = format!("select postroad.cancel_bulk('{batch}'), postroad.convert('{id}')");
        assert_eq!(
            caller.row(&calls).await?,
            format!("{withdrawn}|{converted}"),
            "tenant {tenant}"
        );
        let old = db.client.row(&format!("select {old}")).await?;
        let call =
            format!("select postroad.convert(overlay('{old}' placing '7' from 15 for 1)::uuid)");
        assert_eq!(caller.row(&call).await?, gone, "tenant {tenant}");
    }
    Ok(())
}
