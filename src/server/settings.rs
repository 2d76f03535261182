//! `[server]` of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::forwarded::ForwardedHeader;
use crate::model::duration;
use crate::model::network::Network;

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
    /// PEM file of the certificate, with its chain. Given with `tls_key`, TLS is spoken.
    #[serde(default)]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[serde(default)]
    pub tls_key: Option<PathBuf>,
    /// The proxies whose word about the client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// The header in which they give it.
    pub forwarded_header: ForwardedHeader,
    /// Connections at once.
    pub max_connections: usize,
    /// For the head of a request, and for the next one to begin.
    pub head_timeout: duration::Text,
    /// For the body of a request.
    pub body_timeout: duration::Text,
}

/// `[metrics]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address and port of a listener for monitors only, in every role.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
}

impl Settings {
    /// Whether browsers reach it over TLS: its own, or that of a proxy in front of it.
    pub fn is_secure(&self) -> bool {
        let public = self.public_url.as_deref().unwrap_or_default();
        self.tls_certificate.is_some() || public.starts_with("https://")
    }

    /// What it speaks: `https` with a certificate.
    pub fn scheme(&self) -> &'static str {
        match self.tls_certificate {
            Some(_) => "https",
            None => "http",
        }
    }
}

impl Default for Settings {
    /// As `default.toml` has them, on a free port.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            tls_certificate: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            max_connections: 512,
            head_timeout: duration::Text(std::time::Duration::from_secs(15)),
            body_timeout: duration::Text(std::time::Duration::from_secs(30)),
        }
    }
}
