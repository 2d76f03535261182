//! Pure types and rules, no I/O: what a message is, what may become of it, when it is tried again.

pub mod backoff;
pub mod bounce;
pub mod duration;
pub mod event;
pub mod excess;
pub mod health;
pub mod link;
pub mod message;
pub mod network;
pub mod outcome;
pub mod price;
pub mod report;
pub mod rfc3339;
pub mod secret;
pub mod sms;
pub mod trace;
pub mod wish;
