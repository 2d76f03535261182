//! The SQL interface: what `sql/` promises to whoever calls it.

mod bulk;
mod bulk_from;
mod enqueue;
mod events;
mod explain;
mod floors;
mod idempotency;
mod leases;
mod operate;
mod partitions;
mod pauses;
mod recipients;
mod refusals;
mod roles;
mod schema;
mod status;
mod suppression;
mod suppression_list;
mod visits;
