//! Postroad: the messaging layer of an organisation, in its Postgres.
//!
//! The modules in the order in which a message meets them: `db` (the SQL interface), `worker`, `render`, `gateway`;
//! beside them `maintain` (upkeep), `outbound` (events to endpoints) and `server` (HTTP), through which `ingest` learns what
//! became of it. `model` is what all of them speak of.

pub mod cli;
pub mod config;
pub mod db;
pub mod embedded;
pub mod gateway;
pub mod ingest;
pub mod maintain;
pub mod model;
pub mod outbound;
pub mod render;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod worker;
