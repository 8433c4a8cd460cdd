//! Slots of a cluster: which one a key is in, and which node has it.

use redis::Value;

use super::connection::text_of;
use crate::server::Address;

/// Slots of a cluster.
pub(crate) const SLOTS: usize = 16_384;

/// The slot of a key whose braces hold `tag`: CRC-16/XMODEM of it.
pub(crate) fn slot_of(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS as u16
}

/// Slots from the first to the last, and the node that has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SlotRange {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) owner: Address,
}

/// Reads the answer to `CLUSTER SLOTS`. What cannot be read is left out: a call for it is sent on by another node.
pub(super) fn read_ranges(asked: &Address, answer: &Value) -> Vec<SlotRange> {
    let ranges = answer.as_sequence().unwrap_or_default();
    ranges.iter().filter_map(|range| read_range(asked, range.as_sequence()?)).collect()
}

fn read_range(asked: &Address, range: &[Value]) -> Option<SlotRange> {
    let [first, last, master, ..] = range else { return None };
    let slot = |value: &Value| text_of(value)?.parse().ok().filter(|slot| usize::from(*slot) < SLOTS);
    let [host, port, ..] = master.as_sequence()? else { return None };
    let owner = address_of(asked, &text_of(host).unwrap_or_default(), text_of(port)?.parse().ok()?)?;
    let (first, last) = (slot(first)?, slot(last)?);
    (first <= last).then_some(SlotRange { first, last, owner })
}

/// A node that has not learnt its own host names none; `?` is one that is not known.
pub(super) fn address_of(asked: &Address, host: &str, port: u16) -> Option<Address> {
    match (host, asked) {
        ("?", _) | ("", Address::Unix { .. }) => None,
        ("", Address::Tcp { host, .. }) => Some(Address::Tcp { host: host.clone(), port }),
        _ => Some(Address::Tcp { host: host.to_owned(), port }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Int(port), text("id")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master])
    }

    #[test]
    fn slots_are_those_of_redis() {
        // From its specification, and CLUSTER KEYSLOT.
        assert_eq!(slot_of(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12_182);
        assert_eq!(slot_of(b""), 0);
    }

    #[test]
    fn reads_ranges_and_leaves_out_what_it_cannot_read() {
        let answer = Value::Array(vec![
            range(0, 99, text("10.0.0.1"), 7000),
            range(100, 199, Value::Nil, 7001),
            range(200, 299, text("?"), 7002),
            range(300, 16_384, text("10.0.0.1"), 7000),
            Value::Int(7),
        ]);
        let read = read_ranges(&tcp("seed", 6379), &answer);
        let expected = [(0, 99, tcp("10.0.0.1", 7000)), (100, 199, tcp("seed", 7001))];
        assert_eq!(read, expected.map(|(first, last, owner)| SlotRange { first, last, owner }));
        assert_eq!(read_ranges(&tcp("seed", 1), &Value::Nil), []);
    }
}
