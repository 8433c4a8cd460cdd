//! A reader of IPv4 addresses, for bytes and code units.

use std::net::Ipv4Addr;

/// Code units of the longest address.
const LONGEST: usize = "255.255.255.255".len();

/// Four decimal numbers up to 255 with dots between, without leading zeros; `None` for anything else. Accepts what the
/// parser of the standard library accepts.
#[inline]
pub(super) fn parse(text: &[impl Copy + Into<u32>]) -> Option<Ipv4Addr> {
    if text.len() > LONGEST {
        return None;
    }
    let (mut address, mut dots, mut number, mut digits) = (0_u32, 0, 0_u32, 0);
    for unit in text {
        let unit = (*unit).into();
        let digit = unit.wrapping_sub(u32::from(b'0'));
        if digit < 10 {
            let has_leading_zero = digits > 0 && number == 0;
            number = 10 * number + digit;
            digits += 1;
            if has_leading_zero || number > 255 {
                return None;
            }
        } else if unit == u32::from(b'.') && digits > 0 && dots < 3 {
            address = address << 8 | number;
            (number, digits, dots) = (0, 0, dots + 1);
        } else {
            return None;
        }
    }
    (dots == 3 && digits > 0).then(|| Ipv4Addr::from(address << 8 | number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same verdict and address as the standard library, from bytes and from code units.
    fn agrees(text: &str) {
        let expected = text.parse::<Ipv4Addr>().ok();
        assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        let units: Vec<u16> = text.encode_utf16().collect();
        assert_eq!(parse(&units), expected, "{text:?}");
    }

    #[test]
    fn every_number_in_every_place() {
        for number in 0..=1_100 {
            for place in 0..4 {
                let mut numbers = ["7", "20", "131", "0"].map(str::to_owned);
                for form in
                    [format!("{number}"), format!("0{number}"), format!("{number:03}"), format!("+{number}")]
                {
                    numbers[place] = form;
                    agrees(&numbers.join("."));
                }
            }
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            ".",
            "...",
            "1",
            "1.2.3",
            "1.2.3.",
            ".1.2.3",
            "1..2.3",
            "1.2.3.4.",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.1.1.256",
            "4294967296.0.0.1",
            "1.2.3.4294967300",
            "00.0.0.0",
            "0.0.0.00",
            "0.0.0.0",
            "255.255.255.255",
            "1.2.3.4 ",
            " 1.2.3.4",
            "1.2.3.4\0",
            "1.2.3.4\n",
            "-1.2.3.4",
            "1,2,3,4",
            "0x1.2.3.4",
            "1.2.3.a",
            "\u{661}.2.3.4",
            "\u{ff11}.2.3.4",
            "1\u{3002}2.3.4",
            "1.2.3.4:80",
            "[1.2.3.4]",
            "::ffff:1.2.3.4",
            "1.2.3.4/32",
            "111.111.111.1111",
            "1111.111.111.111",
            "\u{130}.2.3.4",
            "\u{12e}1.2.3",
        ] {
            agrees(text);
        }
        // Code units that are a digit or a dot in their lower byte.
        assert_eq!(parse(&[0x131_u16, 0x2e, 0x32, 0x2e, 0x33, 0x2e, 0x34]), None);
        assert_eq!(parse(&[0x31_u16, 0xff2e, 0x32, 0x2e, 0x33, 0x2e, 0x34]), None);
        assert_eq!(parse(&[0x31_u16, 0x2e, 0x32, 0x2e, 0x33, 0x2e, 0xd834]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn addresses(bits: u32) {
            agrees(&Ipv4Addr::from(bits).to_string());
        }

        #[test]
        fn texts_that_are_nearly_addresses(text in "[0-9.]{0,17}") {
            agrees(&text);
        }

        #[test]
        fn addresses_with_one_change(bits: u32, at in 0_usize..16, with in "[ -~\u{660}-\u{669}]") {
            let mut text: Vec<char> = Ipv4Addr::from(bits).to_string().chars().collect();
            let at = at % text.len();
            let with: Vec<char> = with.chars().collect();
            text.splice(at..=at, with.iter().copied());
            agrees(&text.iter().collect::<String>());
            text.splice(at..at, with);
            agrees(&text.iter().collect::<String>());
        }

        #[test]
        fn any_texts(text: String) {
            agrees(&text);
        }
    }
}
