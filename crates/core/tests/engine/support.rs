//! What tests of several files share.

pub(crate) mod client_hub;
pub(crate) mod keys;
pub(crate) mod reputation;
