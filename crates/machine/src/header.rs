//! The header of a file: written before the file has a name, and never again. Nothing here touches a disk.
//!
//! Numbers are in the byte order of the machine, of which the header has a mark.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `sluiceSM` |
//! | 4 | version of the layout |
//! | 4 | CRC-32 of everything else |
//! | 8 | the mark of the byte order |
//! | 8 | bytes of the file |
//! | 16 | id of the boot |
//! | 32 | the date, the system's clock, the processor's counter and its rate, when the file was made |
//! | 96 | seeds of the hash of keys |
//! | 16 | hash of a sample text |
//! | 2 | number of texts |
//! | | kind, name, then each option and its value: the length of each, 2 bytes, and its bytes |
//! | | zeros |

use sluice_core::runtime::key_hash::KeyHasher;

use crate::clock::Start;

/// Bytes of a header: what is shared begins after it.
pub(crate) const LENGTH: usize = 4_096;
/// The version of the layout of the file, header and state.
pub(crate) const VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"sluiceSM";
const BYTE_ORDER: u64 = 0x0102_0304_0506_0708;
const CHECKSUM_AT: usize = 12;
const CHECKED_FROM: usize = 16;
/// Hashed by all seeds. Another hash function would give every key a second life.
const SAMPLE: &[u8] = b"2001:0db8:85a3:08d3:1319:8a2e:0370:7348 and 203.0.113.7";

/// What a file is for, and what its processes must agree in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) bytes: u64,
    pub(crate) boot: [u64; 2],
    pub(crate) start: Start,
    pub(crate) seeds: [u64; KeyHasher::SEEDS],
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) options: Vec<(String, String)>,
}

/// Why bytes are no header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Corrupt(&'static str),
    Version(u32),
}

use Refusal::Corrupt;

impl Header {
    /// The bytes; `None` where the texts take more than there is.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let numbers = [BYTE_ORDER, self.bytes, self.boot[0], self.boot[1]];
        for number in
            numbers.iter().chain(&self.start.numbers()).chain(&self.seeds).chain(&sample(&self.seeds))
        {
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        let options = self.options.iter().flat_map(|(option, value)| [option, value]);
        let texts: Vec<_> = [&self.kind, &self.name].into_iter().chain(options).collect();
        bytes.extend_from_slice(&u16::try_from(texts.len()).ok()?.to_ne_bytes());
        for text in texts {
            bytes.extend_from_slice(&u16::try_from(text.len()).ok()?.to_ne_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        if bytes.len() > LENGTH {
            return None;
        }
        bytes.resize(LENGTH, 0);
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_AT..CHECKED_FROM].copy_from_slice(&checksum.to_ne_bytes());
        Some(bytes)
    }

    /// What a file of `length` bytes says at its beginning.
    pub(crate) fn decode(bytes: &[u8], length: u64) -> Result<Self, Refusal> {
        let mut reader = Reader(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(Corrupt("it does not begin as one"));
        }
        let version = u32::from_ne_bytes(reader.array()?);
        let kept = u32::from_ne_bytes(reader.array()?);
        if reader.number()? != BYTE_ORDER {
            return Err(Corrupt("it has the byte order of another machine"));
        }
        if version != VERSION {
            return Err(Refusal::Version(version));
        }
        if bytes.len() != LENGTH || checksum(bytes) != kept {
            return Err(Corrupt("its header was changed or cut short"));
        }
        let header = reader.fields()?;
        if header.bytes != length {
            return Err(Corrupt("it was cut short or extended"));
        }
        Ok(header)
    }
}

fn checksum(header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..CHECKSUM_AT]);
    hasher.update(&header[CHECKED_FROM..]);
    hasher.finalize()
}

/// The hash function of these seeds.
pub(crate) fn hasher(seeds: &[u64; KeyHasher::SEEDS]) -> KeyHasher {
    let mut seeds = seeds.iter();
    KeyHasher::new(|| *seeds.next().expect("as many as it takes"))
}

fn sample(seeds: &[u64; KeyHasher::SEEDS]) -> [u64; 2] {
    let (high, low) = hasher(seeds).bytes(SAMPLE).halves();
    [high, low]
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Corrupt("it is shorter than a header"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, Refusal> {
        Ok(u64::from_ne_bytes(self.array()?))
    }

    fn numbers<const N: usize>(&mut self) -> Result<[u64; N], Refusal> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Ok(numbers)
    }

    fn text(&mut self) -> Result<String, Refusal> {
        let length = u16::from_ne_bytes(self.array()?);
        let bytes = self.take(length.into())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Corrupt("a text of its header is no UTF-8"))
    }

    fn fields(&mut self) -> Result<Header, Refusal> {
        let [bytes, boot_high, boot_low] = self.numbers()?;
        let start = Start::of_numbers(self.numbers()?);
        let seeds = self.numbers()?;
        if self.numbers()? != sample(&seeds) {
            return Err(Corrupt("it hashes keys in another way"));
        }
        let texts = u16::from_ne_bytes(self.array()?);
        let (kind, name) = (self.text()?, self.text()?);
        let options = (0..texts.saturating_sub(2) / 2).map(|_| Ok((self.text()?, self.text()?)));
        let options = options.collect::<Result<_, Refusal>>()?;
        Ok(Header { bytes, boot: [boot_high, boot_low], start, seeds, kind, name, options })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            bytes: 9_000,
            boot: [1, 2],
            start: Start { date: 3, system: 4, ticks: 5, rate: 6 },
            seeds: std::array::from_fn(|index| index as u64 * 7),
            kind: "RateLimiter".to_owned(),
            name: "api".to_owned(),
            options: vec![("limit".to_owned(), "100".to_owned()), ("window".to_owned(), "1 s".to_owned())],
        }
    }

    /// The bytes, with their checksum mended.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_AT..CHECKED_FROM].copy_from_slice(&checksum.to_ne_bytes());
        bytes
    }

    #[test]
    fn is_read_as_it_was_written() {
        let bytes = header().encode().expect("short texts");
        assert_eq!(bytes.len(), LENGTH);
        assert_eq!(Header::decode(&bytes, 9_000), Ok(header()));
    }

    #[test]
    fn texts_that_do_not_fit_are_refused() {
        let long = |length| Header { name: "x".repeat(length), ..header() };
        assert!(long(3_000).encode().is_some());
        assert!(long(LENGTH).encode().is_none() && long(70_000).encode().is_none());
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = header().encode().expect("short texts");
        for place in 0..LENGTH {
            let mut changed = bytes.clone();
            changed[place] ^= 0x10;
            assert!(Header::decode(&changed, 9_000).is_err(), "byte {place}");
        }
        for length in [0, 7, 8, 15, 23, 24, 100, LENGTH - 1] {
            assert!(Header::decode(&bytes[..length], 9_000).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let bytes = header().encode().expect("short texts");
        let with = |place: usize, value: u8| {
            let mut changed = bytes.clone();
            changed[place] = value;
            Header::decode(&sealed(changed), 9_000)
        };
        assert_eq!(with(0, b'x'), Err(Corrupt("it does not begin as one")));
        assert_eq!(with(8, 3), Err(Refusal::Version(3)), "newer");
        assert_eq!(with(8, 1), Err(Refusal::Version(1)), "older");
        assert_eq!(with(16, 1), Err(Corrupt("it has the byte order of another machine")));
        assert_eq!(with(88, 1), Err(Corrupt("it hashes keys in another way")));
        assert_eq!(Header::decode(&bytes, 8_999), Err(Corrupt("it was cut short or extended")));
    }

    proptest! {
        /// Bytes of any kind, and any bytes in the place of some of a header, with or without a checksum that is right: an
        /// answer, and only a header that says so much is read.
        #[test]
        fn any_bytes_get_an_answer(
            random in prop::collection::vec(any::<u8>(), 0..LENGTH + 8),
            place in 0..LENGTH,
            patch in prop::collection::vec(any::<u8>(), 1..64),
        ) {
            let _ = Header::decode(&random, 9_000);
            let mut bytes = header().encode().expect("short texts");
            for (byte, random) in bytes[place..].iter_mut().zip(&patch) {
                *byte = *random;
            }
            let decoded = Header::decode(&sealed(bytes), 9_000);
            if let Ok(decoded) = decoded {
                prop_assert_eq!(decoded.bytes, 9_000);
                prop_assert_eq!(decoded.encode().map(|bytes| bytes.len()), Some(LENGTH));
            }
        }
    }
}
