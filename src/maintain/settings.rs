//! `[maintain]` of the configuration.

use serde::Deserialize;

use crate::model::duration;

/// `[maintain]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long messages and their events are kept; whole days.
    pub retention: duration::Text,
    /// How long webhook requests are kept as they came, a day or more.
    pub webhook_retention: duration::Text,
    /// How many days ahead partitions are made.
    pub partitions_ahead: i32,
}
