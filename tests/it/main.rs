//! Integration tests.

mod gateways;
mod support;
