//! Headers in which proxies name the client.

use std::borrow::Cow;

/// How a header names addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFormat {
    /// `X-Forwarded-For`: addresses separated by commas, the latest proxy's on the right.
    List,
    /// `Forwarded` (RFC 7239): elements separated by commas, whose `for` is an address.
    Forwarded,
    /// One address, such as `X-Real-IP`.
    Single,
}

/// The hops that a header names, from the right; `None` for an element without an address.
pub(crate) fn hops(format: HeaderFormat, header: &str) -> impl Iterator<Item = Option<Cow<'_, str>>> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let left = rest?;
        let (before, element) = match format {
            HeaderFormat::List => split_last(left, left.rfind(',')),
            HeaderFormat::Forwarded => split_last(left, last_unquoted(left, b',')),
            HeaderFormat::Single => (None, left),
        };
        rest = before;
        let element = element.trim();
        Some(if format == HeaderFormat::Forwarded { node_of(element) } else { Some(element.into()) })
    })
}

fn split_last(text: &str, at: Option<usize>) -> (Option<&str>, &str) {
    match at {
        Some(at) => (Some(&text[..at]), &text[at + 1..]),
        None => (None, text),
    }
}

/// The position of the last delimiter outside quotes. The search goes from the right: the left part may come from the
/// client, and an unbalanced quote there must not hide the proxy's element.
fn last_unquoted(text: &str, delimiter: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut is_quoted = false;
    for (at, byte) in bytes.iter().enumerate().rev() {
        match byte {
            b'"' if !is_escaped(bytes, at) => is_quoted = !is_quoted,
            byte if *byte == delimiter && !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_escaped(bytes: &[u8], at: usize) -> bool {
    bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The value of the only `for` of an element, without an obfuscated port.
fn node_of(element: &str) -> Option<Cow<'_, str>> {
    let mut node = None;
    let mut rest = Some(element);
    while let Some(left) = rest {
        let (before, pair) = split_last(left, last_unquoted(left, b';'));
        rest = before;
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") && node.replace(unquote(value.trim())?).is_some() {
            return None;
        }
    }
    node.map(without_obfuscated_port)
}

/// The text of a token or a quoted string.
fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else {
        return (!value.contains('"')).then_some(Cow::Borrowed(value));
    };
    let text = quoted.strip_suffix('"')?;
    if !text.contains(['\\', '"']) {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(characters.next()?),
            '"' => return None,
            other => plain.push(other),
        }
    }
    Some(Cow::Owned(plain))
}

/// Removes an obfuscated port: `203.0.113.1:_secret` is `203.0.113.1`.
fn without_obfuscated_port(node: Cow<'_, str>) -> Cow<'_, str> {
    match node.find(":_") {
        Some(at) => Cow::Owned(node[..at].to_owned()),
        None => node,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(format: HeaderFormat, header: &str) -> Vec<Option<String>> {
        hops(format, header).map(|hop| hop.map(Cow::into_owned)).collect()
    }

    fn forwarded(header: &str) -> Vec<Option<String>> {
        all(HeaderFormat::Forwarded, header)
    }

    fn named(address: &str) -> Option<String> {
        Some(address.to_owned())
    }

    #[test]
    fn lists_are_read_from_the_right() {
        assert_eq!(all(HeaderFormat::List, "a, b ,c"), [named("c"), named("b"), named("a")]);
        assert_eq!(all(HeaderFormat::List, "a,"), [named(""), named("a")]);
        assert_eq!(all(HeaderFormat::Single, "a, b"), [named("a, b")]);
    }

    #[test]
    fn forwarded_elements_name_their_for() {
        let header = r#"for=192.0.2.43, For="[2001:db8:cafe::17]:4711";proto=http;by=203.0.113.43"#;
        assert_eq!(forwarded(header), [named("[2001:db8:cafe::17]:4711"), named("192.0.2.43")]);
        assert_eq!(forwarded(r#"by=_a; for = "192.0.2.\1" "#), [named("192.0.2.1")]);
        assert_eq!(forwarded("for=unknown;host=\"a,b;for=1.1.1.1\""), [named("unknown")]);
        assert_eq!(forwarded("for=\"192.0.2.1:_port\""), [named("192.0.2.1")]);
    }

    #[test]
    fn an_element_without_exactly_one_for_names_no_hop() {
        for element in ["", "proto=https", "for", "for=1.1.1.1;for=2.2.2.2", "for=\"1.1.1.1", "for=1.1\"1.1"]
        {
            assert_eq!(forwarded(element)[0], None, "{element}");
        }
    }

    #[test]
    fn the_client_cannot_hide_the_element_of_the_proxy() {
        for sent in ["for=\"6.6.6.6", "\"", "for=6.6.6.6;x=\"\\", "\\", "for=\"\\\"", ",;=\""] {
            assert_eq!(forwarded(&format!("{sent}, for=192.0.2.1"))[0], named("192.0.2.1"), "{sent}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_ends(text: String) {
            for format in [HeaderFormat::List, HeaderFormat::Forwarded, HeaderFormat::Single] {
                prop_assert!(hops(format, &text).count() <= text.len() + 1);
            }
        }

        #[test]
        fn the_rightmost_element_is_of_the_proxy(sent: String) {
            let header = format!("{sent}, for=192.0.2.1");
            prop_assert_eq!(&forwarded(&header)[0], &named("192.0.2.1"));
        }
    }
}
