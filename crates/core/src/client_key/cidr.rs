//! Lists of address ranges, and the client behind a chain of proxies.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::client_key::forwarded::{HeaderFormat, hops};
use crate::client_key::{key_of, named_ranges, parse_address, unmap};
use crate::{Error, Result};

/// Ranges of addresses, IPv4 and IPv6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CidrList {
    ranges: Vec<IpNet>,
}

impl CidrList {
    /// Reads ranges such as `10.0.0.0/8`, `2001:db8::/32`, single addresses, or names such as `loopback`. `option` names
    /// the list in errors.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS` for a text that is no range, `INVALID_OPTION` for an unknown name.
    pub fn parse<'a>(option: &str, texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut ranges = Vec::new();
        for text in texts {
            match named_ranges::ranges_of(option, text)? {
                Some(named) => ranges.extend(named),
                None => ranges.push(parse_range(option, text)?),
            }
        }
        Ok(Self { ranges })
    }

    /// Whether some range contains the address. IPv4 inside IPv6 counts as that IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = unmap(address);
        self.ranges.iter().any(|range| range.contains(&address))
    }
}

/// Reads a range, or an address as the range of that address alone. `option` names it in errors.
pub(crate) fn parse_range(option: &str, text: &str) -> Result<IpNet> {
    let invalid = |reason| Error::InvalidCidr { option: option.to_owned(), given: text.to_owned(), reason };
    let Some((address, prefix)) = text.split_once('/') else {
        let address = text.parse().map_err(|_| invalid("no address"))?;
        return Ok(IpNet::from(unmap(address)));
    };
    let address: IpAddr = address.parse().map_err(|_| invalid("no address before the slash"))?;
    let digits_only = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = prefix.parse().ok().filter(|_| digits_only).ok_or_else(|| invalid("no prefix length"))?;
    let too_long = "the prefix is longer than the address";
    let range = IpNet::new(address, prefix).map_err(|_| invalid(too_long))?;
    if range.trunc() != range {
        return Err(invalid("bits are set behind the prefix"));
    }
    // A range inside ::ffff:0:0/96 means IPv4 addresses, which are looked up as IPv4.
    match (unmap(address), prefix.checked_sub(96)) {
        (IpAddr::V4(v4), Some(prefix)) if address.is_ipv6() => {
            IpNet::new(IpAddr::V4(v4), prefix).map_err(|_| invalid(too_long))
        }
        _ => Ok(range),
    }
}

/// Finds the client of a request behind trusted proxies.
#[derive(Clone, Debug)]
pub struct ClientAddress {
    trusted: CidrList,
    ipv6_prefix: u8,
}

impl ClientAddress {
    /// Trusts the proxies in `trusted` to name their clients.
    #[must_use]
    pub fn new(trusted: CidrList, ipv6_prefix: u8) -> Self {
        Self { trusted, ipv6_prefix }
    }

    /// Whether the remote address is that of a trusted proxy.
    #[must_use]
    pub fn is_trusted(&self, remote: &str) -> bool {
        parse_address(remote).is_ok_and(|address| self.trusted.contains(address))
    }

    /// The key of an address.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS` for a text that is no address.
    pub fn key(&self, address: &str) -> Result<String> {
        Ok(key_of(parse_address(address)?, self.ipv6_prefix))
    }

    /// The client that a header of a trusted proxy names: the first hop from the right that is not trusted. A hop that is no
    /// address makes the header unreadable: the client could have forged everything to its left.
    #[must_use]
    pub fn resolve(&self, format: HeaderFormat, header: &str) -> Resolved {
        let mut leftmost = None;
        for hop in hops(format, header) {
            let Some(address) = hop.as_deref().and_then(|hop| parse_address(hop).ok()) else {
                return Resolved::Unreadable;
            };
            if !self.trusted.contains(address) {
                return Resolved::Client(key_of(address, self.ipv6_prefix));
            }
            leftmost = Some(address);
        }
        leftmost.map_or(Resolved::Unreadable, |hop| Resolved::Proxy(key_of(hop, self.ipv6_prefix)))
    }
}

/// The client that a header of a trusted proxy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The key of the first address that is not trusted.
    Client(String),
    /// All hops are trusted: the key of the leftmost.
    Proxy(String),
    /// Some hop is no address.
    Unreadable,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Result<CidrList> {
        CidrList::parse("trustedProxies", texts.iter().copied())
    }

    fn contains(range: &str, address: &str) -> bool {
        list(&[range]).expect(range).contains(address.parse().expect(address))
    }

    #[test]
    fn contains_its_ranges_and_nothing_else() {
        assert!(contains("10.0.0.0/8", "10.255.255.255"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("0.0.0.0/0", "203.0.113.7"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(contains("127.0.0.1", "127.0.0.1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.9.9.9"));
        assert!(contains("::ffff:10.0.0.1", "10.0.0.1"));
        for address in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
            assert!(contains("loopback", address), "{address}");
        }
        for address in ["169.254.9.9", "fe80::1", "febf::1"] {
            assert!(contains("linklocal", address), "{address}");
        }
        for address in ["10.9.9.9", "172.31.0.1", "192.168.1.1", "fd00::1", "fcff::1"] {
            assert!(contains("uniquelocal", address), "{address}");
        }
        for address in ["128.0.0.1", "::2", "169.253.0.1", "fec0::1", "172.32.0.1", "192.169.0.1", "fe00::1"]
        {
            let named = list(&["loopback", "linklocal", "uniquelocal"]).expect("names");
            assert!(!named.contains(address.parse().expect(address)), "{address}");
        }
    }

    #[test]
    fn refuses_invalid_ranges() {
        for text in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "/8",
            "",
            "a/8",
            "10.0.0.0/8/8",
            "2001:db8::1/32",
        ] {
            let error = list(&[text]).expect_err(text);
            assert_eq!(error.code(), "INVALID_ADDRESS");
            assert!(error.to_string().contains("trustedProxies"), "{error}");
        }
    }

    #[test]
    fn reads_hops_from_the_right_up_to_the_first_untrusted() {
        let behind = ClientAddress::new(list(&["10.0.0.0/8"]).expect("valid"), 64);
        let resolve = |header| behind.resolve(HeaderFormat::List, header);
        let client = |key: &str| Resolved::Client(key.to_owned());
        assert_eq!(resolve("1.1.1.1"), client("1.1.1.1"));
        assert_eq!(resolve("6.6.6.6, 198.51.100.1, 10.0.0.2"), client("198.51.100.1"));
        assert_eq!(resolve("[2001:db8:1:2::9]:4711"), client("2001:db8:1:2::"));
        assert_eq!(resolve("10.0.0.3,10.0.0.2"), Resolved::Proxy("10.0.0.3".to_owned()));
        for unreadable in ["", "6.6.6.6, unknown, 10.0.0.2", "6.6.6.6, ", "6.6.6.6,,10.0.0.2", "_hidden"] {
            assert_eq!(resolve(unreadable), Resolved::Unreadable, "{unreadable}");
        }
        assert!(behind.key("no address").is_err());
    }
}
