//! By which clock the processes that share a mapping decide.

use std::fmt;

use crate::runtime::planted::planted;
use crate::runtime::region::{CacheLine, Pinned};
use crate::runtime::sync::Ordering;

/// A word that all processes read with the time: `ahead 63 : system 1`. 0: by the processor's counter, as the word is in a
/// new mapping. Once a process has found that the counter is no clock, all go by the system's, which is ahead by so much.
/// There is no way from the system's clock to the counter.
#[derive(Clone)]
pub struct ClockWord(Pinned<CacheLine>);

const SYSTEM: u64 = 1;

impl ClockWord {
    pub(super) fn new(line: Pinned<CacheLine>) -> Self {
        Self(line)
    }

    /// By how many nanoseconds the time is ahead of the system's clock; `None` while it is the counter's.
    #[inline]
    #[must_use]
    pub fn ahead_of_system(&self) -> Option<i64> {
        // Acquire: of a thread that goes by the system's clock, the next call does, too.
        match self.0.0[0].load(Ordering::Acquire) {
            0 => None,
            word => Some(word.cast_signed() >> 1),
        }
    }

    /// From now on the time is the system's, ahead by so many nanoseconds: so many that it is later than any that the counter
    /// gave. Of two processes that find the counter wrong, the first says how many.
    pub fn leave_counter(&self, ahead: i64) {
        let word = ahead.cast_unsigned() << 1 | SYSTEM;
        if planted!(ClockLeftTwice) {
            return self.0.0[0].store(word, Ordering::SeqCst);
        }
        let _ = self.0.0[0].compare_exchange(0, word, Ordering::SeqCst, Ordering::SeqCst);
    }
}

impl fmt::Debug for ClockWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClockWord").field(&self.ahead_of_system()).finish()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_says_by_how_much_the_time_is_ahead() {
        for ahead in [0, 1, -1, 86_400_000_000_000, -9_000_000_000] {
            let word = ClockWord::new(Pinned::of_process());
            assert_eq!(word.ahead_of_system(), None);
            word.leave_counter(ahead);
            word.clone().leave_counter(ahead + 5);
            assert_eq!(word.ahead_of_system(), Some(ahead));
        }
    }
}

#[cfg(all(test, sluice_loom))]
mod models {
    use loom::thread;

    use super::*;

    /// Two processes find the counter wrong at once, by different amounts: whatever a third one has read once, stays.
    #[test]
    fn processes_that_leave_the_counter_at_once_agree_in_the_time() {
        loom::model(|| {
            let word = ClockWord::new(Pinned::of_process());
            let threads = [5, 3].map(|ahead| {
                let word = word.clone();
                thread::spawn(move || {
                    word.leave_counter(ahead);
                    word.ahead_of_system()
                })
            });
            let read = word.ahead_of_system();
            let then = word.ahead_of_system();
            assert!(read.is_none() || read == then, "the time was {read:?} ahead, and is {then:?}");
            let [first, second] = threads.map(|thread| thread.join().expect("no panic"));
            assert!(first.is_some() && first == second, "{first:?}, {second:?}");
            assert!(then.is_none() || then == first);
        });
    }
}
