//! How much a peer has to do, and whether it takes more: one word.

use crate::runtime::planted::planted;
use crate::runtime::sync::{AtomicU64, Ordering};

/// Messages that were promised a place and not yet taken out, requests not yet answered, and whether the peer leaves.
#[derive(Debug, Default)]
pub(crate) struct Occupancy(AtomicU64);

/// What a message takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// Places in the inbox.
    pub(crate) messages: u32,
    /// Answers owed.
    pub(crate) requests: u32,
}

/// Why a peer takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Leaving,
}

/// The word: 32 bits of messages, 31 of requests, one of leaving.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    const LEAVING: u64 = 1 << 63;

    const fn of(places: Places) -> Self {
        Self(places.messages as u64 | (places.requests as u64) << 32)
    }

    const fn places(self) -> Places {
        Places { messages: self.0 as u32, requests: (self.0 >> 32) as u32 & 0x7fff_ffff }
    }

    const fn is_leaving(self) -> bool {
        self.0 & Self::LEAVING != 0
    }

    fn with(self, more: Places, bound: u32) -> Result<Self, Refused> {
        let held = self.places();
        if !planted!(LeavingNotChecked) && self.is_leaving() {
            return Err(Refused::Leaving);
        }
        let is_full = held.messages >= bound || (more.requests > 0 && held.requests >= bound);
        if is_full { Err(Refused::Full) } else { Ok(Self(self.0 + Self::of(more).0)) }
    }
}

impl Places {
    pub(crate) const MESSAGE: Self = Self { messages: 1, requests: 0 };
    pub(crate) const REQUEST: Self = Self { messages: 1, requests: 1 };
}

impl Occupancy {
    /// Takes places while fewer than `bound` of each kind are taken.
    pub(crate) fn reserve(&self, places: Places, bound: u32) -> Result<(), Refused> {
        // Relaxed: nothing is published by the count itself; messages pass through the inbox's lock.
        let mut word = Word(self.0.load(Ordering::Relaxed));
        loop {
            let next = word.with(places, bound)?;
            if planted!(ReservedByStore) {
                self.0.store(next.0, Ordering::Release);
                return Ok(());
            }
            // AcqRel: ordered with `leave` in the one order of this word, which is what the two agree by.
            match self.0.compare_exchange_weak(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(found) => word = Word(found),
            }
        }
    }

    /// Gives places back: messages were taken out, requests answered, or neither will ever be.
    pub(crate) fn release(&self, places: Places) {
        // Release: whoever sees a peer without work sees what was done before.
        self.0.fetch_sub(Word::of(places).0, Ordering::Release);
    }

    /// No more is taken from now on. Who saw it idle after this knows that nothing will come.
    pub(crate) fn leave(&self) {
        self.0.fetch_or(Word::LEAVING, Ordering::AcqRel);
    }

    pub(crate) fn places(&self) -> Places {
        Word(self.0.load(Ordering::Acquire)).places()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        Word(self.0.load(Ordering::Acquire)).is_leaving()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_the_bound_of_messages_and_of_requests() {
        let occupancy = Occupancy::default();
        assert_eq!(occupancy.reserve(Places::REQUEST, 2), Ok(()));
        assert_eq!(occupancy.reserve(Places::MESSAGE, 2), Ok(()));
        assert_eq!(occupancy.reserve(Places::MESSAGE, 2), Err(Refused::Full));
        // Both were taken out, one is not answered yet.
        occupancy.release(Places { messages: 2, requests: 0 });
        assert_eq!(occupancy.places(), Places { messages: 0, requests: 1 });
        assert_eq!(occupancy.reserve(Places::REQUEST, 1), Err(Refused::Full));
        assert_eq!(occupancy.reserve(Places::MESSAGE, 1), Ok(()));
    }

    #[test]
    fn takes_nothing_once_it_leaves() {
        let occupancy = Occupancy::default();
        occupancy.reserve(Places::REQUEST, 9).unwrap();
        occupancy.leave();
        assert_eq!(occupancy.reserve(Places::MESSAGE, 9), Err(Refused::Leaving));
        occupancy.release(Places::REQUEST);
        assert_eq!((occupancy.places(), occupancy.is_leaving()), (Places::default(), true));
    }
}

#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Two senders and a bound of one: one of them reserves.
    #[test]
    fn never_reserves_more_than_the_bound() {
        loom::model(|| {
            let occupancy = Arc::new(Occupancy::default());
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    let occupancy = Arc::clone(&occupancy);
                    thread::spawn(move || occupancy.reserve(Places::REQUEST, 1).is_ok())
                })
                .collect();
            let reserved =
                senders.into_iter().filter_map(|sender| sender.join().unwrap().then_some(())).count();
            assert_eq!(reserved, 1);
            assert_eq!(occupancy.places(), Places { messages: 1, requests: 1 });
        });
    }

    /// Once a peer leaves and is idle, no sender has reserved anything.
    #[test]
    fn a_peer_that_leaves_idle_has_reserved_nothing() {
        loom::model(|| {
            let occupancy = Arc::new(Occupancy::default());
            let sender = {
                let occupancy = Arc::clone(&occupancy);
                thread::spawn(move || occupancy.reserve(Places::REQUEST, 8).is_ok())
            };
            let leaver = {
                let occupancy = Arc::clone(&occupancy);
                thread::spawn(move || {
                    occupancy.leave();
                    occupancy.places() == Places::default()
                })
            };
            let (reserved, was_idle) = (sender.join().unwrap(), leaver.join().unwrap());
            assert!(!(reserved && was_idle));
        });
    }
}
