//! What the tests stand on: doubles of what Postroad talks to.

pub(crate) mod scratch;
pub(crate) mod smtp_sink;
