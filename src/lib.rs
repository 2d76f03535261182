//! Postroad: the messaging layer of an organisation, in its Postgres.

pub mod gateway;
pub mod maintain;
pub mod model;
pub mod worker;
