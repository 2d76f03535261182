//! The SQL interface: what `sql/` promises to whoever calls it.

mod bulk;
mod bulk_from;
mod conversions;
mod counters;
mod enqueue;
mod events;
mod explain;
mod floors;
mod idempotency;
mod leases;
mod operate;
mod partitions;
mod pauses;
mod purge;
mod recipients;
mod refusals;
mod reports;
mod roles;
mod schema;
mod status;
mod suppression;
mod suppression_list;
mod system_events;
mod visits;
mod webhook_endpoints;
mod webhooks;
