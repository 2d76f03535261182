//! `[worker]` of the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::gateway::registry::Routes;
use crate::model::backoff::{Backoff, BackoffSettings};
use crate::model::duration;
use crate::model::message::{MessageType, Priority};
use crate::model::price::Prices;

/// `[worker]`: what all pools share, and one table a priority.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The longest that one gateway call may take.
    pub send_timeout: duration::Text,
    /// How long a shutdown waits for sends in flight before it leaves them to rescue.
    pub shutdown_timeout: duration::Text,
    /// P2 and P3 claim only while fewer P1 messages than this are ready.
    pub p1_gate: i64,
    /// `[worker.pools.P0]` … `[worker.pools.P4]`.
    pub pools: BTreeMap<Priority, PoolSettings>,
}

/// One priority's pool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSettings {
    /// Fewest and most sends in flight.
    pub concurrency: [usize; 2],
    /// Delivery attempts for a message that states none.
    pub max_attempts: i16,
    /// The delays between attempts.
    pub backoff: BackoffSettings,
    /// How often an idle pool looks without being woken.
    pub poll: duration::Text,
}

/// By which gateways and IP pools messages go, beside the order of their channel.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `[routes.TYPE]`: gateways of some types of messages.
    pub routes: Routes,
    /// `[ip_pools]`: the IP pool of mails that name none.
    pub ip_pools: BTreeMap<MessageType, Arc<str>>,
    /// `[sms_prices.GATEWAY]`.
    pub sms_prices: Prices,
}

/// What [`deliver`](super::deliver) needs of a pool's settings, checked.
#[derive(Clone, Debug)]
pub struct PoolPolicy {
    /// The longest that one gateway call may take.
    pub send_timeout: Duration,
    /// Delivery attempts for a message that states none.
    pub max_attempts: i16,
    /// The delays between attempts.
    pub backoff: Backoff,
    /// How gateways and IP pools are chosen.
    pub rules: Arc<Rules>,
}

/// How long a pool that keeps up waits for more between two claims: without it, a steady trickle costs the database a claim
/// for a few messages each time. What it sleeps for is claimed at once. P0 never waits.
pub const fn claim_pace(priority: Priority) -> Duration {
    match priority {
        Priority::P0 => Duration::ZERO,
        Priority::P1 | Priority::P4 => Duration::from_millis(3),
        Priority::P2 | Priority::P3 => Duration::from_millis(40),
    }
}

/// A claim of so many is followed by the next one at once.
pub const LARGE_CLAIM: usize = 900;

/// How long a few outcomes wait for more before they are written. What is not written when a process is killed is in doubt, so
/// it is less than a claim waits.
pub const fn write_pace(priority: Priority) -> Duration {
    match priority {
        Priority::P0 => Duration::ZERO,
        Priority::P1 | Priority::P4 => Duration::from_millis(3),
        Priority::P2 | Priority::P3 => Duration::from_millis(15),
    }
}

/// So many outcomes wait for nothing.
pub const MANY_OUTCOMES: usize = 200;
