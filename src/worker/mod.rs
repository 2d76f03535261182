//! START HERE. One pool a priority: wait, claim, deliver, complete.

pub mod settings;

pub use settings::Settings;
