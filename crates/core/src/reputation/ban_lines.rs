//! The ends of clients' bans, a few in a cache line, which are read without a lock.
//!
//! A client has one line, by its hash. A ban that finds both slots of its line taken has none, and the line counts it: a
//! reader that does not find a client there asks the client's history.
//!
//! Each line has a version, which is odd during a change. A reader that meets a change, or finds another version after
//! reading than before, asks the history as well. The end of a ban is changed under the lock of its history, so what a
//! reader finds in a line is never older than what another has found in the history before.

use super::client::Client;
use crate::runtime::key_hash::Seeded;
use crate::runtime::planted::planted;
use crate::runtime::region::{CacheLine, Region};
use crate::runtime::sync::{AtomicU64, Mutex, Ordering, fence};

/// Bans that a line holds.
const SLOTS: usize = 2;

/// Where the ban of a client is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// It has no ban.
    #[default]
    Nowhere,
    /// In this slot of its line.
    Slot(usize),
    /// In its history only.
    Elsewhere,
}

/// What a line says about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The client has no ban.
    None,
    /// Its ban ends then.
    Until(u64),
    /// Only the history knows.
    Unsure,
}

pub(super) struct BanLines {
    lines: Region<CacheLine>,
    /// Serializes changes.
    changing: Mutex<()>,
}

/// The words of a line.
struct Line<'a>(&'a [AtomicU64; 8]);

impl<'a> Line<'a> {
    /// Odd during a change.
    fn version(&self) -> &'a AtomicU64 {
        &self.0[0]
    }

    /// How many bans have this line and no slot.
    fn elsewhere(&self) -> &'a AtomicU64 {
        &self.0[1]
    }

    /// Of a slot: the client, its upper bits first, and the end of the ban; 0 in a free slot.
    fn slot(&self, slot: usize) -> [&'a AtomicU64; 3] {
        [2, 3, 4].map(|word| &self.0[3 * slot + word])
    }

    fn change(&self, change: impl FnOnce()) {
        let version = self.version().load(Ordering::Relaxed);
        self.version().store(version + 1, Ordering::Relaxed);
        // Release: a reader that sees a word of the change sees that it began.
        fence(Ordering::Release);
        change();
        // Release: a reader that sees this version sees the change.
        self.version().store(version + 2, Ordering::Release);
    }

    #[inline]
    fn read(&self, client: [u64; 2]) -> Reading {
        // Acquire: pairs with the end of a change.
        let version = self.version().load(Ordering::Acquire);
        let mut reading = Reading::None;
        for slot in 0..SLOTS {
            let [upper, lower, until] = self.slot(slot).map(|word| word.load(Ordering::Relaxed));
            if [upper, lower] == client && until > 0 {
                reading = Reading::Until(until);
            }
        }
        if reading == Reading::None && self.elsewhere().load(Ordering::Relaxed) > 0 {
            return Reading::Unsure;
        }
        // Acquire: pairs with the beginning of a change, of which a word may have been read.
        fence(Ordering::Acquire);
        let is_same = version.is_multiple_of(2) && self.version().load(Ordering::Relaxed) == version;
        if is_same || planted!(BanLineNotReadAgain) { reading } else { Reading::Unsure }
    }
}

impl BanLines {
    /// Bytes for each client of the capacity.
    pub(super) const BYTES_EACH: usize = size_of::<[u64; 8]>() / SLOTS;

    /// Lines for the bans of so many clients; without memory for them, each reader asks the history.
    pub(super) fn new(clients: usize) -> Self {
        let lines = Region::zeroed(clients.div_ceil(SLOTS)).or_else(|_| Region::zeroed(0));
        Self { lines: lines.expect("an empty region takes one page"), changing: Mutex::new(()) }
    }

    #[inline]
    fn line(&self, client: Client) -> Option<Line<'_>> {
        let lines = self.lines.len() as u128;
        let line = ((u128::from(Seeded::of(client.bits())) * lines) >> 64) as usize;
        self.lines.get(line).map(|line| Line(&line.0))
    }

    /// The end of a client's ban. Wait-free.
    #[inline]
    pub(super) fn read(&self, client: Client) -> Reading {
        self.line(client).map_or(Reading::Unsure, |line| line.read(words(client)))
    }

    /// Stores the end of a client's ban; 0 for none. The caller holds the lock of its history, with which `place` is kept.
    pub(super) fn set(&self, client: Client, place: &mut Place, until: u64) {
        if until == 0 && *place == Place::Nowhere {
            return;
        }
        let Some(line) = self.line(client) else { return };
        let _one_at_a_time = self.changing.lock();
        let next = next_place(&line, *place, until);
        if let Place::Slot(slot) = next
            && *place == next
            && line.slot(slot)[2].load(Ordering::Relaxed) == until
        {
            return;
        }
        line.change(|| move_ban(&line, [*place, next], words(client), until));
        *place = next;
    }
}

/// The place of a ban that was at `place`, with this end.
fn next_place(line: &Line<'_>, place: Place, until: u64) -> Place {
    // Relaxed: changed only under the lock that the caller holds.
    let is_free = |slot: &usize| line.slot(*slot)[2].load(Ordering::Relaxed) == 0;
    match place {
        _ if until == 0 => Place::Nowhere,
        Place::Nowhere => (0..SLOTS).find(is_free).map_or(Place::Elsewhere, Place::Slot),
        stored => stored,
    }
}

/// Relaxed in all of it: the version of the line publishes what is stored, and one thread changes it at a time.
fn move_ban(line: &Line<'_>, [from, to]: [Place; 2], [upper, lower]: [u64; 2], until: u64) {
    let store = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
    let count = line.elsewhere().load(Ordering::Relaxed);
    match (from, to) {
        (Place::Nowhere, Place::Elsewhere) if !planted!(BanElsewhereNotCounted) => {
            store(line.elsewhere(), count + 1);
        }
        (Place::Elsewhere, Place::Nowhere) => store(line.elsewhere(), count - 1),
        (Place::Slot(slot), Place::Nowhere) => store(line.slot(slot)[2], 0),
        (_, Place::Slot(slot)) => {
            let words = line.slot(slot);
            store(words[0], upper);
            store(words[1], lower);
            store(words[2], until);
        }
        _ => {}
    }
}

fn words(client: Client) -> [u64; 2] {
    [(client.bits() >> 64) as u64, client.bits() as u64]
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_found_until_its_ban_is_removed() {
        for lines in [0, 1, 4, 1_000] {
            let bans = BanLines::new(lines);
            let client = |n: u64| Client::from_bits(u128::from(n) << 64 | 7);
            let mut places = [Place::default(); 100];
            for (n, place) in (0..).zip(&mut places) {
                bans.set(client(n), place, 1_000 + n);
                bans.set(client(n), place, 2_000 + n);
            }
            let mut in_slots = 0;
            for n in 0..100 {
                let reading = bans.read(client(n));
                in_slots += usize::from(reading == Reading::Until(2_000 + n));
                assert!([Reading::Until(2_000 + n), Reading::Unsure].contains(&reading), "{reading:?}");
            }
            assert_eq!(in_slots, places.iter().filter(|place| matches!(place, Place::Slot(_))).count());
            assert!(lines == 0 || in_slots > 0);
            for (n, place) in (0..).zip(&mut places) {
                bans.set(client(n), place, 0);
                assert!(lines == 0 || *place == Place::Nowhere);
            }
            let none = if lines == 0 { Reading::Unsure } else { Reading::None };
            assert!((0..200).all(|n| bans.read(client(n)) == none));
        }
    }
}

/// Every interleaving of a reader and a thread that changes bans of one line.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Clients of one line.
    fn client(upper: u64, lower: u64) -> Client {
        Client::from_bits(u128::from(upper) << 64 | u128::from(lower))
    }

    /// One line: a region of a pair has two, of which the model uses that of client 1.
    fn one_line() -> BanLines {
        BanLines::new(1)
    }

    fn of_one_line(bans: &BanLines, count: usize) -> Vec<Client> {
        let same = |a: &Line<'_>, b: &Line<'_>| std::ptr::eq(a.0, b.0);
        let first = bans.line(client(1, 1)).expect("a line");
        let clients = (1..).flat_map(|upper| (1..4).map(move |lower| client(upper, lower)));
        clients.filter(|client| same(&bans.line(*client).expect("a line"), &first)).take(count).collect()
    }

    #[test]
    fn a_line_in_change_shows_no_ban_of_another() {
        loom::model(|| {
            let bans = Arc::new(one_line());
            let clients = of_one_line(&bans, 100);
            // The third has the upper word of the first and the lower one of the second.
            let halves = |a: Client, b: Client| [words(a)[0], words(b)[1]];
            let (a, b, c) = clients
                .iter()
                .flat_map(|a| clients.iter().map(move |b| (*a, *b)))
                .find_map(|(a, b)| {
                    let mixed =
                        clients.iter().find(|c| words(**c) == halves(b, a) && **c != a && **c != b)?;
                    Some((a, b, *mixed))
                })
                .expect("three such clients");
            let (mut place, mut next) = (Place::default(), Place::default());
            bans.set(a, &mut place, 10);
            let other = Arc::clone(&bans);
            let change = thread::spawn(move || {
                other.set(a, &mut place, 0);
                other.set(b, &mut next, 20);
            });
            assert!(!matches!(bans.read(c), Reading::Until(_)));
            let of_a = bans.read(a);
            assert!([Reading::Until(10), Reading::None, Reading::Unsure].contains(&of_a));
            change.join().expect("no panic");
            assert_eq!(bans.read(b), Reading::Until(20));
            assert_eq!(bans.read(a), Reading::None);
        });
    }

    #[test]
    fn a_ban_without_a_slot_is_not_missed() {
        loom::model(|| {
            let bans = Arc::new(one_line());
            let [a, b, c] = of_one_line(&bans, 3)[..] else { unreachable!("three were asked for") };
            let mut places = [Place::default(); 3];
            for (client, place) in [a, b, c].into_iter().zip(&mut places) {
                bans.set(client, place, 10);
            }
            let other = Arc::clone(&bans);
            let change = thread::spawn(move || {
                bans_end(&other, a, places[0]);
            });
            assert_eq!(bans.read(c), Reading::Unsure);
            change.join().expect("no panic");
            assert_eq!(bans.read(c), Reading::Unsure);
            assert_eq!(bans.read(b), Reading::Until(10));
        });
    }

    fn bans_end(bans: &BanLines, client: Client, mut place: Place) {
        bans.set(client, &mut place, 0);
    }
}
