//! An address as it was given, parsed as far as that costs nothing.

use std::net::{IpAddr, Ipv4Addr};

use super::{dotted, parse_address};
use crate::Result;

/// The text of an address; that of an IPv4 address may have been read already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressText<'a> {
    /// Four numbers with dots between.
    V4(Ipv4Addr),
    /// Anything else.
    Text(&'a str),
}

impl AddressText<'_> {
    /// The IPv4 address in code units or bytes; `None` where they are not four numbers with dots between.
    #[inline]
    #[must_use]
    pub fn dotted(units: &[impl Copy + Into<u32>]) -> Option<Self> {
        dotted::parse(units).map(Self::V4)
    }

    /// The address.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS` for a text that is no address.
    #[inline]
    pub(crate) fn read(self) -> Result<IpAddr> {
        match self {
            Self::V4(v4) => Ok(IpAddr::V4(v4)),
            Self::Text(text) => parse_address(text),
        }
    }
}

impl<'a> From<&'a str> for AddressText<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for AddressText<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}
