//! Options of a broker.

use super::inbox::InboxItem;
use crate::runtime::memory;
use crate::runtime::options::{Accepts, options};
use crate::{Error, Result};

/// The largest `inbox`: requests are counted in 31 bits.
const MAX_INBOX: u64 = (1 << 31) - 1;

options! {
    /// Options that all peers of a broker share.
    pub struct BrokerOptions of "Broker" {
        /// Most messages pending at a peer, and most requests that it works on.
        inbox: u64 = "inbox", Accepts::up_to(MAX_INBOX), default 10_000;
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub(super) options: BrokerOptions,
    pub(super) inbox: u32,
}

impl TryFrom<BrokerOptions> for BrokerConfig {
    type Error = Error;

    fn try_from(options: BrokerOptions) -> Result<Self> {
        options.check_ranges()?;
        let inbox = u32::try_from(options.inbox).unwrap_or(u32::MAX);
        Ok(Self { options, inbox })
    }
}

impl BrokerConfig {
    /// Whether the machine has memory for one full inbox.
    pub(super) fn check_memory(&self) -> Result<()> {
        memory::check("Broker inbox", self.inbox.into(), size_of::<InboxItem>() as u64)
    }
}
