//! The key of a client: the part of its address that one subscriber controls, as text.

mod address_text;
pub(crate) mod cidr;
mod dotted;
pub(crate) mod forwarded;
mod named_ranges;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use address_text::AddressText;
pub use cidr::{CidrList, ClientAddress, Resolved};
pub use forwarded::HeaderFormat;

use crate::runtime::options::{Accepts, options};
use crate::{Error, Result};

/// Leading bits of an IPv6 address that stand for one client by default: providers give a whole /64 to a subscriber.
pub const DEFAULT_IPV6_PREFIX: u8 = 64;

/// The longest prefix: a whole address.
const MAX_IPV6_PREFIX: u8 = 128;

/// The prefixes that an option accepts.
pub(crate) const IPV6_PREFIXES: Accepts = Accepts::up_to(MAX_IPV6_PREFIX as u64);

options! {
    /// Options of [`client_key`] as a user gives them.
    pub struct ClientKeyOptions of "clientKey" {
        /// Leading bits of an IPv6 address that stand for one client.
        ipv6_prefix: u8 = "ipv6Prefix", IPV6_PREFIXES, default DEFAULT_IPV6_PREFIX;
    }
}

/// The canonical text of the client behind the address `text`.
///
/// IPv4 stays; IPv4 inside `::ffff:0:0/96` or NAT64's `64:ff9b::/96` (RFC 6052) becomes that IPv4; other IPv6 is cut to
/// its prefix, in the form of RFC 5952. Zone, brackets and port are dropped. A client key is its own client key.
///
/// # Errors
///
/// `INVALID_ADDRESS` for a text that is no address.
pub fn client_key(text: &str, ipv6_prefix: u8) -> Result<String> {
    parse_address(text).map(|address| key_of(address, ipv6_prefix))
}

/// The number as a prefix, if it is one.
#[must_use]
pub fn ipv6_prefix(number: u32) -> Option<u8> {
    u8::try_from(number).ok().filter(|prefix| (1..=MAX_IPV6_PREFIX).contains(prefix))
}

/// As [`client_key`], for a parsed address.
pub(crate) fn key_of(address: IpAddr, ipv6_prefix: u8) -> String {
    client_of(address, ipv6_prefix).to_string()
}

/// The address that stands for the client: its key before it is printed.
pub(crate) fn client_of(address: IpAddr, ipv6_prefix: u8) -> IpAddr {
    match unmap(address) {
        IpAddr::V6(v6) => IpAddr::V6(cut(v6, ipv6_prefix)),
        v4 => v4,
    }
}

/// Reads an address as servers and proxies write it: perhaps with brackets, zone and port.
pub(crate) fn parse_address(text: &str) -> Result<IpAddr> {
    dotted::parse(text.as_bytes())
        .map(IpAddr::V4)
        .or_else(|| text.parse().ok())
        .or_else(|| without_port(text).and_then(|host| without_zone(host).parse().ok()))
        .ok_or_else(|| Error::InvalidAddress { given: excerpt(text) })
}

/// The IPv4 address that an IPv6 address carries, by its bits; any other address stays.
pub(crate) fn unmap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => address,
    }
}

fn cut(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let kept = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
    Ipv6Addr::from(u128::from(address) & kept)
}

/// The address in `[v6]`, `[v6]:port`, `v4:port` or a bare address; `None` for an invalid port.
fn without_port(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let is_v6 = host.contains(':');
        return (is_v6 && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))).then_some(host);
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') && !host.contains('%') => is_port(port).then_some(host),
        _ => Some(text),
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Removes the zone: `fe80::1%eth0` is `fe80::1`. Only IPv6 has zones.
fn without_zone(host: &str) -> &str {
    match host.split_once('%') {
        Some((address, zone)) if address.contains(':') && !zone.is_empty() => address,
        _ => host,
    }
}

/// The beginning of a text from outside, for a message.
fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> String {
        client_key(text, DEFAULT_IPV6_PREFIX).expect(text)
    }

    #[test]
    fn ipv4_is_its_own_key() {
        for text in ["203.0.113.7", "203.0.113.7:443", "::ffff:203.0.113.7", "::ffff:cb00:7107"] {
            assert_eq!(key(text), "203.0.113.7");
        }
        assert_eq!(key("[::ffff:203.0.113.7]:80"), "203.0.113.7");
        assert_eq!(key("64:ff9b::203.0.113.7"), "203.0.113.7");
    }

    #[test]
    fn ipv6_is_cut_to_its_prefix() {
        for text in
            ["2001:db8:1:2:3:4:5:6", "[2001:db8:1:2:3:4:5:6]:443", "2001:DB8:1:2::", "2001:db8:1:2::9%eth0"]
        {
            assert_eq!(key(text), "2001:db8:1:2::");
        }
        assert_eq!(client_key("2001:db8:1:2ff::1", 56).expect("valid"), "2001:db8:1:200::");
        assert_eq!(client_key("2001:db8::1", 128).expect("valid"), "2001:db8::1");
        assert_eq!(client_key("2001:db8::1", 1).expect("valid"), "::");
    }

    #[test]
    fn mapped_addresses_are_recognized_by_bits_not_by_notation() {
        assert_eq!(client_key("::203.0.113.7", 128).expect("valid"), "::cb00:7107");
        assert_eq!(client_key("64:ff9b:1::203.0.113.7", 128).expect("valid"), "64:ff9b:1::cb00:7107");
    }

    #[test]
    fn refuses_invalid_addresses() {
        for text in [
            "",
            " ",
            "localhost",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:99999",
            "1.2.3.4:x",
            "[1.2.3.4]",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]:",
            "1.2.3.4%eth0",
            "::1%",
            ":::",
            "g::",
            "1.2.3.4 ",
            "+1.2.3.4",
            "1.2.3.4:+1",
        ] {
            let error = client_key(text, 64).expect_err(text);
            assert_eq!(error.code(), "INVALID_ADDRESS");
        }
        let long = "x".repeat(100_000);
        assert!(client_key(&long, 64).expect_err("long").to_string().len() < 300);
    }

    proptest! {
        #[test]
        fn a_client_key_is_its_own_key(bits: u128, prefix in 1_u8..=128) {
            let once = key_of(IpAddr::V6(Ipv6Addr::from(bits)), prefix);
            prop_assert_eq!(client_key(&once, prefix).expect("canonical"), once);
        }

        #[test]
        fn never_panics(text: String, prefix: u8) {
            let _ = client_key(&text, prefix);
        }

        #[test]
        fn one_prefix_is_one_client(network: u64, a: u64, b: u64) {
            let address = |host| IpAddr::V6(Ipv6Addr::from(u128::from(network) << 64 | u128::from(host)));
            prop_assume!(unmap(address(a)) == address(a) && unmap(address(b)) == address(b));
            prop_assert_eq!(key_of(address(a), 64), key_of(address(b), 64));
        }
    }
}
