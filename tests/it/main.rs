//! Integration tests.

mod claims;
mod cli;
mod gateways;
mod server;
mod support;
mod up;
