//! Whether this process is attached, for calls that change what other processes see.
//!
//! What a call is about to publish counts as its process's until it is published, and no other process touches it. So the row
//! is given back only once no call is inside: a process that gave it back before would be taken for dead in the middle of a
//! call, and what that publishes could have another owner by then.

use std::sync::Arc;

use crate::runtime::planted::planted;
use crate::runtime::retire::{Inside, Retirable, Stay};
use crate::runtime::sync::Mutex;

/// Gives the row back.
type Depart = Box<dyn FnOnce() + Send>;

/// Dropped once no call is inside.
#[derive(Default)]
pub(crate) struct Departure(Mutex<Option<Depart>>);

impl Drop for Departure {
    fn drop(&mut self) {
        // Not under the lock.
        let depart = self.0.lock().take();
        if let Some(depart) = depart {
            depart();
        }
    }
}

/// A call that is inside.
pub(crate) type Present<'a> = Inside<'a, Departure>;

/// Calls that have their own way to know whether one is inside: all of them count as one.
pub(crate) type Attached = Stay<Departure>;

pub(super) struct Presence(Arc<Retirable<Departure>>);

impl Presence {
    pub(super) fn new() -> Self {
        Self(Arc::new(Retirable::new(Departure::default())))
    }

    /// Begins a call; `None` once the process is about to depart.
    pub(super) fn enter(&self) -> Option<Present<'_>> {
        self.0.enter()
    }

    pub(super) fn stay(&self) -> Option<Attached> {
        self.0.stay()
    }

    /// Lets no call in any more, and calls `depart` once none is inside: now, or by the last one. False, and `depart` is not
    /// called, where that was said before.
    pub(super) fn end(&self, depart: impl FnOnce() + Send + 'static) -> bool {
        let Some(present) = self.enter() else { return false };
        if planted!(DepartedDuringCalls) {
            depart();
        } else {
            let mut departure = present.0.lock();
            if departure.is_some() {
                return false;
            }
            *departure = Some(Box::new(depart));
        }
        drop(present);
        self.0.retire();
        true
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn departs_once_with_the_last_call() {
        let (presence, departures) = (Presence::new(), Arc::new(AtomicU64::new(0)));
        let depart = || {
            let departures = Arc::clone(&departures);
            move || {
                departures.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (present, stay) = (presence.enter(), presence.stay());
        assert!(present.is_some() && stay.is_some());
        assert!(presence.end(depart()) && !presence.end(depart()));
        assert!(presence.enter().is_none() && presence.stay().is_none());
        drop(present);
        assert_eq!(departures.load(Ordering::SeqCst), 0, "a call is inside");
        drop(stay);
        assert_eq!(departures.load(Ordering::SeqCst), 1);
        drop(presence);
        assert_eq!(departures.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn nothing_departs_that_is_only_dropped() {
        let departures = Arc::new(AtomicU64::new(0));
        let presence = Presence::new();
        let stay = presence.stay();
        drop(presence);
        drop(stay);
        assert_eq!(departures.load(Ordering::SeqCst), 0);
        let presence = Presence::new();
        let counted = Arc::clone(&departures);
        assert!(presence.end(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        assert_eq!(departures.load(Ordering::SeqCst), 1, "no call is inside");
    }
}
