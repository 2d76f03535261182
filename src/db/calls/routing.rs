//! What the nodes tell each other of gateways.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Client;

use crate::db::DbError;
use crate::model::health::{Calls, Change, Shared};
use crate::model::message::Channel;

/// What all nodes know of gateways.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn routing_state(client: &Object) -> Result<Vec<Shared>, DbError> {
    let statement = client
        .prepare_cached(
            "select gateway, is_paused, is_open, open_ms, weight from postroad.routing_state()",
        )
        .await?;
    let rows = client.query(&statement, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Shared {
                gateway: row.try_get(0)?,
                is_paused: row.try_get(1)?,
                is_open: row.try_get(2)?,
                open_for: Duration::from_millis(
                    row.try_get::<_, Option<i64>>(3)?
                        .unwrap_or(0)
                        .unsigned_abs(),
                ),
                weight: row.try_get::<_, Option<i32>>(4)?.map(i32::unsigned_abs),
            })
        })
        .collect()
}

/// Tells all nodes of a breaker's change.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn report_breaker(
    client: &Object,
    gateway: &str,
    change: Change,
    worker_id: Option<i64>,
) -> Result<(), DbError> {
    let (is_open, cause, open_ms) = match change {
        Change::Opened(cause, open_for) => (
            true,
            Some(cause.as_str()),
            i64::try_from(open_for.as_millis()).unwrap_or(i64::MAX),
        ),
        Change::Closed => (false, None, 0),
    };
    let statement = client
        .prepare_cached("select postroad.report_breaker($1, $2, $3, $4, $5)")
        .await?;
    client
        .execute(
            &statement,
            &[&gateway, &is_open, &cause, &open_ms, &worker_id],
        )
        .await?;
    Ok(())
}

/// Tells who throttles us; how many of them nobody had told of in the last minute.
///
/// # Errors
///
/// When the call failed; it may be called again.
pub async fn report_throttled(
    client: &Object,
    throttled: &serde_json::Value,
) -> Result<i32, DbError> {
    let statement = client
        .prepare_cached("select postroad.report_throttled($1)")
        .await?;
    let row = client.query_one(&statement, &[throttled]).await?;
    Ok(row.try_get(0)?)
}

/// Whether this node is the one to probe a gateway.
///
/// # Errors
///
/// When the call failed.
pub async fn take_probe(client: &Object, gateway: &str) -> Result<bool, DbError> {
    let statement = client
        .prepare_cached("select postroad.take_probe($1)")
        .await?;
    Ok(client
        .query_one(&statement, &[&gateway])
        .await?
        .try_get(0)?)
}

/// Adds the calls of the last seconds to the figures.
///
/// # Errors
///
/// When the call failed: called again, it might count twice.
pub async fn add_gateway_calls(
    client: &Object,
    counted: &[(String, Channel, Calls)],
) -> Result<(), DbError> {
    let gateways: Vec<&str> = counted
        .iter()
        .map(|(gateway, _, _)| gateway.as_str())
        .collect();
    let channels: Vec<&str> = counted
        .iter()
        .map(|(_, channel, _)| channel.as_str())
        .collect();
    let sent: Vec<i64> = counted.iter().map(|(_, _, calls)| calls.sent).collect();
    let failed: Vec<i64> = counted.iter().map(|(_, _, calls)| calls.failed).collect();
    let latencies = serde_json::json!(
        counted
            .iter()
            .map(|(_, _, calls)| calls.latencies)
            .collect::<Vec<_>>()
    );
    let reasons: Vec<Option<&str>> = counted.iter().map(|(_, _, calls)| calls.reason).collect();
    let statement = client
        .prepare_cached("select postroad.add_gateway_calls($1, $2, $3, $4, $5, $6)")
        .await?;
    client
        .execute(
            &statement,
            &[&gateways, &channels, &sent, &failed, &latencies, &reasons],
        )
        .await?;
    Ok(())
}

/// What a worker knows of its gateways.
#[derive(Clone, Debug, Default)]
pub struct Announced {
    /// Each channel's gateways, first choice first.
    pub gateways: Vec<(Channel, Vec<String>)>,
    /// What else decides, as `register_routing` takes it: routes by message type, IP pools, prices.
    pub rules: serde_json::Value,
}

/// Tells which gateways serve which channels, and by what they are chosen.
///
/// # Errors
///
/// When the call failed.
pub async fn register_gateways(client: &Client, announced: &Announced) -> Result<(), DbError> {
    let (mut names, mut channels, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for (channel, of_channel) in &announced.gateways {
        for (position, name) in (1_i16..).zip(of_channel) {
            names.push(name.as_str());
            channels.push(channel.as_str());
            positions.push(position);
        }
    }
    client
        .execute(
            "select postroad.register_gateways($1, $2, $3)",
            &[&names, &channels, &positions],
        )
        .await?;
    client
        .execute("select postroad.register_routing($1)", &[&announced.rules])
        .await?;
    Ok(())
}
