//! A disk that runs full while messages are enqueued and sent: all of it goes on by itself once there is room.

use std::os::unix::fs::MetadataExt as _;

use tokio_postgres::error::SqlState;

use super::*;
use crate::support::process::Up;
use crate::support::small_disk::SmallDisk;
use crate::support::wait::until;

/// The disk of the data is full: statements fail with a clear error, then Postgres ends for want of room for its log of
/// changes, and cannot start. Neither is the end of `up`, and neither loses or doubles a message.
#[tokio::test]
async fn a_full_disk_under_the_data_is_waited_out() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    assert_eq!(Up::start(&directory)?.end("-INT")?, Some(0)); // makes the data
    let record = Record::new(&directory, "record");
    let config = record.stub("stub", "latency = \"5ms\"");
    let folder = ".postroad/pgdata";
    let Some(mut disk) = SmallDisk::up(&directory, folder, 192, &config)? else {
        return Ok(());
    };
    let mut site = Site {
        db: TestDb::of_up(&directory).await?,
        record,
        directory,
    };
    let mut held = site.db.enqueue(400, "message_type => 'campaign'").await?;
    let mut resent = site.db.enqueue(400, "").await?;
    site.record.wait_for(100).await?;
    disk.fill(&site.directory)?;

    // A transaction that finds no room is told so, and leaves nothing behind.
    let refused = loop {
        match site.db.enqueue(200, "").await {
            Ok(ids) => resent.extend(ids),
            Err(error) => break error,
        }
    };
    let refused = refused.downcast_ref::<tokio_postgres::Error>();
    assert_eq!(
        refused.and_then(|error| error.code()),
        Some(&SqlState::DISK_FULL)
    );

    // Each call needs a segment more, until one finds no room.
    let segment = "select pg_switch_wal(); select pg_logical_emit_message(true, 'test', 'x')";
    until("postgres ended", async || {
        let _ = site.db.client.batch_execute(segment).await;
        Ok(site.db.client.is_closed())
    })
    .await?;
    let name = format!(
        "the disk at {} is full",
        site.directory.path.canonicalize()?.join(folder).display()
    );
    let looks = || site.directory.read("up.log").matches(&name).count();
    until("it was looked for room twice", async || Ok(looks() >= 2)).await?;
    let log = site.directory.read(".postroad/postgres.log");
    let starts = log.matches("starting PostgreSQL").count();
    assert!(
        starts <= 2 + looks(),
        "started {starts} times, looked {}",
        looks()
    );

    disk.empty(&site.directory)?;
    site.db.reconnect().await?;
    let recorded = site.recorded().await?;
    held.extend(site.db.enqueue(50, "message_type => 'campaign'").await?);
    resent.extend(site.db.enqueue(50, "").await?);
    site.db.wait_until_idle().await?;
    site.check(&held, &resent, &recorded).await?;
    let messages: i64 = site
        .db
        .value("select count(*) from postroad.messages")
        .await?;
    assert_eq!(
        messages as usize,
        held.len() + resent.len(),
        "half a transaction"
    );
    assert_eq!(disk.stop(&site.directory)?, "0");
    Ok(())
}

/// The outbox's disk is full: no message is lost, no attempt is counted, and no half mail looks like a whole one.
#[tokio::test]
async fn a_full_outbox_is_waited_out() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let folder = ".postroad/outbox";
    let Some(mut disk) = SmallDisk::up(&directory, folder, 1, "")? else {
        return Ok(());
    };
    let db = TestDb::of_up(&directory).await?;
    disk.run(
        &directory,
        "cat /dev/zero >small/filler; truncate -s -32K small/filler",
    )?;
    let body = "body => repeat('x', 100000)";
    let enqueue = format!(
        "select (postroad.enqueue('email', 'ada@example.org', {body})).message_id from generate_series(1, 3)"
    );
    let rows = db.client.query(&enqueue, &[]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    db.wait_until(
        "count(*) >= 3 from postroad.delivery_events where event_type = 'deferred' and reason = 'outbox_write_failed'",
    )
    .await?;
    disk.run(&directory, "ls -A small >listed")?;
    assert_eq!(directory.read("listed").trim(), "filler", "a half mail");

    disk.empty(&directory)?;
    db.wait_until_idle().await?;
    assert_eq!(db.statuses(&ids).await?["sent"], 3);
    let attempts =
        "select max(attempt) = 1 from postroad.delivery_events where event_type = 'sent'";
    assert!(db.value::<bool>(attempts).await?, "an attempt was counted");
    disk.run(&directory, "cp small/* .")?;
    for id in ids {
        let mail = directory.path.join(format!("{id}.eml"));
        assert!(mail.metadata()?.size() > 100_000, "half a mail");
    }
    assert_eq!(disk.stop(&directory)?, "0");
    Ok(())
}
