//! Something that happens once, and that threads wait for.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Set once, and for good.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    is_set: Mutex<bool>,
    was_set: Condvar,
}

impl Latch {
    pub(crate) fn set(&self) {
        *self.is_set.lock() = true;
        self.was_set.notify_all();
    }

    /// Waits until it is set, at most this long. Whether it is.
    pub(crate) fn wait(&self, most: Duration) -> bool {
        let until = Instant::now() + most;
        let mut is_set = self.is_set.lock();
        while !*is_set && !self.was_set.wait_until(&mut is_set, until).timed_out() {}
        *is_set
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn every_thread_that_waits_goes_on_once_it_is_set() {
        let latch = Latch::default();
        thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..4).map(|_| scope.spawn(|| latch.wait(Duration::from_secs(60)))).collect();
            latch.set();
            assert!(waiting.into_iter().all(|thread| thread.join().expect("no panic")));
        });
        assert!(latch.wait(Duration::ZERO), "it stays set");
    }

    #[test]
    fn a_wait_ends_without_it() {
        assert!(!Latch::default().wait(Duration::from_millis(1)));
    }
}
