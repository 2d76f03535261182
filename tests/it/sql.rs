//! The SQL interface: what `sql/` promises to whoever calls it.

mod enqueue;
mod idempotency;
mod recipients;
mod refusals;
