//! Postroad: the messaging layer of an organisation, in its Postgres.

pub mod db;
pub mod gateway;
pub mod maintain;
pub mod model;
pub mod render;
pub mod worker;
