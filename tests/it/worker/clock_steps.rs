//! The clock of the whole machine, Postgres's with it, is put forward and back while messages are sent.

use std::fs::{self, File};
use std::process::Stdio;

use super::*;

/// Where packages of libfaketime put it.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// An hour forth makes every heartbeat old at once, an hour back makes every time to come an hour later: no living
/// worker's messages may be taken from it and sent twice, and none may wait for the hour to pass.
#[tokio::test]
async fn an_hour_forth_and_back_neither_doubles_nor_holds_up_a_message() -> anyhow::Result<()> {
    let Some(library) = LIBRARIES
        .iter()
        .find(|path| fs::exists(path).unwrap_or(false))
    else {
        eprintln!(
            "SKIPPED: no clock to put forward: libfaketime is not installed (Debian: apt-get install libfaketime)"
        );
        return Ok(());
    };
    let directory = Directory::new()?;
    let record = Record::new(&directory, "record");
    directory.write("up.toml", &record.stub("stub", "latency = \"100ms\""))?;
    directory.write("clock", "+0")?;
    let mut command = directory.postroad(&["up", "--config", "up.toml"]);
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", directory.path.join("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        // No step of the clock moves that one.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdout(File::create(directory.path.join("up.out"))?)
        .stderr(File::create(directory.path.join("up.log"))?)
        .stdin(Stdio::null());
    let up = Node::of(command.spawn()?);
    let site = Site {
        db: TestDb::of_up(&directory).await?,
        record,
        directory,
    };
    let mut up = up; // ends before the directory does
    site.registered(1).await?;
    let (mut held, mut resent) = (Vec::new(), Vec::new());
    let now = "select extract(epoch from clock_timestamp())::float8";
    let worker = "select worker_id from postroad.worker_sessions";
    let first: i64 = site.db.value(worker).await?;
    for (step, hours) in [("+3600", 1.0), ("+0", -1.0), ("-3600", -1.0)] {
        let sent = held.len() + resent.len();
        held.extend(site.db.enqueue(200, "message_type => 'campaign'").await?);
        resent.extend(site.db.enqueue(200, "").await?);
        site.record.wait_for(sent + 50).await?;
        let before: f64 = site.db.value(now).await?;
        // By a rename: half a file is no clock.
        site.directory.write("clock.new", step)?;
        fs::rename(
            site.directory.path.join("clock.new"),
            site.directory.path.join("clock"),
        )?;
        let moved = site.db.value::<f64>(now).await? - before;
        assert!(
            (moved / 3600.0 - hours).abs() < 0.1,
            "the clock moved by {moved} s"
        );
        site.db.wait_until_idle().await?;
    }
    site.check(&held, &resent, &resent.iter().copied().collect())
        .await?;
    assert_eq!(
        site.db.value::<i64>(worker).await?,
        first,
        "it was taken for dead"
    );
    let log = site.directory.read("up.log");
    assert_eq!(
        log.matches("the database's clock was put back by").count(),
        2,
        "{log}"
    );
    up.signal("-INT");
    assert_eq!(up.ended().await?, Some(0));
    Ok(())
}
