//! A client: the address that stands for it.

use std::net::{IpAddr, Ipv6Addr};

use crate::client_key::client_of;

/// An IPv4 address mapped to IPv6, or an IPv6 address cut to its prefix: equal for all addresses of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Client(u128);

impl Client {
    pub(super) fn of(address: IpAddr, ipv6_prefix: u8) -> Self {
        match client_of(address, ipv6_prefix) {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().into()),
            IpAddr::V6(v6) => Self(v6.into()),
        }
    }

    pub(super) const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u128 {
        self.0
    }

    pub(super) fn address(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(self.0)).to_canonical()
    }
}
