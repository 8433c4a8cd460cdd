//! The format of lists and banned ranges as one file, which is not changed once it has a name. Nothing here touches a disk.
//!
//! As the file of a reputation (`reputation/file.rs`), with another magic word: the allow list, the deny list, the banned
//! ranges, each with their number. Times are those of the state that processes share, in milliseconds.

use std::sync::Arc;

use ipnet::IpNet;

use crate::Result;
use crate::reputation::ban_events::BanCause;
use crate::reputation::file::{Format, Reader, Writer};
use crate::reputation::ranges::{Lists, RangeBans, Ranges};
use crate::reputation::verdict::BanTerm;

const FORMAT: Format = Format { magic: b"sluiceSL", version: 1 };

/// The bytes of a file, without bans that have ended.
pub(super) fn encode(ranges: &Ranges, now: u64) -> Vec<u8> {
    let mut content = Writer::new(0);
    for list in ranges.lists.ranges() {
        content.number(list.len() as u64);
        list.into_iter().for_each(|range| content.range(range));
    }
    let bans: Vec<_> = ranges.bans.in_force(now).collect();
    content.number(bans.len() as u64);
    for (range, term) in bans {
        content.range(range);
        content.term(term);
    }
    FORMAT.seal(&content.into_bytes())
}

/// Reads a whole file. `source` names it in errors.
pub(super) fn decode(bytes: &[u8], source: &str) -> Result<Ranges> {
    let mut content = Reader::new(FORMAT.checked_content(bytes, source)?, 0);
    let ranges = read(&mut content).filter(|_| content.is_at_end());
    ranges.ok_or_else(|| Format::corrupt(source, "its content is invalid"))
}

fn read(content: &mut Reader<'_>) -> Option<Ranges> {
    let [allow, deny] = [list(content)?, list(content)?];
    let lists = Lists::of_ranges(&allow, &deny)?;
    let count = content.number()?;
    let ban = |content: &mut Reader<'_>| Some((content.range()?, by_hand(content.term()?)));
    let bans = (0..count).map(|_| ban(content)).collect::<Option<Vec<_>>>()?;
    Some(Ranges { lists: Arc::new(lists), bans: Arc::new(RangeBans::default().with(bans, 0)) })
}

fn list(content: &mut Reader<'_>) -> Option<Vec<IpNet>> {
    let count = content.number()?;
    (0..count).map(|_| content.range()).collect()
}

/// Ranges are banned by calls alone.
fn by_hand(term: BanTerm) -> BanTerm {
    BanTerm { cause: BanCause::Manual, ..term }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::runtime::clock::MS;

    fn ranges() -> Ranges {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let lists = Lists::parse("test", &texts(&["10.0.0.0/8"]), &texts(&["2001:db8::/32", "192.0.2.1"]));
        let bans = [("198.51.100.0/24", 7 * MS), ("2001:db8:1::/48", 9 * MS)].map(|(range, until)| {
            (range.parse().expect("a range"), BanTerm::by_hand(until, Some("by hand")))
        });
        let bans = RangeBans::default().with(bans, 0);
        Ranges { lists: Arc::new(lists.expect("ranges")), bans: Arc::new(bans) }
    }

    fn describe(ranges: &Ranges) -> (Vec<Vec<IpNet>>, Vec<(IpNet, BanTerm)>) {
        let mut bans: Vec<_> = ranges.bans.in_force(0).map(|(range, term)| (range, term.clone())).collect();
        bans.sort_by_key(|(range, _)| *range);
        (
            ranges
                .lists
                .ranges()
                .map(|mut list| {
                    list.sort_unstable();
                    list
                })
                .into(),
            bans,
        )
    }

    #[test]
    fn is_read_as_it_was_written_without_bans_that_have_ended() {
        let read = decode(&encode(&ranges(), 0), "file").expect("whole");
        assert_eq!(describe(&read), describe(&ranges()));
        let read = decode(&encode(&ranges(), 8 * MS), "file").expect("whole");
        assert_eq!(describe(&read).1.len(), 1);
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let bytes = encode(&ranges(), 0);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 0x10;
            assert!(decode(&changed, "file").is_err(), "byte {place}");
            assert!(decode(&bytes[..place], "file").is_err(), "cut to {place}");
        }
    }

    proptest! {
        /// Any content with a checksum that is right gets an answer.
        #[test]
        fn any_content_gets_an_answer(content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&FORMAT.seal(&content), "file");
        }
    }
}
