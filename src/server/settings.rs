//! `[server]` of the configuration.

use std::net::SocketAddr;

use serde::Deserialize;

/// Where it listens when nothing is said.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8025";

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How the outside reaches it, without a slash at the end.
    #[serde(default)]
    pub public_url: Option<String>,
}
