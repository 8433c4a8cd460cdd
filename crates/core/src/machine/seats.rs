//! Lines of counters in shared memory, each written by one thread at a time.
//!
//! A line goes on counting where the thread before left it, so a sum over all of them needs no thread to hand its counts
//! over, and loses none when a process is killed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::owner::Owner;
use super::processes::Processes;
use crate::runtime::arena::Arena;
use crate::runtime::region::{CounterLine, Pinned, Region};

/// Most threads that count at once, over all processes.
const SEATS: usize = 512;
/// A line for the owner, and one for the counters.
const LINES: usize = 2;

pub(crate) struct Seats {
    lines: Arc<Region<CounterLine>>,
    processes: Arc<Processes>,
}

/// A line that the calling thread may write.
pub(crate) struct Seat {
    number: usize,
    pub(crate) counters: Pinned<CounterLine>,
}

impl Seats {
    pub(crate) fn new(arena: &Arena, processes: Arc<Processes>) -> io::Result<Self> {
        Ok(Self { lines: Arc::new(arena.region(SEATS * LINES)?), processes })
    }

    /// A seat that no living process has; `None` where there is none.
    pub(crate) fn take(&self) -> Option<Seat> {
        let own = self.processes.own()?;
        // Where this process begins to look: others begin elsewhere.
        let first = own.row() * (SEATS / Processes::ROWS);
        let number =
            (0..SEATS).map(|place| (first + place) % SEATS).find(|seat| self.try_take(*seat, own))?;
        Some(Seat { number, counters: Pinned::within(&self.lines, number * LINES + 1) })
    }

    fn try_take(&self, seat: usize, own: Owner) -> bool {
        let owner = &self.lines[seat * LINES].0[0];
        let seen = owner.load(Ordering::SeqCst);
        let is_free = Owner::from_bits(seen).is_none_or(|owner| !self.processes.is_live(owner));
        is_free && owner.compare_exchange(seen, own.bits(), Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Gives a seat back. What it counted stays.
    pub(crate) fn leave(&self, seat: &Seat) {
        let Some(own) = self.processes.own() else { return };
        // Another process has it where this one was taken for dead.
        let owner = &self.lines[seat.number * LINES].0[0];
        let _ = owner.compare_exchange(own.bits(), 0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The sum of a counter over all threads there ever were.
    pub(crate) fn sum(&self, counter: usize) -> u64 {
        let counters = self.lines.iter().skip(1).step_by(LINES);
        counters.map(|line| line.0[counter].load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    fn count(seat: &Seat) {
        seat.counters.0[1].fetch_add(1, Ordering::Relaxed);
    }

    #[test]
    fn a_seat_has_one_owner_and_keeps_its_counts() {
        let arena = Arena::measure();
        let processes = Arc::new(Processes::new(&arena).expect("room"));
        let seats = Seats::new(&arena, Arc::clone(&processes)).expect("room");
        assert!(seats.take().is_none(), "no row yet");
        processes.take(5, 1, 1);
        let all: Vec<_> = std::iter::from_fn(|| seats.take()).collect();
        let mut numbers: Vec<_> = all.iter().map(|seat| seat.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((all.len(), numbers.len()), (SEATS, SEATS));
        all.iter().for_each(count);
        seats.leave(&all[7]);
        let again = seats.take().expect("the one that was left");
        assert_eq!(again.number, all[7].number);
        count(&again);
        assert_eq!(seats.sum(1), SEATS as u64 + 1);

        // The process is found dead: its seats are free, and their counts stay.
        assert!(processes.bury(processes.own().expect("a row")));
        processes.take(6, 2, 2);
        assert!(seats.take().is_some());
        assert_eq!((seats.sum(1), seats.sum(0)), (SEATS as u64 + 1, 0));
    }
}
