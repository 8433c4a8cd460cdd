//! A place among the connections of all processes.

use std::fmt;
use std::sync::Arc;

use sluice_core::{HeldElsewhere, Place};

use super::book::Holding;
use super::{FleetConnections, Shared};
use crate::answer::Source;

/// Given back when it is dropped, with the connection that holds it.
struct HeldPlace {
    shared: Arc<Shared>,
    holding: Holding,
}

impl FleetConnections {
    /// Takes a place that was granted, by its number and by what has granted it. `None` for one that was given back.
    #[must_use]
    pub fn claim(&self, number: u64, source: Source) -> Option<Place> {
        let holding = self.0.book.lock().claim(number)?;
        let held = Arc::new(HeldPlace { shared: Arc::clone(&self.0), holding });
        // What the caps of all machines do not decide, those of this process do.
        Some(Place { held, checks_caps: source == Source::Local })
    }
}

impl HeldElsewhere for HeldPlace {}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.shared.book.lock().lower(&self.holding);
        self.shared.wake.notify_one();
    }
}

impl fmt::Debug for HeldPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldPlace").field("holding", &self.holding).finish_non_exhaustive()
    }
}
