//! Upkeep: promotion, floors, rescue, partitions.

pub mod settings;

pub use settings::Settings;
