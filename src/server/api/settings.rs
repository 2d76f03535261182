//! `[api]` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::model::duration;
use crate::model::secret::Secret;

/// `[api]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Connections to the database.
    pub connections: usize,
    /// What a caller may ask a second, on each node, unless its key says otherwise.
    pub requests_per_second: u32,
    /// The most that a body may have, in bytes, inflated; streams have no bound.
    pub max_body_bytes: usize,
    /// `[api.jwt]`.
    pub jwt: JwtSettings,
}

impl Default for Settings {
    /// As `default.toml` has them.
    fn default() -> Self {
        Self {
            connections: 8,
            requests_per_second: 1000,
            max_body_bytes: 32 * 1024 * 1024,
            jwt: JwtSettings::default(),
        }
    }
}

/// `[api.jwt]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSettings {
    /// Signs by HS256.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Where the keys that sign by RS256 and ES256 are.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// A file of such keys.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// What `iss` must be.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What `aud` must be, or hold.
    #[serde(default)]
    pub audience: Option<String>,
    /// The claim that holds the roles.
    pub roles_claim: String,
    /// The claim that holds the tenant.
    pub tenant_claim: String,
    /// Whether a token without a tenant is refused; otherwise its caller sees all.
    pub require_tenant: bool,
    /// By how much clocks may differ.
    pub leeway: duration::Text,
}

impl JwtSettings {
    /// Whether tokens are taken at all.
    pub fn is_on(&self) -> bool {
        self.secret.is_some() || self.jwks_url.is_some() || self.jwks_file.is_some()
    }

    /// Checks what can be checked before a start.
    ///
    /// # Errors
    ///
    /// Says what cannot be used, and why.
    pub fn check(&self) -> Result<(), String> {
        super::jwt::Verifier::new(self).map(drop)
    }
}

impl Default for JwtSettings {
    fn default() -> Self {
        Self {
            secret: None,
            jwks_url: None,
            jwks_file: None,
            issuer: None,
            audience: None,
            roles_claim: "roles".into(),
            tenant_claim: "tenant_id".into(),
            require_tenant: true,
            leeway: duration::Text(Duration::from_secs(30)),
        }
    }
}
