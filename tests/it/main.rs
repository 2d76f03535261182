//! Integration tests.

mod cli;
mod gateways;
mod server;
mod support;
mod up;
