//! What a client is called on the server.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Longer keys are hashed: a client costs the server as much memory whatever its key.
const LONGEST: usize = 64;

/// Keys of one limiter are in so many slots of a cluster at most.
pub(crate) const BUCKETS: u8 = 64;

/// Marks a name that is a hash.
const HASHED: u8 = b'#';

/// The name of a client on the server: its key, or a hash of it. Equal in every process and version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientName(Arc<[u8]>);

impl ClientName {
    /// The name of a key of any code units; different keys have different names.
    #[must_use]
    pub fn of_units(units: &[u16]) -> Self {
        if is_plain(units) {
            return Self(units.iter().map(|unit| *unit as u8).collect());
        }
        let mut bytes = Vec::with_capacity(units.len());
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                Ok(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                // A lone surrogate, in the form that UTF-8 has for such numbers and never uses.
                Err(lone) => bytes.extend_from_slice(&three_bytes(lone.unpaired_surrogate())),
            }
        }
        if bytes.len() <= LONGEST && bytes.first() != Some(&HASHED) {
            return Self(bytes.into());
        }
        let digest = Sha256::digest(&bytes);
        let mut name = vec![HASHED];
        name.extend(digest.iter().take(16).flat_map(|byte| format!("{byte:02x}").into_bytes()));
        Self(name.into())
    }

    /// The name of a text.
    pub(crate) fn of_text(text: &str) -> Self {
        Self::of_units(&text.encode_utf16().collect::<Vec<_>>())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// One of 64 buckets, by FNV-1a: limits of one limiter spread over the nodes of a cluster.
    pub(crate) fn bucket(&self) -> u8 {
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = self.0.iter().fold(0xcbf2_9ce4_8422_2325, mix);
        (hash % u64::from(BUCKETS)) as u8
    }
}

/// Whether each unit is the byte of a name.
fn is_plain(units: &[u16]) -> bool {
    let is_marked = units.first() == Some(&u16::from(HASHED));
    units.len() <= LONGEST && !is_marked && units.iter().all(|unit| *unit < 0x80)
}

fn three_bytes(unit: u16) -> [u8; 3] {
    let part = |shift: u32, mask: u16| ((unit >> shift) & mask) as u8;
    [0xe0 | part(12, 0x0f), 0x80 | part(6, 0x3f), 0x80 | part(0, 0x3f)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(text: &str) -> ClientName {
        ClientName::of_units(&text.encode_utf16().collect::<Vec<_>>())
    }

    #[test]
    fn short_keys_are_their_own_names() {
        assert_eq!(name("203.0.113.7").bytes(), b"203.0.113.7");
        assert_eq!(name(&"k".repeat(64)).bytes().len(), 64);
        assert_eq!(name(&"k".repeat(65)).bytes().len(), 33);
    }

    #[test]
    fn different_keys_have_different_names() {
        let long = "k".repeat(100);
        let mut names: HashSet<_> = ["a", "é", "\u{ffff}", &long, "#", "#a"].map(name).into();
        names.insert(ClientName::of_units(&[0xd800]));
        names.insert(ClientName::of_units(&[0xd800, 0xd800]));
        // A key that looks like the name of another.
        let taken = String::from_utf8(name(&long).bytes().to_vec()).expect("hexadecimal");
        names.insert(name(&taken));
        assert_eq!(names.len(), 9);
    }

    #[test]
    fn names_spread_over_all_buckets() {
        let buckets: HashSet<u8> = (0..2_000).map(|n| name(&format!("client {n}")).bucket()).collect();
        assert_eq!(buckets.len(), 64);
        assert_eq!(name("203.0.113.7").bucket(), 32, "the same in every version");
    }
}
