//! Names for ranges of addresses that never change: those that Express' `trust proxy` knows.

use ipnet::IpNet;

use crate::{Error, Result};

const NAMED: [(&str, &[&str]); 3] = [
    ("loopback", &["127.0.0.0/8", "::1/128"]),
    ("linklocal", &["169.254.0.0/16", "fe80::/10"]),
    ("uniquelocal", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]),
];

/// The ranges of a name; `None` for a text that is written as an address or a range.
///
/// # Errors
///
/// `INVALID_OPTION` for a name that stands for nothing.
pub(super) fn ranges_of(option: &str, text: &str) -> Result<Option<Vec<IpNet>>> {
    let is_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-' || byte == b'_';
    if text.is_empty() || !text.bytes().all(is_name) {
        return Ok(None);
    }
    let Some((_, ranges)) = NAMED.iter().find(|(name, _)| *name == text) else {
        return Err(unknown(option, text));
    };
    Ok(Some(ranges.iter().filter_map(|range| range.parse().ok()).collect()))
}

fn unknown(option: &str, text: &str) -> Error {
    let names: Vec<_> = NAMED.iter().map(|(name, _)| format!("{name:?}")).collect();
    let accepted = format!("{}, an address, or a range such as \"10.0.0.0/8\"", names.join(", "));
    Error::invalid_option(option, format!("{text:?}"), accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_of_a_name_is_valid() {
        for (name, ranges) in NAMED {
            let read = ranges_of("trustedProxies", name).expect(name).expect("a name");
            assert_eq!(read.len(), ranges.len(), "{name}");
            assert!(read.iter().all(|range| range.trunc() == *range), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_from_an_address() {
        for text in ["Loopback", "cloudflare", "loop-back", "a"] {
            let error = ranges_of("trustedProxies", text).expect_err(text);
            assert_eq!(error.code(), "INVALID_OPTION");
            let expected = format!(
                "trustedProxies is {text:?}; accepted: \"loopback\", \"linklocal\", \"uniquelocal\", an address"
            );
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        for text in ["", "10.0.0.0/8", "::1", "a/8", "fe80::", "1"] {
            assert_eq!(ranges_of("trustedProxies", text), Ok(None), "{text}");
        }
    }
}
