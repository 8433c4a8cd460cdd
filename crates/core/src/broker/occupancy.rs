//! What is pending for a peer, and whether it accepts more: one word.

use crate::runtime::planted::planted;
use crate::runtime::sync::{AtomicU64, Ordering};

/// Messages that hold capacity and were not taken yet, requests not answered yet, and whether the peer is leaving.
#[derive(Debug, Default)]
pub(crate) struct Occupancy(AtomicU64);

/// Capacity of a peer, in use or to be reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Messages in its inbox.
    pub(crate) messages: u32,
    /// Requests to answer.
    pub(crate) requests: u32,
}

/// Why no capacity was reserved.
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

    const fn of(capacity: Capacity) -> Self {
        Self(capacity.messages as u64 | (capacity.requests as u64) << 32)
    }

    const fn held(self) -> Capacity {
        Capacity { messages: self.0 as u32, requests: (self.0 >> 32) as u32 & 0x7fff_ffff }
    }

    const fn is_leaving(self) -> bool {
        self.0 & Self::LEAVING != 0
    }

    fn with(self, more: Capacity, bound: u32) -> Result<Self, Refused> {
        let held = self.held();
        if !planted!(LeavingNotChecked) && self.is_leaving() {
            return Err(Refused::Leaving);
        }
        let is_full = held.messages >= bound || (more.requests > 0 && held.requests >= bound);
        if is_full { Err(Refused::Full) } else { Ok(Self(self.0 + Self::of(more).0)) }
    }
}

impl Capacity {
    pub(crate) const MESSAGE: Self = Self { messages: 1, requests: 0 };
    pub(crate) const REQUEST: Self = Self { messages: 1, requests: 1 };
}

impl Occupancy {
    /// Reserves capacity while less than `bound` of each kind is in use.
    pub(crate) fn reserve(&self, capacity: Capacity, bound: u32) -> Result<(), Refused> {
        // Relaxed: the count publishes nothing; messages pass through the inbox's lock.
        let mut word = Word(self.0.load(Ordering::Relaxed));
        loop {
            let next = word.with(capacity, bound)?;
            if planted!(ReservedByStore) {
                self.0.store(next.0, Ordering::Release);
                return Ok(());
            }
            // AcqRel: ordered with `leave` by the modification order of this word.
            match self.0.compare_exchange_weak(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(found) => word = Word(found),
            }
        }
    }

    /// Releases capacity: messages were taken, requests answered, or neither will ever happen.
    pub(crate) fn release(&self, capacity: Capacity) {
        // Release: a thread that sees the peer idle sees what the peer did before.
        self.0.fetch_sub(Word::of(capacity).0, Ordering::Release);
    }

    /// Refuses all reservations from now on. If it is idle after this call, nothing more will arrive.
    pub(crate) fn leave(&self) {
        self.0.fetch_or(Word::LEAVING, Ordering::AcqRel);
    }

    pub(crate) fn held(&self) -> Capacity {
        Word(self.0.load(Ordering::Acquire)).held()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        Word(self.0.load(Ordering::Acquire)).is_leaving()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn reserves_up_to_the_bound_of_messages_and_of_requests() {
        let occupancy = Occupancy::default();
        assert_eq!(occupancy.reserve(Capacity::REQUEST, 2), Ok(()));
        assert_eq!(occupancy.reserve(Capacity::MESSAGE, 2), Ok(()));
        assert_eq!(occupancy.reserve(Capacity::MESSAGE, 2), Err(Refused::Full));
        // Both messages were taken, the request is not answered yet.
        occupancy.release(Capacity { messages: 2, requests: 0 });
        assert_eq!(occupancy.held(), Capacity { messages: 0, requests: 1 });
        assert_eq!(occupancy.reserve(Capacity::REQUEST, 1), Err(Refused::Full));
        assert_eq!(occupancy.reserve(Capacity::MESSAGE, 1), Ok(()));
    }

    #[test]
    fn refuses_reservations_once_it_leaves() {
        let occupancy = Occupancy::default();
        occupancy.reserve(Capacity::REQUEST, 9).unwrap();
        occupancy.leave();
        assert_eq!(occupancy.reserve(Capacity::MESSAGE, 9), Err(Refused::Leaving));
        occupancy.release(Capacity::REQUEST);
        assert_eq!((occupancy.held(), occupancy.is_leaving()), (Capacity::default(), true));
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
                    thread::spawn(move || occupancy.reserve(Capacity::REQUEST, 1).is_ok())
                })
                .collect();
            let reserved =
                senders.into_iter().filter_map(|sender| sender.join().unwrap().then_some(())).count();
            assert_eq!(reserved, 1);
            assert_eq!(occupancy.held(), Capacity { messages: 1, requests: 1 });
        });
    }

    /// Once a peer leaves and is idle, no sender has reserved anything.
    #[test]
    fn a_peer_that_leaves_idle_has_reserved_nothing() {
        loom::model(|| {
            let occupancy = Arc::new(Occupancy::default());
            let sender = {
                let occupancy = Arc::clone(&occupancy);
                thread::spawn(move || occupancy.reserve(Capacity::REQUEST, 8).is_ok())
            };
            let leaver = {
                let occupancy = Arc::clone(&occupancy);
                thread::spawn(move || {
                    occupancy.leave();
                    occupancy.held() == Capacity::default()
                })
            };
            let (reserved, was_idle) = (sender.join().unwrap(), leaver.join().unwrap());
            assert!(!(reserved && was_idle));
        });
    }
}
