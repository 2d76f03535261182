//! Integration tests.

mod api;
mod by_hand;
mod claims;
mod cli;
mod gateways;
mod live;
mod outbound;
mod pooler;
mod server;
mod sources;
mod sql;
mod support;
mod up;
mod worker;
