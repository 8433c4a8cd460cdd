//! Calls that are decided by units that this process holds.

mod keeper;
mod local;
mod round;

pub(crate) use self::keeper::watch;
pub use self::local::LocalFleet;
pub(crate) use self::round::{Round, concerns, on_clock};
