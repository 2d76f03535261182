//! One function per SQL function that workers and upkeep call.

mod claims;
mod routing;
mod sessions;
mod upkeep;

pub use self::claims::*;
pub use self::routing::*;
pub use self::sessions::*;
pub use self::upkeep::*;
