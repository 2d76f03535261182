//! `[outbound]` of the configuration.

use serde::Deserialize;

use crate::model::duration;

/// `[outbound]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether endpoints may have addresses that only this machine or this network reaches.
    pub allow_private: bool,
    /// Requests to one endpoint at a time.
    pub concurrency: i32,
    /// The longest that a request may take.
    pub timeout: duration::Text,
    /// An endpoint to which nothing could be delivered for so long is disabled.
    pub disable_after: duration::Text,
}
