//! Texts and bytes as blocks of two words.
//!
//! A text whose code units all fit a byte is packed into blocks of sixteen, any other into blocks of eight. The end of a
//! key, which is hashed with its blocks, says how long it is and how it was packed.

use super::half::Words;

/// Code units of one byte that fit a block: most addresses.
pub const SHORT: usize = 16;

/// Code units of any size that fit a block.
const WIDE: usize = 8;

/// The upper byte of each of four code units.
const UPPER_BYTES: u64 = 0xff00_ff00_ff00_ff00;

/// A text of so many one-byte code units.
#[inline(always)]
pub(super) const fn narrow_end(length: usize) -> u64 {
    length as u64
}

/// A text of so many code units, of which one has more than a byte.
pub(super) const fn wide_end(length: usize) -> u64 {
    length as u64 | 1 << 63
}

/// So many bytes.
pub(super) const fn bytes_end(length: usize) -> u64 {
    length as u64 | 1 << 62
}

/// The block of sixteen code units; `None` where one has more than a byte.
///
/// Eight units are two words of four whose upper bytes are zero: the second word fills the gaps of the first. This takes
/// as many instructions as packing by SSE2 does, and is the same on every processor.
#[inline(always)]
pub(super) fn narrow(units: &[u16; SHORT]) -> Option<Words> {
    let (a, b, c, d) = (four(units, 0), four(units, 4), four(units, 8), four(units, 12));
    let is_narrow = (a | b | c | d) & UPPER_BYTES == 0;
    is_narrow.then_some(Words { first: a | b << 8, second: c | d << 8 })
}

/// As [`narrow`], of at most sixteen code units that no zeros follow. They are read where they lie: a copy that is read in
/// other words than it was written in has to leave the processor's store buffer first.
#[inline(always)]
pub(super) fn narrow_text(units: &[u16]) -> Option<Words> {
    let (start, rest) = match (units.first_chunk(), units.last_chunk()) {
        (Some(first), Some(last)) => (eight(first), without(eight(last), 2 * WIDE - units.len())),
        _ => (fewer(units), 0),
    };
    let [a, b] = [start as u64, (start >> 64) as u64];
    let [c, d] = [rest as u64, (rest >> 64) as u64];
    let is_narrow = (a | b | c | d) & UPPER_BYTES == 0;
    is_narrow.then_some(Words { first: a | b << 8, second: c | d << 8 })
}

/// Eight code units.
#[inline(always)]
fn eight(units: &[u16; WIDE]) -> u128 {
    u128::from(four(units, 0)) | u128::from(four(units, 4)) << 64
}

/// At most seven code units, then zeros.
#[inline(always)]
fn fewer(units: &[u16]) -> u128 {
    if let (Some(first), Some(last)) = (units.first_chunk::<4>(), units.last_chunk::<4>()) {
        let rest = without(u128::from(four(last, 0)), WIDE - units.len());
        return u128::from(four(first, 0)) | rest << 64;
    }
    units.iter().rev().fold(0, |text, unit| text << 16 | u128::from(*unit))
}

/// The code units after the first `count`.
#[inline(always)]
fn without(units: u128, count: usize) -> u128 {
    units.checked_shr(16 * count as u32).unwrap_or(0)
}

/// The block of eight code units of any size.
pub(super) fn wide(units: &[u16; WIDE]) -> Option<Words> {
    Some(Words { first: four(units, 0), second: four(units, 4) })
}

/// The block of sixteen bytes.
pub(super) fn bytes(bytes: &[u8; 16]) -> Option<Words> {
    let bits = u128::from_le_bytes(*bytes);
    Some(Words { first: bits as u64, second: (bits >> 64) as u64 })
}

/// Four code units in a word.
#[inline(always)]
fn four<const N: usize>(units: &[u16; N], at: usize) -> u64 {
    let unit = |place: usize| u64::from(units[at + place]) << (16 * place);
    unit(0) | unit(1) | unit(2) | unit(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_block_that_zeros_fill() {
        for length in 0..=SHORT {
            let units: Vec<u16> = (0..length).map(|at| 200 + at as u16).collect();
            let mut block = [0; SHORT];
            block[..length].copy_from_slice(&units);
            assert_eq!(narrow_text(&units), narrow(&block), "{length}");
            for at in 0..length {
                let mut wide = units.clone();
                wide[at] |= 0x100;
                assert_eq!(narrow_text(&wide), None, "unit {at} of {length}");
            }
        }
    }

    #[test]
    fn a_block_has_every_bit_of_its_units() {
        let units: [u16; SHORT] = std::array::from_fn(|at| 1 + at as u16);
        let Words { first, second } = narrow(&units).expect("of one byte");
        let mut bytes = [first.to_le_bytes(), second.to_le_bytes()].concat();
        bytes.sort_unstable();
        assert_eq!(bytes, (1..=16).collect::<Vec<u8>>());

        for at in 0..SHORT {
            let mut wide = units;
            wide[at] |= 0x100;
            assert_eq!(narrow(&wide), None, "unit {at}");
        }
    }
}
