//! Replies that are arrays of integers, as the scripts for clients give. The parser takes ten times as long for them.

use redis::Value;

/// Digits that fit an integer whatever they are.
const MOST_DIGITS: usize = 18;

/// The array of integers that the bytes begin with, and its length in bytes. `None` for any other reply, and for one that has
/// not arrived whole: the parser reads those.
pub(super) fn read_array(bytes: &[u8]) -> Option<(Value, usize)> {
    let (length, mut at) = read_number(bytes, b'*')?;
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len())?;
    let mut values = Vec::with_capacity(length);
    for _ in 0..length {
        let (integer, after) = read_number(&bytes[at..], b':')?;
        values.push(Value::Int(integer));
        at += after;
    }
    Some((Value::Array(values), at))
}

/// A number behind its mark, and where it ends.
fn read_number(bytes: &[u8], mark: u8) -> Option<(i64, usize)> {
    let rest = bytes.strip_prefix(&[mark])?;
    let digits = rest.strip_prefix(b"-").unwrap_or(rest);
    let count = digits.iter().take(MOST_DIGITS + 1).take_while(|digit| digit.is_ascii_digit()).count();
    if !(1..=MOST_DIGITS).contains(&count) || !digits[count..].starts_with(b"\r\n") {
        return None;
    }
    let number = digits[..count].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let sign = rest.len() - digits.len();
    Some((if sign == 1 { -number } else { number }, 1 + sign + count + 2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::parse_redis_value;

    use super::*;

    fn bytes_of(integers: &[i64]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", integers.len()).into_bytes();
        bytes.extend(integers.iter().flat_map(|integer| format!(":{integer}\r\n").into_bytes()));
        bytes
    }

    #[test]
    fn leaves_to_the_parser_what_it_does_not_know() {
        for bytes in [
            &b"*1\r\n$1\r\na\r\n"[..],
            b"*-1\r\n",
            b":1\r\n",
            b"*1\r\n:\r\n",
            b"*1\r\n:+1\r\n",
            b"*9\r\n:1\r\n",
            b"",
        ] {
            assert_eq!(read_array(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        /// What it reads, the parser reads too; what follows is left.
        #[test]
        fn reads_what_the_parser_reads(
            integers in prop::collection::vec(-1_000_000_000_000_000_i64..1_000_000_000_000_000, 0..20),
            following in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let bytes = bytes_of(&integers);
            let parsed = parse_redis_value(&bytes).expect("a reply");
            prop_assert_eq!(read_array(&[&bytes[..], &following].concat()), Some((parsed, bytes.len())));
            for cut in 0..bytes.len() {
                prop_assert_eq!(read_array(&bytes[..cut]), None);
            }
        }

        #[test]
        fn reads_no_more_than_the_parser(
            bytes in prop::collection::vec(prop_oneof![Just(b'*'), Just(b':'), Just(b'-'), Just(b'1'), Just(b'\r'), Just(b'\n')], 0..24),
        ) {
            if let Some((value, length)) = read_array(&bytes) {
                prop_assert_eq!(parse_redis_value(&bytes[..length]).expect("a reply"), value);
            }
        }
    }
}
