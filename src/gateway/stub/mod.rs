//! The stub gateway.

use std::time::Instant;

use async_trait::async_trait;
use serde::Deserialize;

use super::Gateway;
use crate::model::message::{Channel, Rendered};
use crate::model::outcome::{Accepted, SendError};

/// Its settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {}

/// The gateway.
pub struct Stub {
    name: String,
}

impl Stub {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings.
    pub fn new(name: &str, _settings: &Settings) -> Result<Self, String> {
        Ok(Self { name: name.into() })
    }
}

#[async_trait]
impl Gateway for Stub {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        Channel::ALL
    }

    async fn send(&self, _message: &Rendered, _deadline: Instant) -> Result<Accepted, SendError> {
        Ok(Accepted::default())
    }
}
