//! Events from systems of one's own, which no provider's format is for.

pub mod webhook;
