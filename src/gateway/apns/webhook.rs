//! Receipts of the app: see [`receipts`](crate::gateway::push::receipts).

pub use crate::gateway::push::receipts::{Source, WebhookSettings};
