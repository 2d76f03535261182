//! What the tests stand on: doubles of what Postroad talks to, and what they share.

pub(crate) mod browser;
pub(crate) mod db;
pub(crate) mod http_double;
pub(crate) mod node;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod scratch;
pub(crate) mod signed;
pub(crate) mod small_disk;
pub(crate) mod smtp_sink;
pub(crate) mod sql;
pub(crate) mod wait;
pub(crate) mod way;
