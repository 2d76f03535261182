//! One process at a time: whoever holds the advisory lock does the upkeep.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::floors::Floors;
use super::{Settings, events, partitions, wait};
use crate::db::pool::NOTICE_ABSENCE;
use crate::db::{Database, DbError, calls};

/// How often a process that is not elected asks again.
const ASK: Duration = Duration::from_secs(2);
/// How often floors are advanced.
const FLOORS: Duration = Duration::from_millis(200);
/// How often partitions, alarms and the figures of gateways are looked at.
const PARTITIONS: Duration = Duration::from_secs(60);

/// How often those that wait to be elected look whether a worker is.
const ALARMS: Duration = Duration::from_secs(60);

/// Connections for events: one counts, one tells of them.
const EVENTS: usize = 2;

/// The class of our keys, and 1: the maintainer.
const ELECT: &str = "select pg_try_advisory_lock(1886351220, 1)";

pub(super) async fn run(database: Database, settings: Settings, shutdown: CancellationToken) {
    loop {
        if let Err(error) = term(&database, &settings, &shutdown).await {
            tracing::warn!(%error, "upkeep failed; it is tried again");
        }
        if !wait(ASK, &shutdown).await {
            return;
        }
    }
}

/// From an election, if there is one, to the end of the connection or to `shutdown`.
async fn term(
    database: &Database,
    settings: &Settings,
    shutdown: &CancellationToken,
) -> Result<(), DbError> {
    let client = database.connect().await?;
    client.batch_execute(NOTICE_ABSENCE).await?;
    let mut looked_at: Option<Instant> = None;
    while !client.query_one(ELECT, &[]).await?.try_get::<_, bool>(0)? {
        if looked_at.is_none_or(|at| at.elapsed() > ALARMS) {
            looked_at = Some(Instant::now());
            // Any session can take the lock, and then nobody is elected who would say so.
            match calls::misheld_keys(&client).await {
                Ok(alarms) => alarms.iter().for_each(|alarm| tracing::warn!("{alarm}")),
                Err(error) if client.is_closed() => return Err(error),
                Err(error) => tracing::debug!(%error, "who holds the lock could not be read"),
            }
        }
        if !wait(ASK, shutdown).await {
            return Ok(());
        }
    }
    tracing::info!("elected for upkeep");
    calls::reset_floors(&client).await?;
    let counting = events::run(database.pool(EVENTS), shutdown);
    tokio::select! {
        done = keep_up(&client, settings, shutdown) => done,
        () = counting => Ok(()),
    }
}

/// Until the end of the connection, which ends the term, or `shutdown`.
async fn keep_up(
    client: &Client,
    settings: &Settings,
    shutdown: &CancellationToken,
) -> Result<(), DbError> {
    let mut floors = Floors::default();
    let mut clock = Clock::default();
    let mut partitions_at: Option<Instant> = None;
    loop {
        if partitions_at.is_none_or(|at| at.elapsed() > PARTITIONS) {
            partitions_at = Some(Instant::now());
            for done in [
                partitions::keep_up(client, settings).await,
                watch(client).await,
            ] {
                let Err(error) = done else { continue };
                if client.is_closed() {
                    return Err(error);
                }
                // The floors must rise all the same.
                tracing::warn!(%error, "upkeep failed; it is tried again in a minute");
            }
        }
        clock.follow(client).await?;
        floors.advance(client).await?;
        if !wait(FLOORS, shutdown).await {
            return Ok(());
        }
    }
}

/// Says what an operator must look at, and brings the figures of gateways up to date.
async fn watch(client: &Client) -> Result<(), DbError> {
    for alarm in calls::alarms(client).await? {
        tracing::warn!("{alarm}");
    }
    calls::refresh_channel_health(client).await
}
