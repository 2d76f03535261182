//! The real process, killed while it answers.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::db::TestDb;
use crate::support::node::Node;
use crate::support::process::Directory;
use crate::support::signed::{SECRET, Sender};
use crate::support::sql::Sql as _;
use crate::support::wait::until;

const EVENTS: i32 = 2000;

/// Starts `postroad serve`, and waits until it listens.
async fn serve(
    directory: &Directory,
    db: &TestDb,
    name: &str,
) -> anyhow::Result<(Node, SocketAddr)> {
    let config = format!("[webhooks.own]\ntype = 'generic'\nsecret = '{SECRET}'\n");
    let node = Node::start(directory, &db.url, name, &["serve"], &config)?;
    let mut address = None;
    until("it listens", async || {
        let log = node.log();
        let rest = log.split_once("listening on http://").map(|(_, rest)| rest);
        let end = rest
            .and_then(|rest| rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':')));
        address = rest
            .zip(end)
            .and_then(|(rest, end)| rest[..end].parse().ok());
        Ok(address.is_some())
    })
    .await?;
    Ok((node, address.expect("an address")))
}

/// The promise behind a 2xx. A client that sends again what got none must find all of it recorded, each event once.
#[tokio::test]
async fn a_server_that_is_killed_loses_nothing_and_doubles_nothing() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ids = db.enqueue(EVENTS, "").await?;
    let directory = Directory::new()?;
    let (first, address) = serve(&directory, &db, "first").await?;
    let (moved, place) = watch::channel(address);
    let left: VecDeque<_> = ids.iter().copied().collect();
    let left = Arc::new(Mutex::new(left));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (left, mut place) = (Arc::clone(&left), place.clone());
        clients.spawn(async move {
            let mut sender = None;
            let mut lost = 0;
            loop {
                let Some(id) = left.lock().expect("a list").pop_front() else {
                    return lost;
                };
                let server = *place.borrow();
                let posted = async {
                    if sender.is_none() {
                        sender = Some(Sender::connect(server).await?);
                    }
                    let sender = sender.as_mut().expect("a connection");
                    let body =
                        format!(r#"{{"id": "e-{id}", "type": "delivered", "message_id": "{id}"}}"#);
                    sender
                        .post_signed("/webhooks/own", &id.to_string(), &body)
                        .await
                };
                if !matches!(posted.await, Ok(200)) {
                    sender = None;
                    lost += 1;
                    left.lock().expect("a list").push_back(id);
                    if server == address {
                        let _ = place.wait_for(|place| *place != address).await;
                    }
                }
            }
        });
    }
    until("half is sent", async || {
        Ok(left.lock().expect("a list").len() < ids.len() / 2)
    })
    .await?;
    first.kill();
    let stored: i64 = db
        .value("select count(*) from postroad.webhook_inbox")
        .await?;
    assert!(
        (1..i64::from(EVENTS)).contains(&stored),
        "{stored}: it was to be killed in the middle"
    );
    let (_second, other) = serve(&directory, &db, "second").await?;
    moved.send_replace(other);
    let mut lost = 0;
    while let Some(client) = clients.join_next().await {
        lost += client?;
    }
    assert!(lost > 0, "nobody noticed that it was killed");
    db.wait_until("not exists (select from postroad.webhook_batches)")
        .await?;
    let recorded = db.client.query(
        "select message_id, count(*) from postroad.delivery_events where event_type = 'delivered' group by message_id",
        &[],
    );
    let recorded: BTreeMap<uuid::Uuid, i64> = recorded
        .await?
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(recorded.len(), ids.len(), "events were lost");
    assert!(
        recorded.values().all(|count| *count == 1),
        "events were doubled"
    );
    let stats = "select stored, parsed, errors, waiting from postroad.webhook_stats";
    assert_eq!(
        db.client.row(stats).await?,
        format!("{EVENTS}|{EVENTS}|0|0")
    );
    Ok(())
}
